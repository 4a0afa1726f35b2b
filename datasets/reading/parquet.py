"""One array of a Parquet file: columns of numbers, one column of lists, or one column of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.text import reason
from .base import DataError
from .npz import check_swell, opened

if TYPE_CHECKING:
    import pyarrow as pa


def read_parquet(path: str) -> NDArray[Any]:
    """Return (rows,) for one column of values, (rows, columns) for several columns or for one of lists."""
    import pyarrow.parquet as pq  # noqa: PLC0415  heavy, only needed for this kind of file

    with opened(path) as file:
        try:
            stored = pq.ParquetFile(file)
            says = stored.metadata
            groups = [says.row_group(i) for i in range(says.num_row_groups)]
            check_swell(path, 8 * sum(group.column(i).num_values for group in groups for i in range(says.num_columns)))
            table = stored.read()
            index = (table.schema.pandas_metadata or {}).get("index_columns", [])
            table = table.drop_columns([name for name in index if isinstance(name, str)])  # row names are no feature
            return _array(path, table.columns)
        except DataError:
            raise
        except Exception as error:  # pyarrow and what it calls let out what damage makes them meet
            raise DataError([f"{path}: is damaged, or no Parquet file ({reason(error)})"]) from error


def _array(path: str, columns: list[pa.ChunkedArray]) -> NDArray[Any]:
    import pyarrow as pa  # noqa: PLC0415  heavy, only needed for this kind of file
    import pyarrow.compute as pc  # noqa: PLC0415  heavy, only needed for this kind of file

    if not columns:
        return np.empty((0, 0))
    values = columns[0]
    if not len(values):
        raise DataError([f"{path}: holds no rows"])
    if len(columns) > 1:
        odd = [column.type for column in columns if not _is_number(column.type)]
        if odd:
            raise DataError([f"{path}: holds a column of {odd[0]}; features are numbers"])
        return np.column_stack([column.to_numpy() for column in columns])
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not pa.types.is_nested(values.type):
        return _labels(path, values)
    if pa.types.is_struct(values.type) or pa.types.is_map(values.type):
        raise DataError([f"{path}: holds {values.type}; legal: numeric columns, or one column of lists"])
    lengths = pc.list_value_length(values).to_numpy()
    odd_rows = np.flatnonzero(lengths != lengths[0])
    if len(odd_rows):
        row = odd_rows[0]
        raise DataError([f"{path}: ragged, row 0 has {lengths[0]:g} values, row {row} has {lengths[row]:g}"])
    return np.asarray(pc.list_flatten(values).to_numpy().reshape(len(values), -1))


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa  # noqa: PLC0415  heavy, only needed for this kind of file

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _labels(path: str, values: pa.ChunkedArray) -> NDArray[Any]:
    """Return one column; where it has no text there is ``nan``, as pandas has it."""
    import pyarrow as pa  # noqa: PLC0415  heavy, only needed for this kind of file
    import pyarrow.compute as pc  # noqa: PLC0415  heavy, only needed for this kind of file

    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return np.asarray(values.to_numpy())
    check_swell(
        path, 4 * len(values) * (pc.max(pc.utf8_length(values)).as_py() or 1)
    )  # NumPy's text is as long as its longest
    return np.array(values.fill_null("nan").to_pylist())

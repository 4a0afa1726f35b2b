"""The classes that a run's models predict, as a table: each part has them in the narrowest type that holds all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .schema import PREDICTIONS


def as_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return at least one row of `schema.PREDICTIONS` as a table; ``predicted`` (M,) are arrays."""
    widest = np.result_type(*(row["predicted"] for row in rows))
    schema = as_wide(PREDICTIONS, pa.list_(pa.from_numpy_dtype(widest)))
    rows = [{**row, "predicted": row["predicted"].astype(widest, copy=False)} for row in rows]
    return pa.Table.from_pylist(rows, schema=schema)


def as_wide(schema: pa.Schema, found: pa.DataType) -> pa.Schema:
    """Return the schema of predictions, with classes as wide as they were found; anything else is no class."""
    if not (pa.types.is_list(found) and pa.types.is_unsigned_integer(found.value_type)):
        return schema
    place = schema.get_field_index("predicted")
    return schema.set(place, schema.field(place).with_type(found))

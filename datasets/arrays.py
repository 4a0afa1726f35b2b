"""Features of one's own, made by any model: one .npz, or .npy and .parquet files."""

from __future__ import annotations

import difflib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..benchmark.registry import dataset
from ..benchmark.types import Features, Labels
from .reading.base import PATH, DataError, Split, path_label
from .reading.variants import Variants

REQUIRED = ("train", "train_labels", "test", "test_labels")
KEYS = (*REQUIRED, "class_names")

_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Source:
    """An array with the words an error calls it by."""

    what: str
    array: NDArray[Any]


@dataset("arrays", cite="", licence="the user's own data")
@dataclass(frozen=True)
class Arrays(Variants):
    """Features (N, D) and (M, D) with labels: ``path`` to an .npz with the keys of this class, or a file for each key.

    The files are .npy or .parquet (features: one numeric column per feature, or one list column; labels: one column).
    Labels are text, or integers; without ``class_names`` the sorted labels of ``train_labels`` are the classes, with
    it integers count into it and text is found in it. Numbers become float32.
    """

    path: str = field(default="", metadata=PATH)
    train: str = field(default="", metadata=PATH)
    train_labels: str = field(default="", metadata=PATH)
    test: str = field(default="", metadata=PATH)
    test_labels: str = field(default="", metadata=PATH)
    class_names: str = field(default="", metadata=PATH)

    resampled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [key for key in KEYS if getattr(self, key)]
        if self.path and given:
            raise ValueError(f"path (an .npz) and {', '.join(given)} exclude each other; give one or the other")
        missing = [key for key in REQUIRED if key not in given]
        if not self.path and missing:
            raise ValueError(f"missing {', '.join(missing)}; give path (an .npz), or files for {', '.join(REQUIRED)}")

    def label(self) -> str:
        return path_label("arrays", self.path or self.train)

    def load(self, seed: int) -> Split:
        found = read_npz(self.path, REQUIRED, ("class_names",)) if self.path else self._read_files()
        problems: list[str] = []
        train, test = (as_features(found[key], problems) for key in ("train", "test"))
        labels = _labels(found["train_labels"], found["test_labels"], found.get("class_names"), problems)
        if problems:
            raise DataError(problems)
        return Split("features", train, labels[0], test, labels[1], labels[2])

    def _read_files(self) -> dict[str, Source]:
        found: dict[str, Source] = {}
        problems: list[str] = []
        for key in KEYS:
            path = getattr(self, key)
            if path:
                try:
                    found[key] = Source(path, read_array(path))
                except DataError as error:
                    problems += error.messages
        if problems:
            raise DataError(problems)
        return found


def read_npz(path: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Source]:
    """Read the named arrays of an .npz, nothing unpickled, or raise one `DataError` with everything that is wrong."""
    legal = (*required, *optional)
    found: dict[str, Source] = {}
    problems: list[str] = []
    with _opened(path) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError([f"{path}: holds a single array; needed is an .npz with the keys {', '.join(required)}"])
        for key in legal:
            if key in archive.files:
                try:
                    found[key] = Source(f"{path}: {key}", np.asarray(archive[key]))
                except _DAMAGE as error:
                    problems.append(f"{path}: {key} {_not_plain(error)}")
            elif key in required:
                near = difflib.get_close_matches(key, [name for name in archive.files if name not in legal], n=1)
                hint = f" (is it {near[0]!r}?)" if near else ""
                problems.append(f"{path}: key {key!r} is missing{hint}; legal keys: {', '.join(legal)}")
    if problems:
        raise DataError(problems)
    return found


def read_array(path: str) -> NDArray[Any]:
    """Read one .npy or .parquet file."""
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix != ".npy":
        raise DataError([f"{path}: unknown kind of file; legal: .npy, .parquet"])
    with _opened(path) as array:
        if not isinstance(array, np.ndarray):
            raise DataError([f"{path}: holds several arrays; needed is one"])
        return array


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    with _existing(path).open("rb") as file:  # np.load would leave it open when the file is damaged
        try:
            content = np.load(file, allow_pickle=False)
        except _DAMAGE as error:
            raise DataError([f"{path}: {_not_plain(error)}"]) from error
        yield content


def _existing(path: str) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError([f"{path}: no such file"])
    return file


def _not_plain(error: Exception) -> str:
    return f"is damaged, or no plain array with rows of one length ({str(error).splitlines()[0]})"


def _read_parquet(path: str) -> NDArray[Any]:
    """Return (rows,) for one column of values, (rows, columns) for several columns or for one of lists."""
    import pyarrow as pa  # noqa: PLC0415  heavy, only needed for this kind of file
    import pyarrow.compute as pc  # noqa: PLC0415  heavy, only needed for this kind of file
    import pyarrow.parquet as pq  # noqa: PLC0415  heavy, only needed for this kind of file

    file = _existing(path)
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError([f"{path}: is damaged, or no Parquet file ({str(error).splitlines()[0]})"]) from error
    index = (table.schema.pandas_metadata or {}).get("index_columns", [])
    columns = table.drop_columns([name for name in index if isinstance(name, str)]).columns  # row names are no feature
    if len(columns) != 1:
        return np.column_stack([column.to_numpy() for column in columns]) if columns else np.empty((0, 0))
    values = columns[0]
    if not len(values):
        raise DataError([f"{path}: holds no rows"])
    if not pa.types.is_nested(values.type):
        return np.array(values.to_pylist())
    if pa.types.is_struct(values.type) or pa.types.is_map(values.type):
        raise DataError([f"{path}: holds {values.type}; legal: numeric columns, or one column of lists"])
    lengths = pc.list_value_length(values).to_numpy()
    odd = np.flatnonzero(lengths != lengths[0])
    if len(odd):
        raise DataError([f"{path}: ragged, row 0 has {lengths[0]:g} values, row {odd[0]} has {lengths[odd[0]]:g}"])
    return np.asarray(pc.list_flatten(values).to_numpy().reshape(len(values), -1))


def as_features(source: Source, problems: list[str]) -> Features:
    """Return the array as float32 (rows, D); what cannot be is added to ``problems``."""
    array = source.array
    if array.dtype.kind not in "fiub":
        problems.append(f"{source.what} holds {array.dtype}, not numbers")
    elif array.ndim != 2:
        problems.append(f"{source.what} has shape {array.shape}; features are (rows, features)")
    else:
        with np.errstate(over="ignore"):  # what is too large becomes infinite and is reported as such
            return array.astype(np.float32)
    return np.empty((0, 0), dtype=np.float32)


def _labels(
    train: Source, test: Source, class_names: Source | None, problems: list[str]
) -> tuple[Labels, Labels, tuple[str, ...]]:
    """Return labels in [0, C) for both parts, and the class names."""
    faults = _label_faults(train, test, class_names)
    if faults:
        problems += faults
        return np.empty(0, np.int64), np.empty(0, np.int64), ()
    if class_names is None:
        names = legal = np.unique(train.array)
    else:
        names = class_names.array
        legal = names if _is_text(train) else np.arange(len(names))
    numbers = [_numbers(source, legal, problems) for source in (train, test)]
    return numbers[0], numbers[1], tuple(str(name) for name in names)


def _label_faults(train: Source, test: Source, class_names: Source | None) -> list[str]:
    faults = []
    for source in (train, test, class_names):
        if source is None:
            continue
        if source.array.ndim != 1 or not len(source.array):
            faults.append(f"{source.what} has shape {source.array.shape}; needed is one value per row, at least one")
        elif source.array.dtype.kind not in ("U" if source is class_names else "Uiub"):
            kinds = "text" if source is class_names else "integers or text"
            faults.append(f"{source.what} holds {source.array.dtype}, not {kinds}")
    if not faults and _is_text(train) != _is_text(test):
        faults.append(f"{train.what} holds {train.array.dtype}, {test.what} {test.array.dtype}; one kind is needed")
    return faults


def _is_text(source: Source) -> bool:
    return source.array.dtype.kind == "U"


def _numbers(source: Source, legal: NDArray[Any], problems: list[str]) -> Labels:
    """Return the position in ``legal`` of each label."""
    order = np.argsort(legal, kind="stable")
    places = np.searchsorted(legal, source.array, sorter=order).clip(max=len(legal) - 1)
    numbers: Labels = order[places].astype(np.int64)
    unknown = np.flatnonzero(legal[numbers] != source.array)
    if len(unknown):
        label, known = source.array[unknown[0]].item(), ", ".join(map(str, legal[:20]))
        more = ", ..." if len(legal) > 20 else ""
        problems.append(f"{source.what}: unknown class {label!r} in row {unknown[0]}; legal: {known}{more}")
    return numbers

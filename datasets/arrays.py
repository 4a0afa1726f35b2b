"""Features of one's own, made by any model: one .npz, or .npy and .parquet files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from ..benchmark.registry import dataset
from ..benchmark.types import Features, Labels
from .reading.base import LATER, PATH, DataError, Split, path_label, warn
from .reading.features import as_features
from .reading.labels import NO_LABEL, numbered
from .reading.npz import Source, UnusableError, read_npy, read_npz
from .reading.parquet import read_parquet
from .reading.sparse import is_sparse, read_sparse
from .reading.variants import Variants

REQUIRED = ("train", "train_labels", "test", "test_labels")
KEYS = (*REQUIRED, "class_names")


@dataset("arrays", cite="", licence="the user's own data")
@dataclass(frozen=True)
class Arrays(Variants):
    """Features (N, D) and (M, D) with labels: ``path`` to an .npz with the keys of this class, or a file for each key.

    ``train`` and ``test`` are the features of the pool and of the test set, ``train_labels`` and ``test_labels`` the
    label of each of their rows. The files are .npy or .parquet (features: one numeric column per feature, or one list
    column; labels: one column), for features also .npz of scipy.sparse.save_npz, up to 2 GiB with its zeros. Labels are
    text, or whole numbers; without ``class_names`` the sorted labels of ``train_labels`` are the classes, with it
    integers count into it and text is found in it. Rows with the label ``unlabelled`` (-1; ``nan``, as NaN and nulls
    are called; ``""``) leave the pool and the test set. Numbers become float32, those far from 0 that it would merge
    less their median.
    """

    path: str = field(default="", metadata=PATH)
    train: str = field(default="", metadata=PATH)
    train_labels: str = field(default="", metadata=PATH)
    test: str = field(default="", metadata=PATH)
    test_labels: str = field(default="", metadata=PATH)
    class_names: str = field(default="", metadata=PATH)
    unlabelled: int | str | None = field(default=None, metadata=LATER)

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
        if self.path and is_sparse(self.path):
            raise DataError([f"{self.path}: holds one sparse matrix; give {', '.join(REQUIRED)} a file each"])
        found = read_npz(self.path, REQUIRED, ("class_names",)) if self.path else self._read_files()
        problems: list[str] = []
        train, test = as_features(found["train"], found["test"], self.label(), problems)
        try:
            labels = numbered(found["train_labels"], found["test_labels"], found.get("class_names"), self.unlabelled)
        except UnusableError as error:
            problems += str(error).splitlines()
        if problems:
            raise DataError(problems)
        pool, tested = (self._with_labels(*part) for part in (("train", train, labels[0]), ("test", test, labels[1])))
        return Split("features", *pool, *tested, labels[2])

    def _with_labels(self, part: str, rows: Features, labels: Labels) -> tuple[Features, Labels]:
        """Return the rows that have a label, with it."""
        some = labels != NO_LABEL
        if some.all() or len(rows) != len(labels):  # that is said where every split is checked
            return rows, labels
        gone = f"{len(some) - some.sum()} of {len(some)} rows of {part}"
        warn(f"{self.label()}: {gone} have no label (unlabelled: {self.unlabelled}) and are left out")
        return rows[some], labels[some]

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


def read_array(path: str) -> NDArray[Any]:
    """Read one file."""
    readers: dict[str, Callable[[str], NDArray[Any]]]
    readers = {".npy": read_npy, ".parquet": read_parquet, ".npz": read_sparse}
    suffix = Path(path).suffix.lower()
    if suffix not in readers:
        raise DataError([f"{path}: unknown kind of file; legal: {', '.join(readers)}"])
    return readers[suffix](path)

"""Datasets of the Hugging Face hub by name, or of a folder that its library can read."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..benchmark.registry import dataset, suggestion
from ..benchmark.text import listing
from ..benchmark.types import Labels, Rows
from .reading.base import PATH, DataError, Split
from .reading.downloads import home
from .reading.files import FileImages, check_size, first_size
from .reading.pictures import Resize
from .reading.sources import UNKNOWN, UnreadableError, read_file
from .reading.transfer import unavailable
from .reading.variants import Variants


@dataset(
    "hf",
    cite="Lhoest et al., Datasets: A Community Library for Natural Language Processing, EMNLP 2021 (arXiv 2109.02846)",
    licence="that of the dataset, see its page",
    classes="those of its column of labels",
)
@dataclass(frozen=True)
class HuggingFace(Variants):
    """Images of the Hugging Face hub, ``hf:owner/name``, or of a folder that its library reads, ``hf:folder``.

    ``repo`` is the name on the hub, or the folder. ``config`` is what the hub calls a subset, ``revision`` the branch,
    tag or commit there (the newest if none is said). ``train`` is the part that is the pool, ``test`` the one that is
    the test set. The columns ``image`` and ``labels`` need names only where there is more than one of images or of
    classes. ``size`` brings images to size x size pixels (shorter side, then the middle); without it all must have one
    size. Needs ``albench[hf]``; no code that comes with a dataset is run.
    """

    repo: str = field(metadata=PATH)  # wherever it lies, its content is its identity
    config: str = ""
    revision: str = ""
    image: str = ""
    labels: str = ""
    train: str = "train"
    test: str = "test"
    size: int | None = None

    resampled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None:
            check_size(self.size)

    def label(self) -> str:
        folder = Path(self.repo).expanduser()
        return f"hf:{folder.resolve().name if folder.is_dir() else self.repo}"

    def load(self, seed: int) -> Split:
        parts = self._parts()
        image, column = _columns(self, parts[0].features)
        labels, class_names = _labels(self.label(), column, parts)
        rows = [_Rows(f"{self.label()}, {part.split}", image, _encoded(part, image, self.label())) for part in parts]
        names = [[f"row {row}" for row in range(len(part))] for part in parts]
        like, height, width = ("", self.size, self.size) if self.size else first_size(rows[0], names[0])
        how: Resize = "crop" if self.size else "none"
        train, test = (FileImages(r, n, (height, width, 3), how, like) for r, n in zip(rows, names, strict=True))
        return Split("images", train, labels[0], test, labels[1], class_names)

    @property
    def _names(self) -> tuple[str, str]:
        return self.train, self.test

    def _parts(self) -> list[Any]:
        """Return the two parts as the library has them: rows in files that are mapped, not read."""
        library = _library(self.label())
        where, config, revision = str(Path(self.repo).expanduser()), self.config or None, self.revision or None
        try:
            found = library.load_dataset(where, config, revision=revision, cache_dir=str(home("hf")))
        except (OSError, ValueError, RuntimeError, library.exceptions.DatasetsError) as error:
            reason = str(error).split("\n", 1)[0]
            messages = [f"{self.label()}: cannot be loaded ({reason})"]
            hub = not Path(where).is_dir()
            raise unavailable(messages, f"{self.label()}: is") if hub else DataError(messages) from error
        unknown = [name for name in self._names if name not in found]
        if unknown:
            raise DataError([f"{self.label()}: no part {name!r}{suggestion(name, found)}" for name in unknown])
        return [found[name] for name in self._names]


def _columns(said: HuggingFace, features: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the columns of images and of labels: those given, or the only ones of their types."""
    problems = list[str]()
    for what, name, kind in (("image", said.image, "Image"), ("labels", said.labels, "ClassLabel")):
        found = [key for key, feature in features.items() if _type(feature) == kind]
        if name and name not in features:
            problems.append(f"{said.label()}: no column {name!r}{suggestion(name, features)}")
        elif not name and len(found) != 1:
            legal = listing(found or features, 50)
            problems.append(f"{said.label()}: {len(found)} columns of type {kind}; set {what}, legal: {legal}")
    if problems:
        raise DataError(problems)
    image, labels = (
        name or next(key for key, feature in features.items() if _type(feature) == kind)
        for name, kind in ((said.image, "Image"), (said.labels, "ClassLabel"))
    )
    for name, kinds in ((image, ["Image"]), (labels, ["ClassLabel", "Value"])):
        if (found_kind := _type(features[name])) not in kinds:
            legal = ", ".join(kinds)
            problems.append(f"{said.label()}: column {name!r} is of type {found_kind}; legal: {legal}")
    if problems:
        raise DataError(problems)
    return image, labels


def _type(feature: object) -> str:
    return type(feature).__name__


def _labels(label: str, column: str, parts: Sequence[Any]) -> tuple[list[Labels], tuple[str, ...]]:
    """Return the labels of both parts and the class names: those of the column, else its values in the pool, sorted."""
    values = [part[column][:] for part in parts]
    names = getattr(parts[0].features[column], "names", None)
    if names is not None:
        return [np.array([-1 if v is None else v for v in part], dtype=np.int64) for part in values], tuple(names)
    legal = sorted({value for value in values[0] if value is not None})
    numbers = {value: number for number, value in enumerate(legal)}
    for part, found in zip(parts, values, strict=True):
        odd = [(row, value) for row, value in enumerate(found) if value not in numbers]
        if odd:
            row, value = odd[0]
            raise DataError([f"{label}: {column!r} of {part.split}, row {row}: {value!r} is no class of the pool"])
    return [np.array([numbers[value] for value in part], dtype=np.int64) for part in values], tuple(map(str, legal))


def _library(label: str) -> Any:
    """Return Hugging Face's package, which is called as our folder is: from a checkout that can be found instead."""
    try:
        library = importlib.import_module("datasets")
    except ImportError:
        library = None
    if not hasattr(library, "load_dataset"):
        raise DataError([f"{label}: Hugging Face's library is not installed; pip install 'albench[hf]'"])
    return library


def _encoded(part: Any, column: str, label: str) -> Any:
    """Return the rows with their images as they are stored: bytes, or the path of a file."""
    return part.select_columns(column).cast_column(column, _library(label).Image(decode=False))


@dataclass(frozen=True)
class _Rows:
    """The encoded images of one part. They are hashed, not the library's fingerprint, which depends on the machine."""

    name: str
    column: str
    rows: Any

    def __str__(self) -> str:
        return self.name

    def read(self, name: str) -> bytes:
        """Return the image of ``row <n>``: in the table, or in the file that it names."""
        found = self.rows[int(name.removeprefix("row "))][self.column] or {}
        if found.get("bytes") is not None:
            return bytes(found["bytes"])
        if not found.get("path"):
            raise UnreadableError("holds no image")
        return read_file(Path(found["path"]))

    def stamps(self, names: Sequence[str]) -> Rows:
        return np.tile(np.array(UNKNOWN, dtype=np.int64), (len(names), 1))

"""What every dataset gives: a split into pool and test set.

This folder has no ``__init__.py`` on purpose: it would shadow Hugging Face's ``datasets`` in Ray's workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import Plugin, Registry, suggestion
from ...benchmark.seeds import generator
from ...benchmark.text import unnameable
from ...benchmark.types import Labels, Rows, UserError, canonical_json

Kind = Literal["images", "table", "features"]

PATH = {"path": True}
"""``field(metadata=PATH)`` marks a parameter that is a path of this machine: no part of any identity."""

LATER = {"later": True}
"""``field(metadata=LATER)`` marks a parameter that is part of an identity only where it is not at its default."""


def cache_dir() -> Path:
    """Return ``ALBENCH_CACHE``, or the user's cache folder."""
    from platformdirs import user_cache_dir  # noqa: PLC0415  only needed here

    place = os.environ.get("ALBENCH_CACHE") or user_cache_dir("albench")
    if why := unnameable(place):
        raise DataError([f"ALBENCH_CACHE is {place}: the name {why}; name another folder"])
    try:
        return Path(place).expanduser()
    except RuntimeError:
        raise DataError([f"ALBENCH_CACHE is {place}: no such home folder; name a folder that can be made"]) from None


class DataError(UserError, ValueError):
    """Data that cannot be used; ``messages`` are one line each, naming the file (or dataset) and the reason."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(messages)
        self.messages = messages

    def __str__(self) -> str:
        return "\n".join(self.messages)


@runtime_checkable
class Images(Protocol):
    """Images (N, H, W, channels) uint8 that are decoded when asked for, so that they need not fit into memory."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Rows) -> NDArray[np.uint8]:
        """Return these images, or raise `DataError` with the file that cannot be decoded."""

    def digest(self) -> str:
        """Return the sha256 of what decides the pixels: encoded bytes, order, and how they are brought to one size."""


Inputs = NDArray[Any] | Images
"""Both give arrays for ``x[a:b]`` and ``x[rows]``; ``x[:]`` is everything, in memory."""


@dataclass(frozen=True, eq=False)
class Split:
    """A pool of N rows and a test set of M rows with labels (N,), (M,) int64 in [0, C).

    ``images`` are (N, H, W, channels) uint8; a ``table`` (columns in their own units) and ``features`` (made by some
    model, taken as they are) are (N, D) float32. ``test_rows`` (M,), of a dataset whose split depends on the seed, are
    the numbers that its test rows have in the whole data: a row that two test sets share is then known to be one.
    """

    kind: Kind
    train: Inputs
    train_labels: Labels
    test: Inputs
    test_labels: Labels
    class_names: tuple[str, ...]
    test_rows: Rows | None = None


BLOCK_BYTES = 2**24


@dataclass(frozen=True)
class Step:
    """How far a long computation is: ``done`` of ``total`` ``unit`` (``images``, ``epochs``), and what else to show."""

    what: str
    done: int
    total: int
    unit: str
    note: str = ""


Report = Callable[[Step], None]


def silent(step: Step) -> None:
    """Report to nobody."""


@cache
def warn(message: str) -> None:
    """Say it once per process, on standard error."""
    logging.getLogger("albench").warning("%s", message)


class Dataset(Protocol):
    """A frozen dataclass whose fields are its parameters.

    One that takes a path has a method ``label() -> str`` too: the readable name that stands for the path in tables.
    """

    @property
    def resampled(self) -> bool:
        """Whether the split depends on the trial's seed; where it does not, ``load`` ignores the seed."""

    def load(self, seed: int) -> Split:
        """Return the split, or raise `DataError`. Paths are taken from the current directory, ``~`` expanded."""


@runtime_checkable
class Fetched(Protocol):
    """A dataset whose files come from elsewhere: brought here once, before `Dataset.load` reads them."""

    def fetch(self, report: Report) -> None:
        """Bring the files here that are missing, checked; `DataError` says which file is expected where."""


@dataclass(frozen=True)
class Bundled:
    """The parameters of a dataset that comes in one piece: how it is cut into a pool and a test set.

    ``split: fixed`` is one stratified split for all seeds; ``split: resampled`` draws a new one per seed, uniformly and
    not stratified, and the very one of that seed in the public code of Lu et al. (arXiv 2306.08954): numpy's default
    generator of the seed shuffles the rows, the last are the test set. The test set has ceil(``test`` x rows) rows in
    both.
    """

    split: Literal["fixed", "resampled"] = "fixed"
    test: float = 0.3

    def __post_init__(self) -> None:
        check_choice("split", self.split, ("fixed", "resampled"))
        if not 0 < self.test < 1:
            raise ValueError(f"test is {self.test}; legal: a share of the rows, above 0 and below 1")

    @property
    def resampled(self) -> bool:
        return self.split == "resampled"

    def cut(
        self, name: str, kind: Kind, x: NDArray[Any], labels: Labels, class_names: Iterable[str], seed: int
    ) -> Split:
        """Cut the rows of ``x`` by the generator of (name, test) or, resampled, of the seed."""
        rng = np.random.default_rng(seed) if self.resampled else generator("split", name, str(self.test))
        train, test = split_rows(labels, self.test, stratify=not self.resampled, rng=rng)
        names = tuple(class_names)
        return Split(kind, x[train], labels[train], x[test], labels[test], names, test if self.resampled else None)


def split_rows(labels: Labels, test: float, *, stratify: bool, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Return (train, test) rows, each ascending, with ceil(``test`` x rows) rows of test (scikit-learn's size).

    Stratified: each class gives its proportional share, what rounding leaves over goes to the largest remainders.
    """
    n_test = math.ceil(test * len(labels))
    if stratify:
        _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        exact = n_test * counts / len(labels)
        shares = np.floor(exact).astype(int)
        shares[np.argsort(shares - exact, kind="stable")[: n_test - shares.sum()]] += 1
        rows = [rng.permutation(np.flatnonzero(classes == c))[:share] for c, share in enumerate(shares)]
        chosen = np.concatenate(rows)
    else:
        chosen = rng.permutation(len(labels))[len(labels) - n_test :]
    in_test = np.zeros(len(labels), dtype=bool)
    in_test[chosen] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def row_blocks(x: Inputs) -> Iterator[slice]:
    """Yield slices of the rows of x in order, some MiB each: what is mapped from a file need not fit into memory."""
    size = x.nbytes if isinstance(x, np.ndarray) else math.prod(x.shape)
    rows = max(1, BLOCK_BYTES * len(x) // max(size, 1))
    for start in range(0, len(x), rows):
        yield slice(start, start + rows)


def blocks(x: Inputs) -> Iterator[NDArray[Any]]:
    """Yield the rows of x themselves, as `row_blocks` cuts them."""
    for rows in row_blocks(x):
        yield x[rows]


LARGEST = 1e15
"""Beyond it the squared distance of two rows may exceed float32. Sentinels for "no data" (-3.4e38, 1e20) lie there."""


def unusable(name: str, x: NDArray[Any]) -> list[str]:
    """Return a line each that counts the values of x (M, ...) that are NaN or infinite, or beyond `LARGEST`."""
    if x.dtype == np.uint8:
        return []
    if all(bool((np.abs(x[block]) <= np.float32(LARGEST)).all()) for block in row_blocks(x)):
        return []  # in one pass over what may lie on a disk
    remedy = "fill them, or leave out these rows or columns"
    odd = _counted(x, lambda block: ~np.isfinite(block))
    huge = _counted(x, lambda block: np.isfinite(block) & (np.abs(block) > np.float32(LARGEST)))
    lines = [f"{name}: {odd[0]} values are NaN or infinite, {odd[1]}; {remedy}"] if odd[0] else []
    if huge[0]:
        no_data = f"if that says that there are no data, {remedy}; else give another unit"
        lines.append(f"{name}: {huge[0]} values are beyond {LARGEST:.0e}, {huge[1]}; {no_data}")
    return lines


def _counted(x: NDArray[Any], bad: Callable[[NDArray[Any]], NDArray[Any]]) -> tuple[int, str]:
    """Return how many values of x are so, and where the first is."""
    total, first = 0, ""
    for block in row_blocks(x):
        values = x[block].reshape(len(x[block]), -1)
        found = bad(values)
        if found.any() and not total:
            row, column = np.argwhere(found)[0]
            first = f"first {values[row, column]:g} in row {block.start + row}, column {column}"
        total += int(found.sum())
    return total, first


def arrays_hash(names: list[str], arrays: Sequence[Inputs]) -> str:
    """Return the sha256 of some names and of the dtypes, shapes and bytes of some arrays (`Images`: their digest)."""
    head = [names, [[x.dtype.str if isinstance(x, np.ndarray) else x.digest(), list(x.shape)] for x in arrays]]
    digest = hashlib.sha256(canonical_json(head).encode())
    for x in arrays:
        if isinstance(x, np.ndarray):
            digest.update(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def plugin_of(registry: Registry, value: object) -> Plugin:
    """Return what the class of ``value`` was declared as; an undeclared class has no identity to file it under."""
    plugin = registry.of(type(value))
    if plugin is None:
        raise TypeError(f"{type(value).__qualname__} is not a declared {registry.kind}; use the decorator")
    return plugin


def parameters(value: Any) -> dict[str, Any]:
    """Return the parameters of a plugin that are part of its identity.

    Not the paths of this machine, and not what is `LATER` and at its default: a parameter that came with a later
    version leaves the identities of before as they were.
    """
    fields = [(f, getattr(value, f.name)) for f in dataclasses.fields(value) if not f.metadata.get("path")]
    return {f.name: v for f, v in fields if not (f.metadata.get("later") and v == f.default)}


def label_of(plugin: Plugin, value: object) -> str:
    """Return the plugin's own readable label where it makes one (it takes a path), else its name."""
    label = getattr(value, "label", None)
    return str(label()) if callable(label) else plugin.name


def path_label(name: str, path: str) -> str:
    """Return ``name:basename``, which says which data without saying where."""
    return f"{name}:{Path(os.path.realpath(os.path.expanduser(path))).name}"  # noqa: PTH111  a bad path is named later


def check_choice(what: str, value: str, legal: Iterable[str]) -> None:
    """Raise ValueError with the legal values and the nearest when ``value`` is none of them."""
    legal = tuple(legal)
    if value not in legal:
        raise ValueError(f"unknown {what} {value!r}{suggestion(str(value), legal)}")

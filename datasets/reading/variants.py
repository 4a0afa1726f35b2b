"""Variants of any dataset: fewer rows, unequal classes, wrong labels. The test set stays as it is."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...benchmark.seeds import generator
from ...benchmark.types import Floats, Labels, Rows, canonical_json
from .base import LATER, DataError, Images, Split, check_choice

NoiseKind = Literal["symmetric", "asymmetric"]
Draw = Callable[..., np.random.Generator]


@dataclass(frozen=True, kw_only=True)
class Variants:
    """The parameters that every dataset has. They change its pool, in this order; rows stay in theirs.

    ``per_class`` keeps so many rows of each class.

    ``long_tail`` and ``step`` are the ratio r of the largest class to the smallest. Class c keeps floor(n_max x f_c)
    rows, but never none, with f_c = r^(-c / (C - 1)) (``long_tail``: long-tailed CIFAR of Cui et al., CVPR 2019, arXiv
    1901.05555) or f_c = 1 for the first half of the classes and 1 / r for the second (``step``: Buda et al. 2018, arXiv
    1710.05381, with as many minority as majority classes; an odd one is majority). n_max is the largest number for
    which each class has its rows: in a balanced pool, the size of a class.

    ``noise`` is the share of labels that are wrong, in the oracle too, ``noise_kind`` how: ``symmetric``,
    round(noise x N) rows get one of the other classes, uniformly; ``asymmetric``, round(noise x rows) of each class c
    get c + 1, the last class 0 (the pair flips of Han et al., NeurIPS 2018, arXiv 1804.06872). Halves are rounded to
    even.

    Draws are fixed by the dataset's name and the parameter's, so they are the same for every seed of a grid, and
    nested: the rows of a smaller class are among those of a larger one, the wrong labels of little noise among those of
    more.
    """

    per_class: int | None = field(default=None, metadata=LATER)
    long_tail: float = field(default=1.0, metadata=LATER)
    step: float = field(default=1.0, metadata=LATER)
    noise: float = field(default=0.0, metadata=LATER)
    noise_kind: NoiseKind = field(default="symmetric", metadata=LATER)

    def __post_init__(self) -> None:
        _check(self)
        others = getattr(super(), "__post_init__", None)  # those of `Bundled` in `class Wine(Variants, Bundled)`
        if others is not None:
            others()

    def vary(self, split: Split, name: str, label: str) -> Split:
        """Return a valid split with these changes, drawn from ``name``; ``label`` is what errors call the dataset.

        Raises
        ------
        DataError
            When a class has fewer rows than asked for.
        """
        _check(self)  # a dataset with a __post_init__ of its own may have forgotten the one above
        draw = partial(generator, "variant", name)
        if self.per_class is not None:
            sizes = _equal_sizes(split, self.per_class, label)
            split = _keep(split, _choose(split.train_labels, sizes, partial(draw, "per_class")))
        for what, ratio, factors in (("long_tail", self.long_tail, _long_tail), ("step", self.step, _step)):
            if ratio > 1:
                sizes = _unequal_sizes(split, factors(ratio, len(split.class_names)), what, label)
                split = _keep(split, _choose(split.train_labels, sizes, partial(draw, what)))
        if self.noise > 0:
            flip = _flip_any if self.noise_kind == "symmetric" else _flip_next
            labels = flip(split.train_labels, self.noise, len(split.class_names), partial(draw, "noise"))
            split = replace(split, train_labels=labels)
        return split


def _check(said: Variants) -> None:
    if said.per_class is not None and said.per_class < 1:
        raise ValueError(f"per_class is {said.per_class}; legal: a number of rows, at least 1")
    for what, ratio in (("long_tail", said.long_tail), ("step", said.step)):
        if not 1 <= ratio < math.inf:
            raise ValueError(f"{what} is {ratio}; legal: the largest class over the smallest, at least 1")
    if said.long_tail > 1 and said.step > 1:
        raise ValueError(f"long_tail ({said.long_tail}) and step ({said.step}) exclude each other; give one of them")
    if not 0 <= said.noise < 1:
        raise ValueError(f"noise is {said.noise}; legal: a share of the labels, at least 0 and below 1")
    check_choice("noise_kind", said.noise_kind, ("symmetric", "asymmetric"))
    if said.noise_kind != "symmetric" and said.noise == 0:
        raise ValueError(f"noise_kind is {said.noise_kind!r} and noise 0; give the share of labels that are wrong")


def _equal_sizes(split: Split, rows: int, label: str) -> Rows:
    counts = _counts(split)
    least = int(counts.argmin())
    if counts[least] < rows:
        few = f"class {split.class_names[least]!r} has {counts[least]} rows in the pool"
        raise DataError([f"{label}: per_class is {rows}, {few}; legal: at most {counts[least]}"])
    return np.full_like(counts, rows)


def _unequal_sizes(split: Split, factors: Floats, what: str, label: str) -> Rows:
    """Return the sizes (C,) of classes in these proportions, as large as the pool has rows for."""

    def sizes(n_max: int) -> Rows:
        exact = np.round(n_max * factors, 6)  # else 0.1 x 10 rows might be a rounding error below 1
        return np.maximum(1, np.floor(exact)).astype(np.int64)

    counts = _counts(split)
    if not counts.all():
        empty = split.class_names[int(counts.argmin())]
        raise DataError([f"{label}: class {empty!r} has no row in the pool; {what} needs at least 1 of each class"])
    return sizes(bisect_left(range(1, counts.max() + 1), True, key=lambda n: bool((sizes(n) > counts).any())))


def _long_tail(ratio: float, n_classes: int) -> Floats:
    return ratio ** (-np.arange(n_classes) / (n_classes - 1))


def _step(ratio: float, n_classes: int) -> Floats:
    return np.where(np.arange(n_classes) < n_classes - n_classes // 2, 1.0, 1 / ratio)


def _counts(split: Split) -> Rows:
    return np.bincount(split.train_labels, minlength=len(split.class_names)).astype(np.int64)


def _choose(labels: Labels, sizes: Rows, draw: Draw) -> Rows:
    """Return so many rows of each class, ascending: the first of a shuffle that is the class's own."""
    by_class = np.split(np.argsort(labels, kind="stable"), np.bincount(labels, minlength=len(sizes)).cumsum()[:-1])
    chosen = [draw(c).permutation(rows)[:size] for c, (rows, size) in enumerate(zip(by_class, sizes, strict=True))]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _keep(split: Split, rows: Rows) -> Split:
    if len(rows) == len(split.train):
        return split
    train = split.train[rows] if isinstance(split.train, np.ndarray) else Subset(split.train, rows)
    return replace(split, train=train, train_labels=split.train_labels[rows])


def _flip_any(labels: Labels, noise: float, n_classes: int, draw: Draw) -> Labels:
    rng = draw()
    order, shift = rng.permutation(len(labels)), rng.integers(1, n_classes, len(labels))
    wrong = order[: round(noise * len(labels))]
    flipped = labels.copy()
    flipped[wrong] = (labels[wrong] + shift[wrong]) % n_classes
    return flipped


def _flip_next(labels: Labels, noise: float, n_classes: int, draw: Draw) -> Labels:
    sizes = np.rint(noise * np.bincount(labels, minlength=n_classes)).astype(np.int64)
    wrong = _choose(labels, sizes, draw)
    flipped = labels.copy()
    flipped[wrong] = (labels[wrong] + 1) % n_classes
    return flipped


@dataclass(frozen=True, eq=False)
class Subset:
    """Some rows of `Images`, decoded no earlier than those."""

    images: Images
    rows: Rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.images.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | Rows) -> NDArray[np.uint8]:
        return self.images[self.rows[rows]]

    def digest(self) -> str:
        rows = hashlib.sha256(self.rows.astype("<i8").tobytes()).hexdigest()
        return hashlib.sha256(canonical_json([self.images.digest(), rows]).encode()).hexdigest()

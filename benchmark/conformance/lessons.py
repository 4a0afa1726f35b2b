"""The awkward lessons that every learner must cope with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bench import Bench
from ..lesson import Lesson, Sees, View, needed_views
from ..seeds import generator
from ..types import Budget, Count, Derived, Features, Labels, Learner, Part, Pool, Rows, Segment, Trial
from .pools import pool

TEST = 7  # rows of the test set
NONSENSE = -(10**6)  # no class, and no input


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs (N, ...) with labels (N,); ``labelled`` rows in order of purchase, others ``apart`` for validation."""

    name: str
    inputs: NDArray[Any]
    hidden: Labels
    labelled: Rows
    n_classes: int = 3
    apart: Rows = field(default_factory=lambda: np.empty(0, np.int64))

    def __str__(self) -> str:
        return f"{self.name} (N={len(self.inputs)}, {len(self.labelled)} labelled)"

    @property
    def absent(self) -> Labels:
        """The classes without a label."""
        return np.setdiff1d(np.arange(self.n_classes), self.hidden[self.labelled])

    @property
    def features(self) -> Features:
        """The inputs as rows of features (N, D)."""
        return self.inputs.reshape(len(self.inputs), -1).astype(np.float32)

    @property
    def derived(self) -> Derived:
        return Derived(self.features, partial(generator, "conformance"))

    def views(self, V: int) -> NDArray[np.float16] | None:
        """Return V weak and V strong views of the inputs, (2, V, N, D), or None where none are needed."""
        if not V:
            return None
        noise = generator("conformance", "views", V).normal(size=(2, V, *self.features.shape))
        views = (self.features + np.array([0.05, 0.2])[:, None, None, None] * noise).astype(np.float16)
        views.setflags(write=False)
        return views

    def lesson(self, seed: int, V: int = 0) -> Lesson:
        """Return the lesson, with V weak and V strong views.

        Inputs and views are read-only, as those of a pool are, and what else it holds is its own.
        """
        self.inputs.setflags(write=False)
        rows, views = np.arange(len(self.inputs)), self.views(V)
        weak, strong = ((), ()) if views is None else (tuple(map(View, of)) for of in views)
        return Lesson(
            view=View(self.inputs),
            rows=self.labelled.copy(),
            labels=self.hidden[self.labelled],
            unlabelled=np.setdiff1d(rows, np.concatenate([self.labelled, self.apart])),
            n_classes=self.n_classes,
            rng=generator("conformance", seed),
            derived=self.derived,
            validation=(self.apart.copy(), self.hidden[self.apart]) if len(self.apart) else None,
            weak=weak,
            strong=strong,
        )

    def bench(self, learner: Learner, *, poisoned: bool) -> Bench:
        """Return what a trial has of it; ``poisoned``, its hidden labels and all of its test set are nonsense."""
        hidden, test = self.hidden, self.inputs[:TEST]
        if poisoned:
            hidden = np.full_like(hidden, NONSENSE)
            hidden[self.labelled] = self.hidden[self.labelled]
            test = np.full_like(test, np.nan if test.dtype.kind == "f" else 255)
        test_features = test.reshape(len(test), -1).astype(np.float32)
        images = (self.inputs, test) if self.inputs.dtype == np.uint8 else (None, None)
        names = tuple(map(str, range(self.n_classes)))
        test_labels = np.full(len(test), NONSENSE) if poisoned else self.hidden[:TEST]
        part, budget = Part("conformance"), Budget("conformance", Count(1), (Segment(Count(1), 1),))
        trial = Trial(part, part, part, part, budget, 0, "conformance")
        whole = Pool(
            self.features,
            hidden,
            test_features,
            test_labels,
            names,
            self.derived,
            images=images[0],
            test_images=images[1],
            views=self.views(needed_views(learner)),
        )
        return Bench(trial, whole, learner)


def cases(sees: Sees) -> Iterator[Case]:
    """Yield the awkward lessons, the ordinary one first."""
    base = ordinary(sees)
    yield base
    yield other(sees)
    yield replace(base, name="one label", labelled=base.labelled[:1])
    yield replace(base, name="one class only", hidden=np.full_like(base.hidden, 2))
    yield replace(base, name="a class without labels", hidden=np.maximum(base.hidden, 1))
    yield replace(base, name="all labelled", labelled=generator("conformance", "all labelled").permutation(60))
    yield replace(base, name="more classes than labels", n_classes=40)
    yield replace(base, name="a validation set", apart=np.setdiff1d(np.arange(60), base.labelled)[:6])
    yield replace(base, name="constant inputs", inputs=np.ones_like(base.inputs))
    yield replace(base, name="duplicates, with several labels", inputs=base.inputs[np.arange(60) % 5])
    yield replace(base, name="inputs of zeros", inputs=base.inputs * (np.arange(60) % 2 == 0)[_rows_of(base.inputs)])
    if sees == "embedding":
        yield replace(base, name="far from the origin", inputs=base.inputs + np.float32(1e4))
    else:
        yield replace(base, name="grey images", inputs=base.inputs[..., :1])


def ordinary(sees: Sees) -> Case:
    """Return a lesson of twelve labels of three classes."""
    made = pool("ordinary lesson", 60, 12, 1)
    return Case("ordinary lesson", _seen(sees, made.features), made.hidden, made.labelled)


def other(sees: Sees) -> Case:
    """Return one of the same shape with other inputs, labels and rows, so that what is left of it shows."""
    made = pool("another lesson", 60, 12, 1)
    return Case("another lesson", _seen(sees, made.features), (made.hidden + 1) % 3, made.labelled)


def _seen(sees: Sees, features: Features) -> NDArray[Any]:
    """Return features (N, 4), or colour images (N, 8, 8, 3) with one feature in each corner."""
    if sees == "embedding":
        return features
    bytes_ = np.clip(128 + 24 * features, 0, 255).astype(np.uint8).reshape(-1, 2, 2, 1)
    return np.repeat(bytes_.repeat(4, axis=1).repeat(4, axis=2), 3, axis=3)


def _rows_of(inputs: NDArray[Any]) -> tuple[Any, ...]:
    """Return the index that lays one value a row (N,) beside inputs (N, ...)."""
    return (slice(None), *[None] * (inputs.ndim - 1))

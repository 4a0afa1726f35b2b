"""What a learner may know when it fits, `Lesson`, and what it answers with, `Model`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from . import device
from .values import Array, Derived, Labels, Rows

Sees = Literal["embedding", "images"]
"""What a learner may see of the pool."""


class Regime(StrEnum):
    """How a classifier comes about. Numbers of two regimes are never ranked together."""

    SCRATCH = "supervised from scratch"
    HEAD = "head on frozen features"
    FINE_TUNED = "fine-tuned"
    SEMI = "semi-supervised"


BLOCK_BYTES = 2**26
"""So much of a pool's inputs is handed to a model at once."""
BLOCK_ROWS = 2**16
"""And so many rows: of few features, what a model says of them takes more than they do."""

CLOSE = 1.25  # a gather of rows costs about as much as to look at a quarter more of them

Draw = Callable[[Array], Array]
"""One draw of a model: from inputs (b, ...) to class probabilities (b, C)."""


@dataclass(frozen=True, eq=False)
class View:
    """The pool, or the test set, as a learner sees it: one row of ``array`` an input, (N, D) or (N, height, ...)."""

    array: NDArray[Any]

    def __len__(self) -> int:
        return len(self.array)

    def take(self, rows: Rows | slice) -> Array:
        """Return the inputs of rows where this trial computes: numpy, or a tensor on its GPU."""
        return device.take(self.array, rows)

    def blocks(self, rows: Rows) -> Iterator[tuple[slice, Array, Rows | None]]:
        """Yield (positions in ``rows``, inputs, which of the inputs are meant) a few megabytes at a time.

        Rows that lie close together are read as one slice of the array, which is no copy; not all of it is meant then.
        """
        size = min(BLOCK_ROWS, max(1, BLOCK_BYTES // max(1, self.array[:1].nbytes)))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            positions, span = slice(start, start + len(part)), int(part[-1] - part[0]) + 1
            if len(part) <= span <= CLOSE * len(part) and bool((np.diff(part) > 0).all()):
                inputs = self.take(slice(int(part[0]), int(part[-1]) + 1))
                yield positions, inputs, None if span == len(part) else part - part[0]
            else:
                yield positions, self.take(part), None


@dataclass(frozen=True, eq=False)
class Lesson:
    """All that a learner may know: some rows of the pool with their labels, the others without.

    ``rows`` (M,) in order of purchase and ``labels`` (M,) in [0, C) beside them, at least one, perhaps of one class
    only; what semi-supervised learners see of ``unlabelled`` are inputs. ``derived`` are artefacts of the embedding of
    the whole pool (a graph, say), computed once for all rounds and trials. ``validation`` holds rows and labels that
    the budget paid for. ``weak`` and ``strong`` are views of the pool, weakly and strongly transformed, as many of each
    as the learner says (`needed_views`). ``previous`` is the model of the round before, for a learner that declares
    ``chained`` and for no other. ``weights`` draws the initial ones: alike in each round of a trial, so that a network
    which starts cold starts from the same.
    """

    view: View
    rows: Rows
    labels: Labels
    unlabelled: Rows
    n_classes: int
    rng: np.random.Generator
    derived: Derived
    validation: tuple[Rows, Labels] | None = None
    weak: tuple[View, ...] = ()
    strong: tuple[View, ...] = ()
    previous: Model | None = None
    weights: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @classmethod
    def of(cls, features: NDArray[Any], labels: Labels, n_classes: int, rng: np.random.Generator) -> Lesson:
        """Return the lesson of features (M, D), all of them labelled."""
        rows, derived = np.arange(len(features)), Derived(features, lambda _: np.random.default_rng(0))
        return cls(View(features), rows, labels, np.empty(0, np.int64), n_classes, rng, derived)

    @property
    def inputs(self) -> Array:
        """The inputs of the labelled rows, (M, ...), where this trial computes."""
        return self.view.take(self.rows)


class Model(Protocol):
    """A fitted learner. Columns are all C classes; a class without a label gets probability 0 (decision value -inf).

    Inputs come, and answers go, where the trial computes: numpy, or tensors on its GPU.
    """

    def predict(self, inputs: Array) -> Array:
        """Return the predicted class of each input, (b,) int64."""

    def scores(self, inputs: Array) -> Array:
        """Return class scores (b, C) float32: the probabilities where the learner gives them, else decision values."""


class Stochastic(Protocol):
    """A model whose learner gives ``passes``."""

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        """Return K draws; the first of K + 1 are those of K. Each answers for a row the same whatever the block."""


class Hidden(Protocol):
    """A model whose learner gives ``hidden``."""

    def hidden(self, inputs: Array) -> Array:
        """Return what the last layer sees, (b, H) float32."""


class Headed(Protocol):
    """A model whose learner gives ``head``."""

    def head(self) -> tuple[Array, Array]:
        """Return weights (H, C) and bias (C,) of the last layer; -inf is the bias of a class without labels."""


class Learner(Protocol):
    """A frozen dataclass whose fields are its parameters.

    It may say ``sees`` (`Sees`; the embedding where it says nothing), ``reads_unlabelled``: the inputs of unlabelled
    rows enter its fit, how many transformed ``views`` of each row's embedding it needs, ``pretrained``: it begins with
    weights trained elsewhere, and ``chained``: its model takes up the one of the round before (``Lesson.previous``), so
    that an interrupted trial is run again from its first round.
    """

    @property
    def gives(self) -> frozenset[str]:
        """Some of `query.FROM_THE_MODEL`; may depend on the parameters."""

    def fit(self, lesson: Lesson) -> Model:
        """Fit from scratch on what the lesson holds; draws come from ``lesson.rng`` alone."""


class Settled(NamedTuple):
    """A learner to be fitted; where its settings were chosen, ``settings`` says which, and by what."""

    learner: Learner
    settings: Mapping[str, Any] = {}


@runtime_checkable
class Tunable(Learner, Protocol):
    """A learner whose settings are chosen before it is fitted; ``once`` if those of the first labels are kept."""

    once: bool

    def settle(self, lesson: Lesson) -> Settled:
        """Return the learner with the settings that this lesson chooses; draws come from ``lesson.rng`` alone."""


def sees(learner: Learner) -> Sees:
    """Return what a learner sees of the pool."""
    seen: Sees = getattr(learner, "sees", "embedding")
    return seen


def needed_views(learner: Learner) -> int:
    """Return how many weak, and how many strong views of the pool a learner needs."""
    needed: int = getattr(learner, "views", 0)
    return needed


def regime(learner: Learner) -> Regime:
    """Return the regime that a learner belongs to, by what it declares."""
    if getattr(learner, "reads_unlabelled", False):
        return Regime.SEMI
    if sees(learner) == "embedding":
        return Regime.HEAD
    return Regime.FINE_TUNED if getattr(learner, "pretrained", False) else Regime.SCRATCH

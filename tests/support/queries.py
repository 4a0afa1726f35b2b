"""Queries over small pools with a model whose answers are given, for the tests of the rules."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from albench.benchmark.learners.linear import Linear
from albench.benchmark.query import FROM_THE_MODEL, FROM_THE_TRIAL, Answers, Desk
from albench.benchmark.seeds import generator
from albench.benchmark.types import Derived, Draw, Features, Floats, Labels, Lesson, Oracle, Query, Rows, View


@dataclass(frozen=True, eq=False)
class Table:
    """A model whose scores (N, C), and passes (K, N, C), are given; its inputs are row numbers."""

    table: Floats
    pool: Features
    passes: Floats

    def scores(self, inputs: Rows) -> Floats:
        return self.table[inputs]

    def draws(self, K: int, rng: np.random.Generator) -> list[Draw]:
        return [partial(np.take, drawn, axis=0) for drawn in self.passes[:K]]

    def hidden(self, inputs: Rows) -> Features:
        return self.pool[inputs]

    def predict(self, inputs: Rows) -> Labels:
        return np.asarray(self.table[inputs].argmax(axis=1), dtype=np.int64)

    def head(self) -> tuple[Features, Features]:
        """Return a head whose logits are the features: what `table` says does not come from it."""
        return np.eye(self.pool.shape[1], self.table.shape[1], dtype=np.float32), np.zeros(
            self.table.shape[1], np.float32
        )


def query(
    features: NDArray[np.floating],
    n: int,
    labelled: Sequence[int] = (),
    scores: Floats | None = None,
    seed: int = 0,
    validation: tuple[Sequence[int], Sequence[int]] | None = None,
    passes: Floats | None = None,
    truth: Sequence[int] | None = None,
) -> Query:
    """Return the query for ``n`` rows of a pool; rows of the ``validation`` set (and their labels) are not for sale.

    Where the model's passes are given and no scores, the scores are their mean. ``truth`` are the labels of all rows,
    of as many classes as the scores have; without it those of the row numbers modulo 3. What is fitted is ``linear``
    on the features, and the test set is the pool.
    """
    pool = np.asarray(features, dtype=np.float32)
    bought = np.array(labelled, dtype=np.int64)
    kept = None if validation is None else tuple(np.array(part, dtype=np.int64) for part in validation)
    rest = np.setdiff1d(np.arange(len(pool)), bought if kept is None else np.concatenate([bought, kept[0]]))
    hidden = np.arange(len(pool)) % 3 if truth is None else np.array(truth, dtype=np.int64)
    derived = Derived(pool, lambda key: generator("test", key))
    needs, rng = frozenset((*FROM_THE_MODEL, *FROM_THE_TRIAL)), np.random.default_rng(seed)
    drawn = np.empty((0, len(pool), 0)) if passes is None else passes
    table = passes.mean(axis=0) if scores is None and passes is not None else scores
    C = 3 if truth is None or table is None else table.shape[1]
    view = View(np.arange(len(pool)))

    def fit(rows: Rows, labels: Labels) -> Answers:
        return Answers(Linear().fit(Lesson.of(pool[rows], labels, C, rng)), View(pool), rest, needs, lambda: rng)

    desk = Desk(
        needs=needs,
        model=None if table is None else Answers(Table(table, pool, drawn), view, rest, needs, lambda: rng),
        fit=fit,
        validation=None if kept is None else (kept[0], kept[1]),
        reveal=lambda row: int(hidden[row]),
        oracle=Oracle(hidden, View(pool), hidden),
    )
    return Query(pool, bought, hidden[bought], rest, n, C, rng, derived, (len(bought),), desk, ("",) * len(bought))


@dataclass(frozen=True, eq=False)
class Head:
    """A model that is linear in the features: weights (D, C), bias (C,); -inf is the bias of a class without labels."""

    weights: Floats
    bias: Floats

    def scores(self, inputs: Features) -> Floats:
        return np.asarray(softmax(inputs.astype(np.float64) @ self.weights + self.bias, axis=1))

    def predict(self, inputs: Features) -> Labels:
        return np.asarray(self.scores(inputs).argmax(axis=1), dtype=np.int64)

    def hidden(self, inputs: Features) -> Features:
        return inputs

    def head(self) -> tuple[Features, Features]:
        return self.weights.astype(np.float32), self.bias.astype(np.float32)


def linear_query(
    features: NDArray[np.floating],
    n: int,
    weights: Floats,
    bias: Floats,
    labelled: Sequence[int] = (),
    seed: int = 0,
    truth: Sequence[int] | None = None,
) -> Query:
    """Return the query for ``n`` rows of a pool whose model is a linear head of single precision."""
    asked = query(features, n, labelled, seed=seed, truth=truth)
    head = Head(weights.astype(np.float32).astype(np.float64), bias.astype(np.float32).astype(np.float64))
    model = Answers(head, View(asked.features), asked.unlabelled, asked.desk.needs, lambda: np.random.default_rng(seed))
    return replace(asked, n_classes=len(bias), desk=replace(asked.desk, model=model))


def cloud(seed: int, size: int, dims: int = 3) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(size, dims)).astype(np.float32).astype(np.float64)


def random_probs(seed: int, size: int, classes: int = 4) -> Floats:
    return np.random.default_rng(seed + 1).dirichlet(np.full(classes, 0.5), size=size)


def random_passes(seed: int, K: int, size: int, classes: int = 3) -> Floats:
    """Return K passes (K, N, C) that single precision holds exactly."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(classes), size=(K, size))
    return drawn.astype(np.float32).astype(np.float64)

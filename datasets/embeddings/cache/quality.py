"""What an embedding is worth, measured once when it is made: cheap numbers that go into its manifest."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ....benchmark.lesson import Lesson
from ....benchmark.seeds import generator
from ....benchmark.types import Features, Floats, Labels, Rows

PAIRS = 5 * 10**11
"""At most so many multiplications for the neighbours: 60,000 x 10,000 rows of 800 features."""
FIT = 10**9
"""At most so many products of rows, features and classes (16 at least) for the linear fit: 60,000 x 1,000 x 16."""
SPREAD = 2 * 10**11
"""At most so many multiplications for the covariance: 60,000 rows of 1,800 features."""
BLOCK = 1024
"""Rows that are in memory at once, as float64; what the features are mapped from need not fit."""


@dataclass(frozen=True)
class Quality:
    """How good features are, as far as numbers say it without a choice of strategy or budget.

    ``nearest_accuracy`` and ``linear_accuracy`` are on the test set, of the one nearest row of the pool (Euclidean, the
    features as they are; exact) and of our learner ``linear`` with the labels of the whole pool.
    ``effective_dimension`` is the participation ratio of the pool's covariance, ``(sum l)^2 / sum l^2`` over its
    eigenvalues l (Gao et al., bioRxiv 214262, 2017): 1 when one direction has all the variance, D when all have the
    same, 0 when all rows are equal.

    The ``rows`` are what was used: of the test set for the neighbours, of the pool for the others. They are all there
    are, up to the bounds of this file; then a uniform subsample.
    """

    nearest_accuracy: float
    linear_accuracy: float
    effective_dimension: float
    nearest_rows: int
    linear_rows: int
    dimension_rows: int
    seconds: float


def measure(
    features: Features, labels: Labels, test_features: Features, test_labels: Labels, n_classes: int
) -> Quality:
    """Measure features (N, D) of the pool and (M, D) of the test set, on one core; see `Quality`."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  only needed here

    started = time.perf_counter()
    n, d = features.shape
    n_asked = min(len(test_features), max(1, PAIRS // (n * d)))
    n_fitted = min(n, max(n_classes, FIT // (d * max(n_classes, 16))))
    n_spread = min(n, max(SPREAD // d**2, math.isqrt(SPREAD // d)))  # by the covariance, or by products of the rows
    asked, fitted, spread = _some(len(test_features), n_asked), _some(n, n_fitted), _some(n, n_spread)
    with threadpool_limits(1):  # many small products: threads that wait for each other cost more than they give
        hits = labels[nearest(features, test_features[asked])] == test_labels[asked]
        linear = _linear(features[fitted], labels[fitted], test_features, test_labels, n_classes)
        dimension = participation_ratio(features[spread])
    return Quality(
        nearest_accuracy=round(float(hits.mean()), 4),
        linear_accuracy=round(linear, 4),
        effective_dimension=round(dimension, 2),
        nearest_rows=n_asked,
        linear_rows=n_fitted,
        dimension_rows=n_spread,
        seconds=round(time.perf_counter() - started, 3),
    )


def nearest(train: Features, test: Features) -> Rows:
    """Return for each row of ``test`` (M, D) its nearest row of ``train`` (N, D); the first of those equally near.

    All pairs by products in float64, which on one core took less time than faiss's flat index (1.15) did in float32.
    """
    middle = _mean(train)  # distances are the same, their rounding errors smaller
    answers = []
    for part in _blocks(test, middle):
        least, row = np.full(len(part), np.inf), np.zeros(len(part), dtype=np.int64)
        for number, x in enumerate(_blocks(train, middle)):
            apart = part @ x.T
            apart *= -2
            apart += np.einsum("ij,ij->i", x, x)  # squared distances, less the square of the test row
            closest = apart.argmin(axis=1)
            distance = apart[np.arange(len(part)), closest]
            nearer = distance < least
            least[nearer], row[nearer] = distance[nearer], number * BLOCK + closest[nearer]
        answers.append(row)
    return np.concatenate(answers)


def participation_ratio(x: Features) -> float:
    """Return ``(sum l)^2 / sum l^2`` over the eigenvalues l of the covariance of x (N, D); 0 when all are 0."""
    n, d = x.shape
    middle = _mean(x)
    total = sum(float(np.vdot(part, part)) for part in _blocks(x, middle))  # of the eigenvalues, times N
    if d <= n:
        covariance = np.zeros((d, d))
        for part in _blocks(x, middle):
            covariance += part.T @ part
        squares = float(np.vdot(covariance, covariance))
    else:
        products = (part @ other.T for part in _blocks(x, middle) for other in _blocks(x, middle))
        squares = sum(float(np.vdot(block, block)) for block in products)
    return total**2 / squares if squares > 0 else 0.0


def _linear(train: Features, labels: Labels, test: Features, test_labels: Labels, n_classes: int) -> float:
    from ....benchmark.learners.linear import Linear  # noqa: PLC0415  brings scipy, which `albench list` need not load

    model = Linear().fit(Lesson.of(train, labels, n_classes, generator("quality", "linear")))
    starts = range(0, len(test), BLOCK)
    return sum(int((model.predict(test[i : i + BLOCK]) == test_labels[i : i + BLOCK]).sum()) for i in starts) / len(
        test
    )


def _some(n: int, k: int) -> slice | Rows:
    return slice(None) if k == n else np.sort(generator("quality", n).choice(n, k, replace=False))


def _mean(x: Features) -> Floats:
    return np.asarray(x.mean(axis=0, dtype=np.float64))


def _blocks(x: Features, middle: Floats) -> Iterator[Floats]:
    for start in range(0, len(x), BLOCK):
        yield x[start : start + BLOCK] - middle

"""One score a row, larger first, and from scores to a choice of rows: the best, ties at random, what fills a batch.

The scores are for `Query.rowwise` and `Query.rowwise_passes`: of blocks of b rows, C classes, K passes, numpy or
tensor alike. Positions are indices of the argument's rows; the caller maps them to row numbers of the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ...benchmark.types import Array
from .distances import Matrix, Positions

ROUNDING = 1e-12  # entropies are sums of many terms of at most 1


def least_confidence(p: Array) -> Array:
    """Return 1 - max p of (b, C), (b,) float64."""
    xp = array_namespace(p)
    return 1.0 - xp.astype(xp.max(p, axis=-1), xp.float64)


def margin(scores: Array) -> Array:
    """Return 1 - (largest - second largest) of (b, C), (b,) float64; C at least 2, some may be -inf."""
    xp = array_namespace(scores)
    ascending = xp.sort(scores, axis=-1)
    return 1.0 - xp.astype(ascending[..., -1] - ascending[..., -2], xp.float64)


def entropy(p: Array) -> Array:
    """Return -sum p log p of (..., C), (...); a p of 0 adds 0."""
    xp = array_namespace(p)
    return -xp.sum(p * xp.log(xp.where(p > 0, p, 1.0)), axis=-1)


Uncertainty = Literal["least-confidence", "margin", "entropy"]
UNCERTAINTIES: Mapping[Uncertainty, Callable[[Array], Array]] = {
    "least-confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
}
"""By the names of the rules that pick the largest."""


def expected_entropy(passes: Array) -> Array:
    """Return the mean over the passes (K, b, C) of their entropies, (b,) float64."""
    xp = array_namespace(passes)
    return sum(entropy(xp.astype(passes[k, ...], xp.float64)) for k in range(len(passes))) / len(passes)


def mutual_information(passes: Array) -> Array:
    """Return H(mean p) - mean H(p) over the passes (K, b, C), (b,) float64: what a label says of the model (BALD).

    In [0, log C], and 0 where the passes do not differ.
    """
    xp = array_namespace(passes)
    mean = xp.sum(passes, axis=0, dtype=xp.float64) / len(passes)
    return without_rounding(entropy(mean) - expected_entropy(passes))


def without_rounding(information: Array) -> Array:
    """Return differences of entropies (float64, nats) with 0 for what is below `ROUNDING`: equal rows must tie."""
    return array_namespace(information).where(information > ROUNDING, information, 0.0)


def top(scores: Matrix, n: int, rng: np.random.Generator) -> Positions:
    """Return the positions of the ``n`` largest scores (M,), largest first; ties in random order, NaN last."""
    shuffled = rng.permutation(len(scores))
    return shuffled[np.argsort(-scores[shuffled], kind="stable")[:n]]


def argmax(values: NDArray[Any], rng: np.random.Generator) -> int:
    """Return the position of the largest value (M,); among equals, any with equal chance."""
    return int(rng.choice(np.flatnonzero(values == values.max())))


def fill(positions: Positions, n: int, size: int, rng: np.random.Generator) -> Positions:
    """Return ``positions`` followed by draws from the rest of ``range(size)``, without replacement, up to ``n``."""
    rest = np.setdiff1d(np.arange(size), positions)
    return np.concatenate([positions, rng.choice(rest, n - len(positions), replace=False)])


def turns(cluster: Positions, order: Positions) -> Positions:
    """Return how many of its own cluster (M,) come before each thing in ``order`` (M,), a permutation: (M,)."""
    by_cluster = order[np.argsort(cluster[order], kind="stable")]
    own, turn = cluster[by_cluster], np.empty(len(cluster), np.int64)
    turn[by_cluster] = np.arange(len(own)) - np.searchsorted(own, own)
    return turn

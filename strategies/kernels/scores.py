"""One score a row, larger first, and from scores to a choice of rows: the best, ties at random, what fills a batch.

The scores are for `Query.rowwise` and `Query.rowwise_passes`: of blocks of b rows, C classes, K passes, numpy or
tensor alike. Positions are indices of the argument's rows; the caller maps them to row numbers of the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from array_api_compat import array_namespace, device
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
    return without_rounding(entropy(average(passes)) - expected_entropy(passes))


def average(passes: Array) -> Array:
    """Return the mean over the passes (K, b, C), (b, C) float64; exactly the passes where all are one."""
    return array_namespace(passes).sum(passes, axis=0, dtype=array_namespace(passes).float64) / len(passes)


def variance(passes: Array) -> Array:
    """Return the mean square over the passes (K, b, C) of what they differ from their mean by, (b, C) float64."""
    mean = average(passes)
    return sum((passes[k, ...] - mean) ** 2 for k in range(len(passes))) / len(passes)


def votes(passes: Array) -> Array:
    """Return the share of the passes (K, b, C) whose best class is each class, (b, C) float64.

    Where classes are equally likely in a pass, the first of them has its vote.
    """
    xp = array_namespace(passes)
    classes = xp.arange(passes.shape[2], device=device(passes))
    best = (xp.argmax(passes[k, ...], axis=-1, keepdims=True) == classes for k in range(len(passes)))
    return sum(xp.astype(vote, xp.float64) for vote in best) / len(passes)


def variation_ratio(passes: Array) -> Array:
    """Return the share of the passes (K, b, C) that do not vote for the class with most votes, (b,) float64."""
    return 1.0 - array_namespace(passes).max(votes(passes), axis=-1)


def without_rounding(information: Array) -> Array:
    """Return differences of entropies (float64, nats) with 0 for what is below `ROUNDING`: equal rows must tie."""
    return array_namespace(information).where(information > ROUNDING, information, 0.0)


def top(scores: Matrix, n: int, rng: np.random.Generator) -> Positions:
    """Return the positions of the ``n`` largest scores (M,), largest first; ties in random order, NaN last."""
    shuffled = rng.permutation(len(scores))
    return shuffled[np.argsort(-scores[shuffled], kind="stable")[:n]]


def settled(bounds: NDArray[Any], n: int, score: Callable[[Positions], NDArray[Any]], look: int) -> NDArray[Any]:
    """Return scores (M,) whose ``n`` largest are those of ``score``; what is smaller may be a bound that is still.

    ``score`` gives the scores, at least 0, of the positions it is asked about, ``look`` at once and those of the
    largest bounds first: no more are asked about than may be among the ``n`` largest.
    """
    scores, open_ = bounds.copy(), bounds > 0
    while True:
        known = scores[~open_]
        least = np.partition(known, -n)[-n] if len(known) >= n else 0.0
        due = np.flatnonzero(open_ & (scores >= least))
        if not len(due):
            return scores
        asked = due[np.argsort(-scores[due], kind="stable")[:look]]
        scores[asked], open_[asked] = score(asked), False


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

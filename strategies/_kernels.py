"""Numerical kernels that the strategies share; no strategy itself (the registry skips underscores).

Axes as in `types`: M rows of any matrix, D features, K centres, n picks. Positions are indices of the argument's
rows; the caller maps them to row numbers of the pool. Callers hold the limits on BLAS threads.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from ..benchmark.types import Features, Query

Positions = NDArray[np.int64]
Matrix = NDArray[np.floating[Any]]

BLOCK = 2048  # rows of a block: a tile of float32 distances is 16 MiB
LLOYD_ITERATIONS = 25


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


def unit_rows(features: Features) -> Features:
    """Return the rows (N, D) scaled to length 1; a row of zeros stays as it is."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    units: Features = np.divide(features, norms, out=np.zeros_like(features), where=norms > 0)
    return units


def pool_units(query: Query) -> Features:
    """Return the unit rows (N, D) of the whole pool, computed once per pool."""
    return query.derived.get("unit-rows/1", lambda features, _: {"units": unit_rows(features)})["units"]


def blocks(size: int) -> Iterator[slice]:
    """Yield slices of at most `BLOCK` that cover ``range(size)`` in order."""
    for start in range(0, size, BLOCK):
        yield slice(start, min(start + BLOCK, size))


def squared_distances(a: Matrix, b: Matrix) -> Matrix:
    """Return squared Euclidean distances (Ma, Mb) from products; what is below the precision of ``a`` is noise."""
    norms_a, norms_b = np.einsum("md,md->m", a, a), np.einsum("md,md->m", b, b)
    squares: Matrix = norms_a[:, None] + norms_b
    squares -= 2 * (a @ b.T)
    return np.maximum(squares, 0, out=squares)


def squared_to_nearest(features: Features, centres: Features) -> NDArray[np.float64]:
    """Return the squared distance of each row (M, D) to its nearest centre (K, D, K at least 1), as (M,)."""
    nearest = np.full(len(features), np.inf)
    origin = centres.mean(axis=0)  # near the data, so that products lose less to rounding
    for rows in blocks(len(features)):
        for part in blocks(len(centres)):
            closest = squared_distances(features[rows] - origin, centres[part] - origin).min(axis=1)
            np.minimum(nearest[rows], closest, out=nearest[rows])
    return nearest


class SquaredDistances:
    """Squared Euclidean distances from one row to all rows (M, D): a matrix-vector product per call.

    Products lose small distances to rounding, so rows are centred first, and a distance within rounding of zero is
    zero: rows that are equal are at distance 0 exactly.
    """

    def __init__(self, rows: Matrix) -> None:
        self._rows = rows - rows.mean(axis=0, dtype=np.float64).astype(rows.dtype)
        self._norms = np.einsum("md,md->m", self._rows, self._rows)
        self._rounding = 64 * np.finfo(rows.dtype).eps

    def __call__(self, position: int) -> NDArray[np.float64]:
        """Return the squared distances (M,) to the row at ``position``."""
        norms = (self._norms + self._norms[position]).astype(np.float64)
        squares: NDArray[np.float64] = norms - 2 * (self._rows @ self._rows[position])
        squares[squares <= self._rounding * norms] = 0
        return squares


def spread(distances: Callable[[int], NDArray[np.float64]], first: int, n: int, rng: np.random.Generator) -> Positions:
    """Return at most ``n`` distinct positions by D² sampling (k-means++, Arthur & Vassilvitskii 2007, section 2.2).

    Each next position is drawn with probability proportional to its squared distance to the nearest earlier one.
    Fewer than ``n`` when every row coincides with one that was drawn.
    """
    picks = [first]
    nearest = distances(first)
    while len(picks) < n and nearest.any():
        picks.append(int(rng.choice(len(nearest), p=nearest / nearest.sum())))
        np.minimum(nearest, distances(picks[-1]), out=nearest)
        nearest[picks] = 0
    return np.array(picks, dtype=np.int64)


def kmeans(features: Features, k: int, rng: np.random.Generator) -> tuple[Features, Positions]:
    """Return centres (K, D) and the centre of each row (M,); K is ``k``, or fewer where fewer rows differ.

    k-means++ seeds from ``rng``, then Lloyd's iterations by scikit-learn: on one thread, with the same seeds, about as
    fast as faiss on small pools and four times as fast at 50,000 x 512, k = 500; and it stops when it has converged.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 - takes a second, for which only selections should wait
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - as above

    seeds = spread(SquaredDistances(features), int(rng.integers(len(features))), k, rng)
    lloyd = KMeans(len(seeds), init=features[seeds], n_init=1, max_iter=LLOYD_ITERATIONS, random_state=0)
    with _thread_pools().limit(limits=1), warnings.catch_warnings():  # the order of sums depends on the threads
        warnings.simplefilter("ignore", ConvergenceWarning)  # a centre may lose its rows; callers allow for it
        lloyd.fit(features)
    return lloyd.cluster_centers_, lloyd.labels_.astype(np.int64)


@cache  # to look for the libraries takes milliseconds
def _thread_pools() -> ThreadpoolController:
    """Return the thread pools of this process; asked for once scikit-learn is loaded, so that its own is among them."""
    return ThreadpoolController()

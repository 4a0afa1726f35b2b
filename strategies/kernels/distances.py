"""Rows and the squared distances between them, block by block.

Axes: M rows of any matrix, D features, K centres. Positions are indices of the argument's rows; the caller maps them
to row numbers of the pool. Callers hold the limits on BLAS threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.types import Features, Query

Positions = NDArray[np.int64]
Matrix = NDArray[np.floating[Any]]

BLOCK = 2048  # rows of a block: a tile of float32 distances is 16 MiB


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

"""Rows and the squared distances between them, block by block.

Axes: M rows of any matrix, D features, K centres. Positions are indices of the argument's rows; the caller maps them
to row numbers of the pool. Callers hold the limits on BLAS threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...benchmark import device
from ...benchmark.types import Features, Floats, Query
from .gpu import products as gpu

Positions = NDArray[np.int64]
Matrix = NDArray[np.floating[Any]]
Closeness = NDArray[np.float32]

EPS = float(np.finfo(np.float32).eps)
CHUNK = 512  # picks of a product
PAIRS_BYTES = 2**23  # of the differences of pairs of rows
BLOCK = 2048  # rows of a block: a tile of float32 distances is 16 MiB


def unit_rows(features: Features) -> Features:
    """Return the rows (N, D) scaled to length 1; a row of zeros stays as it is."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    units: Features = np.divide(features, norms, out=np.zeros_like(features), where=norms > 0)
    return units


def pool_units(query: Query) -> Features:
    """Return the unit rows (N, D) of the whole pool, computed once per pool."""
    return query.derived.get("unit-rows/1", lambda features, _: {"units": unit_rows(features)})["units"]


def blocks(size: int, most: int = BLOCK) -> Iterator[slice]:
    """Yield slices of at most ``most`` that cover ``range(size)`` in order."""
    for start in range(0, size, most):
        yield slice(start, min(start + most, size))


def squared_distances(a: Matrix, b: Matrix) -> Matrix:
    """Return squared Euclidean distances (Ma, Mb) from products; what is below the precision of ``a`` is noise."""
    norms_a, norms_b = np.einsum("md,md->m", a, a), np.einsum("md,md->m", b, b)
    squares: Matrix = norms_a[:, None] + norms_b
    squares -= 2 * (a @ b.T)
    return np.maximum(squares, 0, out=squares)


class Distances(Protocol):
    """Squared distances between M things, quick and exact, so that a kernel need not know what the things are."""

    error: float
    """What `to` says is wrong by at most this, and exact where it is not above it: equal things are at 0."""

    def __len__(self) -> int: ...

    def to(self, rows: Positions | slice, picks: Positions) -> Closeness:
        """Return the squared distances (R, P) from rows to picks in single precision."""

    def exact(self, rows: Positions, picks: Positions) -> Floats:
        """Return the squared distances (R, P) in double precision: one number for a pair, whatever else is asked."""


def pair_squares(a: Features, i: Positions, b: Features, j: Positions) -> Floats:
    """Return the squared distances (P,) of P pairs, a row of ``a`` and one of ``b``, in double precision."""
    found, size = np.empty(len(i)), max(1, PAIRS_BYTES // (8 * a.shape[1]))
    for start in range(0, len(i), size):
        part = slice(start, start + size)
        apart = np.subtract(a[i[part]], b[j[part]], dtype=np.float64)
        found[part] = np.einsum("pd,pd->p", apart, apart)
    return found


def euclidean(rows: Features) -> Euclidean | gpu.Euclidean:
    """Return the squared Euclidean distances between rows (M, D), where this trial computes."""
    return Euclidean(rows) if device.active() == "cpu" else gpu.Euclidean(rows)


def lower(distances: Distances, nearest: Floats, picks: Positions, rows: Positions | None = None) -> None:
    """Lower the squared distances (R,) of rows, or of everything, to those to the nearest of the picks, in place."""
    if isinstance(distances, gpu.OnDevice):
        np.minimum(nearest, distances.nearest(slice(None) if rows is None else rows, picks), out=nearest)
        return
    for part in blocks(len(nearest)):
        for start in range(0, len(picks), CHUNK):
            found = distances.to(part if rows is None else rows[part], picks[start : start + CHUNK]).min(axis=1)
            np.minimum(nearest[part], found, out=nearest[part])


def mended(distances: Distances, squares: Closeness, rows: Positions | slice, picks: Positions) -> Closeness:
    """Return what `to` found in single precision (R, P), with what rounding may have swallowed measured exactly."""
    if squares.min(initial=np.inf) <= distances.error:
        lost = np.flatnonzero((squares <= distances.error).any(axis=1))
        squares[lost] = distances.exact(np.arange(len(distances))[rows][lost], picks)
    return squares


class Euclidean:
    """Squared Euclidean distances between rows (M, D), by products of matrices.

    Rows are centred and put on a grid whose step is 2^-24 of the longest: numbers of 24 bits, so that in double
    precision products and their sums are exact, and do not depend on the order of the sum or the shape of the block.
    What is finer than the grid is lost.
    """

    def __init__(self, rows: Features) -> None:
        self.mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.rows, longest = _minus(rows, self.mean)
        self.norms = np.empty(len(rows))
        step = np.float32(2.0 ** (np.ceil(np.log2(longest or 1.0)) - 24))
        for part in blocks(len(rows)):
            whole = np.rint(self.rows[part] / step)
            self.rows[part] = whole * step
            self.norms[part] = _squares(self.rows[part].astype(np.float64))
        self._norms32 = self.norms.astype(np.float32)
        terms = rows.shape[1] + 10  # of the sum, and what is rounded before and after it
        self.error = terms * EPS * float(self.norms.max())

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Positions) -> Features:
        """Return rows (P, D), centred."""
        return self.rows[positions]

    def assign(self, centres: Features, weights: Closeness) -> tuple[Positions, Floats, Floats]:
        """Return each row's nearest centre (M,), its squared distance (M,), and the weighted sum of a centre's rows."""
        from scipy import sparse  # noqa: PLC0415 - a fifth of a second that only clusterings should pay

        nearest, squares = np.empty(len(self), np.int64), np.empty(len(self))
        sums = np.zeros(centres.shape)
        halves: Closeness = np.einsum("kd,kd->k", centres, centres) / 2
        for part in blocks(len(self)):
            closeness = self.rows[part] @ centres.T
            closeness -= halves
            found = nearest[part] = closeness.argmax(axis=1)
            best = np.take_along_axis(closeness, found[:, None], axis=1)[:, 0]
            squares[part] = np.maximum(self.norms[part] - 2 * best.astype(np.float64), 0)
            ends = np.arange(len(found) + 1)
            members = sparse.csr_array((weights[part], found, ends), shape=(len(found), len(centres)))
            sums += members.T @ self.rows[part]
        return nearest, squares, sums

    def to(self, rows: Positions | slice, picks: Positions) -> Closeness:
        squares: Closeness = self.rows[rows] @ self.rows[picks].T
        squares *= -2
        squares += self._norms32[rows, None]
        squares += self._norms32[picks]
        return mended(self, squares, rows, picks)

    def exact(self, rows: Positions, picks: Positions) -> Floats:
        products = self.rows[rows].astype(np.float64) @ self.rows[picks].astype(np.float64).T
        squares: Floats = self.norms[rows, None] + self.norms[picks] - 2 * products
        return squares


def _minus(rows: Features, mean: Features) -> tuple[Features, float]:
    """Return the rows (M, D) minus ``mean`` (D,), and the length of the longest, or a little more."""
    centred, longest = np.empty(rows.shape, np.float32), 0.0
    for part in blocks(len(rows)):
        np.subtract(rows[part], mean, out=centred[part])
        longest = max(longest, float(_squares(centred[part]).max()))
    return centred, 1.001 * float(np.sqrt(longest))


def _squares(rows: Matrix) -> Matrix:
    lengths: Matrix = np.einsum("md,md->m", rows, rows)
    return lengths

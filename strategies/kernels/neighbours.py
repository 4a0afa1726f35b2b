"""The nearest rows of others, exactly, in memory bounded by a tile.

Axes: M rows and R that are asked about, of D features; K neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...benchmark.types import Features, Floats
from .distances import Positions, pair_squares

TILE = 4096  # rows that are looked at at once
TILE_BYTES = 2**23  # of their distances to some of those asked about
EPS = float(np.finfo(np.float64).eps)


def nearest_rows(rows: Features, asked: Features, k: int) -> tuple[Positions, Floats]:
    """Return the K = min(``k``, M) nearest of rows (M, D) to each asked about, (R, K), and how far squared, ascending.

    Exact as double precision is on the differences of two rows, wherever they lie; of rows equally far the one with
    the lower number comes first. Products only find the pairs worth that trouble.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    k = min(k, len(rows))
    ids, squares = np.zeros((len(asked), k), np.int64), np.full((len(asked), k), np.inf)
    some = _made(
        rows[:: max(1, len(rows) // max(TILE, 4 * k))], mean
    )  # their K nearest are no nearer than those of all
    longest = float(np.square(np.maximum(rows.max(axis=0) - mean, mean - rows.min(axis=0))).sum())
    size = max(1, TILE_BYTES // (8 * min(len(rows), TILE)))
    for first in range(0, len(asked), size):
        part = slice(first, first + size)
        there = asked[part] - mean
        lengths = np.einsum("rd,rd->r", there, there)
        there = np.column_stack([-2 * there, np.ones(len(there))])
        lost = 8 * there.shape[1] * EPS * (lengths + longest)
        bound = np.partition(there @ some.T, k - 1, axis=1)[:, k - 1] + lost
        for start in range(0, len(rows), TILE):
            tile = rows[start : start + TILE]
            closer = there @ _made(tile, mean).T <= bound[:, None]
            _merge(ids[part], squares[part], closer, asked[part], tile, start)
            bound = np.minimum(bound, squares[part, -1] - lengths + lost)
    return ids, squares


def _merge(
    ids: Positions, squares: Floats, closer: NDArray[np.bool_], asked: Features, tile: Features, start: int
) -> None:
    """Put into the nearest so far, (R, K) each, those rows of a tile that may be closer (R, T)."""
    counts = np.count_nonzero(closer, axis=1)
    if not counts.any():
        return
    i, j = np.divmod(np.flatnonzero(closer), closer.shape[1])
    place = np.arange(len(i)) - (np.cumsum(counts) - counts)[i]
    shape = len(ids), int(counts.max())
    found, far = np.zeros(shape, np.int64), np.full(shape, np.inf)
    found[i, place], far[i, place] = start + j, pair_squares(asked, i, tile, j)
    found, far = np.hstack([ids, found]), np.hstack([squares, far])
    order = np.argsort(far, axis=1, kind="stable")[:, : ids.shape[1]]  # lower numbers stand first
    ids[:], squares[:] = np.take_along_axis(found, order, axis=1), np.take_along_axis(far, order, axis=1)


def _made(rows: Features, mean: Floats) -> Floats:
    """Return rows (m, D + 1) whose products with those asked about are squared distances, less these' own lengths."""
    centred = rows - mean
    return np.column_stack([centred, np.einsum("md,md->m", centred, centred)])

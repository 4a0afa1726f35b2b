"""How typical a row is of those around it."""

from __future__ import annotations

import numpy as np

from ...benchmark.types import Features, Floats
from .distances import blocks, squared_distances


def typicality(members: Features, neighbours: int) -> Floats:
    """Return 1 / (mean distance to the K nearest other members) for each member (M, D); inf where that is 0.

    K = min(``neighbours``, M / 2 rounded down), at least 1. Distances are computed in single precision.
    """
    M = len(members)
    K = min(neighbours, max(M // 2, 1), M - 1)
    total = np.zeros(M)
    for rows in blocks(M):
        squares = squared_distances(members[rows], members)
        squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = 0  # itself: nearest, adds nothing
        total[rows] = np.sqrt(np.partition(squares, K, axis=1)[:, : K + 1]).sum(axis=1)
    result: Floats = np.divide(K, total, out=np.full(M, np.inf), where=total > 0)
    return result

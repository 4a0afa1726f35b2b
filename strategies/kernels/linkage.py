"""Average linkage: the two clusters whose members are nearest on average are merged, again and again (UPGMA).

The mean squared distance between the members of two clusters is |m - m'|² + v + v', by their means m and their spreads
v (mean squared distance to the mean), so a cluster is one row, whatever its size. Axes: M rows, D features, R distinct
ones, P pairs.
"""

from __future__ import annotations

import numpy as np

from ...benchmark.types import Features
from .distances import Positions, pair_squares, squared_distances

TILE = 1024  # clusters whose distances to all others are held at once


def average_linkage(rows: Features, n: int, rng: np.random.Generator) -> Positions:
    """Return the cluster (M,) of each row (M, D): at most ``n`` clusters, fewer where several merges are equally high.

    As in the whole dendrogram of average linkage over squared distances, cut at the least height that leaves no more
    than ``n``. Equal rows are together. Exact but for the rounding of means and distances in single precision; which
    of equally near pairs is merged follows from an order of the rows drawn by ``rng``.

    No merge brings a cluster nearer to a third than the nearer of its parts was. So two that are each other's nearest
    are merged before nearer pairs elsewhere, and what was known of a distance stays a bound: clusters whose bound is
    above the cut are not looked at again. Time O(M² D) in products of matrices, memory O(M D) and a tile.
    """
    distinct, same, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    order = rng.permutation(len(distinct))
    forest = _Forest(distinct[order] - distinct.mean(axis=0), counts[order])
    return forest.cut(n)[np.argsort(order)[same.reshape(-1)]]


class _Forest:
    """Clusters of R rows that are merged, each under the number of its first row.

    ``near`` is the nearest other one, at ``low``, and all but that are at least ``next`` away; where it is not known,
    ``near`` is -1 and all are at least ``low`` away.
    """

    def __init__(self, rows: Features, counts: Positions) -> None:
        R = len(rows)
        self.means, self.mass, self.spread = rows, counts.astype(np.float64), np.zeros(R)
        self.near, self.low, self.next = np.full(R, -1), np.zeros(R), np.zeros(R)
        self.alive, self.height = np.arange(R), np.zeros(R)
        self.merged = np.empty((0, 2), np.int64)
        self.heights = np.empty(0)

    def cut(self, n: int) -> Positions:
        from scipy.sparse import coo_array, csgraph  # noqa: PLC0415 - a fifth of a second that only this should pay

        R = len(self.means)
        needed = R - max(n, 1)
        limit = np.inf if needed > 0 else -1.0
        while len(self.heights) < needed or len(self._stale(limit)):
            self._look(self._stale(limit))
            self._merge()
            if len(self.heights) >= needed:
                limit = float(np.partition(self.heights, needed - 1)[needed - 1])
        a, b = self.merged[self.heights <= limit].T
        cluster: Positions = csgraph.connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(R, R)))[1]
        return cluster.astype(np.int64)

    def _stale(self, limit: float) -> Positions:
        return self.alive[(self.near[self.alive] < 0) & (self.low[self.alive] <= limit)]

    def _look(self, stale: Positions) -> None:
        """Find the nearest of the quarter of ``stale`` with the lowest bounds: the others may not need it."""
        stale = stale[np.argsort(self.low[stale], kind="stable")[: max(TILE, len(stale) // 4)]]
        means, spread = self.means[self.alive], self.spread[self.alive].astype(np.float32)
        for start in range(0, len(stale), TILE):
            part = stale[start : start + TILE]
            own = np.arange(len(part))
            squares = squared_distances(self.means[part], means)
            squares += spread
            squares[own, np.searchsorted(self.alive, part)] = np.inf
            nearest = squares.argmin(axis=1)
            self.near[part], self.low[part] = self.alive[nearest], squares[own, nearest] + self.spread[part]
            squares[own, nearest] = np.inf
            self.next[part] = squares.min(axis=1) + self.spread[part]

    def _merge(self) -> None:
        """Merge all that are each other's nearest."""
        near = self.near[self.alive]
        known = self.alive[near >= 0]
        a = known[(self.near[self.near[known]] == known) & (known < self.near[known])]
        if not len(a):  # by rounding no two are: then the nearest of all
            lowest = self.alive[self.low[self.alive].argmin()]
            a = np.array([lowest] if self.near[lowest] >= 0 else [], np.int64)
        b = self.near[a]
        total, apart = self.mass[a] + self.mass[b], pair_squares(self.means, a, self.means, b)
        share = self.mass[b] / total
        self.heights = np.concatenate(
            [self.heights, np.maximum(self.low[a], np.maximum(self.height[a], self.height[b]))]
        )
        self.height[a] = self.heights[len(self.heights) - len(a) :]
        self.merged = np.concatenate([self.merged, np.column_stack([a, b])])
        self.spread[a] += share * (self.spread[b] - self.spread[a]) + share * (1 - share) * apart
        self.means[a] += share.astype(np.float32)[:, None] * (self.means[b] - self.means[a])
        self.mass[a] = total
        self.low[a], self.near[a] = (1 - share) * self.next[a] + share * self.next[b], -1
        self.near[b] = -1
        self.alive = np.setdiff1d(self.alive, b, assume_unique=True)
        self._follow(a, b)

    def _follow(self, a: Positions, b: Positions) -> None:
        """Let those whose nearest was merged keep it where it still is the nearest."""
        into = np.arange(len(self.means))
        into[b] = a
        moved = np.zeros(len(self.means), np.bool_)
        moved[a] = moved[b] = True
        there = self.alive[self.near[self.alive] >= 0]
        there = there[moved[self.near[there]]]
        new = into[self.near[there]]
        far = pair_squares(self.means, there, self.means, new) + self.spread[there] + self.spread[new]
        keeps = far <= self.next[there]
        self.near[there] = np.where(keeps, new, -1)
        self.low[there] = np.minimum(far, self.next[there])

"""Farthest first: again and again the thing farthest from all that were chosen (Gonzalez 1985).

A distance to the nearest pick only falls, so what it was is a bound. Things are brought up to date where their bound
might win, by products of matrices; the others wait. Axes: M things, R some of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .distances import CHUNK, Distances, Positions, blocks
from .gpu import products as gpu

RACE = 1024  # things with the largest bounds that are brought up to date together
SPAN = 128  # things that have seen about as many picks are updated in one product


def farthest(
    distances: Distances,
    n: int,
    rng: np.random.Generator,
    chosen: Positions | None = None,
    closed: NDArray[np.bool_] | None = None,
) -> Positions:
    """Return ``n`` positions in order: each the farthest from ``chosen`` and all before it, none of them twice.

    ``closed`` (M,) are things that may not be picked.

    Exactly the picks of the plain loop on exact distances. Things equally far come in an order drawn once, by which
    the first is drawn where nothing is chosen. On 50,000 x 512 clustered rows, n = 1,000, one core: 14 times as fast
    as a loop of matrix-vector products; a third of all distances are computed.
    """
    rank = rng.permutation(len(distances))
    chosen = np.empty(0, np.int64) if chosen is None else chosen
    if isinstance(distances, gpu.OnDevice):
        return gpu.farthest(distances, n, rank, chosen, closed)
    race = _Race(distances, np.concatenate([chosen, np.empty(n, np.int64)]), len(chosen), rank, closed)
    size = RACE
    while race.count < len(race.picks):
        size = RACE if race.run(size) else 2 * size
    return race.picks[len(chosen) :]


class _Race:
    """What is known of each thing's squared distance to its nearest pick: ``low`` <= it <= ``high``, equal when exact.

    ``seen`` says of how many picks that is. Picked things are at -inf.
    """

    def __init__(
        self,
        distances: Distances,
        picks: Positions,
        count: int,
        rank: Positions,
        closed: NDArray[np.bool_] | None,
    ) -> None:
        self.distances, self.picks, self.count, self.rank = distances, picks, count, rank
        self.low = np.full(len(distances), np.inf)
        self.high = self.low.copy()
        if not count and len(picks):
            self._take(int((rank if closed is None else np.where(closed, len(rank), rank)).argmin()))
        first = min(self.count, CHUNK)
        for part in blocks(len(distances)) if first else ():
            self._see(np.arange(part.start, part.stop), picks[:first])
        self.seen = np.full(len(distances), first)
        self.low[picks[: self.count]] = self.high[picks[: self.count]] = -np.inf
        if closed is not None:
            self.low[closed] = self.high[closed] = -np.inf

    def run(self, size: int) -> bool:
        """Bring the ``size`` things with the largest bounds up to date and pick among them; False where that is idle.

        Idle: all were up to date, and still they could not be told from the others.
        """
        rows, beyond = self._largest(size)
        before, stale = self.count, rows[self.seen[rows] < self.count]
        self._update(stale)
        self._pick(rows[self.high[rows] > beyond], beyond)
        return len(stale) > 0 or self.count > before

    def _largest(self, size: int) -> tuple[Positions, float]:
        """Return those with the largest bounds (R,), and the largest bound of the others."""
        M = len(self.high)
        if size >= M:
            return np.flatnonzero(self.high > -np.inf), -np.inf
        order = np.argpartition(self.high, M - size - 1)
        rows = order[M - size :]
        return rows[self.high[rows] > -np.inf], float(self.high[order[M - size - 1]])

    def _update(self, rows: Positions) -> None:
        span = self.seen[rows] // SPAN
        for s in np.unique(span):
            part = rows[span == s]
            for start in range(int(self.seen[part].min()), self.count, CHUNK):
                self._see(part, self.picks[start : min(start + CHUNK, self.count)])
        self.seen[rows] = self.count

    def _see(self, rows: Positions, picks: Positions) -> None:
        nearest = self.distances.to(rows, picks).min(axis=1).astype(np.float64)
        self.low[rows] = np.minimum(self.low[rows], nearest - self.distances.error)
        self.high[rows] = np.minimum(self.high[rows], nearest + self.distances.error)

    def _pick(self, rows: Positions, beyond: float) -> None:
        """Pick among rows that are up to date for as long as the best is farther than any other can be."""
        while len(rows) and self.count < len(self.picks):
            best = self.low[rows].max()
            if best <= beyond:
                return
            rivals = rows[self.high[rows] >= best]
            unsure = rivals[self.low[rivals] < self.high[rivals]]
            if len(rivals) > 1 and len(unsure):
                self._measure(unsure)
                continue
            rivals = rivals[self.high[rivals] == self.high[rivals].max()]
            pick = rivals[self.rank[rivals].argmin()]
            self._show(rows, pick)
            self._take(pick)
            self.seen[rows] = self.count

    def _measure(self, rows: Positions) -> None:
        """Make rows exact: only picks that are nearest within rounding need double precision."""
        for block in blocks(len(rows)):
            part = rows[block]
            squares = self.distances.to(part, self.picks[: self.count])
            limit = squares.min(axis=1, keepdims=True) + 2 * self.distances.error
            near = self.picks[: self.count][(squares <= limit).any(axis=0)]
            self.low[part] = self.high[part] = self.distances.exact(part, near).min(axis=1)

    def _show(self, rows: Positions, pick: int) -> None:
        """Let rows see a new pick; those that were exact stay so."""
        exact = self.low[rows] == self.high[rows]
        known = self.high[rows]
        self._see(rows, np.array([pick]))
        moved = exact & (self.low[rows] < known)
        if moved.any():
            again = self.distances.exact(rows[moved], np.array([pick]))[:, 0]
            self.low[rows[moved]] = self.high[rows[moved]] = np.minimum(known[moved], again)

    def _take(self, row: int) -> None:
        self.picks[self.count] = row
        self.count += 1
        self.low[row] = self.high[row] = -np.inf

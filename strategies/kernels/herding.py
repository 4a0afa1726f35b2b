"""Kernel herding: greedy maximisation of how similar the targets are to their nearest pick (a facility location).

What a candidate gains only falls as others are picked, so an old gain is a bound, and candidates are brought up to
date only where they might win (lazy greedy, Minoux 1978), by what the picks since have changed. Axes: M candidates,
T targets, D features, R some of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...benchmark import device
from ...benchmark.types import Features, Floats
from .distances import Closeness, Positions, unit_rows
from .gpu import products as gpu

BATCH = 256  # candidates with the largest bounds that are brought up to date together
TILE = 512, 2048  # candidates and targets of one product
TABLE = 1 << 27  # so many similarities are kept rather than computed again: 512 MiB
DOUBT, TIE = 1e-5, 1e-6  # a smaller share of the best is rounding, in a gain that was lowered and in one made anew

Similarity = Callable[[Positions, Positions], Closeness]
"""From candidates (R,) and targets (R',) to similarities (R, R') of at most 1."""


def herd(similarity: Similarity, M: int, cover: Closeness, n: int, rng: np.random.Generator) -> Positions:
    """Return ``n`` of ``M`` candidates in order, each adding most to the sum of the targets' covers.

    A target's cover is its similarity to the most similar pick, and ``cover`` (T,) what it is before the first. Gains
    that agree to six digits are ties, which come in an order drawn once. From an empty cover the first picks cost
    M T similarities each, later ones ever less: 100 picks about four times the first. Memory O(M + n T).
    """
    rank, everyone, targets = rng.permutation(M), np.arange(M), np.arange(len(cover))
    if M * len(cover) <= TABLE and not isinstance(similarity, gpu.Gaussian):
        similarity = _kept(similarity, M, len(cover))
    history, age = [cover], np.zeros(M, np.int64)  # age: how many picks a gain knows of
    gain = _between(similarity, everyone, cover, np.ones_like(cover))
    picks = np.empty(n, np.int64)
    for i in range(n):
        rivals = _rivals(gain)
        while (age[rivals] < i).any():
            stale = np.union1d(np.argpartition(gain, -BATCH)[-BATCH:] if BATCH < M else everyone, rivals)
            stale = stale[(age[stale] < i) & (gain[stale] > -np.inf)]
            gain[stale] = _lowered(similarity, stale, gain[stale], age[stale], history)
            age[stale] = i
            rivals = _rivals(gain)
        if len(rivals) > 1:
            gain[rivals] = _between(similarity, rivals, history[i], np.ones_like(cover))
            rivals = _rivals(gain, TIE)
        picks[i] = rivals[rank[rivals].argmin()]
        gain[picks[i]] = -np.inf
        history.append(np.maximum(history[i], similarity(picks[i : i + 1], targets)[0]))
    return picks


def covers(similarity: Similarity, M: int, T: int) -> Closeness:
    """Return each target's similarity (T,) to the most similar of the ``M`` candidates; 0 where there are none."""
    cover = np.zeros(T, np.float32)
    for a in range(0, M, TILE[0]):
        for b in range(0, T, TILE[1]):
            targets = np.arange(b, min(b + TILE[1], T))
            similar = similarity(np.arange(a, min(a + TILE[0], M)), targets)
            cover[targets] = np.maximum(cover[targets], similar.max(axis=0))
    return cover


def _rivals(gain: Floats, doubt: float = DOUBT) -> Positions:
    best = gain.max()
    return np.flatnonzero(gain >= best - doubt * abs(best))


def _lowered(
    similarity: Similarity, candidates: Positions, gain: Floats, age: Positions, history: list[Closeness]
) -> Floats:
    """Return gains (R,) that know ``age`` (R,) picks as they are after all: less what the picks since have covered.

    On a GPU, where to ask costs more than the answer, they are made anew in one question.
    """
    if isinstance(similarity, gpu.Gaussian):
        return _between(similarity, candidates, history[-1], np.ones_like(history[-1]))
    for known in np.unique(age):
        part = age == known
        gain[part] -= _between(similarity, candidates[part], history[known], history[-1])
    return gain


def _between(similarity: Similarity, candidates: Positions, low: Closeness, high: Closeness) -> Floats:
    """Return how much of the candidates' similarity (R, T) lies between two covers (T,), summed over the targets."""
    sums, rows = np.zeros(len(candidates)), np.flatnonzero(low < high)
    if 2 * len(rows) > len(low):
        rows = np.arange(len(low))  # cheaper than to pick columns out; the others add nothing
    if isinstance(similarity, gpu.Gaussian):
        return similarity.between(candidates, rows, low[rows], high[rows])
    for a in range(0, len(candidates), TILE[0]):
        for b in range(0, len(rows), TILE[1]):
            part = rows[b : b + TILE[1]]
            similar = similarity(candidates[a : a + TILE[0]], part)
            np.clip(similar, low[part], high[part], out=similar)
            similar -= low[part]
            sums[a : a + TILE[0]] += similar.sum(axis=1)
    return sums


def _kept(similarity: Similarity, M: int, T: int) -> Similarity:
    """Return the same similarity, read from a table (M, T)."""
    table, targets = np.empty((M, T), np.float32), np.arange(T)
    for start in range(0, M, TILE[0]):
        table[start : start + TILE[0]] = similarity(np.arange(start, min(start + TILE[0], M)), targets)

    def read(candidates: Positions, some: Positions) -> Closeness:
        rows = table[candidates]
        return rows if len(some) == T else rows[:, some]

    return read


def gaussian(
    candidates: Features, targets: Features, width: float, weights: Floats | None = None
) -> Gaussian | gpu.Gaussian:
    """Return exp(-(|x - y| / width)²) between x (M, D) and y (T, D), where this trial computes.

    With ``weights`` (T,), above 0 and at most 1, each target's similarities are multiplied by its own: what a pick adds
    to its cover is then weighted.
    """
    logs = None if weights is None else np.log(weights).astype(np.float32)
    return (Gaussian if device.active() == "cpu" else gpu.Gaussian)(candidates, targets, width, logs)


class Gaussian:
    """exp(-(|x - y| / width)²) between candidates x (M, D) and targets y (T, D), times e to the targets' ``logs``."""

    def __init__(
        self, candidates: Features, targets: Features, width: float, logs: NDArray[np.float32] | None = None
    ) -> None:
        self._scale = np.float32(2 / width**2)
        self._left, self._right = candidates, targets
        self._halves = [np.einsum("md,md->m", rows, rows) * (self._scale / 2) for rows in (candidates, targets)]
        if logs is not None:
            self._halves[1] -= logs

    def __call__(self, candidates: Positions, targets: Positions) -> Closeness:
        similar: Closeness = self._left[candidates] @ self._right[targets].T
        similar *= self._scale
        similar -= self._halves[0][candidates, None]
        similar -= self._halves[1][targets]
        np.minimum(similar, 0, out=similar)
        return np.exp(similar, out=similar)


def cosine(rows: Features) -> Similarity:
    """Return the cosine between rows (M, D), 0 where it is negative; a row of zeros is like none."""
    units = unit_rows(rows)

    def similar(a: Positions, b: Positions) -> Closeness:
        products: Closeness = units[a] @ units[b].T
        return np.clip(products, 0, 1, out=products)

    return similar

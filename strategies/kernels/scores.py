"""From one score a row to a choice of rows: the best, ties at random, and what fills a batch.

Positions are indices of the argument's rows; the caller maps them to row numbers of the pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distances import Matrix, Positions


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

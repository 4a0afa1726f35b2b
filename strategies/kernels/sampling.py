"""D² sampling: rows drawn by their squared distance to those drawn before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .distances import Positions


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

"""Right and wrong answers drawn from a known truth: seeds, test rows and what a seed does to a row in particular.

A strategy is right on row m with seed s where the sum of a mean, an effect of the seed, one of the row and a rest is
above 0, all normal; the second strategy shares these with the first, and has effects of its own. So the truth is known:
the normal probability of the mean over the standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """``seed``, ``row``: SD of the effects that strategies share; ``own``: times that, those of the second alone.

    The rest has SD 1. ``accuracy`` is the true one of the first strategy.
    """

    accuracy: float
    seed: float
    row: float
    own: float = 0.5

    @property
    def _sd(self) -> float:
        return sqrt(1 + self.seed**2 + self.row**2)

    @property
    def _mean(self) -> float:
        return float(ndtri(self.accuracy)) * self._sd

    @property
    def gain(self) -> float:
        """The true gain of the second strategy over the first, in points."""
        sd = sqrt(self._sd**2 + self.own**2 * (self.seed**2 + self.row**2))
        return 100 * (float(ndtr(self._mean / sd)) - self.accuracy)

    def crossed(self, rng: np.random.Generator, seeds: int, rows: int) -> tuple[Floats32, Floats32]:
        """Return what two strategies have right (S, M) on one test set."""
        both = self._mean + self.seed * rng.normal(size=(seeds, 1)) + self.row * rng.normal(size=(1, rows))
        both = both + rng.normal(size=(seeds, rows))
        own = self.seed * rng.normal(size=(seeds, 1)) + self.row * rng.normal(size=(1, rows))
        return _right(both), _right(both + self.own * own)

    def resampled(
        self, rng: np.random.Generator, seeds: int, rows: int, whole: int
    ) -> tuple[Floats32, Floats32, NDArray[np.int64]]:
        """Return the same where each seed draws its own test rows from ``whole`` rows, and which (S, M)."""
        drawn = np.array([rng.permutation(whole)[:rows] for _ in range(seeds)])
        b, own_b = (self.row * rng.normal(size=whole)[drawn] for _ in range(2))
        both = self._mean + self.seed * rng.normal(size=(seeds, 1)) + b + rng.normal(size=(seeds, rows))
        own = self.seed * rng.normal(size=(seeds, 1)) + own_b
        return _right(both), _right(both + self.own * own), drawn


def _right(latent: NDArray[np.float64]) -> Floats32:
    return (latent > 0).astype(np.float32)

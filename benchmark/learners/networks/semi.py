"""How a network learns from few labelled images and many without a label; no torch is needed to say it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ....strategies.kernels.parameters import check


@dataclass(frozen=True)
class Semi:
    """The parameters of such a training.

    Each of ``steps`` takes ``batch`` labelled rows, over and over where there are fewer, and ``ratio`` times as many
    unlabelled ones, or all. SGD has the learning rate ``rate`` at first and the weight decay ``decay``. What counts in
    the end is a mean of the weights: a step keeps ``average`` of that before.
    """

    steps: int = 2**20
    batch: int = 64
    ratio: int = 7
    threshold: float = 0.95
    rate: float = 0.03
    decay: float = 5e-4
    average: float = 0.999

    def __post_init__(self) -> None:
        check("flexmatch", self, {"steps": 1, "batch": 1, "ratio": 1, "decay": 0}, ("rate",))
        for name in ("threshold", "average"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"flexmatch: {name} is {getattr(self, name)}; it must be from 0 to 1")

    def rate_in(self, step: int) -> float:
        """Return the learning rate of a step, from 0: it falls by 7/16 of half a cosine, to a fifth."""
        return self.rate * math.cos(7 / 16 * math.pi * step / self.steps)

    def kept_in(self, step: int) -> float:
        """Return what share a step keeps of the mean: less at first, so that initial weights are soon forgotten."""
        return min(self.average, (1 + step) / (10 + step))

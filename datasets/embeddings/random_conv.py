"""Random convolutions: what the shape of a convolutional network is worth before it has learned anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...benchmark.registry import encoder
from ...benchmark.types import Features
from ..reading.base import DataError, Split
from .base import Stored, Work
from .networks.apply import apply, image_problems, seeded

if TYPE_CHECKING:
    import torch


@encoder("random-conv", cite="Saxe et al., On Random Weights and Unsupervised Feature Learning, ICML 2011")
@dataclass(frozen=True)
class RandomConv(Stored):
    """A control: convolutions with random weights that are never trained.

    ``layers`` times: 3 x 3 convolution to ``channels`` (normal weights, He et al. 2015), ReLU, 2 x 2 mean. The last
    maps are averaged over a ``grid`` x ``grid`` raster: channels x grid x grid features. Pixels go in from -1 to 1.
    """

    channels: int = 64
    layers: int = 3
    grid: int = 2

    libraries: ClassVar[tuple[str, ...]] = ("numpy", "torch")

    def __post_init__(self) -> None:
        for name in ("channels", "layers", "grid"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; legal: at least 1")

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        if found := self.problems(split):
            raise DataError(found)
        module = seeded(lambda: self._build(split.train.shape[3]), rng)
        return apply(module, split, lambda images: images.float() / 127.5 - 1, work, what="random-conv")

    def problems(self, split: Split) -> list[str]:
        return image_problems(split, "random-conv")

    def _build(self, channels: int) -> torch.nn.Module:
        from torch import nn  # noqa: PLC0415  heavy

        layers: list[nn.Module] = []
        for i in range(self.layers):
            layers.append(nn.Conv2d(self.channels if i else channels, self.channels, 3, padding=1, bias=False))
            layers += [nn.ReLU(), nn.AvgPool2d(2, ceil_mode=True)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(self.grid), nn.Flatten())

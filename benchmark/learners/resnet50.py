"""ResNet-50 on the images themselves, trained from scratch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..registry import learner
from .networks.scratch import Scratch

if TYPE_CHECKING:
    from torch import nn


@learner("resnet50", cite="He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016")
@dataclass(frozen=True)
class ResNet50(Scratch):
    """ResNet-50 on images, trained from scratch in each round; recipes, passes and all else are those of ``resnet18``.

    Its last stage has 32 x ``width`` channels. ImageNet's subsets in TypiClust's line of work (the fork PALM@48fbd51:
    224 pixels, SGD 0.025, decay 3e-4, cosine) have ``augment: resized-flip``, and ``epochs: 200, batch: 512`` for 50
    classes, ``200, 50`` for 100 and ``10, 100`` for 200.
    """

    width: int = 64

    def build(self, channels: int, *, pool: bool, large: bool) -> Callable[[], nn.Module]:
        from ...datasets.embeddings.networks.backbones import resnet  # noqa: PLC0415 - torch takes seconds to load

        return partial(resnet, 50, channels, self.width, pool=pool, large=large)

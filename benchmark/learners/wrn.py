"""Wide residual network on the images themselves, trained from scratch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..registry import learner
from .networks.scratch import Scratch

if TYPE_CHECKING:
    from torch import nn


@learner("wrn", cite="Zagoruyko and Komodakis, Wide residual networks, BMVC 2016")
@dataclass(frozen=True)
class WRN(Scratch):
    """WRN-``depth``-``k`` on small images, trained from scratch in each round; recipes and all else as ``resnet18``.

    28-2 is the network of the semi-supervised literature. It has no max-pool, whatever the recipe says. ``depth`` is 6
    n + 4; 10 is the smallest. Its blocks have ``k`` times 16, 32 and 64 channels.
    """

    k: int = 2
    depth: int = 28

    def __post_init__(self) -> None:
        super().__post_init__()
        check_depth(self.depth)

    def build(self, channels: int, *, pool: bool, large: bool) -> Callable[[], nn.Module]:
        from ...datasets.embeddings.networks.backbones import wide_resnet  # noqa: PLC0415 - see resnet18

        return partial(wide_resnet, self.depth, self.k, channels)


def check_depth(depth: int) -> None:
    """Raise `ValueError` where no wide residual network has so many layers."""
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"depth is {depth}; legal: 10, 16, 22, 28, ...")

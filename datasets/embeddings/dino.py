"""DINO, by its name in timm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from ...benchmark.registry import encoder
from ..reading.base import check_choice
from .timm import Timm

Size = Literal["small", "base"]


@encoder(
    "dino",
    cite="Caron et al. (2021), Emerging Properties in Self-Supervised Vision Transformers, ICCV (arXiv 2104.14294)",
)
@dataclass(frozen=True)
class Dino(Timm):
    """A vision transformer trained by DINO on ImageNet, with timm's transform of it (224 px).

    It is ``timm:vit_{size}_patch{patch}_224.dino``. ``size`` is ``small`` (384 features) or ``base`` (768). ``patch``
    is the side of a patch in pixels, 8 or 16; at 8 an image is four times as many patches. TypiClust selects on 384
    features of a DINO run for its subsets of ImageNet; that it is the one of ``small`` is not said there.
    """

    model: str = field(init=False, default="")
    size: Size = "small"
    patch: Literal[8, 16] = 16

    def __post_init__(self) -> None:
        check_choice("size", self.size, get_args(Size))
        if self.patch not in (8, 16):
            raise ValueError(f"patch is {self.patch}; legal: 8, 16")
        object.__setattr__(self, "model", f"vit_{self.size}_patch{self.patch}_224.dino")

    @property
    def name(self) -> str:
        return "dino"

"""DINOv2, by its name in timm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from ...benchmark.registry import encoder
from ..reading.base import check_choice
from .timm import Timm

Size = Literal["s", "b", "l", "g"]
NAMES = {"s": "small", "b": "base", "l": "large", "g": "giant"}


@encoder(
    "dinov2",
    cite="Oquab et al. (2023), DINOv2: Learning Robust Visual Features without Supervision (arXiv 2304.07193)",
)
@dataclass(frozen=True)
class Dinov2(Timm):
    """A vision transformer trained by DINOv2, with timm's transform of it (518 px).

    It is ``timm:vit_{small|base|large|giant}_patch14_dinov2.lvd142m``, or with ``registers`` the one with four register
    tokens (Darcet et al. 2023, arXiv 2309.16588). ``size`` is ``s`` (384 features), ``b`` (768), ``l`` (1,024) or ``g``
    (1,536). At 518 px an image costs five times what it does at 224.
    """

    model: str = field(init=False, default="")
    size: Size = "s"
    registers: bool = False

    def __post_init__(self) -> None:
        check_choice("size", self.size, get_args(Size))
        registers = "_reg4" if self.registers else ""
        object.__setattr__(self, "model", f"vit_{NAMES[self.size]}_patch14{registers}_dinov2.lvd142m")

    @property
    def name(self) -> str:
        return "dinov2"

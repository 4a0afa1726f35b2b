"""SimCLR, trained on the images of the pool without their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from ...benchmark.registry import encoder
from ...benchmark.types import Features
from ..reading.base import DataError, Split, check_choice
from .base import Stored, Work
from .networks.apply import apply, image_problems

Network = Literal["auto", "small", "resnet18"]
ViewKind = Literal["auto", "photo", "affine"]

LARGE = 32
"""Images of so many pixels a side and more go through ResNet-18."""


@encoder(
    "simclr",
    cite="Chen, Kornblith, Norouzi and Hinton (2020), A Simple Framework for Contrastive Learning of Visual "
    "Representations, ICML (arXiv 2002.05709)",
)
@dataclass(frozen=True)
class Simclr(Stored):
    """A network trained on the images of the pool, without labels, to know two random views of one from all others.

    SimCLR (Chen et al. 2020, Algorithm 1): NT-Xent loss at ``temperature``, a projection head to ``projection``
    numbers that is dropped afterwards, and for colour images (``views: photo``) the paper's crops, mirroring and
    colour distortion, without blur as for its CIFAR-10. Grey images get ``views: affine``: small rotations, scalings,
    shears and shifts, no mirroring, which would make another digit or letter. ``network: auto`` is ResNet-18 with the
    CIFAR stem (512 features) from 32 px a side, below it ``small``: four convolutions to 8 x ``width`` features.

    We differ from the paper in the optimiser (SGD with momentum 0.9, not LARS) and in what `augment` says of its
    views. They are drawn and applied for a whole batch at once, which is why this is ours and not lightly's, whose
    views take one image of PIL's after the other. The defaults are for small grey images; for photos the paper has
    temperature 0.5, batches from 256, and 100 to 1,000 epochs. ``threads`` (of a CPU) is a parameter and not the
    number of cores, since sums in another order make other weights.
    """

    network: Network = "auto"
    views: ViewKind = "auto"
    epochs: int = 30
    batch: int = 64
    lr: float = 0.3
    temperature: float = 1.0
    weight_decay: float = 1e-4
    width: int = 32
    projection: int = 64
    threads: int = 1

    libraries: ClassVar[tuple[str, ...]] = ("numpy", "torch", "torchvision")

    def __post_init__(self) -> None:
        check_choice("network", self.network, get_args(Network))
        check_choice("views", self.views, get_args(ViewKind))
        for name in ("epochs", "batch", "width", "projection", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; legal: a number from 1")
        for name in ("lr", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; legal: a number above 0")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay is {self.weight_decay}; legal: a number from 0")

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        from .networks import augment, backbones, training  # noqa: PLC0415  they bring torch, seconds to import

        if problems := self.problems(split):
            raise DataError(problems)
        height, width, channels = split.train.shape[1:]
        large = self.network == "resnet18" or (self.network == "auto" and min(height, width) >= LARGE)
        affine = self.views == "affine" or (self.views == "auto" and channels == 1)

        def build() -> training.Pair:
            if large:
                return training.Pair(backbones.resnet18(channels), backbones.head(512, self.projection))
            network = backbones.small(channels, max(height, width), self.width)
            return training.Pair(network, backbones.head(8 * self.width, self.projection))

        schedule = training.Schedule(
            self.epochs, self.batch, self.lr, self.temperature, self.weight_decay, self.threads
        )
        views = augment.affine if affine else augment.photo
        with work.keeping():
            network = training.trained(build, views, split, schedule, rng, work)
        return apply(network, split, training.scaled, work, what="simclr")

    def problems(self, split: Split) -> list[str]:
        return image_problems(split, "simclr")

"""SimCLR, trained on the images of the pool without their labels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from ...benchmark.registry import encoder
from ...benchmark.types import Features
from ..reading.base import LATER, DataError, Split, check_choice
from .base import Stored, Work
from .networks.apply import apply, image_problems

if TYPE_CHECKING:
    import torch

    from .networks import training

Network = Literal["auto", "small", "resnet18"]
ViewKind = Literal["auto", "photo", "affine"]

Recipe = Literal["own", "scan"]

SCAN: dict[str, object] = {
    "network": "resnet18",
    "views": "photo",
    "epochs": 500,
    "batch": 512,
    "lr": 0.4,
    "temperature": 0.1,
    "weight_decay": 1e-4,
    "projection": 128,
}
"""What ``recipe: scan`` says (`configs/pretext/simclr_cifar10.yml` of wvangansbeke/Unsupervised-Classification)."""
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

    ``epochs`` is how often all of the pool is seen, ``batch`` the images of a step at most, with two views of each.
    ``lr`` is the learning rate at its highest, ``weight_decay`` the weight decay of SGD.

    We differ from the paper in the optimiser (SGD with momentum 0.9, not LARS) and in what `augment` says of its
    views. They are drawn and applied for a whole batch at once, which is why this is ours and not lightly's, whose
    views take one image of PIL's after the other. The defaults are for small grey images; for photos the paper has
    temperature 0.5, batches from 256, and 100 to 1,000 epochs. ``threads`` (of a CPU) is a parameter and not the
    number of cores, since sums in another order make other weights.

    ``processes`` trains on so many GPUs of this machine, a process on each that takes a share of every batch (without
    a GPU, on ``threads`` of the CPU each). Batch normalisation, loss and draws are those of the whole batch: the
    training is that of one process but for how sums are rounded. Small batches, which wait for each other, are not
    faster by it. Not tried on several GPUs yet.

    ``recipe: scan`` is the training of SCAN (Van Gansbeke et al. 2020, arXiv 2005.12320), whose features TypiClust's
    published runs select on: ResNet-18 with the CIFAR stem, head 512-512-128, temperature 0.1, 500 epochs of batches of
    512, SGD at 0.4 without Nesterov, weight decay 1e-4, the rate falling from epoch to epoch to a thousandth, crops of
    20 % of the area and more, a loss of one direction (the first view of an image against all other rows). Features are
    those before the head, not normalised. A parameter that is given overrides it; one at its default here, said or not,
    is the recipe's. We differ in the last batch of an epoch (SCAN drops it, we make all equal), in the range of the
    inputs (0 to 1, theirs standardised), in the first weights, and in hue (`augment.colour`).
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
    recipe: Recipe = field(default="own", metadata=LATER)
    processes: int = field(default=1, metadata=LATER)

    libraries: ClassVar[tuple[str, ...]] = ("numpy", "torch", "torchvision")

    def __post_init__(self) -> None:
        check_choice("network", self.network, get_args(Network))
        check_choice("views", self.views, get_args(ViewKind))
        check_choice("recipe", self.recipe, get_args(Recipe))
        for name in ("epochs", "batch", "width", "projection", "threads", "processes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; legal: a number from 1")
        for name in ("lr", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; legal: a number above 0")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay is {self.weight_decay}; legal: a number from 0")

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        from .networks import training  # noqa: PLC0415  it brings torch, seconds to import

        if problems := self.problems(split):
            raise DataError(problems)
        with work.keeping():
            network = self.said()._trained(split, rng, work)
        return apply(network, split, training.scaled, work, what="simclr")

    def said(self) -> Simclr:
        """Return this encoder with what its recipe says of the parameters that are left at their defaults."""
        if self.recipe == "own":
            return self
        own = Simclr()
        left = {name: value for name, value in SCAN.items() if getattr(self, name) == getattr(own, name)}
        return replace(self, **left)  # type: ignore[arg-type]  # values of several types by name

    def _trained(self, split: Split, rng: np.random.Generator, work: Work) -> torch.nn.Module:
        from .networks import augment, training  # noqa: PLC0415  they bring torch, seconds to import

        height, width, channels = split.train.shape[1:]
        large = self.network == "resnet18" or (self.network == "auto" and min(height, width) >= LARGE)
        affine = self.views == "affine" or (self.views == "auto" and channels == 1)

        build = partial(_pair, channels, 0 if large else max(height, width), self.width, self.projection)
        if self.recipe == "scan":
            photo = partial(augment.photo, smallest=augment.SCAN_AREA)
            method = training.Method(photo, training.one_way, training.falling)
        else:
            method = training.Method(augment.photo, training.nt_xent, training.warm)
        if affine:
            method = replace(method, views=augment.affine)
        schedule = training.Schedule(
            self.epochs, self.batch, self.lr, self.temperature, self.weight_decay, self.threads, method, self.processes
        )
        return training.trained(build, split, schedule, rng, work)

    def problems(self, split: Split) -> list[str]:
        return image_problems(split, "simclr")


def _pair(channels: int, small: int, width: int, projection: int) -> training.Pair:
    """Return the network and its head: ResNet-18, or what is for images of ``small`` pixels a side."""
    from .networks import backbones, training  # noqa: PLC0415  they bring torch, seconds to import

    if not small:
        return training.Pair(backbones.resnet18(channels), backbones.head(512, projection))
    return training.Pair(backbones.small(channels, small, width), backbones.head(8 * width, projection))

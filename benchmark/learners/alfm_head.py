"""The head of ALFM, DropQuery's harness: dropout, batch normalisation and a linear layer on frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...strategies.kernels.parameters import check
from .. import device
from ..registry import learner
from ..types import Array, Draw, Features, Lesson
from .heads.softmax import Layer, SoftmaxHead

if TYPE_CHECKING:
    import torch

MOMENTUM, EPSILON = 0.1, 1e-5  # of torch's batch normalisation


@learner(
    "alfm-head",
    cite="Gupte, Aklilu, Nirschl and Yeung-Levy, Revisiting Active Learning in the Era of Vision Foundation Models, "
    "TMLR 2024 (arXiv 2401.14555)",
)
@dataclass(frozen=True)
class ALFMHead:
    """Dropout of 0.75 on the embedding, batch normalisation without scale and offset, and a linear layer.

    As in sanketx/AL-foundation-models@aa015d2 (`ALFM/conf/al_train.yaml`): AdamW, rate 1e-2 (1e-3 for CIFAR-10:
    ``rate: 0.001``), decay 1e-2, batches of 4,096, from new weights in each round, for 400 epochs or until the
    cross-entropy of training was not 1e-3 below its lowest for 20 epochs; no validation set. Features are divided by
    the deviation of what dropout leaves of them, as torch's running statistics have it.

    The file does not say how weights begin and what becomes of rows that fill no batch: as torch's linear layers do,
    and they are left out. One class needs no training.

    A pass drops the same features for all rows, with the chance ``p`` of training; ``p: 0`` has none.

    Parameters
    ----------
    rate
        The learning rate, the same in all epochs.
    decay
        The weight decay of AdamW.
    epochs
        The most passes over the labelled rows.
    batch
        Rows of one step, or all that are labelled where those are fewer.
    patience
        After so many epochs without a lower loss training ends.
    p
        The chance that a feature is dropped, from 0 and below 1.
    """

    rate: float = 1e-2
    decay: float = 1e-2
    epochs: int = 400
    batch: int = 4096
    patience: int = 20
    p: float = 0.75

    def __post_init__(self) -> None:
        check("alfm-head", self, {"epochs": 1, "batch": 2, "patience": 1, "decay": 0}, above_0=("rate",))
        if not 0 <= self.p < 1:
            raise ValueError(f"alfm-head: p is {self.p}; it must be a chance from 0 and below 1")

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a head on the normalised embedding, and passes where features are dropped."""
        given = frozenset({"probabilities", "scores", "hidden", "head"})
        return given | {"passes"} if self.p else given

    def fit(self, lesson: Lesson) -> ALFMModel:
        """Train on the classes that have labels; weights, batches and dropout are drawn from ``lesson.rng``."""
        import torch  # noqa: PLC0415 - takes seconds to load
        from torch.nn.functional import batch_norm  # noqa: PLC0415 - as above

        from .heads.layer import Schedule, fitted  # noqa: PLC0415 - as above

        D = lesson.view.array.shape[1]
        mean, variance = torch.zeros(D, device=device.home()), torch.ones(D, device=device.home())

        def normalised(x: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
            kept = (torch.rand(x.shape, generator=draws) >= self.p).to(device.home())
            return batch_norm(x * kept / (1 - self.p), mean, variance, training=True, momentum=MOMENTUM, eps=EPSILON)

        schedule = Schedule(self.epochs, self.batch, "adamw", self.rate, self.decay, patience=self.patience)
        layer = fitted(lesson, schedule, normalised)
        centre, scale = device.fetch(mean), np.sqrt(device.fetch(variance) + np.float32(EPSILON))
        centre.setflags(write=False)
        scale.setflags(write=False)
        return ALFMModel(layer, centre, scale, self.p)


@dataclass(frozen=True, eq=False)
class ALFMModel(SoftmaxHead):
    """A layer on inputs minus ``centre``, over ``scale``, both (D,); ``mask`` (D,) is that of a draw."""

    layer: Layer
    centre: Features
    scale: Features
    p: float
    mask: Features | None = None

    @property
    def last(self) -> Layer:
        return self.layer

    def seen(self, inputs: Array) -> Array:
        kept = inputs if self.mask is None else inputs * device.put(self.mask)
        return (kept - device.put(self.centre)) / device.put(self.scale)

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        """Return the probabilities with features left out, the others times 1 / (1 - p), by K draws."""
        masks = [((rng.random(len(self.centre)) >= self.p) / (1 - self.p)).astype(np.float32) for _ in range(K)]
        return [replace(self, mask=mask).scores for mask in masks]

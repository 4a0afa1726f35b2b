"""Pseudo-labels: a head that learns from the classes that it is sure of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from ...strategies.kernels.parameters import check
from ..registry import learner
from ..types import Lesson
from .heads.labelbench import BATCH, LabelBench

if TYPE_CHECKING:  # seconds to import, for which only those who fit wait
    import torch

    from .heads.semi import Head


@learner(
    "pseudo-label",
    cite="Lee, Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks, ICML "
    "workshops 2013; recipe: LabelBench, Zhang et al., DMLR 2024",
)
@dataclass(frozen=True)
class PseudoLabel(LabelBench):
    """A head on the embedding learns from labelled rows, and from unlabelled ones the class it is sure of itself.

    Each of ``steps`` of Adam (rate 3e-3, falling to 0 in a line) takes 128 labelled rows, or all where there are fewer,
    and ``ratio`` times 128 unlabelled ones; those whose likeliest class has a probability from ``threshold`` count with
    the cross-entropy of that class (Lee 2013), averaged over them, times a weight that rises to 1 in ``warm_up`` steps.
    ``width`` is that of a hidden layer; 0 is a linear head. Inputs are standardised by the whole pool.

    LabelBench (EfficientTraining/LabelBench@9e23393) has thresholds of .9 and .95, a warm-up of 2,000 steps, and epochs
    over the labelled rows: 20 steps in all below 256 labels. Ours are a number of steps that does not depend on that of
    labels, its warm-up, and the fall of the rate.
    """

    warm_up: int = 200

    def __post_init__(self) -> None:
        check("pseudo-label", self, {"width": 0, "steps": 1, "warm_up": 1, "ratio": 1}, ("threshold",))

    def loss(self, head: Head, lesson: Lesson) -> Callable[[], torch.Tensor]:
        """Return the loss of the next batches: of labelled rows, and, where there are others, of sure ones."""
        from .heads.semi import supervised  # noqa: PLC0415 - torch takes seconds to load
        from .heads.thresholds import believed  # noqa: PLC0415 - likewise

        labelled = supervised(head, lesson)
        if not len(lesson.unlabelled):
            return labelled
        coming, steps = head.batches(lesson.unlabelled, self.ratio * BATCH), count()

        def loss() -> torch.Tensor:
            rows = lesson.unlabelled[next(coming).numpy()]
            weight = min(1.0, next(steps) / self.warm_up)
            return labelled() + weight * believed(head.logits(rows), self.threshold)

        return loss

"""What LabelBench's semi-supervised heads share: optimiser, batches, how much they see of the unlabelled rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...types import Lesson
from .perceptron import Perceptron

if TYPE_CHECKING:  # seconds to import, for which only those who fit wait
    import torch

    from .semi import Head

BATCH, RATE, DECAY = 128, 3e-3, 1e-4


@dataclass(frozen=True)
class LabelBench(ABC):
    """Their common parameters; a head of them is its loss."""

    threshold: float = 0.95
    width: int = 0
    steps: int = 400
    ratio: int = 5

    reads_unlabelled: ClassVar[bool] = True

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a head on the standardised embedding, or on the hidden layer."""
        return frozenset({"probabilities", "scores", "hidden", "head"})

    def fit(self, lesson: Lesson) -> Perceptron:
        """Train on the classes that have labels; weights and batches are drawn from ``lesson.rng``."""
        from .semi import Head  # noqa: PLC0415 - torch takes seconds to load
        from .training import Recipe  # noqa: PLC0415 - likewise

        recipe = Recipe(self.steps, BATCH, RATE, DECAY, p=0.0)
        head = Head(lesson, recipe, (self.width,) if self.width else ())
        return head.fitted(self.loss(head, lesson))

    @abstractmethod
    def loss(self, head: Head, lesson: Lesson) -> Callable[[], torch.Tensor]:
        """Return the loss of the next batches: of labelled rows, and, where there are others, of those too."""

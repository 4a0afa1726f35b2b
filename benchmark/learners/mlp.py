"""Multilayer perceptron: the smallest model whose last layer does not see the embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..device import fetch
from ..registry import learner
from ..types import Features, Lesson
from .heads.perceptron import Perceptron

RATE, BATCH = 1e-3, 128


@learner("mlp", cite="Multilayer perceptron; Adam: Kingma & Ba, ICLR 2015; dropout: Gal & Ghahramani, ICML 2016")
@dataclass(frozen=True)
class MLP:
    """Multilayer perceptron on the embedding, or on the images themselves, trained from new weights in each round.

    ``depth`` hidden layers of ``width`` rectified linear units; ``steps`` of Adam (rate 1e-3, falling to 0 in a line)
    on batches of 128, and ``decay`` times ½ ‖parameters‖² in the loss. The number of steps does not depend on that of
    labels: 400 are 400 epochs of a hundred labels and 10 of 5,000. Inputs are standardised by the labelled rows: minus
    their mean, over one scale for all features, so that what varies more still does.

    ``passes: dropout`` trains with hidden units dropped with chance ``p``, and a draw drops some for all rows alike.
    """

    width: int = 256
    depth: int = 1
    steps: int = 400
    decay: float = 1e-4
    passes: Literal["none", "dropout"] = "none"
    p: float = 0.5
    sees: Literal["embedding", "images"] = "embedding"

    def __post_init__(self) -> None:
        for name in ("width", "depth", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; legal: at least 1")
        if not self.decay >= 0:
            raise ValueError(f"decay is {self.decay}; legal: 0 or more")
        if not 0 < self.p < 1:
            raise ValueError(f"p is {self.p}; legal: a chance above 0 and below 1")

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a head on the last hidden layer, and passes where it is said which."""
        given = frozenset({"probabilities", "scores", "hidden", "head"})
        return given if self.passes == "none" else given | {"passes"}

    def fit(self, lesson: Lesson) -> Perceptron:
        """Train on the classes that have labels; weights, batches and dropout are drawn from ``lesson.rng``."""
        from .heads.training import Recipe, trained  # noqa: PLC0415 - torch takes seconds to load

        rows = fetch(lesson.inputs)
        rows = rows.reshape(len(rows), -1).astype(np.float32)
        centre = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        rows -= centre
        scale = float(np.sqrt(np.mean(rows**2, dtype=np.float64))) or 1.0
        rows /= scale
        present, targets = np.unique(lesson.labels, return_inverse=True)
        widths = [rows.shape[1], *[self.width] * self.depth, len(present)]
        recipe = Recipe(self.steps, BATCH, RATE, self.decay, self.p if self.passes == "dropout" else 0.0)
        *hidden, (weights, bias) = trained(rows, targets, widths, recipe, lesson.rng)
        head: tuple[Features, Features] = (
            np.zeros((self.width, lesson.n_classes), np.float32),
            np.full(lesson.n_classes, -np.inf, np.float32),
        )
        head[0][:, present], head[1][present] = weights, bias
        layers = [*hidden, head]
        for array in (centre, *(array for layer in layers for array in layer)):
            array.setflags(write=False)
        return Perceptron(layers, centre, scale, self.p)

"""Multilayer perceptron: the smallest model whose last layer does not see the embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np

from ..device import fetch
from ..registry import learner
from ..types import Lesson
from .heads.perceptron import Perceptron, of_all_classes
from .heads.softmax import Layer

RATE, BATCH = 1e-3, 128


@learner("mlp", cite="Multilayer perceptron; Adam: Kingma & Ba, ICLR 2015; dropout: Gal & Ghahramani, ICML 2016")
@dataclass(frozen=True)
class MLP:
    """Multilayer perceptron on the embedding, or on the images themselves, trained from new weights in each round.

    ``depth`` hidden layers of ``width`` rectified linear units; ``steps`` of Adam (rate 1e-3, falling to 0 in a line)
    on batches of 128, and ``decay`` times ½ ‖parameters‖² in the loss. The number of steps does not depend on that of
    labels: 400 are 400 epochs of a hundred labels and 10 of 5,000. Inputs are standardised by the labelled rows: minus
    their mean, over one scale for all features, so that what varies more still does. ``sees: images`` makes inputs of
    the images as they are, ``sees: embedding`` of the embedding.

    ``passes: dropout`` trains with hidden units dropped with chance ``p``, and a draw drops some for all rows alike.
    With ``passes: snapshots`` the fitted network is that of ``none``; where draws are asked for, its training goes on,
    and one is taken after every ``cycle`` steps. In each the ``rate`` falls from 1e-3 to 0 again (``cyclic``: Huang et
    al., Snapshot ensembles, ICLR 2017), or stays (``constant``).
    """

    width: int = 256
    depth: int = 1
    steps: int = 400
    decay: float = 1e-4
    passes: Literal["none", "dropout", "snapshots"] = "none"
    p: float = 0.5
    sees: Literal["embedding", "images"] = "embedding"
    cycle: int = field(default=100, metadata={"later": True})
    rate: Literal["cyclic", "constant"] = field(default="cyclic", metadata={"later": True})

    def __post_init__(self) -> None:
        for name in ("width", "depth", "steps", "cycle"):
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
        more = {"none": frozenset[str](), "snapshots": frozenset({"passes", "snapshots"})}
        return given | more.get(self.passes, frozenset({"passes"}))

    def fit(self, lesson: Lesson) -> Perceptron:
        """Train on the classes that have labels; weights, batches and dropout are drawn from ``lesson.rng``."""
        from .heads.training import Recipe, snapshots, trained  # noqa: PLC0415 - torch takes seconds to load

        rows = fetch(lesson.inputs)
        rows = rows.reshape(len(rows), -1).astype(np.float32)
        centre = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        rows -= centre
        scale = float(np.sqrt(np.mean(rows**2, dtype=np.float64))) or 1.0
        rows /= scale
        present, targets = np.unique(lesson.labels, return_inverse=True)
        widths = [rows.shape[1], *[self.width] * self.depth, len(present)]
        recipe = Recipe(self.steps, BATCH, RATE, self.decay, self.p if self.passes == "dropout" else 0.0)
        layers = trained(rows, targets, widths, recipe, lesson.rng)
        whole = partial(of_all_classes, present=present, n_classes=lesson.n_classes)
        centre.setflags(write=False)
        if self.passes != "snapshots":
            return Perceptron(whole(layers), centre, scale, self.p)
        going_on = partial(snapshots, rows, targets, layers, replace(recipe, steps=self.cycle), self.rate == "cyclic")
        return Perceptron(whole(layers), centre, scale, self.p, later=partial(_later, going_on, whole))


def _later(
    going_on: Callable[[np.random.Generator], Iterator[list[Layer]]],
    whole: Callable[[list[Layer]], list[Layer]],
    rng: np.random.Generator,
) -> Iterator[list[Layer]]:
    return map(whole, going_on(rng))

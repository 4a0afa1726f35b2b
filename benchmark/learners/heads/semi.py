"""Heads that learn from rows of the pool that have no label: how they see the pool, and what their losses share.

Axes: N rows of the pool, M labelled, U unlabelled, b rows of a batch, D features, P classes that have labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ....strategies.kernels.distances import blocks
from ... import device
from ...types import Arrays, Features, Labels, Lesson, Rows, View
from .perceptron import Perceptron, of_all_classes
from .training import Recipe, Run, batches, begun


class Head:
    """A head that begins, on inputs that are standardised by the whole pool: minus its mean, over one scale.

    It has layers of ``hidden`` units, none if it is linear. Its weights, then all batches, come from ``lesson.rng``.
    ``targets`` (M,) in [0, P) are the labelled rows' classes.
    """

    def __init__(self, lesson: Lesson, recipe: Recipe, hidden: Sequence[int] = ()) -> None:
        self._lesson = lesson
        self.present, self.targets = np.unique(lesson.labels, return_inverse=True)
        scaling = lesson.derived.get("scaling/1", _scaling)
        self._centre, self._scale = scaling["centre"], float(scaling["scale"])
        self._middle = torch.from_numpy(self._centre.copy()).to(device.home())
        self._draws = torch.Generator().manual_seed(int(lesson.rng.integers(2**63)))
        self.run = Run(begun([len(self._centre), *hidden, len(self.present)], self._draws), recipe)

    def batches(self, rows: Rows, size: int) -> Iterator[torch.Tensor]:
        """Yield positions of batches in ``rows`` without end, each epoch in an order of its own."""
        return batches(len(rows), size, self._draws)

    def logits(self, rows: Rows, view: View | None = None) -> torch.Tensor:
        """Return the logits (b, P) of rows of the pool, in another view of it if one is given."""
        found = torch.as_tensor((view or self._lesson.view).take(rows)).float()
        return self.run.logits((found - self._middle) / self._scale)

    def fitted(self, loss: Callable[[], torch.Tensor]) -> Perceptron:
        """Return the model after the recipe's steps down ``loss``, of a batch."""
        self.run.go_on(loss, falling=True)
        layers = of_all_classes(self.run.layers(), self.present, self._lesson.n_classes)
        return Perceptron(layers, self._centre, self._scale, 0.0)


def supervised(head: Head, lesson: Lesson) -> Callable[..., torch.Tensor]:
    """Return the mean cross-entropy over the next batch of labelled rows, in a view if one is given.

    Where they fill no batch it is that of all of them.
    """
    coming, y = head.batches(lesson.rows, head.run.recipe.batch), torch.from_numpy(head.targets)

    def loss(view: View | None = None) -> torch.Tensor:
        chosen = next(coming)
        return cross_entropy(head.logits(lesson.rows[chosen.numpy()], view), y[chosen].to(device.home()))

    return loss


def weighted(head: Head, rows: Rows, classes: Labels, weights: Features) -> Callable[[], torch.Tensor]:
    """Return the mean of weight times cross-entropy over the next batch of rows, with classes and weights beside."""
    coming = head.batches(rows, head.run.recipe.batch)
    y, w = torch.from_numpy(classes), torch.from_numpy(weights)

    def loss() -> torch.Tensor:
        chosen = next(coming)
        losses = cross_entropy(head.logits(rows[chosen.numpy()]), y[chosen].to(device.home()), reduction="none")
        return (w[chosen].to(device.home()) * losses).mean()

    return loss


def _scaling(features: Features, _: np.random.Generator) -> Arrays:
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    squares = [np.square(features[part] - centre).sum(dtype=np.float64) for part in blocks(len(features))]
    return {"centre": centre, "scale": np.array(np.sqrt(sum(squares) / features.size) or 1.0)}

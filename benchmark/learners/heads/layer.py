"""One linear layer under a softmax, trained epoch by epoch: what published heads on frozen features share.

Axes: M labelled rows, D features, C classes, P of them with labels, b rows of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from ... import device
from ...types import Lesson
from .perceptron import of_all_classes
from .softmax import Layer
from .training import Optimiser, Recipe, Run, batches

Prepare = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""From inputs (b, D), with draws of its own, to what the layer is trained on, (b, D)."""


@dataclass(frozen=True)
class Schedule:
    """At most ``epochs`` of batches of ``batch`` rows; what fills none is left out, unless it is all that there is.

    ``cosine`` lets the rate fall from ``rate`` to 0 as half a cosine, from epoch to epoch. With ``patience`` training
    ends where `Patience` does.
    """

    epochs: int
    batch: int
    optimiser: Optimiser
    rate: float
    decay: float
    cosine: bool = False
    patience: int | None = None

    def rate_in(self, epoch: int) -> float:
        """Return the learning rate in an epoch, from 0."""
        return self.rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2 if self.cosine else self.rate


@dataclass
class Patience:
    """It ends when no loss of the last ``epochs`` was more than ``least`` below the lowest before them."""

    epochs: int
    least: float = 1e-3
    _lowest: float = field(default=math.inf, init=False)
    _waited: int = field(default=0, init=False)

    def ends(self, loss: float) -> bool:
        """Say of the mean loss of one more epoch whether it was the last."""
        if loss < self._lowest - self.least:
            self._lowest, self._waited = loss, 0
        else:
            self._waited += 1
        return self._waited >= self.epochs


def fitted(lesson: Lesson, schedule: Schedule, prepare: Prepare = lambda x, _: x) -> Layer:
    """Return weights (D, C) and bias (C,), read-only, after the last epoch; -inf for a class without labels.

    They begin as torch's linear layers do, uniform between -1 / √D and 1 / √D, for all C classes; those without labels
    are then left out. One class needs no training. Weights, batches and what ``prepare`` draws come from
    ``lesson.rng``, drawn on the CPU: they are the same on every device.
    """
    present, targets = np.unique(lesson.labels, return_inverse=True)
    x = torch.as_tensor(lesson.inputs).float()
    M, D = x.shape
    first = (lesson.rng.uniform(-1, 1, (D + 1, lesson.n_classes)) / math.sqrt(D)).astype(np.float32)[:, present]
    draws = torch.Generator().manual_seed(int(lesson.rng.integers(2**63)))
    steps = max(1, M // schedule.batch)
    recipe = Recipe(schedule.epochs * steps, schedule.batch, schedule.rate, schedule.decay, 0.0, schedule.optimiser)
    run, y = Run([(torch.from_numpy(first[:-1]), torch.from_numpy(first[-1]))], recipe), torch.from_numpy(targets)
    y, coming = y.to(device.home()), batches(M, schedule.batch, draws)
    patience = Patience(schedule.patience or schedule.epochs)
    with device.one_thread():
        for epoch in range(schedule.epochs if len(present) > 1 else 0):
            losses = []
            for rows in islice(coming, steps):
                chosen = rows.to(device.home())
                losses.append(cross_entropy(run.logits(prepare(x[chosen], draws)), y[chosen]))
                run.step(losses[-1], schedule.rate_in(epoch))
            if patience.ends(float(torch.stack(losses).detach().mean())):
                break
    (whole,) = of_all_classes(run.layers(), present, lesson.n_classes)
    return whole

"""Training a network on few labelled images and many without a label: strong views are to be of the class of weak ones.

Axes: M labelled and U unlabelled images, B and V of them in a batch, P classes that have labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ... import device
from ...types import Features, Labels, Lesson
from ..heads.thresholds import Thresholds
from .network import Network, features, standardised
from .semi import Semi
from .steps import shuffled, take
from .strong import strong
from .training import begun, cut, optimiser, whole
from .views import NUMBERS, Views

CROP, STRONG = NUMBERS["crop-flip"], NUMBERS["strong"]


@dataclass(frozen=True, eq=False)
class SemiTask:
    """A lesson on images (N, height, width, channels) uint8 and how the network that ``build`` makes is trained on it.

    Images are standardised by ``centre`` and ``scale`` (channels,).
    """

    build: Callable[[], nn.Module]
    lesson: Lesson
    centre: Features
    scale: Features
    semi: Semi

    def trained(self) -> Network:
        """Return the network with the mean weights after the last step; it knows the classes with labels alone."""
        lesson = self.lesson
        present, targets = np.unique(lesson.labels, return_inverse=True)
        body, head = begun(self.build, lesson.view.array.shape[1:], lesson.n_classes, lesson.weights)
        head = cut(head, present)
        draws = torch.Generator().manual_seed(int(lesson.rng.integers(2**63)))
        with device.one_thread():
            run = _Run(self, body, head, targets)
            take(run.step, plan(len(lesson.rows), len(lesson.unlabelled), self.semi, draws))
            run.settle()
        state = {name: part.detach().cpu() for name, part in body.state_dict().items()}
        return Network(self.build, state, whole(head, present, lesson.n_classes), self.centre, self.scale)


class _Run:
    """One training, of a body and a head that it changes in place."""

    def __init__(self, task: SemiTask, body: nn.Module, head: nn.Linear, targets: Labels) -> None:
        lesson, semi = task.lesson, task.semi
        pool = device.tensor(device.put(lesson.view.array))
        self._views = Views(pool, "crop" if pool.shape[3] == 1 else "crop-flip", mirrored=True)
        self._body = body.to(device.home()).to(memory_format=torch.channels_last).train()
        self._head = head.to(device.home())
        self._labelled, self._unlabelled = (device.tensor(rows.copy()) for rows in (lesson.rows, lesson.unlabelled))
        self._targets = device.tensor(targets)
        self._centre, self._scale = device.tensor(task.centre), device.tensor(task.scale)
        self._thresholds = Thresholds(len(lesson.unlabelled), head.out_features, semi.threshold, device.home())
        self._rate = torch.zeros((), device=device.home())
        self._every = [*body.parameters(), *head.parameters()]
        self._means = [parameter.detach().clone() for parameter in self._every]
        self._optimiser = optimiser(nn.ModuleList([body, head]), self._rate, "nesterov", semi.decay, decay_all=False)

    def step(
        self,
        chosen: torch.Tensor,
        numbers: torch.Tensor,
        others: torch.Tensor,
        weak_numbers: torch.Tensor,
        strong_numbers: torch.Tensor,
        rate: torch.Tensor,
        kept: torch.Tensor,
    ) -> None:
        """Learn from labelled rows ``chosen`` (B,) of M and unlabelled ones ``others`` (V,) of U, all at once."""
        self._rate.copy_(rate)
        rows, B, V = self._unlabelled[others], len(chosen), len(others)
        labelled = self._views.of(self._labelled[chosen], numbers)
        weak, moved = self._views.of(rows, weak_numbers), self._views.of(rows, strong_numbers[:, :CROP])
        images = torch.cat([labelled.float(), weak.float(), strong(moved, strong_numbers[:, CROP:])])
        logits = self._head(features(self._body, standardised(images, self._centre, self._scale)))
        loss = cross_entropy(logits[:B], self._targets[chosen])
        if V:
            loss = loss + self._thresholds.consistency(others, logits[B : B + V], logits[B + V :])
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimiser.step()
        with torch.no_grad():
            for mean, parameter in zip(self._means, self._every, strict=True):
                mean.lerp_(parameter, 1 - kept)

    def settle(self) -> None:
        """Let the mean weights be those of body and head; the statistics of normalisations stay the last ones."""
        with torch.no_grad():
            for mean, parameter in zip(self._means, self._every, strict=True):
                parameter.copy_(mean)


def plan(M: int, U: int, semi: Semi, draws: torch.Generator) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield what `_Run.step` is given in every step: positions in M and U, numbers of their views, rate, share."""
    labelled, B = _endless(M, semi.batch, draws), semi.batch
    unlabelled, V = _endless(U, min(U, semi.ratio * B), draws), min(U, semi.ratio * B)
    for step in range(semi.steps):
        chosen, others = next(labelled), next(unlabelled)
        numbers = [torch.rand(n, size, generator=draws) for n, size in ((B, CROP), (V, CROP), (V, STRONG))]
        rate, kept = torch.tensor(semi.rate_in(step)), torch.tensor(semi.kept_in(step))
        yield chosen, numbers[0], others, numbers[1], numbers[2], rate, kept


def _endless(n: int, size: int, draws: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield ``size`` of n rows without end: each epoch is shuffled anew, and what fills no batch is left out."""
    while not n:
        yield torch.empty(0, dtype=torch.long)
    while True:
        yield from torch.split(shuffled(n, max(1, n // size) * size, draws), size)

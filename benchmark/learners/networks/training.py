"""Training a network of images by a recipe, on the CPU or a GPU; nothing global is drawn from or left changed.

Draws are made by a generator that is seeded from that of the lesson, a step's before it is taken (`steps.take`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from ....datasets.embeddings.networks.apply import seeded
from ... import device
from ...types import Features, Labels
from ..heads.perceptron import of_all_classes
from ..heads.softmax import Layer
from .network import Network, features, standardised
from .recipes import Optimiser, Recipe
from .steps import shuffled, take
from .views import NUMBERS, Views

MOMENTUM = 0.9

Draws = tuple[torch.Tensor, ...]
"""Of a step: rows (B,), numbers of their views (B, K), hidden units that are kept (B, H), learning rate ()."""


@dataclass(frozen=True, eq=False)
class Task:
    """Images (M, height, width, channels) uint8 with their labels (M,), and how a network is trained on them.

    ``build`` makes the body; images are standardised by ``centre`` and ``scale`` (channels,).
    """

    build: Callable[[], nn.Module]
    images: NDArray[np.uint8]
    labels: Labels
    n_classes: int
    centre: Features
    scale: Features
    recipe: Recipe

    def trained(self, weights: np.random.Generator, rng: np.random.Generator) -> Network:
        """Return the network after the last epoch, from initial weights that are drawn from ``weights``.

        It knows the classes with labels alone: the initial head is cut down to them.
        """
        present, targets = np.unique(self.labels, return_inverse=True)
        body, head = begun(self.build, self.images.shape[1:], self.n_classes, weights)
        head = cut(head, present)
        draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
        with device.one_thread():
            _Run(self, body, head, targets, draws).go()
        state = {name: part.detach().cpu() for name, part in body.state_dict().items()}
        top = whole(head, present, self.n_classes)
        return Network(self.build, state, top, self.centre, self.scale, self.recipe.p)

    def others(self, rng: np.random.Generator) -> Iterator[Network]:
        """Yield networks that are trained alike, each from initial weights and with batches of its own."""
        while True:
            yield self.trained(rng, rng)


def begun(
    build: Callable[[], nn.Module], shape: tuple[int, ...], n_classes: int, rng: np.random.Generator
) -> tuple[nn.Module, nn.Linear]:
    """Return a body and a head over all classes with weights drawn from ``rng``.

    Kernels are normal with variance 2 / fan-out (He et al. 2015, equation 14), as the recipes have them, and the
    head's weights normal with the variance of torch's uniform ones, 1 / (3 H). Biases are 0.
    """
    with torch.device("meta"):
        height, width, channels = shape
        H = build().eval()(torch.empty(1, channels, height, width)).shape[1]
    body = seeded(build, rng)
    with torch.no_grad():
        for layer in body.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(math.sqrt(layer.in_channels / layer.out_channels))  # they come by fan-in
    return body, begun_head(H, n_classes, rng)


def begun_head(H: int, n_classes: int, rng: np.random.Generator) -> nn.Linear:
    """Return a head over all classes, its weights drawn as `begun` says."""
    head = seeded(lambda: nn.Linear(H, n_classes), rng)
    with torch.no_grad():
        head.weight.mul_(math.sqrt(1 / 6))
    return head


class _Run:
    """One training, of a body and a head that it changes in place."""

    def __init__(self, task: Task, body: nn.Module, head: nn.Linear, targets: Labels, draws: torch.Generator) -> None:
        self._recipe, self._draws = task.recipe, draws
        self._body = body.to(device.home()).to(memory_format=torch.channels_last).train()
        self._head = head.to(device.home())
        self._views = Views(device.tensor(task.images), task.recipe.augment)
        self._targets = device.tensor(targets)
        self._centre, self._scale = device.tensor(task.centre), device.tensor(task.scale)
        self._rate = torch.zeros((), device=device.home())
        recipe = task.recipe
        both = nn.ModuleList([body, head])
        self._optimiser = optimiser(both, self._rate, recipe.optimiser, recipe.decay, decay_all=recipe.decay_all)

    def go(self) -> None:
        """Take all steps of the recipe."""
        take(self._step, plan(len(self._targets), self._head.in_features, self._recipe, self._draws))

    def _step(self, rows: torch.Tensor, numbers: torch.Tensor, kept: torch.Tensor, rate: torch.Tensor) -> None:
        self._rate.copy_(rate)
        images = standardised(self._views.of(rows, numbers), self._centre, self._scale)
        hidden = features(self._body, images)
        if self._recipe.p:
            hidden = hidden * kept / (1 - self._recipe.p)
        loss = cross_entropy(self._head(hidden), self._targets[rows])
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimiser.step()


def plan(M: int, H: int, recipe: Recipe, draws: torch.Generator) -> Iterator[Draws]:
    """Yield the draws of every step of a training on M rows. An epoch shuffles all rows as often as it takes them."""
    steps, size = recipe.batches(M)
    dropped = H if recipe.p else 0
    for epoch in range(recipe.epochs):
        rate = torch.tensor(recipe.rate_in(epoch))
        for rows in torch.split(shuffled(M, steps * size, draws), size):
            numbers = torch.rand(size, NUMBERS[recipe.augment], generator=draws)
            yield rows, numbers, torch.rand(size, dropped, generator=draws) >= recipe.p, rate


def optimiser(
    module: nn.Module, rate: torch.Tensor, kind: Optimiser, decay: float, *, decay_all: bool
) -> torch.optim.Optimizer:
    """Return an optimiser of all parameters, with weight decay of kernels and matrices alone where not of all.

    Its learning rate is read where ``rate`` lies: torch's fused ones alone do that; others ask the host, and cannot be
    recorded.
    """
    every = list(module.parameters())
    free = [] if decay_all else [p for p in every if p.ndim == 1]
    groups = [
        {"params": [p for p in every if decay_all or p.ndim > 1], "weight_decay": decay},
        {"params": free, "weight_decay": 0.0},
    ]
    sgd = partial(torch.optim.SGD, momentum=MOMENTUM, nesterov=kind == "nesterov")
    adam = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
    make: Callable[..., torch.optim.Optimizer] = (
        sgd if kind in ("sgd", "nesterov") else partial(adam, capturable=rate.is_cuda)
    )
    return make([group for group in groups if group["params"]], lr=rate, fused=True)


def cut(head: nn.Linear, present: Labels) -> nn.Linear:
    """Return the head over these classes alone."""
    with torch.device("meta"):  # nothing is drawn
        cut = nn.Linear(head.in_features, len(present))
    cut.load_state_dict(
        {name: part[torch.from_numpy(present)] for name, part in head.state_dict().items()}, assign=True
    )
    return cut


def whole(head: nn.Linear, present: Labels, n_classes: int) -> Layer:
    """Return the head over these classes as one over all."""
    (top,) = of_all_classes([(device.fetch(head.weight).T, device.fetch(head.bias))], present, n_classes)
    return top

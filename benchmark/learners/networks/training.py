"""Training a network of images by a recipe, on the CPU or a GPU; nothing global is drawn from or left changed.

All draws are made on the CPU, by a generator that is seeded from that of the lesson: they are the same on every device.
Some steps' draws travel at once, and a step takes its own from them, so that a card plays it back without the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from ....datasets.embeddings.networks.apply import seeded
from ... import device
from ...types import Features, Labels
from ..heads.perceptron import of_all_classes
from .network import Network, features, standardised
from .recipes import Recipe
from .views import NUMBERS, Views

STEPS = 64  # whose draws travel at once
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
        head = _cut(head, present)
        draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
        with device.one_thread():
            _Run(self, body, head, targets, draws).go()
        state = {name: part.detach().cpu() for name, part in body.state_dict().items()}
        (top,) = of_all_classes([(device.fetch(head.weight).T, device.fetch(head.bias))], present, self.n_classes)
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
    body, head = seeded(build, rng), seeded(lambda: nn.Linear(H, n_classes), rng)
    with torch.no_grad():
        for layer in body.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(math.sqrt(layer.in_channels / layer.out_channels))  # they come by fan-in
        head.weight.mul_(math.sqrt(1 / 6))
    return body, head


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
        self._optimiser = optimiser(nn.ModuleList([body, head]), self._rate, task.recipe)
        self._plan: Draws = ()
        self._next = torch.zeros(1, dtype=torch.long, device=device.home())

    def go(self) -> None:
        """Take all steps of the recipe."""
        step = device.recorded(self._step)
        planned = plan(len(self._targets), self._head.in_features, self._recipe, self._draws)
        while some := list(islice(planned, STEPS)):
            self._load([torch.stack(parts) for parts in zip(*some, strict=True)])
            for _ in some:
                step()

    def _load(self, parts: list[torch.Tensor]) -> None:
        """Bring the draws of some steps to where the first ones lay: a recording reads them there."""
        self._plan = self._plan or tuple(torch.empty_like(part, device=device.home()) for part in parts)
        for there, part in zip(self._plan, parts, strict=True):
            there[: len(part)].copy_(part)
        self._next.zero_()

    def _step(self) -> None:
        rows, numbers, kept, rate = (part.index_select(0, self._next)[0] for part in self._plan)
        self._next += 1
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
        times = math.ceil(steps * size / M)
        order = torch.cat([torch.randperm(M, generator=draws) for _ in range(times)])
        for rows in torch.split(order[: steps * size], size):
            numbers = torch.rand(size, NUMBERS[recipe.augment], generator=draws)
            yield rows, numbers, torch.rand(size, dropped, generator=draws) >= recipe.p, rate


def optimiser(module: nn.Module, rate: torch.Tensor, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser of all parameters, whose learning rate is read where ``rate`` lies.

    torch's fused ones alone do that; others ask the host, and cannot be recorded.
    """
    every = list(module.parameters())
    free = [] if recipe.decay_all else [p for p in every if p.ndim == 1]
    groups = [
        {"params": [p for p in every if recipe.decay_all or p.ndim > 1], "weight_decay": recipe.decay},
        {"params": free, "weight_decay": 0.0},
    ]
    sgd = partial(torch.optim.SGD, momentum=MOMENTUM, nesterov=recipe.optimiser == "nesterov")
    adam = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    plain = recipe.optimiser in ("sgd", "nesterov")
    make: Callable[..., torch.optim.Optimizer] = sgd if plain else partial(adam, capturable=rate.is_cuda)
    return make([group for group in groups if group["params"]], lr=rate, fused=True)


def _cut(head: nn.Linear, present: Labels) -> nn.Linear:
    """Return the head over these classes alone."""
    with torch.device("meta"):  # nothing is drawn
        cut = nn.Linear(head.in_features, len(present))
    cut.load_state_dict(
        {name: part[torch.from_numpy(present)] for name, part in head.state_dict().items()}, assign=True
    )
    return cut

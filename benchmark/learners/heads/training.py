"""Training a multilayer perceptron with torch, on the CPU or a GPU; nothing global is drawn from or left changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import cross_entropy, relu

from ... import device
from ...types import Features, Labels

Optimiser = Literal["adam", "adamw", "nesterov"]
MOMENTUM, BETAS, EPSILON = 0.9, (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Recipe:
    """How it is trained: ``steps`` of Adam on ``batch`` rows each, the rate falling from ``rate`` to 0 in a line.

    ``decay`` is the weight of ½ ‖parameters‖² in the loss, ``p`` the chance to drop a hidden unit of a row, 0 for none.
    Other optimisers are AdamW, in which ``decay`` is beside the loss, and SGD with Nesterov's momentum of 0.9.
    """

    steps: int
    batch: int
    rate: float
    decay: float
    p: float
    optimiser: Optimiser = "adam"


def trained(
    rows: Features, targets: Labels, widths: Sequence[int], recipe: Recipe, rng: np.random.Generator
) -> list[tuple[Features, Features]]:
    """Return weights (in, out) and biases (out,) of layers of these ``widths``, those of inputs and classes included.

    All draws are made on the CPU, by a generator that is seeded from ``rng``: they are the same on every device.
    """
    draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
    run = Run(begun(widths, draws), recipe)
    run.go_on(_supervised(run, rows, targets, draws), falling=True)
    return run.layers()


def snapshots(
    rows: Features,
    targets: Labels,
    layers: Sequence[tuple[Features, Features]],
    recipe: Recipe,
    falling: bool,
    rng: np.random.Generator,
) -> Iterator[list[tuple[Features, Features]]]:
    """Yield the layers of a training that goes on from ``layers`` without end, after every ``recipe.steps`` steps.

    In each of these cycles the rate is ``recipe.rate``, or falls from it to 0 again.
    """
    draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
    run = Run([(torch.from_numpy(W.copy()), torch.from_numpy(b.copy())) for W, b in layers], recipe)
    loss = _supervised(run, rows, targets, draws)
    while True:
        run.go_on(loss, falling)
        yield run.layers()


def begun(widths: Sequence[int], draws: torch.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return layers of these widths: weights normal with variance 2 / in (He et al. 2015, equation 10), biases 0."""
    return [(torch.randn(a, b, generator=draws) * (2 / a) ** 0.5, torch.zeros(b)) for a, b in pairwise(widths)]


class Run:
    """A recipe's optimiser on the parameters of a perceptron, from layers that are begun; it may go on."""

    def __init__(self, begun: Sequence[tuple[torch.Tensor, torch.Tensor]], recipe: Recipe) -> None:
        self.recipe = recipe
        self._shapes = [(W.shape[0], W.shape[1]) for W, _ in begun]
        self._theta = (
            torch.cat([part.flatten() for layer in begun for part in layer]).to(device.home()).requires_grad_()
        )
        self._optimiser = (_Nesterov if recipe.optimiser == "nesterov" else _Adam)(self._theta, recipe)

    def logits(self, out: torch.Tensor, draws: torch.Generator | None = None) -> torch.Tensor:
        """Return the logits (b, P) of inputs (b, D); with ``draws``, hidden units drop out as the recipe says."""
        *hidden, (W, b) = _layers(self._theta, self._shapes)
        for into, bias in hidden:
            out = relu(torch.addmm(bias, out, into))
            if self.recipe.p and draws is not None:
                kept = torch.rand(out.shape, generator=draws) >= self.recipe.p
                out = out * kept.to(device.home()) / (1 - self.recipe.p)
        return torch.addmm(b, out, W)

    def go_on(self, loss: Callable[[], torch.Tensor], falling: bool) -> None:
        """Take the recipe's steps down ``loss``, of a batch, at its rate or at one that falls from it to 0."""
        steps, rate = self.recipe.steps, self.recipe.rate
        with device.one_thread():
            for step in range(steps):
                self.step(loss(), rate * (1 - step / steps) if falling else rate)

    def step(self, loss: torch.Tensor, rate: float) -> None:
        """Take one step down a loss."""
        (slope,) = torch.autograd.grad(loss, self._theta)
        self._optimiser.step(slope, rate)

    def layers(self) -> list[tuple[Features, Features]]:
        """Return copies of the layers as they are."""
        return [(device.fetch(W.clone()), device.fetch(b.clone())) for W, b in _layers(self._theta, self._shapes)]


def _supervised(run: Run, rows: Features, targets: Labels, draws: torch.Generator) -> Callable[[], torch.Tensor]:
    """Return the cross-entropy of the next batch of rows."""
    x, y = torch.from_numpy(rows).to(device.home()), torch.from_numpy(targets).to(device.home())
    coming = batches(len(rows), run.recipe.batch, draws)

    def loss() -> torch.Tensor:
        chosen = next(coming).to(device.home())
        return cross_entropy(run.logits(x[chosen], draws), y[chosen])

    return loss


def _layers(theta: torch.Tensor, shapes: Sequence[tuple[int, int]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the weights (a, b) and biases (b,) that lie one after the other in ``theta``."""
    parts = iter(torch.split(theta, [size for a, b in shapes for size in (a * b, b)]))
    return [(next(parts).view(a, b), next(parts)) for a, b in shapes]


class _Adam:
    """Kingma & Ba, algorithm 1, with its defaults; torch's own takes ten seconds to load what it does not need here.

    AdamW is algorithm 2 of Loshchilov & Hutter, Decoupled weight decay regularization, ICLR 2019.
    """

    def __init__(self, theta: torch.Tensor, recipe: Recipe) -> None:
        self._theta, self._recipe = theta, recipe
        self._mean, self._square = torch.zeros_like(theta), torch.zeros_like(theta)
        self._taken = 0

    @torch.no_grad()
    def step(self, slope: torch.Tensor, rate: float) -> None:
        self._taken += 1
        if self._recipe.optimiser == "adamw":
            self._theta.mul_(1 - rate * self._recipe.decay)
        else:
            slope = slope + self._recipe.decay * self._theta
        self._mean.lerp_(slope, 1 - BETAS[0])
        self._square.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
        mean, square = (x / (1 - beta**self._taken) for x, beta in zip((self._mean, self._square), BETAS, strict=True))
        self._theta.addcdiv_(mean, square.sqrt_().add_(EPSILON), value=-rate)


class _Nesterov:
    """SGD with Nesterov's momentum as torch has it (Sutskever et al. 2013, but for where the rate stands)."""

    def __init__(self, theta: torch.Tensor, recipe: Recipe) -> None:
        self._theta, self._recipe, self._moving = theta, recipe, torch.zeros_like(theta)

    @torch.no_grad()
    def step(self, slope: torch.Tensor, rate: float) -> None:
        slope = slope + self._recipe.decay * self._theta
        self._moving.mul_(MOMENTUM).add_(slope)
        self._theta.sub_(rate * (slope + MOMENTUM * self._moving))


def batches(M: int, size: int, draws: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield positions of batches without end: each epoch is shuffled anew, and what is left of it is left out."""
    while True:
        shuffled = torch.randperm(M, generator=draws)
        yield from torch.split(shuffled, size)[: max(1, M // size)]

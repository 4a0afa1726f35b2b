"""Training a multilayer perceptron with torch, on the CPU or a GPU; nothing global is drawn from or left changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn.functional import cross_entropy, relu

from ... import device
from ...types import Features, Labels

BETAS, EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Recipe:
    """How it is trained: ``steps`` of Adam on ``batch`` rows each, the rate falling from ``rate`` to 0 in a line.

    ``decay`` is the weight of ½ ‖parameters‖² in the loss, ``p`` the chance to drop a hidden unit of a row, 0 for none.
    """

    steps: int
    batch: int
    rate: float
    decay: float
    p: float


def trained(
    rows: Features, targets: Labels, widths: Sequence[int], recipe: Recipe, rng: np.random.Generator
) -> list[tuple[Features, Features]]:
    """Return weights (in, out) and biases (out,) of layers of these ``widths``, those of inputs and classes included.

    They begin normal with variance 2 / in (He et al. 2015, equation 10), biases at 0. All draws are made on the CPU,
    by a generator that is seeded from ``rng``: they are the same on every device.
    """
    draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
    home = "cuda" if device.active() == "cuda" else "cpu"
    x, y = torch.from_numpy(rows).to(home), torch.from_numpy(targets).to(home)
    shapes = [*pairwise(widths)]
    with _one_thread():
        begun = [(torch.randn(a, b, generator=draws) * (2 / a) ** 0.5, torch.zeros(b)) for a, b in shapes]
        theta = torch.cat([part.flatten() for layer in begun for part in layer]).to(home).requires_grad_()
        layers = _layers(theta, shapes)
        adam = _Adam(theta, recipe)
        batches = _batches(len(rows), recipe.batch, draws)
        for step in range(recipe.steps):
            chosen = next(batches).to(home)
            out = x[chosen]
            for W, b in layers[:-1]:
                out = relu(torch.addmm(b, out, W))
                if recipe.p:
                    kept = torch.rand(out.shape, generator=draws) >= recipe.p
                    out = out * kept.to(home) / (1 - recipe.p)
            W, b = layers[-1]
            (slope,) = torch.autograd.grad(cross_entropy(torch.addmm(b, out, W), y[chosen]), theta)
            adam.step(slope, step)
            layers = _layers(theta, shapes)
    return [(device.fetch(W), device.fetch(b)) for W, b in layers]


def _layers(theta: torch.Tensor, shapes: Sequence[tuple[int, int]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the weights (a, b) and biases (b,) that lie one after the other in ``theta``."""
    parts = iter(torch.split(theta, [size for a, b in shapes for size in (a * b, b)]))
    return [(next(parts).view(a, b), next(parts)) for a, b in shapes]


class _Adam:
    """Kingma & Ba, algorithm 1, with its defaults; torch's own takes ten seconds to load what it does not need here."""

    def __init__(self, theta: torch.Tensor, recipe: Recipe) -> None:
        self._theta, self._recipe = theta, recipe
        self._mean, self._square = torch.zeros_like(theta), torch.zeros_like(theta)

    @torch.no_grad()
    def step(self, slope: torch.Tensor, taken: int) -> None:
        slope = slope + self._recipe.decay * self._theta
        self._mean.lerp_(slope, 1 - BETAS[0])
        self._square.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
        mean, square = (
            x / (1 - beta ** (taken + 1)) for x, beta in zip((self._mean, self._square), BETAS, strict=True)
        )
        rate = self._recipe.rate * (1 - taken / self._recipe.steps)
        self._theta.addcdiv_(mean, square.sqrt_().add_(EPSILON), value=-rate)


def _batches(M: int, size: int, draws: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield positions of batches without end: each epoch is shuffled anew, and what is left of it is left out."""
    while True:
        shuffled = torch.randperm(M, generator=draws)
        yield from torch.split(shuffled, size)[: max(1, M // size)]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums depend on how many threads split them; torch's number holds again afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""A critic of the Wasserstein distance between labelled and unlabelled rows, with a gradient penalty.

Axes: B rows of a batch, D features, H hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from ....benchmark import device
from ....benchmark.types import Array
from ..distances import Positions
from ..parameters import check
from .dense import Dense, Inputs, sigmoid, steps_of


class Critic:
    """d(x) = sigmoid(relu(x W + b) w + c)."""

    def __init__(self, width: int, hidden: int, rate: float, rng: np.random.Generator) -> None:
        self.net = Dense((width, hidden, 1), rate, rng)

    def __call__(self, rows: Array) -> Array:
        """Return d of rows (B, D), (B,)."""
        return sigmoid(self.net(rows)[:, 0])

    def apart(self, known: Array, others: Array, gamma: float) -> Array:
        """Return the gradient, at the parameters, of mean d(others) - ``gamma`` · mean d(known)."""
        xp = array_namespace(known)
        seen = self.net.passed(xp.concat([others, known]))
        d, B = sigmoid(seen[-1]), len(others)
        weight = device.put(np.repeat([1 / B, -gamma / len(known)], [B, len(known)])[:, None])
        return self.net.back(seen, weight * d * (1 - d))[0]

    def penalty(self, rows: Array) -> Array:
        """Return the gradient, at the parameters, of the mean over rows of (|gradient of d at the row| - 1)².

        With one hidden layer that gradient is d (1 - d) v, v = (w · gates) Wᵀ: gates change nowhere that can be seen.
        """
        xp, (W, _), (w, _) = array_namespace(rows), *self.net.layers
        seen = self.net.passed(rows)
        through = (seen[1] > 0) * w[:, 0]
        v, d = through @ W.T, sigmoid(seen[-1])
        length, slope = xp.sum(v * v, axis=1)[:, None] ** 0.5, d * (1 - d)
        off = 2 * (slope * length - 1) / len(rows)
        gradient, _ = self.net.back(seen, off * length * slope * (1 - 2 * d))
        direction = v / xp.where(length > 0, length, 1.0) * (off * slope)
        at_W, at_w = direction.T @ through, xp.sum((seen[1] > 0) * (direction @ W), axis=0)
        nothing = xp.zeros_like(at_w)
        return gradient + xp.concat([xp.reshape(at_W, (-1,)), nothing, at_w, nothing[:1]])


@dataclass(frozen=True)
class Critique:
    """How a critic is made and trained: ``hidden`` units, by Adam.

    Adam's learning rate is ``rate``. A batch holds ``batch`` labelled rows and as many others, drawn with replacement.
    ``penalty`` is the weight of the gradient penalty, ``gamma`` that of the labelled rows: |L| / |U| where it is null.
    Training ends after ``epochs`` over the unlabelled rows or ``steps`` batches, whichever is first.
    """

    hidden: int = 50
    penalty: float = 2.0
    gamma: float | None = None
    rate: float = 1e-3
    batch: int = 64
    epochs: int = 50
    steps: int = 1000

    def check(self, rule: str) -> None:
        """Raise `ValueError`, with the rule's name, for parameters with which nothing can be learned."""
        check(rule, self, {"hidden": 1, "batch": 1, "epochs": 1, "steps": 1, "penalty": 0}, {"rate"})
        if self.gamma is not None and not self.gamma >= 0:
            raise ValueError(f"{rule}: gamma is {self.gamma}; it must be at least 0, or null for |L| / |U|")

    def critic(self, inputs: Inputs, known: Positions, others: Positions, rng: np.random.Generator) -> Critic:
        """Return a critic that has learned to say more of ``others`` (U,) than of ``known`` (L,).

        It climbs mean d(others) - ``gamma`` · mean d(known) - ``penalty`` · mean (|gradient of d| - 1)², the last over
        the batch and as many points between its pairs.
        """
        found = Critic(inputs.width, self.hidden, self.rate, rng)
        gamma = len(known) / len(others) if self.gamma is None else self.gamma
        xp = array_namespace(found.net.parameters)
        for _ in range(steps_of(self.epochs, len(others), self.batch, self.steps)):
            a = inputs[known[rng.integers(len(known), size=self.batch)]]
            b = inputs[others[rng.integers(len(others), size=self.batch)]]
            between = b + device.put(rng.random((self.batch, 1))) * (a - b)
            falls = self.penalty * found.penalty(xp.concat([between, a, b])) - found.apart(a, b, gamma)
            found.net.learn(falls)
        return found

"""Networks of dense layers, their gradients written out, and the rows they see.

Axes: B rows of a batch, D features. Runs where the trial computes, on numpy or torch alike, in double precision: in
single precision a unit within rounding of 0 takes another way on every library, and picks follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from array_api_compat import array_namespace

from ....benchmark import device
from ....benchmark.types import Array, Features, Floats
from ..distances import Positions, blocks
from .adam import Adam

DIGITS = 9  # of what a network says: products round by the place of a row, and equal rows must tie


class Inputs:
    """Rows (M, D) as a network sees them: centred, and divided by one number so that the mean square is 1."""

    def __init__(self, rows: Features) -> None:
        self._rows = device.put(rows)
        xp, size = array_namespace(self._rows), max(len(rows), 1)
        wide = (xp.astype(self._rows[part], xp.float64) for part in blocks(len(rows)))
        self._mean = sum(xp.sum(part, axis=0) for part in wide) / size
        self._scale = 1.0
        self.width = rows.shape[1]
        square = sum(float(xp.sum(self[part] ** 2)) for part in blocks(len(rows))) / (size * self.width)
        self._scale = square**0.5 or 1.0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, positions: Positions | slice) -> Array:
        """Return rows (B, D) in double precision."""
        xp = array_namespace(self._rows)
        some = self._rows[positions if isinstance(positions, slice) else device.put(positions)]
        return (xp.astype(some, xp.float64) - self._mean) / self._scale

    def rowwise(self, f: Callable[[Array, slice], Array], rows: Positions) -> Floats:
        """Return ``f`` of rows (R,), one number each, block by block; ``f`` is told which of ``rows`` they are."""
        said = [device.fetch(f(self[rows[part]], part)) for part in blocks(len(rows))]
        return np.round(np.concatenate(said), DIGITS)


class Dense:
    """Layers of the given ``widths`` with ReLU between them; the parameters are one vector.

    Weights begin as normal draws of variance 2 / inputs, biases as 0 (He et al. 2015).
    """

    def __init__(self, widths: Sequence[int], rate: float, rng: np.random.Generator) -> None:
        shapes = list(pairwise(widths))
        drawn = [part for a, b in shapes for part in (rng.normal(0, (2 / a) ** 0.5, a * b), np.zeros(b))]
        self.parameters, self.layers, start = device.put(np.concatenate(drawn)), list[tuple[Array, Array]](), 0
        xp = self._xp = array_namespace(self.parameters)
        for a, b in shapes:
            middle, end = start + a * b, start + a * b + b
            self.layers.append((xp.reshape(self.parameters[start:middle], (a, b)), self.parameters[middle:end]))
            start = end
        self._adam = Adam(self.parameters, rate)

    def __call__(self, inputs: Array) -> Array:
        """Return what the last layer says of inputs (B, D)."""
        return self.passed(inputs)[-1]

    def passed(self, inputs: Array) -> list[Array]:
        """Return what each layer sees, and at the end what the last one says."""
        seen = [inputs]
        for W, b in self.layers:
            outputs = seen[-1] @ W + b
            seen.append(outputs if len(seen) == len(self.layers) else outputs * (outputs > 0))
        return seen

    def back(self, seen: list[Array], gradient: Array) -> tuple[Array, Array]:
        """Return the gradients at the parameters and at the inputs (B, D), from that at what the last layer says."""
        parts = list[Array]()
        for i in reversed(range(len(self.layers))):
            parts = [self._xp.reshape(seen[i].T @ gradient, (-1,)), self._xp.sum(gradient, axis=0), *parts]
            gradient = gradient @ self.layers[i][0].T
            if i:
                gradient = gradient * (seen[i] > 0)
        return self._xp.concat(parts), gradient

    def learn(self, gradient: Array) -> None:
        """Make one step of Adam down a gradient at the parameters."""
        self._adam.step(gradient)


def sigmoid(outputs: Array) -> Array:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return (1 + array_namespace(outputs).tanh(outputs / 2)) / 2


def softmax(logits: Array) -> Array:
    """Return the probabilities (B, C) of logits."""
    xp = array_namespace(logits)
    odds = xp.exp(logits - xp.max(logits, axis=1)[:, None])
    return odds / xp.sum(odds, axis=1)[:, None]


def steps_of(epochs: int, rows: int, batch: int, most: int) -> int:
    """Return how many batches are ``epochs`` over rows, at most ``most``: a large pool is seen in part."""
    return min(-(-epochs * rows // batch), most)

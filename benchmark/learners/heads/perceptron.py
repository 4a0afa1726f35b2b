"""A multilayer perceptron that is fitted: what it says, in numpy or in torch on a GPU, and its draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
from array_api_compat import array_namespace

from ... import device
from ...types import Array, Draw, Features, Labels

ROWS = 4096  # of inputs, which may be bytes, that are held as float32 at once

Layer = tuple[Features, Features]
"""Weights (in, out) and bias (out,), read-only, so that they lie on a GPU once a process."""


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Hidden layers of rectified linear units, and a softmax head over all C classes.

    Inputs (b, ...) are flattened to (b, D) and standardised: minus ``centre`` (D,), over ``scale``. A class without
    labels has the bias -inf. ``p`` is the chance to drop a unit in a draw; ``masks`` are those of one draw, one a
    hidden layer. Where draws are snapshots, ``later`` gives the layers as the training goes on.
    """

    layers: Sequence[Layer]
    centre: Features
    scale: float
    p: float
    masks: Sequence[Features] = ()
    later: Callable[[np.random.Generator], Iterator[Sequence[Layer]]] | None = None

    def scores(self, inputs: Array) -> Array:
        """Return class probabilities (b, C); exactly 0 for a class without labels."""
        return by_rows(lambda x: softmax(affine(self._hidden(x), self.layers[-1])), inputs)

    def predict(self, inputs: Array) -> Array:
        scores = self.scores(inputs)
        return array_namespace(scores).argmax(scores, axis=1)

    def hidden(self, inputs: Array) -> Array:
        """Return what the head sees, (b, width)."""
        return by_rows(self._hidden, inputs)

    def head(self) -> tuple[Array, Array]:
        weights, bias = self.layers[-1]
        return device.put(weights), device.put(bias)

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        """Return the probabilities by K draws, snapshots or else networks with units left out.

        Each of those drops the same units for all rows, the others times 1 / (1 - p).
        """
        if self.later is not None:
            return [replace(self, layers=layers).scores for layers in islice(self.later(rng), K)]
        widths = [len(bias) for _, bias in self.layers[:-1]]
        return [replace(self, masks=[_mask(width, self.p, rng) for width in widths]).scores for _ in range(K)]

    def _hidden(self, x: Array) -> Array:
        xp = array_namespace(x)
        x = (
            xp.astype(xp.reshape(x, (x.shape[0], len(self.centre))), xp.float32) - device.put(self.centre)
        ) / self.scale
        for number, layer in enumerate(self.layers[:-1]):
            x = affine(x, layer)
            x = xp.where(x > 0, x, xp.zeros_like(x))
            if self.masks:
                x = x * device.put(self.masks[number])
        return x


def of_all_classes(layers: list[Layer], present: Labels, n_classes: int) -> list[Layer]:
    """Return the layers, read-only, with a head over all classes: -inf is the bias of those that are not present."""
    *hidden, (weights, bias) = layers
    head: Layer = (
        np.zeros((len(weights), n_classes), np.float32),
        np.full(n_classes, -np.inf, np.float32),
    )
    head[0][:, present], head[1][present] = weights, bias
    whole = [*hidden, head]
    for weights_or_bias in chain.from_iterable(whole):
        weights_or_bias.setflags(write=False)
    return whole


def by_rows(f: Callable[[Array], Array], inputs: Array) -> Array:
    """Return ``f`` of inputs, some rows at a time."""
    parts = [f(inputs[start : start + ROWS]) for start in range(0, max(len(inputs), 1), ROWS)]
    return array_namespace(*parts).concat(parts)


def _mask(width: int, p: float, rng: np.random.Generator) -> Features:
    return ((rng.random(width) >= p) / (1 - p)).astype(np.float32)


def affine(x: Array, layer: Layer) -> Array:
    """Return x (b, in) through a layer, (b, out)."""
    weights, bias = layer
    return x @ device.put(weights) + device.put(bias)


def softmax(logits: Array) -> Array:
    """Return probabilities (b, C) of logits."""
    xp = array_namespace(logits)
    odds = xp.exp(logits - xp.max(logits, axis=1, keepdims=True))
    return odds / xp.sum(odds, axis=1, keepdims=True)

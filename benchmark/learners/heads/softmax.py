"""A softmax head over all classes on what is seen of the inputs, in numpy or in torch on a GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from array_api_compat import array_namespace

from ... import device
from ...types import Array, Features

ROWS = 4096  # of inputs, which may be bytes, that are held as float32 at once

Layer = tuple[Features, Features]
"""Weights (in, out) and bias (out,), read-only, so that they lie on a GPU once a process."""


class SoftmaxHead(ABC):
    """What a model says whose last layer is linear, under a softmax."""

    @property
    @abstractmethod
    def last(self) -> Layer:
        """Weights (H, C) and bias (C,) of the last layer; -inf is the bias of a class without labels."""

    @abstractmethod
    def seen(self, inputs: Array) -> Array:
        """Return what the last layer sees of some inputs (b, ...), (b, H)."""

    def scores(self, inputs: Array) -> Array:
        """Return class probabilities (b, C); exactly 0 for a class without labels."""
        return by_rows(lambda x: softmax(affine(self.seen(x), self.last)), inputs)

    def predict(self, inputs: Array) -> Array:
        scores = self.scores(inputs)
        return array_namespace(scores).argmax(scores, axis=1)

    def hidden(self, inputs: Array) -> Array:
        """Return what the last layer sees, (b, H)."""
        return by_rows(self.seen, inputs)

    def head(self) -> tuple[Array, Array]:
        weights, bias = self.last
        return device.put(weights), device.put(bias)


def by_rows(f: Callable[[Array], Array], inputs: Array) -> Array:
    """Return ``f`` of inputs, some rows at a time."""
    parts = [f(inputs[start : start + ROWS]) for start in range(0, max(len(inputs), 1), ROWS)]
    return array_namespace(*parts).concat(parts)


def affine(x: Array, layer: Layer) -> Array:
    """Return x (b, in) through a layer, (b, out)."""
    weights, bias = layer
    return x @ device.put(weights) + device.put(bias)


def softmax(logits: Array) -> Array:
    """Return probabilities (b, C) of logits."""
    xp = array_namespace(logits)
    odds = xp.exp(logits - xp.max(logits, axis=1, keepdims=True))
    return odds / xp.sum(odds, axis=1, keepdims=True)

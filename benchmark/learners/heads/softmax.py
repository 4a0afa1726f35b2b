"""A softmax head on what a subclass makes of the inputs, in numpy or in torch on a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace

from ... import device
from ...types import Array, Features
from .perceptron import affine, by_rows, softmax


@dataclass(frozen=True, eq=False)
class SoftmaxHead:
    """Weights (H, C) and a bias (C,), read-only; -inf is the bias of a class without labels."""

    weights: Features
    bias: Features

    def seen(self, inputs: Array) -> Array:
        """Return what the head sees of some inputs (b, D) float32, (b, H)."""
        raise NotImplementedError

    def scores(self, inputs: Array) -> Array:
        """Return class probabilities (b, C); exactly 0 for a class without labels."""
        return by_rows(lambda x: softmax(affine(self.seen(x), (self.weights, self.bias))), inputs)

    def predict(self, inputs: Array) -> Array:
        scores = self.scores(inputs)
        return array_namespace(scores).argmax(scores, axis=1)

    def hidden(self, inputs: Array) -> Array:
        """Return what the head sees, (b, H)."""
        return by_rows(self.seen, inputs)

    def head(self) -> tuple[Array, Array]:
        return device.put(self.weights), device.put(self.bias)

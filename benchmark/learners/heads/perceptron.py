"""A multilayer perceptron that is fitted: what it says, in numpy or in torch on a GPU, and its draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
from array_api_compat import array_namespace

from ... import device
from ...types import Array, Draw, Features, Labels
from .softmax import Layer, SoftmaxHead, affine


@dataclass(frozen=True, eq=False)
class Perceptron(SoftmaxHead):
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

    @property
    def last(self) -> Layer:
        return self.layers[-1]

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        """Return the probabilities by K draws, snapshots or else networks with units left out.

        Each of those drops the same units for all rows, the others times 1 / (1 - p).
        """
        if self.later is not None:
            return [replace(self, layers=layers).scores for layers in islice(self.later(rng), K)]
        widths = [len(bias) for _, bias in self.layers[:-1]]
        return [replace(self, masks=[mask(width, self.p, rng) for width in widths]).scores for _ in range(K)]

    def seen(self, inputs: Array) -> Array:
        xp = array_namespace(inputs)
        x = (
            xp.astype(xp.reshape(inputs, (inputs.shape[0], len(self.centre))), xp.float32) - device.put(self.centre)
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


def mask(width: int, p: float, rng: np.random.Generator) -> Features:
    """Return 0 for units (width,) that are dropped, each with chance p, and 1 / (1 - p) for the others."""
    return ((rng.random(width) >= p) / (1 - p)).astype(np.float32)

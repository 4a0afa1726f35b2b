"""A network of images that is fitted: what it says, on the CPU or a GPU, and its draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from ... import device
from ...types import Array, Draw, Features
from ..heads.perceptron import mask
from ..heads.softmax import Layer, SoftmaxHead, affine, softmax

PIXELS = {"cpu": 2**16, "cuda": 2**22}
"""Pixels of the images that go through a network at once: on a CPU, larger batches leave the caches."""


@dataclass(frozen=True, eq=False)
class Network(SoftmaxHead):
    """A body that makes H numbers of an image, and a softmax head over all C classes on them.

    Inputs (b, height, width, channels) uint8 are standardised: minus ``centre``, over ``scale``, both (channels,). The
    ``weights`` of the body that ``build`` makes lie on the CPU. Of the ``top`` layer (H, C), (C,), a class without
    labels has the bias -inf. ``p`` is the chance to drop a hidden unit in a draw; where draws are other networks,
    ``others`` trains one after the other. ``pixels`` says of how many an image is that the body enlarges.
    """

    build: Callable[[], nn.Module]
    weights: Mapping[str, torch.Tensor]
    top: Layer
    centre: Features
    scale: Features
    p: float = 0.0
    others: Callable[[np.random.Generator], Iterator[Network]] | None = None
    pixels: int = 0

    @property
    def last(self) -> Layer:
        return self.top

    def seen(self, inputs: Array) -> Array:
        """Return what the head sees, (b, H) float32: the penultimate layer."""
        size = max(8, PIXELS[device.home()] // max(self.pixels, inputs.shape[1] * inputs.shape[2]))
        with device.one_thread(), torch.no_grad():
            parts = [self._body_of(inputs[start : start + size]) for start in range(0, max(len(inputs), 1), size)]
            found = torch.cat(parts)
        return found.numpy() if isinstance(inputs, np.ndarray) else found

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        """Return the probabilities by K draws: by other networks, or with hidden units left out.

        Each of those drops the same units for all rows, the others times 1 / (1 - p). The body is asked once a block.
        """
        if self.others is not None:
            return [other.scores for other in islice(self.others(rng), K)]
        hidden, H = _Once(self.hidden), len(self.top[0])
        return [partial(self._with_mask, hidden, mask(H, self.p, rng)) for _ in range(K)]

    def _with_mask(self, hidden: Callable[[Array], Array], kept: Features, inputs: Array) -> Array:
        return softmax(affine(hidden(inputs) * device.put(kept), self.top))

    def _body_of(self, inputs: Array) -> torch.Tensor:
        centre, scale = (device.tensor(part) for part in (self.centre, self.scale))
        return features(self._body, standardised(device.tensor(inputs), centre, scale))

    @cached_property
    def _body(self) -> nn.Module:
        with torch.device("meta"):  # shapes only: the weights are there
            body = self.build()
        body.load_state_dict({name: part.to(device.home()) for name, part in self.weights.items()}, assign=True)
        return body.to(device.home()).eval()  # and what buffers of it are no weights

    def __getstate__(self) -> dict[str, Any]:
        return {name: part for name, part in self.__dict__.items() if name != "_body"}  # it may lie on a card


class _Once:
    """Remembers the last answer: all draws are asked about a block one after the other."""

    def __init__(self, ask: Callable[[Array], Array]) -> None:
        self._ask = ask
        self._asked: Array = None
        self._said: Array = None

    def __call__(self, inputs: Array) -> Array:
        if inputs is not self._asked:
            self._asked, self._said = inputs, self._ask(inputs)
        return self._said


def standardised(images: torch.Tensor, centre: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return images (b, height, width, channels) uint8 as (b, channels, height, width), channels last in memory."""
    return ((images - centre) / scale).permute(0, 3, 1, 2)


def features(body: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Return what a body makes of images, (b, H) float32; on a card its products are in bfloat16."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda, cache_enabled=False):
        found = body(images)
    return found.float()

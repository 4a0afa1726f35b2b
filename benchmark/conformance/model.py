"""A model that gives all that can be asked for, in place of a fitted learner, and depends on its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from ..seeds import generator
from ..types import Array, Draw, Features, Floats, Labels

Kind = Literal["probabilities", "decisions"]


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A linear map with ``weights`` (D, C); classes that are not ``seen`` get probability 0 or value -inf."""

    weights: Floats
    seen: Labels
    sharpness: float
    kind: Kind

    @classmethod
    def fitted(cls, inputs: Features, labels: Labels, n_classes: int, sharpness: float, kind: Kind) -> LinearModel:
        """Return the model of inputs (M, D) and labels (M,): fixed weights, and each class's mean on top of them.

        The order of the inputs is nothing to it, to the last bit: a pool that is renumbered has the same model.
        ``sharpness`` scales the decision values: 0 makes all classes equal everywhere, a large value makes
        probabilities of exactly 0 and 1.
        """
        if not len(inputs) == len(labels) > 0 or not ((labels >= 0) & (labels < n_classes)).all():
            raise ValueError(f"a model is fitted on {len(inputs)} rows with {len(labels)} labels out of {n_classes}")
        weights = generator("conformance", "weights").normal(size=(inputs.shape[1], n_classes))
        seen, centre = np.unique(labels), _mean(inputs)
        for c in seen:
            weights[:, c] += _mean(inputs[labels == c]) - centre
        return cls(weights * sharpness, seen, sharpness, kind)

    def scores(self, inputs: Array) -> Features:
        values: Floats = np.einsum("nd,dc->nc", inputs.astype(np.float64), self.weights)
        values[:, self._unseen] = -np.inf
        if self.kind == "decisions":
            return values.astype(np.float32)
        odds: Floats = np.exp(values - values.max(axis=1, keepdims=True))
        probs: Features = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return probs

    def predict(self, inputs: Array) -> Labels:
        return np.asarray(self.scores(inputs).argmax(axis=1), dtype=np.int64)

    def hidden(self, inputs: Array) -> Array:
        return inputs

    def head(self) -> tuple[Features, Features]:
        return self._head

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        jitters = [rng.normal(scale=0.5, size=self.weights.shape) * self.sharpness for _ in range(K)]
        return [replace(self, weights=self.weights + jitter).scores for jitter in jitters]

    @cached_property
    def _head(self) -> tuple[Features, Features]:
        weights, bias = self.weights.astype(np.float32), np.zeros(self.weights.shape[1], np.float32)
        weights[:, self._unseen], bias[self._unseen] = 0, -np.inf
        return weights, bias

    @cached_property
    def _unseen(self) -> Labels:
        return np.setdiff1d(np.arange(self.weights.shape[1]), self.seen)


def _mean(inputs: Features) -> Floats:
    """Return the mean (D,) of inputs (M, D), the same bits in whatever order they come."""
    mean: Floats = np.sort(inputs, axis=0).mean(axis=0, dtype=np.float64)
    return mean

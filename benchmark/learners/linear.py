"""Multinomial logistic regression, the head of the field's linear evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...strategies.kernels.gpu import logistic as logistic_gpu
from ...strategies.kernels.head.logistic import optimum
from ..device import fetch, put
from ..registry import learner
from ..types import Array, Draw, Features, Floats, Labels, Lesson
from .heads.draws import Weights, bootstrap, dropout, laplace

ROUNDED = 3e-5  # of a logit: more may not be lost to float32
BLOCK = 4096  # rows that are turned into float64 at once


@learner(
    "linear",
    cite="Multinomial logistic regression; truncated Newton: Nocedal & Wright, Numerical Optimization, 2006, chapter 7",
    version=2,
)
@dataclass(frozen=True)
class Linear:
    """Multinomial logistic regression with an L2 penalty, at its optimum.

    Minimises ``C · Σ cross-entropy + ½ ‖W‖²`` over weights W (D, C) and free intercepts. That is scikit-learn's
    objective, also in that two classes share one weight vector; probabilities agree with its optimum within 1e-4.
    How it is found is in `strategies.kernels.head.logistic`; one table has one answer, whatever was fitted before.

    ``passes`` says what other weights the labels leave possible: samples of a Laplace approximation, fits on
    bootstrap samples, or these weights with features dropped out with chance ``p`` (the fit itself knows no dropout).
    """

    C: float = 1.0
    passes: Literal["none", "laplace", "bootstrap", "dropout"] = field(default="none", metadata={"later": True})
    p: float = field(default=0.5, metadata={"later": True})

    def __post_init__(self) -> None:
        if not self.C > 0:
            raise ValueError(f"C is {self.C}; legal: a number above 0")
        if not 0 < self.p < 1:
            raise ValueError(f"p is {self.p}; legal: a chance above 0 and below 1")
        if self.p != 0.5 and self.passes != "dropout":
            raise ValueError("p is that of passes: dropout")

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a differentiable head on the embedding, and passes where it is said which."""
        given = frozenset({"probabilities", "scores", "hidden", "head"})
        return given if self.passes == "none" else given | {"passes"}

    def fit(self, lesson: Lesson) -> "LinearModel":
        """Fit on the classes that have labels; nothing is drawn: the optimum is unique."""
        features, labels, n_classes = fetch(lesson.inputs), lesson.labels, lesson.n_classes
        present, targets = np.unique(labels, return_inverse=True)
        fit = partial(_fitted, P=len(present), C=self.C)
        weights = fit(features, targets)
        prior = (2 if len(present) == 2 else 1) / self.C  # precision of a weight; w and -w share one, as in the fit
        drawn: dict[str, Weights] = {
            "laplace": partial(laplace, weights=weights, features=features, prior=prior),
            "bootstrap": partial(bootstrap, features=features, targets=targets, fit=fit),
            "dropout": partial(dropout, weights=weights, p=self.p),
        }
        return LinearModel(weights, present, n_classes, drawn.get(self.passes)).checked(features)


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Weights (D + 1, P), the last row the intercepts, for the P classes that had labels."""

    weights: Floats
    present: Labels
    n_classes: int
    drawn: Weights | None = None
    rounded: bool = True

    def checked(self, features: Features) -> "LinearModel":
        """Return this model with products in float64 if those in float32 would lose digits, as on large offsets."""
        lost = np.abs(self._logits(features) - replace(self, rounded=False)._logits(features)).max()
        return replace(self, rounded=bool(lost <= ROUNDED))

    def scores(self, inputs: Array) -> Array:
        """Return class probabilities (b, C) float32; exactly 0 for a class without labels."""
        if not isinstance(inputs, np.ndarray):
            return logistic_gpu.probabilities(inputs, self.weights, self.present, self.n_classes)
        probs = _softmax(self._logits(inputs))
        if len(self.present) == self.n_classes:
            return probs
        scores = np.zeros((len(probs), self.n_classes), np.float32)
        scores[:, self.present] = probs
        return scores

    def _logits(self, features: Features) -> NDArray[np.floating[Any]]:
        """Return logits (b, P)."""
        weights, bias = self.weights[:-1], self.weights[-1]
        if self.rounded:
            return np.asarray(features @ weights.astype(np.float32) + bias.astype(np.float32))
        blocks = [features[start : start + BLOCK] for start in range(0, len(features), BLOCK)]
        return np.concatenate([block.astype(np.float64) @ weights + bias for block in blocks])

    def predict(self, inputs: Array) -> Array:
        return self.scores(inputs).argmax(axis=1)

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        """Return the probabilities by K draws of the weights."""
        if self.drawn is None:
            raise ValueError("a linear learner with passes: none has no draws")
        return [replace(self, weights=weights).scores for weights in islice(self.drawn(rng), K)]

    def hidden(self, inputs: Array) -> Array:
        """Return the embedding itself, (b, D)."""
        return inputs

    def head(self) -> tuple[Features, Features]:
        """Return weights (D, C) and bias (C,); a class without labels has the bias -inf."""
        weights = np.zeros((len(self.weights) - 1, self.n_classes), np.float32)
        bias = np.full(self.n_classes, -np.inf, np.float32)
        weights[:, self.present], bias[self.present] = self.weights[:-1], self.weights[-1]
        return weights, bias


def _fitted(features: Features, targets: Labels, P: int, C: float) -> Floats:
    """Return the weights (D + 1, P) at the optimum for targets in [0, P)."""
    if P == 1:
        return np.zeros((features.shape[1] + 1, 1))
    there, C = put(features), C / 2 if P == 2 else C  # w and -w each pay for half of one vector 2w
    return (optimum if isinstance(there, np.ndarray) else logistic_gpu.optimum)(there, targets, P, C)


def _softmax(logits: NDArray[np.floating[Any]]) -> Features:
    """Return probabilities (b, P) float32, class by class: that is how numpy's maxima and sums are fast."""
    probs = np.ascontiguousarray(logits.T)
    probs -= probs.max(axis=0)
    np.exp(probs, out=probs)
    probs /= probs.sum(axis=0)
    return np.ascontiguousarray(probs.T, dtype=np.float32)

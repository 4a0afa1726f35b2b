"""The head of BoSS and Refine: a linear layer whose probabilities know how far a row is from the labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace

from ...strategies.kernels.parameters import check
from .. import device
from ..registry import learner
from ..types import Array, Draw, Features, Lesson
from .heads.draws import squared
from .heads.softmax import Layer, SoftmaxHead, softmax


@learner(
    "laplace-head",
    cite="Huseljic, Hahn, Herde, Sandrock and Sick, BoSS: A Best-of-Strategies Selector as an Oracle for Deep Active "
    "Learning, 2026 (arXiv 2603.13109)",
)
@dataclass(frozen=True)
class LaplaceHead:
    """A linear layer on the embedding as it is, and a Laplace approximation around it with mean-field probabilities.

    As in dal-toolbox@e9bf05c: SGD with Nesterov's momentum 0.9, rate 1e-2 as a cosine to 0, decay 5e-4, 200 epochs of
    batches of 64, from new weights in each round; the factor of the mean field is 0.4.

    The approximation is that of Liu et al. (Simple and principled uncertainty estimation ..., NeurIPS 2020), with one
    covariance for all classes: its precision is ``prior`` · I + Σ p (1 - p) x xᵀ over the labelled rows x, each with a
    1 for the intercept, and p the probability of its likeliest class. With the variance v = xᵀ Σ x the probabilities
    are softmax(logits / √(1 + ``mean_field`` · v)): the last layer sees the row over that root. What we have of the
    toolbox does not say the form of its covariance, how weights begin and what becomes of rows that fill no batch;
    weights begin as torch's linear layers do, and such rows are left out.

    A pass has weights drawn from the approximation; on average passes give about the probabilities.

    Parameters
    ----------
    rate
        The learning rate at the beginning.
    decay
        The weight decay.
    epochs
        Passes over the labelled rows.
    batch
        Rows of one step, or all that are labelled where those are fewer.
    mean_field
        How much uncertainty flattens the probabilities; at 0 not at all.
    prior
        The precision of the weights where no row says anything, above 0.
    """

    rate: float = 1e-2
    decay: float = 5e-4
    epochs: int = 200
    batch: int = 64
    mean_field: float = 0.4
    prior: float = 1.0

    def __post_init__(self) -> None:
        check("laplace-head", self, {"epochs": 1, "batch": 1, "decay": 0, "mean_field": 0}, above_0=("rate", "prior"))

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a head on the embedding over its uncertainty, and passes."""
        return frozenset({"probabilities", "scores", "hidden", "head", "passes"})

    def fit(self, lesson: Lesson) -> LaplaceModel:
        """Train on the classes that have labels; weights and batches are drawn from ``lesson.rng``."""
        from .heads.layer import Schedule, fitted  # noqa: PLC0415 - torch takes seconds to load

        schedule = Schedule(self.epochs, self.batch, "nesterov", self.rate, self.decay, cosine=True)
        weights, bias = fitted(lesson, schedule)
        x, there = _with_one(device.fetch(lesson.inputs)), np.isfinite(bias)
        weights, bias = np.vstack([weights, np.where(there, bias, 0)]), np.where(there, 0, bias)
        p = softmax(x @ weights + bias).max(axis=1).astype(np.float64)
        sizes, axes = squared(np.sqrt(p * (1 - p))[:, None] * x)
        parts = (weights, bias, axes.astype(np.float32), sizes.astype(np.float32))
        for part in parts:
            part.setflags(write=False)
        return LaplaceModel(*parts, self.prior, self.mean_field)


@dataclass(frozen=True, eq=False)
class LaplaceModel(SoftmaxHead):
    """Weights (D + 1, C), the last row the intercepts, a bias (C,), and where the labelled rows make them certain.

    Their precision is Σ size · axis axisᵀ + ``prior`` · I over ``axes`` (D + 1, L) with their ``sizes`` (L,).
    """

    weights: Features
    bias: Features
    axes: Features
    sizes: Features
    prior: float
    mean_field: float

    @property
    def last(self) -> Layer:
        return self.weights, self.bias

    def seen(self, inputs: Array) -> Array:
        """Return rows with a 1 at their end, (b, D + 1), over √(1 + mean_field · variance)."""
        xp, x = array_namespace(inputs), _with_one(inputs)
        if not self.mean_field:
            return x
        along = (x @ device.put(self.axes)) ** 2
        beside = xp.sum(x**2, axis=1) - xp.sum(along, axis=1)
        beside = xp.where(beside > 0, beside, xp.zeros_like(beside)) / self.prior
        variance = beside + xp.sum(along / (device.put(self.sizes) + self.prior), axis=1)
        return x / xp.sqrt(1 + self.mean_field * variance)[:, None]

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        """Return the probabilities by K draws of the weights."""
        alone = 1 / np.sqrt(self.prior)  # where no row says anything
        shrunk = (1 / np.sqrt(self.sizes.astype(np.float64) + self.prior) - alone)[:, None]
        drawn = []
        for _ in range(K):
            noise = rng.standard_normal(self.weights.shape)
            weights = self.weights + alone * noise + self.axes @ (shrunk * (self.axes.T @ noise))
            drawn.append(replace(self, weights=weights.astype(np.float32), mean_field=0.0).scores)
        return drawn


def _with_one(x: Array) -> Array:
    """Return rows (b, D) with a 1 at the end of each, (b, D + 1)."""
    xp = array_namespace(x)
    return xp.concat([x, xp.ones_like(x[:, :1])], axis=1)

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Features, Floats, Query, Rows
from ..kernels.distances import blocks
from ..kernels.head.boundaries import ascent, seen
from ..kernels.parameters import check
from ..kernels.scores import top


@strategy(
    "adversarial-bim",
    cite="Kurakin, Goodfellow and Bengio, Adversarial Examples in the Physical World, 2017 (arXiv 1607.02533); as a "
    "rule: Zhan, Wang, Huang, Xiong, Dou and Chan, A Comparative Survey of Deep Active Learning, 2022 "
    "(arXiv 2203.13450)",
    version=1,
    needs={"hidden", "head"},
)
@dataclass(frozen=True)
class AdversarialBIM:
    """The rows whose prediction changes after the smallest perturbation by the basic iterative method.

    h ← h + step · sign(∇ loss(h, predicted class)) until another class is predicted; the size is the distance then. h
    (H,) is what the model's last layer sees, whose head is linear, and step = ``eps`` times the standard deviation of
    the features of the unlabelled rows (the root of their mean variance): DeepAL+ has 0.05 on images that are scaled to
    deviation 1. The loss is convex in h, so each step raises it; a row whose prediction still stands after ``steps``
    comes last. Sizes are multiples of the step, and n rows of many equal ones are drawn by the query's generator.

    O(steps U H C) at most, about 5 steps at H = 512; a block at a time. Where we differ: the gradient is taken over
    1 - p of the predicted class, which has the same signs and does not vanish where p rounds to 1; DeepAL+ has no
    bound on the steps.
    """

    eps: float = 0.05
    steps: int = 100

    def __post_init__(self) -> None:
        check("adversarial-bim", self, {"steps": 1}, above_0=("eps",))

    def score(self, query: Query) -> NDArray[Any]:
        (weights, bias), hidden = seen(query.head), query.hidden
        step, sizes = self.eps * deviation(hidden), np.full(len(hidden), np.inf)
        for part in blocks(len(hidden)) if len(bias) > 1 else ():
            sizes[part] = self._sizes(hidden[part].astype(np.float64) @ weights + bias, weights, step)
        return -sizes

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

    def _sizes(self, logits: Floats, weights: Floats, step: float) -> Floats:
        """Return how many steps away each row's prediction changes, (b,), from its logits (b, P) where it stands."""
        sizes, left, start = np.full(len(logits), np.inf), np.arange(len(logits)), logits.argmax(axis=1)
        moves = np.zeros((len(logits), len(weights)))  # steps taken along each feature: whole numbers, so sizes tie
        for _ in range(self.steps):
            signs = np.sign(ascent(logits) @ weights.T)
            moves += signs
            logits = logits + step * (signs @ weights)
            changed = logits.argmax(axis=1) != start[left]
            sizes[left[changed]] = np.linalg.norm(moves[changed], axis=1)
            goes_on = ~changed & signs.any(axis=1)
            left, moves, logits = left[goes_on], moves[goes_on], logits[goes_on]
            if not len(left):
                break
        return sizes


def deviation(rows: Features) -> float:
    """Return the root of the mean variance of the features of rows (M, H)."""
    mean = rows.mean(axis=0, dtype=np.float64)
    return float(np.sqrt(sum(float(np.square(rows[part] - mean).sum()) for part in blocks(len(rows))) / rows.size))

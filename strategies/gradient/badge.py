from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Features, Floats, Query, Rows
from ..kernels.distances import SquaredDistances
from ..kernels.sampling import spread
from ..kernels.scores import argmax, fill


@strategy(
    "badge",
    cite="Ash, Zhang, Krishnamurthy, Langford and Agarwal, Deep Batch Active Learning by Diverse, Uncertain Gradient "
    "Lower Bounds, ICLR 2020 (arXiv 1906.03671)",
    version=1,
    needs={"probabilities", "hidden"},
)
@dataclass(frozen=True)
class Badge:
    """k-means++ seeds in the space of the last layer's gradients under the predicted label (Algorithm 1).

    The gradient of a row is (p - e_predicted) x [h, 1]: h is what the model's last layer sees, and the 1 is
    the head's bias (the authors' code has no such term). The first seed is the longest gradient, as in the authors'
    code; the others are drawn by D². Rows whose gradient equals a picked one come last, in random order.
    """

    def select(self, query: Query) -> Rows:
        gradients = Gradients(query.probs, query.hidden)
        first = argmax(gradients.squared_norms, query.rng)
        picks = spread(gradients, first, query.n, query.rng)
        return query.unlabelled[fill(picks, query.n, len(query.unlabelled), query.rng)]


class Gradients:
    """Distances between the gradients q x [h, 1] of U rows, factorised: memory O(U (C + D)), never (U, C D).

    With Q, H the squared norms of q and [h, 1], and a, b the squared distances between two rows' q and h:
    |q x h - q' x h'|² = (a (H + H') + b (Q + Q') + (Q - Q') (H - H') - a b) / 2, in which nothing cancels when the
    two rows are equal.
    """

    def __init__(self, probs: Features, features: Features) -> None:
        q = probs.astype(np.float64)
        q[np.arange(len(q)), probs.argmax(axis=1)] -= 1
        self._to_q, self._to_h = SquaredDistances(q), SquaredDistances(features)
        self._Q = np.einsum("uc,uc->u", q, q)
        self._H = np.einsum("ud,ud->u", features, features, dtype=np.float64) + 1
        self.squared_norms: NDArray[np.float64] = self._Q * self._H

    def __call__(self, position: int) -> NDArray[np.float64]:
        """Return the squared distances (U,) from all gradients to the one at ``position``."""
        a, b, Q, H = self._to_q(position), self._to_h(position), self._Q, self._H
        twice = a * (H + H[position]) + b * (Q + Q[position]) + (Q - Q[position]) * (H - H[position]) - a * b
        squares: Floats = np.maximum(twice, 0) / 2
        return squares

from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Features, Floats, Query, Rows
from ..kernels.distances import EPS, Closeness, Euclidean, Matrix, Positions, blocks, mended
from ..kernels.sampling import spread
from ..kernels.scores import argmax, fill


@strategy(
    "badge",
    cite="Ash, Zhang, Krishnamurthy, Langford and Agarwal, Deep Batch Active Learning by Diverse, Uncertain Gradient "
    "Lower Bounds, ICLR 2020 (arXiv 1906.03671)",
    version=2,
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
        first = argmax(gradients.Q * gradients.H, query.rng)
        picks = spread(gradients, first, query.n, query.rng)
        return query.unlabelled[fill(picks, query.n, len(query.unlabelled), query.rng)]


class Gradients:
    """Distances between the gradients q x [h, 1] of U rows, factorised: memory O(U (C + D)), never (U, C D).

    With Q, H the squared norms of q and [h, 1], and a, b the squared distances between two rows' q and h:
    |q x h - q' x h'|² = (a (H + H') + b (Q + Q') + (Q - Q') (H - H') - a b) / 2, in which nothing cancels when the
    two rows are equal.
    """

    def __init__(self, probs: Features, features: Features) -> None:
        q = probs.astype(np.float32)
        q[np.arange(len(q)), probs.argmax(axis=1)] -= 1
        self.Q, self.H = _squared_norms(q), _squared_norms(features) + 1
        self._q, self._h = Euclidean(q), Euclidean(features)
        Q, H, a, b = self.Q.max(), self.H.max(), 4 * self._q.norms.max(), 4 * self._h.norms.max()
        rounding = 8 * EPS * (a * H + b * Q + Q * H + a * b)
        self.error = float(self._q.error * (H + b / 2) + self._h.error * (Q + a / 2) + rounding)

    def __len__(self) -> int:
        return len(self.Q)

    def to(self, rows: Positions | slice, picks: Positions) -> Closeness:
        parts = self._q.to(rows, picks), self._h.to(rows, picks)
        return mended(self, self._join(*parts, rows, picks).astype(np.float32), rows, picks)

    def exact(self, rows: Positions, picks: Positions) -> Floats:
        return self._join(self._q.exact(rows, picks), self._h.exact(rows, picks), rows, picks).astype(np.float64)

    def _join(self, a: Matrix, b: Matrix, rows: Positions | slice, picks: Positions) -> Matrix:
        Q, H = self.Q[rows, None].astype(a.dtype), self.H[rows, None].astype(a.dtype)
        Q_, H_ = self.Q[picks].astype(a.dtype), self.H[picks].astype(a.dtype)
        twice = a * (H + H_) + b * (Q + Q_) + (Q - Q_) * (H - H_) - a * b
        squares: Matrix = np.maximum(twice, 0) / 2
        return squares


def _squared_norms(rows: Features) -> Floats:
    """Return the squared norms (M,) in double precision, the same for equal rows wherever they stand."""
    return np.concatenate([np.square(rows[part], dtype=np.float64).sum(axis=1) for part in blocks(len(rows))])

"""The gradients of the last layer's loss under the predicted label, and how far apart they are, factorised."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ....benchmark import device
from ....benchmark.types import Features, Floats, Labels
from ..distances import EPS, Closeness, Distances, Euclidean, Matrix, Positions, blocks, mended
from ..gpu import products as gpu

Real = TypeVar("Real", np.float32, np.float64)


def gradients(probs: Features, hidden: Features) -> Gradients | gpu.Gradients:
    """Return the distances between the gradients of U rows, from (U, C) and (U, H), where this trial computes."""
    q = errors(probs, probs.argmax(axis=1), np.float32)
    return Gradients(q, hidden) if device.active() == "cpu" else gpu.Gradients(q, hidden)


def errors(probs: Features | Floats, labels: Labels, precision: type[Real]) -> NDArray[Real]:
    """Return p - e_label of each row, (U, C): what the gradient of its loss is at the logits."""
    q = probs.astype(precision)
    q[np.arange(len(q)), labels] -= 1
    return q


class Gradients(Distances):
    """Distances between the gradients q x [h, 1] of U rows, factorised: memory O(U (C + D)), never (U, C D).

    With Q, H the squared norms of q and [h, 1], and a, b the squared distances between two rows' q and h:
    |q x h - q' x h'|² = (a (H + H') + b (Q + Q') + (Q - Q') (H - H') - a b) / 2, in which nothing cancels when the
    two rows are equal.
    """

    def __init__(self, q: Features, hidden: Features) -> None:
        self.Q, self.H = _squared_norms(q), _squared_norms(hidden) + 1
        self.squared_norms = self.Q * self.H
        self._q, self._h = Euclidean(q), Euclidean(hidden)
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

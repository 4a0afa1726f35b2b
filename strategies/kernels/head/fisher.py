"""tr(M⁻¹ F): how far the Fisher information M of some rows is from F, that of all, and the batch that makes it least.

Axes: U rows, K parameters, r columns of a row's factor V; a row adds V Vᵀ to M.
"""

from __future__ import annotations

import numpy as np

from ....benchmark.types import Floats
from ..distances import Positions
from .factors import Factors

PENDING = 96  # columns that wait until a product adds them to a matrix
ROUNDING = 1e-9  # scores that are so nearly equal, in proportion, are drawn among


def trace(ours: Factors, known: Factors, n: int, ridge: float) -> Trace:
    """Return the trace before any of the U rows ``ours`` is picked, when l rows ``known`` are labelled.

    F is the mean over all of them, M = ridge · 1 + (Σ_labelled V Vᵀ + n Σ_picked V Vᵀ) / (l + n).
    """
    together, of_labelled = len(known) + n, known.information()
    fisher = (ours.information() + of_labelled) / (len(ours) + len(known))
    inverse = np.asarray(np.linalg.inv(ridge * np.eye(len(fisher)) + of_labelled / together), np.float64)
    return Trace(ours, n / together, inverse, fisher)


def search(trace: Trace, n: int, oversample: int, rng: np.random.Generator) -> Positions:
    """Return ``n`` positions: ``oversample`` · n enter, each where the trace falls most, then all but n leave again.

    The one leaves, again and again, without which the trace rises least (BAIT, Algorithm 1).
    """
    picks: list[int] = []
    while len(picks) < min(oversample * n, len(trace.factors)):
        picks.append(trace.enterer(picks, rng))
        trace.move(picks[-1], +1)
    held, left = trace.at(np.array(picks)), np.arange(len(picks))
    while len(left) > n:
        leaver = largest(-held.rises()[left], rng)
        held.move(int(left[leaver]), -1)
        left = np.delete(left, leaver)
    return np.array(picks, dtype=np.int64)[left]


class Trace:
    """tr(M⁻¹ F) while rows enter M, ``weight`` V Vᵀ each, and leave it: what each row would change is kept, M never.

    M stands as its inverse (K, K). By Woodbury, tr((M ± V Vᵀ)⁻¹ F) = tr(M⁻¹ F) ∓ tr((1 ± VᵀM⁻¹V)⁻¹ VᵀM⁻¹FM⁻¹V).
    """

    def __init__(self, factors: Factors, weight: float, inverse: Floats, fisher: Floats) -> None:
        self.factors, self.weight, self.fisher = factors, weight, fisher
        self._inverse, self._outer = _Sum(inverse), _Sum(inverse @ fisher @ inverse)
        self._inner = weight * factors.forms(inverse)
        self._gains = weight * factors.forms(self._outer.whole())

    @property
    def inverse(self) -> Floats:
        """M⁻¹, (K, K)."""
        return self._inverse.whole()

    def at(self, positions: Positions) -> Trace:
        """Return the trace as it stands, of some rows only, made afresh: what rounding has gathered is gone."""
        return Trace(self.factors.at(positions), self.weight, self.inverse, self.fisher)

    def falls(self) -> Floats:
        """Return by how much the trace falls when a row enters, (U,)."""
        return _ratios(self._inner, self._gains)

    def rises(self) -> Floats:
        """Return by how much the trace rises when a row leaves, (U,); for rows that are in M."""
        return _ratios(-self._inner, self._gains)

    def enterer(self, inside: list[int], rng: np.random.Generator) -> int:
        """Return the position of the row, none of those ``inside``, by which the trace falls most.

        With B = VᵀM⁻¹FM⁻¹V and A = VᵀM⁻¹V the fall is tr((1 + A)⁻¹ B): at most tr B, at least tr B / (1 + tr A), so
        that it is computed only for rows whose bound is not below another's.
        """
        above = np.maximum(np.einsum("rru->u", self._gains), 0)
        above[inside] = -np.inf
        below = above / (1 + np.einsum("rru->u", self._inner))
        rivals = np.flatnonzero(above >= below.max() * (1 - ROUNDING))
        return int(rivals[largest(_ratios(self._inner[..., rivals], self._gains[..., rivals]), rng)])

    def move(self, position: int, sign: int) -> None:
        """Let the row at ``position`` enter (+1) or leave (-1)."""
        support, factor = self.factors.one(position)
        w = np.sqrt(self.weight) * factor
        inner, outer = self._inverse.times(support, w), self._outer.times(support, w)
        middle = sign * np.linalg.inv(np.eye(w.shape[1]) + sign * (w.T @ inner[support]))
        scaled = inner @ middle
        outer -= scaled @ (w.T @ outer[support]) / 2  # so that what the outer product loses is x yᵀ + y xᵀ
        seen = np.sqrt(self.weight) * self.factors.against(np.hstack([inner, outer]))
        to_inner, to_outer = np.split(seen, 2, axis=1)
        to_scaled = np.einsum("rsu,st->rtu", to_inner, middle)
        self._inner -= np.einsum("rsu,tsu->rtu", to_scaled, to_inner)
        change = np.einsum("rsu,tsu->rtu", to_scaled, to_outer)
        self._gains -= change + change.swapaxes(0, 1)
        self._inverse.add(-scaled, inner)
        self._outer.add(np.hstack([-scaled, -outer]), np.hstack([outer, scaled]))


class _Sum:
    """A symmetric matrix (K, K), and products of columns that are added to it many at a time."""

    def __init__(self, matrix: Floats) -> None:
        self._matrix = matrix
        self._left = self._right = matrix[:, :0]

    def add(self, left: Floats, right: Floats) -> None:
        """Add left rightᵀ, of columns (K, s)."""
        self._left, self._right = np.hstack([self._left, left]), np.hstack([self._right, right])
        if self._left.shape[1] > PENDING:
            self.whole()

    def times(self, support: Positions | slice, values: Floats) -> Floats:
        """Return the product with columns that are ``values`` (S, s) on their support and 0 elsewhere, (K, s)."""
        product: Floats = self._matrix[support].T @ values + self._left @ (self._right[support].T @ values)
        return product

    def whole(self) -> Floats:
        """Return the matrix with all that was added."""
        if self._left.shape[1]:
            self._matrix = self._matrix + self._left @ self._right.T
            self._left = self._right = self._matrix[:, :0]
        return self._matrix


def largest(values: Floats, rng: np.random.Generator) -> int:
    """Return the position of the largest value; among those that rounding cannot tell apart, any with equal chance."""
    best = values.max()
    return int(rng.choice(np.flatnonzero(values >= best - ROUNDING * abs(best))))


def _ratios(inner: Floats, gains: Floats) -> Floats:
    """Return tr((1 + inner)⁻¹ gains) of each row, (U,)."""
    if len(inner) == 1:
        single: Floats = gains[0, 0] / (1 + inner[0, 0])
        return single
    solved = np.linalg.solve(np.eye(len(inner)) + inner.transpose(2, 0, 1), gains.transpose(2, 0, 1))
    ratios: Floats = np.einsum("urr->u", solved)
    return ratios

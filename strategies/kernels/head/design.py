"""Optimal design with the diagonal blocks of a softmax's Fisher information: weights of the rows, and rows for them.

A row tells of class k's weights p_k (1 - p_k) h hᵀ, (d, d), and nothing of two classes together. Axes: U rows, d
dimensions, C classes, c likeliest classes of a row, n picks.
"""

from __future__ import annotations

import numpy as np

from ....benchmark.types import Features, Floats
from ..distances import Positions
from .factors import ByClass
from .fisher import largest

ENOUGH = 1e-4  # by which the objective must fall, in proportion


class Blocks:
    """The diagonal blocks of U rows, each of its c likeliest classes."""

    def __init__(self, probs: Features, hidden: Floats, classes: int) -> None:
        self.by = ByClass(probs, hidden, classes)
        self.variances = self.by.per_entry(self.by.probs * (1 - self.by.probs))

    def information(self, weights: Floats) -> Floats:
        """Return the sum of the rows' blocks with weights (U,), (C, d, d)."""
        information = np.zeros((self.by.C, self.by.H, self.by.H))
        scale = self.variances * weights[self.by.owner]
        for k, part in self.by.parts(self.by.H):
            rows = self.by.hidden[part]
            information[k] += rows.T @ (rows * scale[part, None])
        return information

    def traces(self, matrices: Floats) -> Floats:
        """Return the trace of each row's blocks with matrices (C, d, d), (U,)."""
        found = np.empty(len(self.by.hidden))
        for k, part in self.by.parts(self.by.H):
            rows = self.by.hidden[part]
            found[part] = np.einsum("ud,ud->u", rows @ matrices[k], rows)
        traces: Floats = self.by.per_row(found * self.variances).sum(axis=0)
        return traces


def relaxed(pool: Blocks, known: Floats, n: int, steps: int) -> Floats:
    """Return weights (U,) of sum ``n`` that bring tr((known + Σ z I)⁻¹ mean I) down, by entropic mirror descent.

    ``known`` (C, d, d) is what is known already, positive definite. It ends when the trace has all but stopped falling.
    """
    U = len(pool.by.top)
    z = best = np.full(U, n / U)
    mean, least = pool.information(np.full(U, 1 / U)), np.inf
    for t in range(1, steps + 1):
        inverse = np.linalg.inv(known + pool.information(z))
        trace = float(np.einsum("kde,ked->", inverse, mean))
        if trace < least:
            last, least, best = least, trace, z
            if last - least < ENOUGH * least:
                break
        falls = pool.traces(inverse @ mean @ inverse)
        if not falls.max() > 0:  # no row tells anything
            break
        z = z * np.exp(np.sqrt(2 * np.log(max(U, 2)) / t) * (falls / falls.max() - 1))
        z *= n / z.sum()
    return best


def rounded(pool: Blocks, known: Floats, z: Floats, n: int, eta: float, rng: np.random.Generator) -> Positions:
    """Return ``n`` positions for the weights z (U,): regret minimisation (Allen-Zhu, Li, Singh and Wang 2017).

    In the metric of S = known + Σ z I let B = nu · 1 + ``eta`` (known + Σ_picked I), with nu such that tr B⁻² = 1 (the
    leader that the l_1/2 regulariser follows). The next pick lowers tr B⁻¹ most, by Sherman and Morrison's formula in
    each block. In B's axes all rows take O(U c d) a pick; only the classes that a pick tells of get new axes.
    """
    values, axes = np.linalg.eigh(known + pool.information(z))
    metric = (axes / np.sqrt(values)[:, None, :]) @ axes.swapaxes(1, 2)
    seen = np.empty_like(pool.by.hidden)
    for k, part in pool.by.parts():
        seen[part] = pool.by.hidden[part] @ metric[k]
    blocks, parts = metric @ known @ metric, pool.by.slices
    spectra, squares = np.empty(blocks.shape[:2]), np.empty_like(seen)
    picks, changed = np.empty(n, np.int64), np.arange(pool.by.C)
    for i in range(n):
        for told in changed.tolist():
            spectra[told], turned = np.linalg.eigh(blocks[told])
            squares[parts[told]] = (seen[parts[told]] @ turned) ** 2
        shrunk = 1 / (leader(eta * spectra) + eta * spectra)
        falls = np.empty(len(seen))
        for k, part in enumerate(parts):
            once, twice = (squares[part] @ np.stack([shrunk[k], shrunk[k] ** 2], axis=1)).T
            scale = eta * pool.variances[part]
            falls[part] = scale * twice / (1 + scale * once)
        fall = pool.by.per_row(falls).sum(axis=0)
        fall[picks[:i]] = -np.inf
        picks[i] = largest(fall, rng)
        changed, entries = pool.by.top[picks[i]], pool.by.places[picks[i]]
        for told, entry in zip(changed.tolist(), entries.tolist(), strict=True):
            blocks[told] += pool.variances[entry] * np.outer(seen[entry], seen[entry])
    return picks


def leader(spectrum: Floats) -> float:
    """Return nu with Σ (nu + λ)⁻² = 1 over all λ, such that every nu + λ is above 0."""
    from scipy.optimize import brentq  # noqa: PLC0415 - a fifth of a second that few rules pay

    least = float(spectrum.min())
    ends = 0.999 - least, 1.001 * np.sqrt(spectrum.size) - least  # there the sum is above, and below, 1
    return float(brentq(lambda nu: np.sum((nu + spectrum) ** -2.0) - 1, *ends, xtol=1e-12))

"""The half of `logistic` that runs on a trial's GPU (torch): the same method in double precision throughout.

There a product of matrices costs next to nothing, so the preconditioner is made anew for every step, and few rows are
not brought to fewer variables. Cards for games compute slowly in double precision. Axes as in `logistic`, without its
blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....benchmark import device
from ....benchmark.types import Array, Floats, Labels
from ..head.logistic import FINE, MAX_PRODUCTS, MAX_STEPS, NOTHING, REACH, ROUGH, SMALL, TOLERANCE

if TYPE_CHECKING:  # seconds to import, for which only trials on a GPU wait
    import torch


class _Table(NamedTuple):
    """What is fitted: rows (M, K) centred, with a column of ones, targets as (M, P), and the price of an error."""

    rows: torch.Tensor
    onehot: torch.Tensor
    C: float

    def loss(self, weights: torch.Tensor, logits: torch.Tensor) -> float:
        likelihood = (logits * self.onehot).sum() - logits.logsumexp(dim=1).sum()
        return float(0.5 * (weights[:-1] ** 2).sum() - self.C * likelihood)

    def gradient(self, weights: torch.Tensor, probs: torch.Tensor) -> torch.Tensor:
        return self.C * self.rows.T @ (probs - self.onehot) + _penalised(weights)


def optimum(features: Array, targets: NDArray[np.int64], P: int, C: float) -> Floats:
    """Return weights (D + 1, P) as `logistic.optimum` does, of features (M, D) that lie on the trial's GPU."""
    import torch  # noqa: PLC0415 - see above

    x = features.double()
    centre = x.mean(dim=0)
    rows = torch.cat([x - centre, torch.ones_like(x[:, :1])], dim=1)
    onehot = torch.zeros((len(x), P), dtype=x.dtype, device=x.device)
    onehot.scatter_(1, device.put(targets)[:, None], 1.0)
    weights = _newton(_Table(rows, onehot, C))
    weights[-1] -= centre @ weights[:-1]
    return np.asarray(device.fetch(weights), dtype=np.float64)


def probabilities(inputs: Array, weights: Floats, present: Labels, n_classes: int) -> Array:
    """Return class probabilities (b, C) float32 of inputs (b, D) on the GPU; exactly 0 for a class without labels."""
    import torch  # noqa: PLC0415 - see above

    there = device.put(weights)
    logits = inputs.double() @ there[:-1] + there[-1]
    scores = torch.zeros((len(inputs), n_classes), dtype=torch.float32, device=inputs.device)
    scores[:, device.put(present)] = logits.softmax(dim=1).float()
    return scores


def _newton(table: _Table) -> torch.Tensor:
    weights = table.rows.new_zeros((table.rows.shape[1], table.onehot.shape[1]))
    logits, moved = table.rows @ weights, np.inf
    for _ in range(MAX_STEPS):
        probs = logits.softmax(dim=1)
        gradient, part = table.gradient(weights, probs), FINE if moved < SMALL else ROUGH
        step, shift = _solve(table, probs, gradient, part)
        moved = float(shift.abs().max())
        slope, before = float((gradient * step).sum()), table.loss(weights, logits)
        for length in REACH / max(REACH, moved) * 0.5 ** np.arange(30):
            there = weights + length * step, logits + length * shift
            if table.loss(*there) <= before + 1e-4 * length * slope + 1e-12 * abs(before):
                weights, logits = there
                break
        if moved * (part + moved) <= TOLERANCE:
            break
    return weights


def _solve(
    table: _Table, probs: torch.Tensor, gradient: torch.Tensor, part: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the Newton step (K, P) and by how much it moves the logits (M, P), by conjugate gradients to ``part``."""
    import torch  # noqa: PLC0415 - see above

    curvature = (1 - probs.square().sum(dim=1)) / (probs.shape[1] - 1)
    hessian = table.C * table.rows.T @ (table.rows * curvature.clamp(min=1e-12)[:, None])
    diagonal = hessian.diagonal()
    diagonal += len(hessian) * torch.finfo(hessian.dtype).eps * diagonal  # rounding must leave it positive definite
    diagonal[:-1] += 1
    factor = torch.linalg.cholesky(hessian)
    step, shift, residual = torch.zeros_like(gradient), torch.zeros_like(probs), -gradient
    direction = torch.cholesky_solve(residual, factor)
    size = float((residual * direction).sum())
    goal = max(part**2 * size, NOTHING * table.C)
    for _ in range(MAX_PRODUCTS):
        if size <= goal or float(shift.abs().max()) >= REACH:
            break
        logits = table.rows @ direction
        bent = probs * (logits - (probs * logits).sum(dim=1, keepdim=True))
        curved = table.C * table.rows.T @ bent + _penalised(direction)
        length = size / float((direction * curved).sum())
        step, shift, residual = step + length * direction, shift + length * logits, residual - length * curved
        ahead = torch.cholesky_solve(residual, factor)
        before, size = size, float((residual * ahead).sum())
        direction = ahead + (size / before) * direction
    return step, shift


def _penalised(weights: torch.Tensor) -> torch.Tensor:
    """Return the weights with 0 for the intercepts, which are free: the penalty's gradient."""
    penalised = weights.clone()
    penalised[-1] = 0
    return penalised

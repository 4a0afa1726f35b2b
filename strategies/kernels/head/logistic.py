"""Multinomial logistic regression with an L2 penalty: the optimum, by Newton's method with conjugate gradients.

Truncated Newton as in Nocedal & Wright, Numerical Optimization, 2nd edition, algorithm 7.1: each step solves
``Hessian @ step = -gradient`` by conjugate gradients, which need products with the Hessian alone, to a tenth, and
backtracks (algorithm 3.1) until the loss falls enough. Ours are three things that change the seconds, not the optimum:

- The preconditioner is the Hessian with every class given the average curvature, one Cholesky factor (K, K) for all
  classes. At the start, where all classes are equally likely, it is the Hessian itself. It is made again whenever
  conjugate gradients took longer than that.
- Where rounding to float32 is small against the least curvature (which is 1, by the penalty), products are float32,
  until a step moves no logit by more than ``SMALL``. From there logits and gradients are float64: what is left to
  float32 is the way to the optimum, not the optimum.
- Features are centred first: the free intercept takes that up, and an offset costs no digits.

When it stops: of a step that moves logits by m and solves its equation to a part e, what is missing to the optimum
afterwards is e * m (unsolved) and about m * m (the loss is no parabola; that Newton's method converges at this rate is
Nocedal & Wright's theorem 3.5, and for this loss Bach, Electronic Journal of Statistics 4, 2010, proposition 2, says
when: logits moved by less than about 1). It stops when their sum is below ``TOLERANCE``, after a float64 gradient.
An error d in logits is at most d / 2 in a probability.

Axes: M labelled rows, D features, P classes that have labels, K = min(M, D) + 1 variables a class, the last of them
the intercept; B blocks of ``BLOCK`` rows.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.floating[Any]]  # float32 or float64
Floats = NDArray[np.float64]
Factor = tuple[Floats, bool]

TOLERANCE = 1e-5  # of the logits of the rows fitted on
SMALL = 0.03  # logits moved by less: the last steps, with float64 gradients
ROUGH, FINE = 0.1, 0.01  # how far conjugate gradients reduce the residual, before and from there
ROUNDING = 0.1  # of the Hessian in float32, against the least curvature
REACH = 10.0  # of one step, in logits
NOTHING = 1e-20  # to be gained, of the loss
MAX_STEPS, MAX_ROUGH, MAX_PRODUCTS = 100, 10, 500
BLOCK = 64  # rows per product: few enough for the kernels of BLAS that need not copy the features first


def optimum(features: Array, targets: NDArray[np.int64], P: int, C: float) -> Floats:
    """Return weights (D + 1, P), the last row the intercepts, that minimise ``C · Σ cross-entropy + ½ ‖weights‖²``.

    ``targets`` (M,) are in [0, P), P at least 2; intercepts are not penalised.
    """
    centre = features.mean(axis=0, dtype=np.float64)
    if len(features) < features.shape[1]:  # the optimum lies in the span of the rows: few rows need few variables
        axes, coordinates = np.linalg.qr((features - centre).T)
        found = _newton(_blocks(coordinates.T, 0.0), _onehot(targets, P), C)
        weights = np.vstack([axes @ found[:-1], found[-1:]])
    else:
        weights = _newton(_blocks(features, centre), _onehot(targets, P), C)
    weights[-1] -= centre @ weights[:-1]
    return weights


class _Point(NamedTuple):
    """Where Newton's method stands."""

    weights: Floats  # (K, P)
    logits: Floats  # (B, BLOCK, P)
    probs: Floats  # (B, BLOCK, P)
    loss: float


def _newton(exact: Floats, onehot: Floats, C: float) -> Floats:
    """Return the weights (K, P) for rows (B, BLOCK, K), from zero."""
    K, P = exact.shape[2], onehot.shape[2]
    rows = _rounded(exact, C / P)
    here = _point(np.zeros((K, P)), np.zeros(onehot.shape), onehot, C)
    factor, spent, moved, last = _factor(rows, here.probs, C), 0, np.inf, rows is exact
    for taken in range(MAX_STEPS):
        if 4 * P * spent > K:  # products have cost the multiplications of a new factor
            factor, spent = _factor(rows, here.probs, C), 0
        gradient = _gradient(exact if last else rows, here, onehot, C)
        part = FINE if last and moved < SMALL else ROUGH
        step, shift, products = _solve(rows, here.probs, gradient, factor, C, part)
        spent += products
        here = _descend(here, step, shift, float(np.vdot(gradient, step)), onehot, C)
        moved = float(np.abs(shift).max())
        if last and moved * (part + moved) <= TOLERANCE:
            break
        if not last and (moved < SMALL or taken >= MAX_ROUGH):
            last, here = True, _point(here.weights, exact @ here.weights, onehot, C)
    return here.weights


def _solve(
    rows: Array, probs: Floats, gradient: Floats, factor: Factor, C: float, part: float
) -> tuple[Floats, Floats, int]:
    """Return the Newton step (K, P), by how much it moves the logits, and the products taken.

    Preconditioned conjugate gradients (Nocedal & Wright, algorithm 5.3) until the residual has fallen to ``part``.
    """
    rounded = probs.astype(rows.dtype)
    step, shift, residual = np.zeros_like(gradient), np.zeros_like(probs), -gradient
    ahead = direction = cho_solve(factor, residual, check_finite=False)
    size = float(np.vdot(residual, ahead))
    goal, products = max(part**2 * size, NOTHING * C), 0
    while size > goal and products < MAX_PRODUCTS and np.abs(shift).max() < REACH:
        logits = rows @ direction.astype(rows.dtype)
        bent = rounded * (logits - np.einsum("bmp,bmp->bm", rounded, logits)[..., None])
        curved = C * _transposed(rows, bent) + _penalised(direction)
        length = size / float(np.vdot(direction, curved))
        step += length * direction
        shift += length * logits
        residual -= length * curved
        ahead = cho_solve(factor, residual, check_finite=False)
        before, size = size, float(np.vdot(residual, ahead))
        direction = ahead + (size / before) * direction
        products += 1
    return step, shift, products


def _descend(here: _Point, step: Floats, shift: Floats, slope: float, onehot: Floats, C: float) -> _Point:
    """Take the longest of the step, its half, its quarter, ... that lowers the loss as its slope promises."""
    longest = REACH / max(REACH, float(np.abs(shift).max()))
    for length in longest * 0.5 ** np.arange(30):
        there = _point(here.weights + length * step, here.logits + length * shift, onehot, C)
        if there.loss <= here.loss + 1e-4 * length * slope + 1e-12 * abs(here.loss):
            return there
    return here


def _point(weights: Floats, logits: Floats, onehot: Floats, C: float) -> _Point:
    probs = logits - logits.max(axis=2, keepdims=True)
    likelihood = float(np.vdot(probs, onehot))
    np.exp(probs, out=probs)
    total = np.einsum("bmp->bm", probs)
    probs /= total[..., None]
    loss = C * (float(np.log(total).sum()) - likelihood) + 0.5 * float(np.vdot(weights, _penalised(weights)))
    return _Point(weights, logits, probs, loss)


def _gradient(rows: Array, here: _Point, onehot: Floats, C: float) -> Floats:
    return C * _transposed(rows, (here.probs - onehot).astype(rows.dtype)) + _penalised(here.weights)


def _factor(rows: Array, probs: Floats, C: float) -> Factor:
    """Return the Cholesky factor of the Hessian (K, K) of a class of average curvature."""
    curvature = (1 - np.einsum("bmp,bmp->bm", probs, probs)) / (probs.shape[2] - 1)
    scaled = (rows * np.sqrt(np.maximum(curvature, 1e-12)).astype(rows.dtype)[..., None]).reshape(-1, rows.shape[2])
    hessian = C * (scaled.T @ scaled).astype(np.float64)
    diagonal = np.einsum("ii->i", hessian)
    diagonal += len(hessian) * np.finfo(rows.dtype).eps * diagonal  # rounding must leave it positive definite
    diagonal[:-1] += 1
    factor, lower = cho_factor(hessian, overwrite_a=True, check_finite=False)
    return factor, lower


def _rounded(rows: Floats, curvature: float) -> Array:
    """Return the rows in float32 where the Hessian's rounding error, at most eps · its trace, is harmless there."""
    rounded = rows.astype(np.float32)
    error = np.finfo(np.float32).eps * curvature * float(np.vdot(rounded, rounded))
    return rounded if error <= ROUNDING else rows


def _penalised(weights: Floats) -> Floats:
    """Return the weights with 0 for the intercepts, which are free: the penalty's gradient."""
    return np.concatenate([weights[:-1], np.zeros_like(weights[-1:])])


def _transposed(rows: Array, columns: Array) -> Floats:
    """Return rows.T @ columns, (K, P), summed over the blocks."""
    return np.asarray(np.matmul(columns.swapaxes(1, 2), rows).sum(axis=0).T, dtype=np.float64)


def _blocks(features: Array, centre: Floats | float) -> Floats:
    """Return features - centre with a column of ones, (B, BLOCK, K), padded with rows of zeros: a constant loss."""
    M, D = features.shape
    rows = np.zeros((-(-M // BLOCK) * BLOCK, D + 1))
    np.subtract(features, centre, out=rows[:M, :D])
    rows[:M, D] = 1
    return rows.reshape(-1, BLOCK, D + 1)


def _onehot(targets: NDArray[np.int64], P: int) -> Floats:
    """Return (B, BLOCK, P)."""
    onehot = np.zeros((-(-len(targets) // BLOCK) * BLOCK, P))
    onehot[np.arange(len(targets)), targets] = 1
    return onehot.reshape(-1, BLOCK, P)

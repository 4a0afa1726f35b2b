"""Multinomial logistic regression, the head of the field's linear evaluations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax

from ..registry import learner
from ..types import Features, Floats, Labels

LARGE = 1_000_000  # entries of the features from which products are float32: twice as fast, exact to about 1e-6
BLOCK = 64  # rows per product: small enough for the kernels of BLAS that work without repacking the features
TOLERANCE = 1e-8  # a step that promises to lower the cross-entropy by less (in nats over all rows) is the last one
MAX_STEPS, MAX_INNER, MAX_HALVINGS = 100, 200, 30

Blocks = NDArray[np.floating]  # (B, BLOCK, D + 1) or (B, P, BLOCK)


@learner(
    "linear",
    cite="Multinomial logistic regression; truncated Newton: Dembo & Steihaug, Math. Programming 26, 1983",
)
@dataclass(frozen=True)
class Linear:
    """Multinomial logistic regression with an L2 penalty, by Newton's method to convergence from zero.

    Minimises ``C · Σ cross-entropy + ½ ‖W‖²`` over weights W (D, C) and free intercepts. That is scikit-learn's
    objective, also in that two classes share one weight vector; probabilities agree with its optimum within 1e-4.
    Newton's equations are solved by conjugate gradients, roughly at first and better towards the end. The
    preconditioner is the Hessian at zero, which makes the work nearly independent of the scale of the features.
    Sums over blocks of rows and all that is not a product with the features are float64.
    """

    C: float = 1.0

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a differentiable head on the embedding."""
        return frozenset({"probabilities", "scores", "head"})

    def fit(self, features: Features, labels: Labels, n_classes: int, rng: np.random.Generator) -> "LinearModel":
        """Fit on the classes that have labels; ``rng`` is not used: the optimum is unique."""
        present, targets = np.unique(labels, return_inverse=True)
        C = self.C / 2 if len(present) == 2 else self.C  # w and -w each pay for half of one vector 2w
        weights = _Problem(features, targets, len(present), C).solve()
        return LinearModel(weights.T, present, n_classes)


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Weights (D + 1, P), the last row the intercepts, for the P classes that had labels."""

    weights: Floats
    present: Labels
    n_classes: int

    def scores(self, features: Features) -> Floats:
        """Return class probabilities (M, C); exactly 0 for a class without labels."""
        logits = features @ self.weights[:-1].astype(features.dtype) + self.weights[-1]
        probs = np.zeros((len(features), self.n_classes))
        probs[:, self.present] = softmax(logits, axis=1)
        return probs

    def predict(self, features: Features) -> Labels:
        return np.asarray(self.scores(features).argmax(axis=1), dtype=np.int64)


class _Problem:
    """The objective on features padded with a column of ones and with rows of zeros, which add a constant to it."""

    def __init__(self, features: Features, targets: Labels, P: int, C: float) -> None:
        n, D = features.shape
        rows = -(-n // BLOCK) * BLOCK
        dtype = np.float32 if features.size >= LARGE else np.float64
        padded = np.zeros((rows, D + 1), dtype=dtype)
        padded[:n, :D], padded[:n, D] = features, 1.0
        onehot = np.zeros((rows, P), dtype=dtype)
        onehot[np.arange(n), targets] = 1.0
        self.X: Blocks = padded.reshape(-1, BLOCK, D + 1)
        self.onehot: Blocks = onehot.reshape(-1, BLOCK, P).swapaxes(1, 2).copy()
        self.C = C
        self.penalty = np.append(np.ones(D), 0.0)

    def solve(self) -> Floats:
        """Return the optimal weights (P, D + 1)."""
        weights, logits = np.zeros((self.onehot.shape[1], self.X.shape[2])), np.zeros(self.onehot.shape)
        loss, probs = self._loss(weights, logits)
        inverse = self._inverse(probs)
        for _ in range(MAX_STEPS):
            gradient = self._back(probs - self.onehot) + self.penalty * weights
            step = self._newton(gradient, probs.astype(self.X.dtype), inverse)
            decrease, size = -float(np.vdot(gradient, step)), 1.0
            if not decrease > TOLERANCE * self.C:
                return weights + step
            change = self._logits(step)
            for _ in range(MAX_HALVINGS):
                new, new_probs = self._loss(weights + size * step, logits + size * change)
                if new <= loss - 1e-4 * size * decrease:
                    break
                size /= 2
            else:  # rounding hides any further progress
                break
            weights, logits, loss, probs = weights + size * step, logits + size * change, new, new_probs
        return weights

    def _newton(self, gradient: Floats, probs: Blocks, inverse: Floats) -> Floats:
        """Solve Hessian · step = -gradient by preconditioned conjugate gradients, the better the smaller it gets."""
        step, residual = np.zeros_like(gradient), -gradient
        direction = residual @ inverse
        square = first = float(np.vdot(residual, direction))
        tolerance = min(0.25, first**0.5) * first
        for _ in range(MAX_INNER):
            moved = probs * self._logits(direction)
            moved -= probs * moved.sum(axis=1, keepdims=True)
            curved = self._back(moved) + self.penalty * direction
            bend = float(np.vdot(direction, curved))
            if not bend > 0:  # nothing is left to move along, or a feature is not a number
                break
            length = square / bend
            step += length * direction
            residual -= length * curved
            better = residual @ inverse
            before, square = square, float(np.vdot(residual, better))
            if square <= tolerance:
                break
            direction = better + square / before * direction
        return step

    def _loss(self, weights: Floats, logits: Floats) -> tuple[float, Floats]:
        """Return the objective and the probabilities (B, P, BLOCK)."""
        shifted = logits - logits.max(axis=1, keepdims=True)
        probs = np.exp(shifted)
        total = probs.sum(axis=1, keepdims=True)
        entropy = np.log(total).sum() - np.vdot(shifted, self.onehot)
        return float(self.C * entropy + 0.5 * np.vdot(weights, self.penalty * weights)), probs / total

    def _inverse(self, probs: Floats) -> Floats:
        """Invert the class average of the Hessian (D + 1, D + 1) at probabilities that are the same for all rows."""
        rows = self.X.reshape(-1, self.X.shape[2])
        curvature = self.C * float(np.mean(probs[0] * (1 - probs[0])))
        hessian = curvature * (rows.T @ rows).astype(np.float64)
        ridge = 1e-5 * hessian.diagonal() + self.penalty + 1e-6  # what rounding may take away, and the penalty
        hessian[np.diag_indices_from(hessian)] += ridge
        return np.asarray(cho_solve(cho_factor(hessian), np.eye(len(hessian))))

    def _logits(self, weights: Floats) -> Blocks:
        return np.asarray(np.matmul(weights.astype(self.X.dtype), self.X.swapaxes(1, 2)))

    def _back(self, rows: Blocks) -> Floats:
        """Return C · rows · X (P, D + 1), summed over all rows: the derivative by the weights."""
        sums = np.matmul(rows.astype(self.X.dtype, copy=False), self.X).sum(axis=0, dtype=np.float64)
        return np.asarray(self.C * (sums - sums.mean(axis=0)))  # the classes sum to 0, but for rounding

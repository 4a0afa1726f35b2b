"""Multinomial logistic regression, the head of the field's linear evaluations."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import softmax

from ..registry import learner
from ..types import Features, Floats, Labels

# The first stage walks most of the way on float32 products (where they are faster), the second to convergence.
STAGES = ((np.float32, 3e-2), (np.float64, 1e-7))
LARGE = 1_000_000  # entries of the features from which the first stage pays
MEMORY, MAX_ITERATIONS = 20, 1000


@learner("linear", cite="Multinomial logistic regression; L-BFGS: Liu & Nocedal, Math. Programming 45, 1989")
@dataclass(frozen=True)
class Linear:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS to convergence from zero.

    Minimises ``C · Σ cross-entropy + ½ ‖W‖²`` over weights W (D, C) and free intercepts. That is scikit-learn's
    objective, also in that two classes share one weight vector; probabilities agree with its optimum within 1e-4.
    The variables are whitened by the weighted Gram matrix of the
    features, which makes the number of iterations nearly independent of their scale; the optimum is the same.
    """

    C: float = 1.0

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a differentiable head on the embedding."""
        return frozenset({"probabilities", "scores", "head"})

    def fit(self, features: Features, labels: Labels, n_classes: int, rng: np.random.Generator) -> "LinearModel":
        """Fit on the classes that have labels; ``rng`` is not used: the optimum is unique."""
        present, targets = np.unique(labels, return_inverse=True)
        weights = np.zeros((features.shape[1] + 1, len(present)))
        C = self.C / 2 if len(present) == 2 else self.C  # w and -w each pay for half of one vector 2w
        if len(present) > 1:
            for dtype, tolerance in STAGES if features.size >= LARGE else STAGES[1:]:
                weights = _descend(features.astype(dtype, copy=False), targets, weights, C, tolerance)
        return LinearModel(weights, present, n_classes)


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


def _descend(X: NDArray[np.floating], targets: Labels, weights: Floats, C: float, tolerance: float) -> Floats:
    """Run L-BFGS in whitened variables until every component of the whitened gradient is below the tolerance."""
    half = _whitener(X, softmax(_logits(X, weights), axis=1), C)
    back = solve_triangular(half, np.eye(len(half)))  # from whitened variables to weights
    onehot = np.eye(weights.shape[1], dtype=X.dtype)[targets]
    result = minimize(
        partial(_objective, X=X, onehot=onehot, C=C, back=back),
        (half @ weights).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": tolerance, "ftol": 0.0, "maxcor": MEMORY, "maxiter": MAX_ITERATIONS, "maxls": 40},
    )
    return np.asarray(back @ result.x.reshape(weights.shape))


def _objective(
    whitened: Floats, *, X: NDArray[np.floating], onehot: NDArray[np.floating], C: float, back: Floats
) -> tuple[float, Floats]:
    """Return the loss and its gradient in whitened variables."""
    weights = back @ whitened.reshape(len(back), -1)
    residual = _logits(X, weights)  # (M, P): logits, then probabilities, then their error, in place
    residual -= residual.max(axis=1, keepdims=True)
    likelihood = float(np.vdot(residual, onehot))
    np.exp(residual, out=residual)
    total = residual.sum(axis=1, keepdims=True)
    loss = C * (float(np.log(total).sum(dtype=np.float64)) - likelihood) + 0.5 * float(
        np.vdot(weights[:-1], weights[:-1])
    )
    residual /= total
    residual -= onehot
    gradient = np.empty_like(weights)
    gradient[:-1] = C * (residual.T @ X).T + weights[:-1]
    gradient[-1] = C * residual.sum(axis=0, dtype=np.float64)
    return loss, (back.T @ gradient).ravel()


def _whitener(X: NDArray[np.floating], probs: NDArray[np.floating], C: float) -> Floats:
    """Upper Cholesky factor of the Hessian's class average (D + 1, D + 1) at these probabilities (M, P)."""
    curvature = (probs * (1 - probs)).mean(axis=1, keepdims=True)  # (M, 1)
    root = np.hstack([X, np.ones((len(X), 1), dtype=X.dtype)]) * np.sqrt(C * curvature)
    hessian = (root.T @ root).astype(np.float64)
    ridge = np.ones(len(hessian))
    ridge[-1] = 1e-6 + 1e-3 * hessian[-1, -1]  # the intercept is not penalised; only kept away from a zero pivot
    hessian[np.diag_indices_from(hessian)] += ridge
    return np.asarray(cholesky(hessian))


def _logits(X: NDArray[np.floating], weights: Floats) -> NDArray[np.floating]:
    logits: NDArray[np.floating] = X @ weights[:-1].astype(X.dtype)
    logits += weights[-1].astype(X.dtype)
    return logits

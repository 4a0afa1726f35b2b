"""Multinomial logistic regression, the head of the field's linear evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import softmax

from ..device import fetch
from ..registry import learner
from ..types import Array, Draw, Features, Floats, Labels, Lesson
from .heads.draws import Weights, bootstrap, dropout, laplace

TOLERANCE = 1e-8  # of every component of the whitened gradient, which has no units
BLOCK = 64  # rows per product: few enough for the kernels of BLAS that need not copy the features first
MEMORY, MAX_ITERATIONS = 20, 1000

Blocks = NDArray[np.float64]  # (B, BLOCK, D + 1) features, (B, BLOCK, P) logits and the like


@learner("linear", cite="Multinomial logistic regression; L-BFGS: Liu & Nocedal, Math. Programming 45, 1989")
@dataclass(frozen=True)
class Linear:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS to convergence from zero.

    Minimises ``C · Σ cross-entropy + ½ ‖W‖²`` over weights W (D, C) and free intercepts. That is scikit-learn's
    objective, also in that two classes share one weight vector; probabilities agree with its optimum within 1e-4.
    The variables are whitened by the Gram matrix of the features, which makes the number of iterations
    nearly independent of their scale; the optimum is the same.

    ``passes`` says what other weights the labels leave possible: samples of a Laplace approximation, fits on
    bootstrap samples, or these weights with features dropped out with chance ``p`` (the fit itself knows no dropout).
    """

    C: float = 1.0
    passes: Literal["none", "laplace", "bootstrap", "dropout"] = field(default="none", metadata={"later": True})
    p: float = field(default=0.5, metadata={"later": True})

    def __post_init__(self) -> None:
        if not self.C > 0:
            raise ValueError(f"C is {self.C}; legal: a number above 0")
        if not 0 < self.p < 1:
            raise ValueError(f"p is {self.p}; legal: a chance above 0 and below 1")
        if self.p != 0.5 and self.passes != "dropout":
            raise ValueError("p is that of passes: dropout")

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a differentiable head on the embedding, and passes where it is said which."""
        given = frozenset({"probabilities", "scores", "hidden", "head"})
        return given if self.passes == "none" else given | {"passes"}

    def fit(self, lesson: Lesson) -> "LinearModel":
        """Fit on the classes that have labels; nothing is drawn: the optimum is unique."""
        features, labels, n_classes = fetch(lesson.inputs), lesson.labels, lesson.n_classes
        present, targets = np.unique(labels, return_inverse=True)
        fit = partial(_fitted, P=len(present), C=self.C)
        weights = fit(features, targets)
        prior = (2 if len(present) == 2 else 1) / self.C  # precision of a weight; w and -w share one, as in the fit
        drawn: dict[str, Weights] = {
            "laplace": partial(laplace, weights=weights, features=features, prior=prior),
            "bootstrap": partial(bootstrap, features=features, targets=targets, fit=fit),
            "dropout": partial(dropout, weights=weights, p=self.p),
        }
        return LinearModel(weights, present, n_classes, drawn.get(self.passes))


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Weights (D + 1, P), the last row the intercepts, for the P classes that had labels."""

    weights: Floats
    present: Labels
    n_classes: int
    drawn: Weights | None = None

    def scores(self, inputs: Array) -> Features:
        """Return class probabilities (b, C); exactly 0 for a class without labels."""
        features = fetch(inputs)
        logits = features @ self.weights[:-1].astype(features.dtype) + self.weights[-1]
        probs = np.zeros((len(features), self.n_classes), np.float32)
        probs[:, self.present] = softmax(logits, axis=1)
        return probs

    def predict(self, inputs: Array) -> Labels:
        return np.asarray(self.scores(inputs).argmax(axis=1), dtype=np.int64)

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        """Return the probabilities by K draws of the weights."""
        if self.drawn is None:
            raise ValueError("a linear learner with passes: none has no draws")
        return [replace(self, weights=weights).scores for weights in islice(self.drawn(rng), K)]

    def hidden(self, inputs: Array) -> Array:
        """Return the embedding itself, (b, D)."""
        return inputs

    def head(self) -> tuple[Features, Features]:
        """Return weights (D, C) and bias (C,); a class without labels has the bias -inf."""
        weights = np.zeros((len(self.weights) - 1, self.n_classes), np.float32)
        bias = np.full(self.n_classes, -np.inf, np.float32)
        weights[:, self.present], bias[self.present] = self.weights[:-1], self.weights[-1]
        return weights, bias


def _fitted(features: Features, targets: Labels, P: int, C: float) -> Floats:
    """Return the weights (D + 1, P) at the optimum for targets in [0, P)."""
    if P == 1:
        return np.zeros((features.shape[1] + 1, 1))
    C = C / 2 if P == 2 else C  # w and -w each pay for half of one vector 2w
    rows, axes = _spanned(features)
    weights = _optimum(*_blocks(rows, targets, P), C)
    return np.vstack([axes @ weights[:-1], weights[-1:]])


def _spanned(features: Features) -> tuple[Floats, Floats]:
    """Return rows (M, K) and orthonormal axes (D, K) with features = rows @ axes.T, K the lesser of M and D.

    The optimum lies in the span of the rows (the penalty alone speaks of the rest), so few rows need few variables.
    """
    if len(features) >= features.shape[1]:
        return features.astype(np.float64), np.eye(features.shape[1])
    axes, rows = np.linalg.qr(features.T.astype(np.float64))
    return rows.T, axes


def _blocks(features: Floats, targets: Labels, P: int) -> tuple[Blocks, Blocks]:
    """Return features with a column of ones, and one-hot targets, padded with rows of zeros (a constant loss)."""
    n, D = features.shape
    rows = -(-n // BLOCK) * BLOCK
    X, onehot = np.zeros((rows, D + 1)), np.zeros((rows, P))
    X[:n, :D], X[:n, D] = features, 1
    onehot[np.arange(n), targets] = 1
    return X.reshape(-1, BLOCK, D + 1), onehot.reshape(-1, BLOCK, P)


def _optimum(X: Blocks, onehot: Blocks, C: float) -> Floats:
    """Run L-BFGS in whitened variables from zero; return the weights (D + 1, P)."""
    half = _whitener(X, onehot.shape[2], C)
    back = solve_triangular(half, np.eye(len(half)))  # from whitened variables to weights
    result = minimize(
        partial(_objective, X=X, onehot=onehot, C=C, back=back),
        np.zeros(len(half) * onehot.shape[2]),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": TOLERANCE, "ftol": 0.0, "maxcor": MEMORY, "maxiter": MAX_ITERATIONS, "maxls": 40},
    )
    return np.asarray(back @ result.x.reshape(len(half), -1))


def _objective(whitened: Floats, *, X: Blocks, onehot: Blocks, C: float, back: Floats) -> tuple[float, Floats]:
    """Return the loss and its gradient in whitened variables."""
    weights = back @ whitened.reshape(len(back), -1)
    penalised = weights.copy()
    penalised[-1] = 0  # intercepts are free
    residual = np.matmul(X, weights)  # logits, then probabilities, then their error, in place
    residual -= residual.max(axis=2, keepdims=True)
    likelihood = float(np.vdot(residual, onehot))
    np.exp(residual, out=residual)
    total = residual.sum(axis=2, keepdims=True)
    loss = C * (float(np.log(total).sum()) - likelihood) + 0.5 * float(np.vdot(penalised, weights))
    residual /= total
    residual -= onehot
    gradient = C * np.matmul(residual.swapaxes(1, 2), X).sum(axis=0).T + penalised
    return loss, (back.T @ gradient).ravel()


def _whitener(X: Blocks, P: int, C: float) -> Floats:
    """Upper Cholesky factor of the Hessian's class average (D + 1, D + 1) at zero, where all P classes are alike."""
    rows = X.reshape(-1, X.shape[2])
    hessian = C * (P - 1) / P**2 * (rows.T @ rows)
    ridge = np.ones(len(hessian))
    ridge[-1] = 1e-6 + 1e-3 * hessian[-1, -1]  # the intercept is not penalised; only kept away from a zero pivot
    hessian[np.diag_indices_from(hessian)] += ridge
    return np.asarray(cholesky(hessian))

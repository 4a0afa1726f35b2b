"""Where the passes of a softmax head come from: endless draws of its weights, each a model of its own.

Weights are (D + 1, P), the last row the intercepts, for the P classes that have labels, in numpy. What comes first does
not depend on how many draws are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import softmax

from ....strategies.kernels.sampling import resampled
from ...types import Features, Floats, Labels

Weights = Callable[[np.random.Generator], Iterator[Floats]]
"""Endless draws of the weights of one model."""

EXACT = 700  # weights whose covariance is held as it is: 4 MiB, and about a second for 10,000 labels


def dropout(rng: np.random.Generator, weights: Floats, p: float) -> Iterator[Floats]:
    """Yield the weights with each feature left out with chance ``p``, the others times 1 / (1 - p).

    To leave out a feature is to leave out its row of the weights: one mask is one function for all rows of a pool
    (Gal & Ghahramani, Dropout as a Bayesian approximation, ICML 2016, draw a mask a row; joint entropies need ours).
    """
    while True:
        drawn = weights.copy()
        drawn[:-1] *= (rng.random((len(weights) - 1, 1)) >= p) / (1 - p)
        yield drawn


def bootstrap(
    rng: np.random.Generator, features: Features, targets: Labels, fit: Callable[[Features, Labels], Floats]
) -> Iterator[Floats]:
    """Yield fits on bootstrap samples of the rows (M, D) and targets (M,) in [0, P).

    Breiman, Bagging predictors, Machine Learning 24, 1996. Nothing is fitted before it is asked for.
    """
    while True:
        rows = resampled(rng, targets)
        yield fit(features[rows], targets[rows])


def laplace(rng: np.random.Generator, weights: Floats, features: Features, prior: float) -> Iterator[Floats]:
    """Yield samples of the Laplace approximation around ``weights``, fitted on features (M, D).

    Daxberger et al., Laplace Redux, NeurIPS 2021, section 3.1, of the last layer: a Gaussian whose precision is that
    of the loss, H = Σ Λ ⊗ x xᵀ + prior · I with Λ = diag(p) - p pᵀ. Up to ``EXACT`` weights it is H itself; beyond,
    Σ Λ ⊗ x xᵀ is one Kronecker product A ⊗ B. The paper's takes x and Λ as independent; ours has the partial traces
    of the sum, over classes and over features. The intercepts, which the fit leaves free, have the weights' prior
    here, so that H has an inverse.
    """
    table = np.hstack([features.astype(np.float64), np.ones((len(features), 1))])
    p = softmax(table @ weights, axis=1)
    spread = (_exact if weights.size <= EXACT else _kronecker)(table, p, prior)
    while True:
        yield weights + spread(rng.standard_normal(weights.shape))


def _exact(table: Floats, p: Floats, prior: float) -> Callable[[Floats], Floats]:
    """Return what gives white noise (K, P) the covariance H⁻¹: H = L Lᵀ, noise to L⁻ᵀ noise."""
    (M, K), P = table.shape, p.shape[1]
    H = np.empty((K, P, K, P))
    for c in range(P):
        bent = p[:, c, None] * (np.eye(P)[c] - p)  # row c of each Λ
        H[:, c] = (table.T @ (table[:, :, None] * bent[:, None]).reshape(M, K * P)).reshape(K, K, P)
    L = cholesky(H.reshape(K * P, K * P) + prior * np.eye(K * P), lower=True)
    return lambda noise: np.asarray(solve_triangular(L, noise.ravel(), lower=True, trans="T").reshape(K, P))


def _kronecker(table: Floats, p: Floats, prior: float) -> Callable[[Floats], Floats]:
    """Return the same for H = A ⊗ B + prior · I, from the eigenvectors of both: noise · 1 / √eigenvalue."""
    traces, sizes = 1 - np.sum(p**2, axis=1), np.sum(table**2, axis=1)  # of Λ, and of x xᵀ
    B = np.diag(sizes @ p) - (sizes[:, None] * p).T @ p  # Σ |x|² Λ
    b, U = np.linalg.eigh(B / max(float(traces @ sizes), np.finfo(float).tiny))  # so that tr(A ⊗ B) is that of the sum
    a, V = squared(np.sqrt(traces)[:, None] * table)
    alone = 1 / np.sqrt(prior)  # where no row says anything
    shrunk = 1 / np.sqrt(np.outer(a, np.maximum(b, 0)) + prior) - alone
    return lambda noise: alone * noise + V @ (shrunk * (V.T @ noise @ U)) @ U.T


def squared(rows: Floats) -> tuple[Floats, Floats]:
    """Return the eigenvalues (L,) and eigenvectors (K, L) of rowsᵀ rows, (K, K), that may be other than 0."""
    if len(rows) < rows.shape[1]:
        _, sizes, axes = np.linalg.svd(rows, full_matrices=False)
        return sizes**2, axes.T
    values, axes = np.linalg.eigh(rows.T @ rows)
    return np.maximum(values, 0), axes

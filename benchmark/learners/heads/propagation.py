"""Labels that spread over the graph of a pool: its weights, the two published ways to spread, how certain the outcome.

Axes: N rows of the pool, M labelled, P classes that have labels. On the CPU, by scipy, whatever the device: a head is
what lies there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg
from scipy.special import entr

from ....strategies.kernels.distances import unit_rows
from ....strategies.kernels.graphs import nearest_neighbours
from ...types import Arrays, Derived, Features, Floats, Labels, Rows

TOLERANCE = 1e-6  # of conjugate gradients, as in the code of Siméoni et al.

Affinity = Callable[[Floats], Floats]
"""From the distances of unit rows to weights of edges, 0 or more."""


def graph(derived: Derived, name: str, neighbours: int, affinity: Affinity) -> sparse.csr_array:
    """Return S = D^-½ W D^-½ (N, N) float32 of the pool's unit rows, W = A + Aᵀ, computed once per pool and ``name``.

    A has the affinity of each row to its ``neighbours`` nearest others, D the sums of W. A row that is near nobody has
    no edge.
    """

    def compute(features: Features, _: np.random.Generator) -> Arrays:
        ids, far = nearest_neighbours(unit_rows(features), neighbours)
        W = _symmetric(ids, affinity(far))
        sums = W.sum(axis=1)
        scale = np.divide(1, np.sqrt(sums), out=np.zeros_like(sums), where=sums > 0)
        S = (sparse.diags_array(scale) @ W @ sparse.diags_array(scale)).tocsr().astype(np.float32)
        return {"data": S.data, "indices": S.indices, "indptr": S.indptr}

    found = derived.get(f"label-graph/1/{name}/{neighbours}", compute)
    N = len(found["indptr"]) - 1
    return sparse.csr_array((found["data"], found["indices"], found["indptr"]), shape=(N, N))


def _symmetric(ids: Any, weights: Floats) -> sparse.csr_array:  # ids (N, K) of any integers
    N, K = ids.shape
    A = sparse.csr_array((weights.ravel(), ids.ravel(), K * np.arange(N + 1)), shape=(N, N))
    return (A + A.T).tocsr()


def clamped(S: sparse.csr_array, rows: Rows, targets: Labels, P: int, alpha: float, iterations: int) -> Features:
    """Return F (N, P) after F ← ``alpha`` S F from 0, the labelled rows set to their labels before each and at the end.

    The label propagation of Gupte et al. (ALFM): for the others it tends to (I - alpha S)⁻¹ alpha S Y on their part of
    the graph.
    """
    Y = np.eye(P, dtype=np.float32)[targets]
    F = np.zeros((S.shape[0], P), np.float32)
    F[rows] = Y
    for _ in range(iterations):
        F = np.float32(alpha) * (S @ F)
        F[rows] = Y
    return F


def diffused(S: sparse.csr_array, rows: Rows, targets: Labels, P: int, alpha: float, iterations: int) -> Features:
    """Return F (N, P) that solves (I - ``alpha`` S) F = Y by conjugate gradients, what is below 0 set to 0.

    They end after so many ``iterations``, or where the residual has fallen to `TOLERANCE` of Y. Each label has one over
    the number of its class in Y (Iscen et al. 2019; ``diffusion.py`` of Siméoni et al.).
    """
    Y = np.zeros((S.shape[0], P))
    Y[rows, targets] = (1 / np.bincount(targets, minlength=P))[targets]
    system = sparse.eye_array(S.shape[0]) - alpha * S.astype(np.float64)
    F = np.column_stack([cg(system, y, rtol=TOLERANCE, maxiter=iterations)[0] for y in Y.T])
    found: Features = np.maximum(F, 0).astype(np.float32)
    return found


def certainty(F: Features) -> Features:
    """Return 1 - H / log P (N,) of the shares that each row's classes have in F (N, P); 0 of a row of zeros."""
    P, sums = F.shape[1], F.sum(axis=1, keepdims=True, dtype=np.float64)
    shares = np.divide(F, sums, out=np.full(F.shape, 1 / P), where=sums > 0)
    if P == 1:
        return np.ones(len(F), np.float32)
    found: Features = np.clip(1 - entr(shares).sum(axis=1) / np.log(P), 0, 1).astype(np.float32)
    return found

"""k-means: seeds by D² sampling, then Lloyd's iterations while they pay. Axes: M rows, D features, K centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...benchmark import device
from ...benchmark.types import Features, Floats
from .distances import Euclidean, Positions, blocks, euclidean
from .gpu import products as gpu
from .sampling import spread

ITERATIONS = 25
PAYS = 1e-3  # an iteration pays as long as it lowers the inertia by this share


def kmeans(features: Features, k: int, rng: np.random.Generator) -> tuple[Features, Positions]:
    """Return centres (K, D) and the nearest centre of each row (M,); K is ``k``, or fewer where fewer rows differ.

    k-means++ seeds from ``rng`` (`spread`), then Lloyd's iterations on all rows until one lowers the inertia by less
    than a thousandth, 25 at most. A cluster that loses all its rows starts again at the row farthest from its centre.
    On 50,000 x 512 clustered rows, one core, k = 500 and 1,000: 7 and 8 iterations, a quarter and a seventh of the
    seconds of scikit-learn's MiniBatchKMeans(batch_size=5000), at 1 and 2 % less inertia.
    """
    distances = euclidean(features)
    centres = distances.take(spread(distances, int(rng.integers(len(features))), k, rng))
    before = np.inf
    for left in reversed(range(ITERATIONS)):
        nearest, squares, sums = _assign(distances, centres)
        sizes = np.bincount(nearest, minlength=len(centres))
        inertia, empty = float(squares.sum()), np.flatnonzero(sizes == 0)
        if not left or (inertia >= (1 - PAYS) * before and not len(empty)):
            break
        before = inertia
        centres = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
        centres[empty] = distances.take(np.argsort(-squares, kind="stable")[: len(empty)])
    return centres + device.fetch(distances.mean), nearest


def _assign(distances: Euclidean | gpu.Euclidean, centres: Features) -> tuple[Positions, Floats, Floats]:
    """Return each row's nearest centre (M,), its squared distance (M,), and the sum of each centre's rows (K, D)."""
    if isinstance(distances, gpu.Euclidean):
        return distances.assign(centres)
    from scipy import sparse  # noqa: PLC0415 - a fifth of a second that only clusterings should pay

    rows, norms = distances.rows, distances.norms
    nearest, squares = np.empty(len(rows), np.int64), np.empty(len(rows))
    sums = np.zeros(centres.shape)
    halves: NDArray[np.float32] = np.einsum("kd,kd->k", centres, centres) / 2
    for part in blocks(len(rows)):
        closeness = rows[part] @ centres.T
        closeness -= halves
        found = nearest[part] = closeness.argmax(axis=1)
        best = np.take_along_axis(closeness, found[:, None], axis=1)[:, 0]
        squares[part] = np.maximum(norms[part] - 2 * best.astype(np.float64), 0)
        ends = np.arange(len(found) + 1)
        members = sparse.csr_array((np.ones(len(found), np.float32), found, ends), shape=(len(found), len(centres)))
        sums += members.T @ rows[part]
    return nearest, squares, sums

"""Principal components of the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...benchmark.registry import encoder
from ...benchmark.types import Features, Floats
from ..base import Split, check_choice
from .base import Stored, Work
from .pixels import SCALES, Scale, scale_problems, scaled

EXACT = 4096
"""Up to so many rows or features the decomposition is exact."""


@encoder("pca", cite="Pearson (1901), On lines and planes of closest fit to systems of points in space")
@dataclass(frozen=True)
class Pca(Stored):
    """The first ``dims`` principal components of the pool, after the scaling of ``pixels``.

    Fewer when the pool has fewer directions that vary. Each direction points where its largest loading (by absolute
    value) is positive. ``whiten`` scales each component to variance 1 in the pool (ddof 1). Exact, unless pool and
    features both exceed 4,096: then by randomised SVD (Halko et al. 2011, 7 power iterations).
    """

    dims: int = 32
    whiten: bool = False
    scale: Scale = "auto"

    libraries: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "scikit-learn")

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, SCALES)
        if self.dims < 1:
            raise ValueError(f"dims is {self.dims}; legal: a number of components, at least 1")

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        from threadpoolctl import threadpool_limits  # noqa: PLC0415  only needed here

        train, test = (x.astype(np.float64) for x in scaled(split, self.scale))
        mean = train.mean(axis=0)
        train -= mean
        test -= mean
        with threadpool_limits(1):  # the last bits of a sum depend on the number of threads
            directions, sizes = components(train, self.dims, rng)
            if self.whiten:
                deviation = sizes / np.sqrt(max(len(train) - 1, 1))
                directions /= np.where(deviation > 0, deviation, 1)[:, None]
            return (train @ directions.T).astype(np.float32), (test @ directions.T).astype(np.float32)

    def problems(self, split: Split) -> list[str]:
        return scale_problems(split, self.scale)


def components(centred: Floats, dims: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the first right singular vectors (K, D), signs fixed, and their singular values (K,), descending.

    K is at most ``dims`` and the rank; 1 when all rows are equal.
    """
    import scipy.linalg  # noqa: PLC0415  heavy, only needed here

    n, d = centred.shape
    k = min(dims, n, d)
    if min(n, d) > EXACT:
        from sklearn.utils.extmath import randomized_svd  # noqa: PLC0415  heavy, rarely needed

        _, sizes, directions = randomized_svd(centred, k, n_iter=7, random_state=int(rng.integers(2**32)))
    elif d <= n:
        squares, vectors = scipy.linalg.eigh(centred.T @ centred, subset_by_index=(d - k, d - 1))
        sizes, directions = np.sqrt(squares[::-1].clip(min=0)), vectors.T[::-1]
    else:
        _, sizes, directions = scipy.linalg.svd(centred, full_matrices=False)
    tiny = sizes[0] * np.sqrt(max(n, d) * np.finfo(np.float64).eps)  # below it the squares are rounding errors
    rank = max(1, int((sizes[:k] > tiny).sum()))
    directions, sizes = directions[:rank], sizes[:rank]
    largest = np.abs(directions).argmax(axis=1)
    return directions * np.sign(directions[np.arange(rank), largest])[:, None], sizes

"""Principal components of the inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from ...benchmark.registry import encoder
from ...benchmark.types import Features, Floats
from ..reading.base import Split, check_choice, row_blocks
from .base import Stored, Work
from .raw import SCALES, Scale, mean_of, scale_problems, scaled

EXACT = 4096
"""Up to so many rows or features the decomposition is exact."""


@encoder("pca", cite="Pearson (1901), On lines and planes of closest fit to systems of points in space")
@dataclass(frozen=True)
class Pca(Stored):
    """The first ``dims`` principal components of the pool, after the scaling of ``raw``.

    ``scale`` is that of ``raw``: ``auto`` has images in [0, 1], tables standardised and features as they are, ``range``
    divides images by 255, ``standard`` standardises, ``none`` does nothing.

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

        parts = dict(zip(("train", "test"), scaled(split, self.scale, work), strict=True))
        train, mean = parts["train"], mean_of(parts["train"])
        with threadpool_limits(1):  # the last bits of a sum depend on the number of threads
            hold = partial(work.array, "centred", dtype=np.float64)
            directions, sizes = components(train, self.dims, rng, mean, hold)
            if self.whiten:
                deviation = sizes / np.sqrt(max(len(train) - 1, 1))
                directions /= np.where(deviation > 0, deviation, 1)[:, None]
            answers = {name: work.array(name, (len(x), len(directions))) for name, x in parts.items()}
            for name, x in parts.items():
                for rows in row_blocks(x):
                    answers[name][rows] = (x[rows] - mean) @ directions.T
        return answers["train"], answers["test"]

    def problems(self, split: Split) -> list[str]:
        return scale_problems(split, self.scale)


def components(
    x: Features | Floats,
    dims: int,
    rng: np.random.Generator,
    mean: Floats | float = 0.0,
    hold: Callable[[tuple[int, int]], Floats] = np.empty,
) -> tuple[Floats, Floats]:
    """Return the first right singular vectors (K, D) of x (N, D) less ``mean``, signs fixed, and their values (K,).

    K is at most ``dims`` and the rank; 1 when all rows are equal. Values descend. x is read block by block; all of it
    as float64 is needed by the randomised decomposition alone: ``hold`` gives an array of that shape.
    """
    import scipy.linalg  # noqa: PLC0415  heavy, only needed here

    n, d = x.shape
    mean = np.broadcast_to(mean, d)
    k = min(dims, n, d)
    if min(n, d) > EXACT:
        from sklearn.utils.extmath import randomized_svd  # noqa: PLC0415  heavy, rarely needed

        centred = hold((n, d))
        for rows in row_blocks(x):
            centred[rows] = x[rows] - mean
        _, sizes, directions = randomized_svd(centred, k, n_iter=7, random_state=int(rng.integers(2**32)))
    elif d <= n:
        products = np.zeros((d, d))
        for rows in row_blocks(x):
            part = x[rows] - mean
            products += part.T @ part
        squares, vectors = scipy.linalg.eigh(products, subset_by_index=(d - k, d - 1))
        sizes, directions = np.sqrt(squares[::-1].clip(min=0)), vectors.T[::-1]
    else:
        products, directions = np.zeros((n, n)), np.empty((k, d))
        for columns in row_blocks(x.T):
            part = x[:, columns] - mean[columns]
            products += part @ part.T
        _, vectors = scipy.linalg.eigh(products, subset_by_index=(n - k, n - 1))
        for columns in row_blocks(x.T):
            directions[:, columns] = vectors.T[::-1] @ (x[:, columns] - mean[columns])
        sizes = np.linalg.norm(directions, axis=1)  # more exact than the roots of the squares
        directions /= np.where(sizes > 0, sizes, 1)[:, None]
    tiny = sizes[0] * np.sqrt(max(n, d) * np.finfo(np.float64).eps)  # below it the squares are rounding errors
    rank = max(1, int((sizes[:k] > tiny).sum()))
    directions, sizes = directions[:rank], sizes[:rank]
    largest = np.abs(directions).argmax(axis=1)
    return directions * np.sign(directions[np.arange(rank), largest])[:, None], sizes

from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.distances import SquaredDistances, squared_to_nearest
from ..kernels.scores import argmax


@strategy(
    "coreset",
    cite="Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018 "
    "(arXiv 1708.00489)",
    version=1,
)
@dataclass(frozen=True)
class CoreSet:
    """Farthest first: again and again the row that is farthest from all labelled and picked rows.

    k-Center-Greedy (Algorithm 1), without the mixed-integer step that follows it in the paper, and on the embedding
    rather than on the last layer of the trained network. From an empty labelled set the first row is a draw. Time
    O(U (|L| + n) D), memory O(U D): a running minimum, never a matrix of all pairs.
    """

    def select(self, query: Query) -> Rows:
        rows = query.features[query.unlabelled]  # (U, D)
        distances = SquaredDistances(rows)
        nearest = np.full(len(rows), np.inf)
        if len(query.labelled):
            nearest = squared_to_nearest(rows, query.features[query.labelled])
        picks: list[int] = []
        for _ in range(query.n):
            picks.append(argmax(nearest, query.rng))
            np.minimum(nearest, distances(picks[-1]), out=nearest)
            nearest[picks] = -1  # below every distance: never picked again, even when all rows coincide
        return query.unlabelled[picks]

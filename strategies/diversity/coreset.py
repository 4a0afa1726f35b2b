from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.distances import euclidean
from ..kernels.farthest import farthest


@strategy(
    "coreset",
    cite="Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018 "
    "(arXiv 1708.00489)",
    version=2,
)
@dataclass(frozen=True)
class CoreSet:
    """Farthest first: again and again the row that is farthest from all labelled and picked rows.

    k-Center-Greedy (Algorithm 1), without the mixed-integer step that follows it in the paper, and on the embedding
    rather than on the last layer of the trained network. From an empty labelled set the first row is a draw. Time at
    most O(N (|L| + n) D), in practice a third; memory O(N D): never a matrix of all pairs.
    """

    def select(self, query: Query) -> Rows:
        closed = np.ones(len(query.features), dtype=bool)
        closed[query.unlabelled] = False
        return farthest(euclidean(query.features), query.n, query.rng, query.labelled, closed)

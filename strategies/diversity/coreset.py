from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.distances import euclidean
from ..kernels.farthest import farthest
from ..kernels.space import Space, needs, pool_in


@strategy(
    "coreset",
    cite="Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018 "
    "(arXiv 1708.00489)",
    version=2,
)
@dataclass(frozen=True)
class CoreSet:
    """Farthest first: again and again the row that is farthest from all labelled and picked rows.

    k-Center-Greedy (Algorithm 1), without the mixed-integer step that follows it in the paper, on what the model's
    last layer sees, as there; with ``space: embedding`` on the embedding, which needs no model: from an empty labelled
    set the first row is then a draw. Time at most O(N (|L| + n) D), in practice a third; memory O(N D): never a matrix
    of all pairs.
    """

    space: Space = "model"

    @property
    def needs(self) -> frozenset[str]:
        return needs(self.space)

    def select(self, query: Query) -> Rows:
        closed = np.ones(len(query.features), dtype=bool)
        closed[query.unlabelled] = False
        rows = euclidean(pool_in(query, self.space))
        return farthest(rows, query.n, query.rng, query.labelled, closed)

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..benchmark.registry import strategy
from ..benchmark.types import Query, Rows
from ._kernels import argmax, ball_graph, distance_to_other, kmeans, pool_units


@strategy(
    "probcover",
    cite="Yehuda, Dekel, Hacohen and Weinshall, Active Learning Through a Covering Lens, NeurIPS 2022 "
    "(arXiv 2205.11320)",
    version=1,
)
@dataclass(frozen=True)
class ProbCover:
    """Greedy cover of the pool by balls of radius delta: each pick covers the most rows not covered yet.

    A ball holds the unit rows nearer than ``delta`` to its centre, the centre included (Algorithm 1). When ``delta``
    is None it is the largest for which a share of ``purity`` of all balls are pure, that is hold one pseudo-class
    only, the pseudo-classes being k-means clusters, as many as there are classes.

    Once everything is covered (the paper stops there) the rows covered by the fewest balls are covered again, and so
    on, level by level; no row is picked twice. Ties are broken by the query's generator. The graph of the balls is a
    property of the embedding: exact, sparse, built once per pool and radius in O(N² D).
    """

    delta: float | None = None
    purity: float = 0.95

    def __post_init__(self) -> None:
        if self.delta is not None and not self.delta > 0:
            raise ValueError(f"probcover: delta is {self.delta}; it must be above 0, or null to be estimated")
        if not 0 < self.purity <= 1:
            raise ValueError(f"probcover: purity is {self.purity}; it must be above 0 and at most 1")

    def select(self, query: Query) -> Rows:
        graph = self.graph(query)  # (N, N)
        covers = np.bincount(graph[query.labelled].indices, minlength=len(query.features))  # balls that hold a row
        is_open = np.zeros(len(covers), dtype=bool)
        is_open[query.unlabelled] = True
        target = np.zeros(len(covers), dtype=bool)  # rows of the present level that are still to be covered
        gain = np.zeros(len(covers), dtype=np.int64)  # targets in the ball around each row
        picks: list[int] = []
        while len(picks) < query.n:
            if not target.any():
                target = is_open & (covers == covers[is_open].min())
                gain = np.bincount(graph[target].indices, minlength=len(covers))
            pick = argmax(np.where(is_open, gain, -1), query.rng)
            picks.append(pick)
            is_open[pick] = False
            ball = graph.indices[graph.indptr[pick] : graph.indptr[pick + 1]]
            covers[ball] += 1
            reached = ball[target[ball]]
            target[reached] = False
            gain -= np.bincount(graph[reached].indices, minlength=len(covers))
        return np.array(picks, dtype=np.int64)

    def graph(self, query: Query) -> Any:  # Any: scipy.sparse.csr_array, which has no types
        """Return the graph (N, N) of the balls over the query's pool."""
        units, delta = pool_units(query), self.radius(query)
        return query.derived.get(f"probcover-graph/{delta!r}", lambda *_: ball_graph(units, delta))

    def radius(self, query: Query) -> float:
        """Return delta: as given, or estimated over the query's pool."""
        if self.delta is not None:
            return float(self.delta)
        units = pool_units(query)

        def estimate(_: object, rng: np.random.Generator) -> float:
            _, classes = kmeans(units, query.n_classes, rng)
            return pure_radius(distance_to_other(units, classes), self.purity)

        return query.derived.get(f"probcover-delta/{self.purity!r}/{query.n_classes}", estimate)


def pure_radius(distance_to_other: np.ndarray[Any, np.dtype[np.float64]], purity: float) -> float:
    """Return the largest radius at which at least a share of ``purity`` of the balls are pure.

    The open ball around a row is pure exactly when its radius is at most the row's distance (N,) to the nearest row
    of another class; so the answer is an order statistic of those distances, and needs no search.
    """
    pure = math.ceil(purity * len(distance_to_other) - 1e-9)  # 1e-9: a product such as 0.95 * 20 may land above 19
    return float(np.sort(distance_to_other)[-max(pure, 1)])

import math
from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Arrays, Features, Floats, Query, Rows
from ..kernels.distances import pool_units
from ..kernels.graphs import Graph, ball_graph, distance_to_other
from ..kernels.kmeans import kmeans
from ..kernels.scores import argmax


@strategy(
    "probcover",
    cite="Yehuda, Dekel, Hacohen and Weinshall, Active Learning Through a Covering Lens, NeurIPS 2022 "
    "(arXiv 2205.11320)",
    version=3,
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
        covers = graph.counts(query.labelled)  # balls that hold a row
        is_open = np.zeros(len(covers), dtype=bool)
        is_open[query.unlabelled] = True
        target = np.zeros(len(covers), dtype=bool)  # rows of the present level that are still to be covered
        gain = np.zeros(len(covers), dtype=np.int64)  # targets in the ball around each row
        picks: list[int] = []
        while len(picks) < query.n:
            if not target.any():
                target = is_open & (covers == covers[is_open].min())
                gain = graph.counts(np.flatnonzero(target))
            pick = argmax(np.where(is_open, gain, -1), query.rng)
            picks.append(pick)
            is_open[pick] = False
            ball = graph.around(pick)
            covers[ball] += 1
            reached = ball[target[ball]]
            target[reached] = False
            gain -= graph.counts(reached)
        return np.array(picks, dtype=np.int64)

    def graph(self, query: Query) -> Graph:
        """Return the graph (N, N) of the balls over the query's pool."""
        units, delta = pool_units(query), self.radius(query)

        def balls(*_: object) -> Arrays:
            graph = ball_graph(units, delta)
            return {"indptr": graph.indptr, "indices": graph.indices}

        return Graph(**query.derived.get(f"ball-graph/1/{delta!r}", balls))

    def radius(self, query: Query) -> float:
        """Return delta: as given, or estimated over the query's pool."""
        if self.delta is not None:
            return float(self.delta)
        return pure_radius(distance_to_other_class(query), self.purity)


def distance_to_other_class(query: Query) -> Floats:
    """Return each row's distance (N,) to the nearest of another pseudo-class, once per pool and number of classes."""
    units = pool_units(query)

    def measure(_: Features, rng: np.random.Generator) -> Arrays:
        _, classes = kmeans(units, query.n_classes, rng)
        return {"classes": classes, "distance": distance_to_other(units, classes)}

    return query.derived.get(f"pseudo-classes/2/{query.n_classes}", measure)["distance"]


def pure_radius(distance_to_other: Floats, purity: float) -> float:
    """Return the largest radius at which at least a share of ``purity`` of the balls are pure.

    The open ball around a row is pure exactly when its radius is at most the row's distance (N,) to the nearest row
    of another class; so the answer is an order statistic of those distances, and needs no search.
    """
    pure = math.ceil(purity * len(distance_to_other) - 1e-9)  # 1e-9: a product such as 0.95 * 20 may land above 19
    return float(np.sort(distance_to_other)[-max(pure, 1)])

from dataclasses import astuple, dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Arrays, Features, Query, Rows
from ..kernels.distances import pool_units
from ..kernels.graphs import pool_neighbours
from ..kernels.nets.scan import Training, scan_clusters
from ..kernels.parameters import check
from ..kernels.typicality import walk


@strategy(
    "typiclust-dc",
    cite="Hacohen, Dekel and Weinshall, Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets, "
    "ICML 2022 (arXiv 2202.02794); SCAN: Van Gansbeke, Vandenhende, Georgoulis, Proesmans and Van Gool, ECCV 2020",
    version=1,
)
@dataclass(frozen=True)
class TypiClustDC:
    """`typiclust` over deep clusters: the most typical row of each large cluster of SCAN that has no labels yet.

    min(|L| + n, ``max_clusters``) clusters are what a linear head on the unit rows learns: a row and one of its
    ``neighbours`` nearest get the same cluster, and an entropy term of weight ``entropy`` keeps the clusters apart
    (`scan_clusters`; 20 neighbours and weight 5 as in both papers' code). The walk over the clusters is `typiclust`'s;
    those of ``min_size`` members or fewer come last. The head learns in ``steps`` steps of Adam. A step draws ``batch``
    rows, and a neighbour of each. The learning rate is ``rate``, the weight decay ``decay``.

    A head depends on the embedding and the number of clusters alone: it is trained once and shared by all trials. Time
    O(steps · batch · D k) and, once per pool, O(N² D) for the neighbours, together about a minute at 50,000 x 512 and
    500 clusters; memory O(N (D + neighbours)). Where we differ: SCAN goes on to train the network, for 100 epochs with
    augmented images, and TypiClust measures typicality in what comes out; here only the head learns (at a rate for
    that), and typicality is that of the embedding. Clusters may end empty, more of them the more there are.
    """

    max_clusters: int = 500
    min_size: int = 5
    neighbours: int = 20
    entropy: float = 5.0
    steps: int = 500
    batch: int = 512
    rate: float = 0.03
    decay: float = 1e-4

    def __post_init__(self) -> None:
        least = {"max_clusters": 1, "min_size": 0, "neighbours": 1, "entropy": 0, "steps": 0, "batch": 1, "decay": 0}
        check("typiclust-dc", self, least, {"rate"})

    def select(self, query: Query) -> Rows:
        k = min(len(query.labelled) + query.n, self.max_clusters)
        return walk(query, pool_units(query), self.clusters(query, k), k, self.min_size, self.neighbours)

    def clusters(self, query: Query, k: int) -> Rows:
        """Return the cluster of each row of the pool, (N,), once per pool and number of clusters."""
        training = Training(self.entropy, self.steps, self.batch, self.rate, self.decay)
        units, (near, _) = pool_units(query), pool_neighbours(query, self.neighbours)

        def train(_: Features, rng: np.random.Generator) -> Arrays:
            return {"clusters": scan_clusters(units, near, k, training, rng)}

        key = "/".join(map(str, (k, self.neighbours, *astuple(training))))
        return query.derived.get(f"scan/1/{key}", train)["clusters"]

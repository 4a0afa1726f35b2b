from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.kmeans import central, kmeans
from ..kernels.scores import entropy, top, turns
from ..kernels.space import Space, needs, unlabelled_in


@strategy(
    "uncertainty-clusters",
    cite="Ilizirov, Barsht and Steiner, Active Learning for Image Classification, 2024",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class UncertaintyClusters:
    """Of the rows of largest entropy, some of each cluster.

    The ``candidates`` n unlabelled rows of largest entropy are clustered by k-means on what the model's last layer sees
    (with ``space: embedding`` on the embedding) into ``clusters``, or n where that is null. Clusters are visited in
    turns, one row each: with ``rank: uncertain`` the most uncertain that is left, the cluster whose row is most
    uncertain first; with ``rank: central`` the nearest to the centre. Ties are broken by the query's generator.

    The rule is known from a description of the project (entropy, clusters of CNN features of the uncertain samples,
    highly uncertain ones of each); how many candidates and clusters, and what ranks them, it leaves open: the defaults
    are ours. Cost: the entropies and O(m k H) for each iteration of k-means on the m = ``candidates`` n rows.
    """

    candidates: float = 5.0
    clusters: int | None = None
    rank: Literal["uncertain", "central"] = "uncertain"
    space: Space = "model"

    def __post_init__(self) -> None:
        for name in ("candidates", "clusters"):
            if (value := getattr(self, name)) is not None and not value >= 1:
                raise ValueError(f"uncertainty-clusters: {name} is {value}; it must be at least 1")

    @property
    def needs(self) -> frozenset[str]:
        return needs(self.space)

    def select(self, query: Query) -> Rows:
        m = min(ceil(self.candidates * query.n), len(query.unlabelled))
        uncertain = top(query.rowwise(entropy), m, query.rng)  # the most uncertain first
        rows = unlabelled_in(query, self.space)[uncertain]
        centres, cluster = kmeans(rows, min(self.clusters or query.n, m), query.rng)
        if self.rank == "central":
            picks = central(rows, centres, cluster, query.n, query.rng)
        else:
            picks = np.argsort(turns(cluster, np.arange(m)), kind="stable")[: query.n]
        return query.unlabelled[uncertain[picks]]

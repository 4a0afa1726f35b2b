from dataclasses import dataclass, field

import numpy as np

from ...benchmark.registry import needs_of, rule, strategy
from ...benchmark.types import Query, Rows, Scored
from ..kernels.distances import Positions
from ..kernels.kmeans import kmeans
from ..kernels.scores import top


@strategy("cluster-quota", cite="SpaceML, Active-Labeler, github.com/spaceml-org/Active-Labeler, 2021", version=1)
@dataclass(frozen=True)
class ClusterQuota:
    """The best rows by another rule's scores in each cluster of the unlabelled rows, as many as its share of the rows.

    The features are clustered by k-means (``clusters``, 3), anew for each batch; a cluster of m of the U rows sells n m
    / U of them, those with the largest scores (Active-Labeler's "clustering"). ``over`` is the rule whose scores count.
    Active-Labeler rounds each share up and may buy more than n; here it is rounded down, and the rows that are missing
    come from the clusters with the largest remainders. Ties are broken by the query's generator. Cost: that of the
    scores and O(U D) for each iteration of k-means.
    """

    over: Scored = field(default_factory=rule("margin"))
    clusters: int = 3

    def __post_init__(self) -> None:
        if self.clusters < 1:
            raise ValueError(f"clusters is {self.clusters}; it must be at least 1")

    @property
    def needs(self) -> frozenset[str]:
        """What the rule below needs."""
        return needs_of(self.over)

    def select(self, query: Query) -> Rows:
        scores = self.over.score(query)
        k = min(self.clusters, len(query.unlabelled))
        _, cluster = kmeans(query.features[query.unlabelled], k, query.rng)
        quotas = shares(np.bincount(cluster), query.n, query.rng)
        members = [np.flatnonzero(cluster == j) for j in range(len(quotas))]
        picks = [rows[top(scores[rows], quota, query.rng)] for rows, quota in zip(members, quotas, strict=True)]
        return query.unlabelled[np.concatenate(picks)]


def shares(sizes: Positions, n: int, rng: np.random.Generator) -> Positions:
    """Return how many of ``n`` each cluster gets by its size (K,): rounded down, then by the largest remainders."""
    quotas, remainders = np.divmod(sizes * n, sizes.sum())
    quotas[top(remainders, n - quotas.sum(), rng)] += 1
    return np.asarray(quotas, np.int64)

from dataclasses import dataclass

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.distances import pool_units
from ..kernels.kmeans import kmeans
from ..kernels.parameters import check
from ..kernels.typicality import walk


@strategy(
    "typiclust",
    cite="Hacohen, Dekel and Weinshall, Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets, "
    "ICML 2022 (arXiv 2202.02794)",
    version=2,
)
@dataclass(frozen=True)
class TypiClust:
    """The most typical row of each large cluster that has no labels yet.

    min(|L| + n, ``max_clusters``) k-means clusters of the whole pool on unit rows; those of ``min_size`` members or
    fewer are put aside. Clusters are visited in a fixed order (fewest labelled members first, then the largest), one
    pick each, round and round: the unlabelled member of highest typicality. `typicality` is 1 / the mean distance to
    the ``neighbours`` nearest members, or to half of the cluster where that is fewer.

    As in the paper, distances are plain and neighbours are all members; the authors' code squares the distances and
    counts only unlabelled members. Where the clusters run out of rows, those put aside follow in the same way; as
    every row is in some cluster, that always suffices, whatever the cap on their number.
    """

    max_clusters: int = 500
    min_size: int = 5
    neighbours: int = 20

    def __post_init__(self) -> None:
        check("typiclust", self, {"max_clusters": 1, "min_size": 0, "neighbours": 1})

    def select(self, query: Query) -> Rows:
        units = pool_units(query)
        k = min(len(query.labelled) + query.n, self.max_clusters)
        centres, cluster = kmeans(units, k, query.rng)
        return walk(query, units, cluster, len(centres), self.min_size, self.neighbours)

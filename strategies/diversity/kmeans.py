from dataclasses import dataclass

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.kmeans import central, kmeans


@strategy("kmeans", cite="Zhdanov, Diverse Mini-Batch Active Learning, 2019 (arXiv 1901.05954)", version=2)
@dataclass(frozen=True)
class KMeans:
    """The central row of each of n clusters of the unlabelled features.

    Zhdanov's diversity step alone: all unlabelled rows take part with equal weight, none is filtered out beforehand.
    The central row is the member nearest the centre, so no row comes twice. Where there are fewer than n clusters,
    because rows coincide, a second round takes the next nearest members, and so on.
    """

    def select(self, query: Query) -> Rows:
        rows = query.features[query.unlabelled]  # (U, D)
        centres, cluster = kmeans(rows, query.n, query.rng)
        return query.unlabelled[central(rows, centres, cluster, query.n, query.rng)]

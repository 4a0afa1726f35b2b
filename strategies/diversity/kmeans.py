from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.distances import blocks
from ..kernels.kmeans import kmeans


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
        offset = np.concatenate(
            [np.linalg.norm(rows[part] - centres[cluster[part]], axis=1) for part in blocks(len(rows))]
        )
        tie = query.rng.random(len(rows))
        by_cluster = np.lexsort((tie, offset, cluster))
        starts = np.searchsorted(cluster[by_cluster], cluster[by_cluster])
        turn = np.arange(len(rows)) - starts  # 0 for the nearest member of its cluster, 1 for the next, ...
        return query.unlabelled[by_cluster[np.lexsort((tie[by_cluster], turn))[: query.n]]]

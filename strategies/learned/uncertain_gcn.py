from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.nets.gcn import Training, scores
from ..kernels.scores import top


@strategy(
    "uncertain-gcn",
    cite="Caramalau, Bhattarai and Kim, Sequential Graph Convolutional Network for Active Learning, CVPR 2021 "
    "(arXiv 2006.10219)",
    version=1,
    needs={"hidden"},
)
@dataclass(frozen=True)
class UncertainGCN(Training):
    """The rows of which a graph network that was taught who is labelled says s nearest to ``margin``.

    The network is that of `core-gcn`: nodes are all labelled rows and ``candidates`` unlabelled ones drawn at random,
    as unit rows of what the model's last layer sees; two graph convolutions learn a score s in [0, 1] (1: labelled) by
    the loss -mean_labelled log s - ``weight`` · mean_candidates log (1 - s), with Adam. Bought are the candidates with
    the smallest |s - ``margin``| (UncertainGCN, as summarised from the authors' code; scores without dropout).

    On digits (raw, ``linear``) 10 at once from 10 labels gain -2.5 ± 5.4 points over `random`, 100 at once from 100
    -0.9 ± 2.1. 60 % of a batch of 10 is one class, its rows 0.79 times as far apart as random ones; the best of each
    true class in equal number would gain 5.6 ± 6.2. At 100 labels no score was below 0.19: it then buys the smallest.
    (The largest |s - 0.1| lose 30 ± 6.)

    A batch larger than ``candidates`` is chosen among as many as it holds. Scores are rounded to 9 digits and ties
    drawn by the query's generator. Cost: that of `core-gcn`, O(M² D + epochs · M D hidden) for M = |L| + candidates.
    Where we differ: as `core-gcn`, the graph is normalised by the sums of absolute similarities.
    """

    margin: float = 0.1

    def __post_init__(self) -> None:
        self.check("uncertain-gcn")
        if not 0 <= self.margin <= 1:
            raise ValueError(f"uncertain-gcn: margin is {self.margin}; it must be at least 0 and at most 1")

    def select(self, query: Query) -> Rows:
        nodes, units = self.nodes(query)
        known = len(query.labelled)
        said = scores(units, known, self, query.rng)[known:]
        return nodes[known:][top(-np.abs(said - self.margin), query.n, query.rng)]

from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.distances import euclidean
from ..kernels.farthest import farthest
from ..kernels.nets.gcn import Training, hidden_features


@strategy(
    "core-gcn",
    cite="Caramalau, Bhattarai and Kim, Sequential Graph Convolutional Network for Active Learning, CVPR 2021 "
    "(arXiv 2006.10219)",
    version=1,
    needs={"hidden"},
)
@dataclass(frozen=True)
class CoreGCN(Training):
    """Farthest first among the hidden features of a graph network that was taught who is labelled.

    Nodes are all labelled rows and ``candidates`` unlabelled ones drawn at random, as unit rows of what the model's
    last layer sees; edges are their similarities. Two graph convolutions with ``hidden`` units between them learn a
    score s by the loss -mean_labelled log s - ``weight`` · mean_candidates log (1 - s); then k-Center-Greedy picks
    candidates in the space of the hidden units, from the labelled rows on (CoreGCN, sections 3.2 and 3.3; Adam).

    A batch larger than ``candidates`` is chosen among as many as it holds. Time
    O(M² D + epochs · M D hidden) for M = |L| + candidates, whatever N and C; memory O(M (D + hidden)), never (M, M).
    Where we differ: similarities may be negative, so the graph is normalised by the sums of their sizes (the paper's
    features are not, and the two are one). The authors' code picks on the model's features by mistake, not on the
    network's.
    """

    def __post_init__(self) -> None:
        self.check("core-gcn")

    def select(self, query: Query) -> Rows:
        nodes, units = self.nodes(query)
        known = len(query.labelled)
        hidden = hidden_features(units, known, self, query.rng)
        return nodes[farthest(euclidean(hidden), query.n, query.rng, np.arange(known))]

from dataclasses import dataclass
from math import ceil

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.herding import cosine, herd
from ..kernels.scores import entropy, top
from ..kernels.space import Space, needs, unlabelled_in


@strategy(
    "fass",
    cite="Wei, Iyer and Bilmes, Submodularity in Data Subset Selection and Active Learning, ICML 2015",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class Fass:
    """Of the most uncertain rows those that represent them all: filtered active submodular selection.

    The ``candidates`` n unlabelled rows V of largest entropy; of these greedily n, each adding most to the facility
    location sum_(v in V) max_(s picked) max(0, cos(v, s)), which is at least 1 - 1/e of the best there is. Similarity
    is the cosine of what the model's last layer sees (with ``space: embedding`` of the embedding). Ties, in entropy and
    in gain, are broken by the query's generator.

    Five candidates a pick is DISTIL's use of the rule. Where we differ: the paper also has a function that knows of
    labels (naive Bayes) and other similarities; here negative cosines count as 0, so that a first pick gains at least
    nothing. Cost: the entropies, then O(m² H) and one table (m, m) of similarities for m = ``candidates`` n.
    """

    candidates: float = 5.0
    space: Space = "model"

    def __post_init__(self) -> None:
        if not self.candidates >= 1:
            raise ValueError(f"fass: candidates is {self.candidates}; it must be at least 1")

    @property
    def needs(self) -> frozenset[str]:
        return needs(self.space)

    def select(self, query: Query) -> Rows:
        m = min(ceil(self.candidates * query.n), len(query.unlabelled))
        uncertain = top(query.rowwise(entropy), m, query.rng)
        similarity = cosine(unlabelled_in(query, self.space)[uncertain])
        return query.unlabelled[uncertain[herd(similarity, m, np.zeros(m, np.float32), query.n, query.rng)]]

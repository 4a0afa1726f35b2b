from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.scores import mutual_information, top


@strategy(
    "bald",
    cite="Gal, Islam and Ghahramani, Deep Bayesian Active Learning with Image Data, ICML 2017 (arXiv 1703.02910); "
    "Houlsby, Huszár, Ghahramani and Lengyel, Bayesian Active Learning, 2011 (arXiv 1112.5745)",
    version=1,
    needs={"passes"},
)
@dataclass(frozen=True)
class BALD:
    """The rows whose label would say most about the model: the n largest of H(mean p) - mean H(p) over the passes.

    That is the mutual information of label and model (Gal et al., section 4), in [0, log C], from ``passes`` draws of
    the model. Cost: K passes over the pool and O(U K C); a block of passes is held at once. Ties, and all rows where
    the passes do not differ, are drawn by the query's generator.

    The n largest tend to be alike, which costs most while labels are few: on digits (raw, ``linear``, Laplace
    passes, 10 to 100 labels) it is worse than `random` at 10 rows at once and better one by one; `power` over it is
    no worse at 10 at once, and from 200 labels on, 100 at once, it is better itself.
    """

    passes: int = 10

    def __post_init__(self) -> None:
        if self.passes < 2:
            raise ValueError(f"passes is {self.passes}; it must be at least 2")

    def score(self, query: Query) -> NDArray[Any]:
        return query.rowwise_passes(self.passes, mutual_information)

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

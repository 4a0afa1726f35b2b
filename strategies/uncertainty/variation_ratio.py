from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.scores import top, variation_ratio


@strategy(
    "variation-ratio",
    cite="Freeman, Elementary Applied Statistics, 1965; of passes: Gal, Islam and Ghahramani, Deep Bayesian Active "
    "Learning with Image Data, ICML 2017 (arXiv 1703.02910)",
    version=1,
    needs={"passes"},
)
@dataclass(frozen=True)
class VariationRatio:
    """The rows on whose class the passes agree least: the n largest of 1 - f/K.

    f is how many of the K = ``passes`` draws of the model vote for the class with most votes; a draw votes for its
    most probable class (the first of equally probable ones). The score takes at most K values, so that most rows of
    a large pool tie, and rows on which all agree are drawn at random when there are no others: ties are broken by
    the query's generator.

    Cost: K passes over the U unlabelled rows and O(U K C); a block of passes is held at once.
    Where we differ: votes are hard, as Freeman's; Gal et al. (section 4) write 1 - max of the mean probability, which
    is `least-confidence` of the mean.
    """

    passes: int = 10

    def __post_init__(self) -> None:
        if self.passes < 2:
            raise ValueError(f"variation-ratio: passes is {self.passes}; it must be at least 2")

    def score(self, query: Query) -> NDArray[Any]:
        return query.rowwise_passes(self.passes, variation_ratio)

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

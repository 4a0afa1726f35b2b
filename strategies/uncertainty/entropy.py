from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.scores import entropy, top


@strategy(
    "entropy",
    cite="Settles, Active Learning Literature Survey, TR 1648, Univ. of Wisconsin-Madison 2009",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class Entropy:
    """The rows whose prediction is most spread over the classes: the n largest of -sum p log p.

    A probability of 0 adds 0, so the surest row is never taken for the least sure. Ties are broken by the query's
    generator.
    """

    def score(self, query: Query) -> NDArray[Any]:
        return query.rowwise(entropy)

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

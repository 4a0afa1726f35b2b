from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.scores import least_confidence, top


@strategy(
    "least-confidence",
    cite="Lewis and Gale, A Sequential Algorithm for Training Text Classifiers, SIGIR 1994 (arXiv cmp-lg/9407020)",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class LeastConfidence:
    """The rows whose predicted class is least probable: the n largest of 1 - max p.

    Ties are broken by the query's generator.
    """

    def score(self, query: Query) -> NDArray[Any]:
        return query.rowwise(least_confidence)

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

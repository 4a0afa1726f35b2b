from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.scores import margin, top


@strategy(
    "margin",
    cite="Scheffer, Decomain and Wrobel, Active Hidden Markov Models for Information Extraction, IDA 2001",
    version=1,
    needs={"scores"},
)
@dataclass(frozen=True)
class Margin:
    """The rows whose two best classes are closest: the n largest of 1 - (largest score - second largest).

    Scores are probabilities where the learner gives them; for a support vector machine they are decision values, and
    the difference is how far the row is from changing class. Classes without a label may score -inf. Ties are broken
    by the query's generator.
    """

    def score(self, query: Query) -> NDArray[Any]:
        scores: NDArray[Any] = margin(query.scores)  # not `rowwise`, which is for probabilities
        return scores

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

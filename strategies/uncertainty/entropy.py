from dataclasses import dataclass

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.scores import top


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

    def select(self, query: Query) -> Rows:
        from scipy.special import entr  # noqa: PLC0415 - keeps scipy out of commands that select nothing

        return query.unlabelled[top(entr(query.probs).sum(axis=1), query.n, query.rng)]

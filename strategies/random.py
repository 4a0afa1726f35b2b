from dataclasses import dataclass

from ..benchmark.registry import strategy
from ..benchmark.types import Query, Rows


@strategy(
    "random", cite="Settles, Active Learning Literature Survey, TR 1648, Univ. of Wisconsin-Madison 2009", version=1
)
@dataclass(frozen=True)
class Random:
    """Uniform draws without replacement: passive learning, the baseline of every comparison.

    Also what buys the first batch of a rule that needs labels when there are none.
    """

    def select(self, query: Query) -> Rows:
        return query.rng.choice(query.unlabelled, query.n, replace=False)

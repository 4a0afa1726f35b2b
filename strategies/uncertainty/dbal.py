from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Array, Query, Rows
from ..kernels.scores import average, entropy, top


@strategy(
    "dbal",
    cite="Gal, Islam and Ghahramani, Deep Bayesian Active Learning with Image Data, ICML 2017 (arXiv 1703.02910)",
    version=1,
    needs={"passes"},
)
@dataclass(frozen=True)
class DBAL:
    """The rows whose mean prediction is most spread over the classes: the n largest of H(mean p) over the passes.

    The paper's section 4, "max entropy", under the name it has in the toolkits. Unlike `bald` it also buys rows of
    which every one of the ``passes`` draws of the model is unsure; `entropy` is the same of the model alone.

    On digits (raw, ``linear``, Laplace passes, 10 seeds) 10 at once from 10 labels lose 7.7 ± 3.7 points to
    `random`: half of a batch is one class. The best of each true class in equal number would gain 4.2 ± 4.7; 100 at
    once from 100 labels gain 0.8 ± 0.7.

    Cost: K passes over the U unlabelled rows and O(U K C) for C classes; a block of passes is held at once. Ties are
    broken by the query's generator.
    """

    passes: int = 10

    def __post_init__(self) -> None:
        if self.passes < 2:
            raise ValueError(f"dbal: passes is {self.passes}; it must be at least 2")

    def score(self, query: Query) -> NDArray[Any]:
        return query.rowwise_passes(self.passes, _entropy_of_the_mean)

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]


def _entropy_of_the_mean(passes: Array) -> Array:
    return entropy(average(passes))

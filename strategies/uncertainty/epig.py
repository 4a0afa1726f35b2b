from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.joint import information_on_targets
from ..kernels.scores import top


@strategy(
    "epig",
    cite="Bickford Smith, Kirsch, Farquhar, Gal, Foster and Rainforth, Prediction-Oriented Bayesian Active Learning, "
    "AISTATS 2023 (arXiv 2304.08151)",
    version=1,
    needs={"passes"},
)
@dataclass(frozen=True)
class EPIG:
    """The rows whose label would say most about labels elsewhere: expected predictive information gain, n largest.

    The mean, over ``targets`` rows drawn from the unlabelled pool, of the mutual information between the row's label
    and the target's; their joint distribution is the mean over ``passes`` draws of the model of p(y) p(y*). Targets
    stand for the inputs on which predictions will be asked (the paper takes a set of its own where it has one).

    Cost: K passes over the pool and O(U M C^2 (K + a logarithm)): 100 times that of 10 classes with 100. Blocks of
    pairs keep the memory to a few megabytes beyond the passes of a block. Ties are broken by the query's generator.
    """

    passes: int = 10
    targets: int = 100

    def __post_init__(self) -> None:
        for name, least in (("passes", 2), ("targets", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")

    def score(self, query: Query) -> NDArray[Any]:
        rows = query.rng.choice(query.unlabelled, min(self.targets, len(query.unlabelled)), replace=False)
        targets = query.of(rows).passes(self.passes)
        return query.rowwise_passes(self.passes, partial(information_on_targets, targets=targets))

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

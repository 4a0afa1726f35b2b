from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.scores import top, variation_ratio


@strategy(
    "snapshot-ensemble",
    cite="Jung, Kim and Lee, A Simple Yet Powerful Deep Active Learning with Snapshots Ensembles, ICLR 2023",
    version=1,
    needs={"passes", "snapshots"},
)
@dataclass(frozen=True)
class SnapshotEnsemble:
    """The rows on which the snapshots of one training agree least: the n largest of 1 - f/K.

    f is how many of the K = ``snapshots`` vote for the class with most votes: `variation-ratio` over the model at
    several times of one training, in place of an ensemble of K trainings. Beside a learner without snapshots it is
    unsupported ({name: mlp, passes: snapshots} has them, with a cyclic or a constant rate).

    Cost: K cycles of training and K passes over the U unlabelled rows, O(U K C); a block of passes is held at once.
    Most rows tie; ties are broken by the query's generator.
    Where we differ: the paper (as summarised in its code) takes its snapshots at a constant rate before the rate is
    lowered for the model that is tested; ours are taken after it, so that the tested model is the same for all rules.
    """

    snapshots: int = 5

    def __post_init__(self) -> None:
        if self.snapshots < 2:
            raise ValueError(f"snapshot-ensemble: snapshots is {self.snapshots}; it must be at least 2")

    def score(self, query: Query) -> NDArray[Any]:
        return query.rowwise_passes(self.snapshots, variation_ratio)

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

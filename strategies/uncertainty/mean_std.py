from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace
from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Array, Query, Rows
from ..kernels.scores import top, variance


@strategy(
    "mean-std",
    cite="Kampffmeyer, Salberg and Jenssen, Semantic Segmentation of Small Objects and Modeling of Uncertainty in "
    "Urban Remote Sensing Images Using Deep Convolutional Neural Networks, CVPR Workshops 2016; as a rule for "
    "labelling: Gal, Islam and Ghahramani, ICML 2017 (arXiv 1703.02910)",
    version=1,
    needs={"passes"},
)
@dataclass(frozen=True)
class MeanSTD:
    """The rows whose probabilities differ most from pass to pass: the n largest mean standard deviation.

    The mean over the C classes of sqrt(mean_k p_k(c)² - (mean_k p_k(c))²), k one of ``passes`` draws of the model
    (Gal et al., section 4). In [0, 1/2].

    On digits (raw, ``linear``, Laplace passes, 10 seeds) 10 at once from 10 labels lose 6.0 ± 4.6 points to
    `random`: half of a batch is one class. One by one they gain 4.0 ± 4.5, as the best of each true class in equal
    number would (5.0 ± 3.4); 100 at once from 100 labels gain 0.8 ± 0.6.

    Cost: K passes over the U unlabelled rows and O(U K C); a block of passes is held at once. Ties, and all rows where
    the passes do not differ, are drawn by the query's generator.
    """

    passes: int = 10

    def __post_init__(self) -> None:
        if self.passes < 2:
            raise ValueError(f"mean-std: passes is {self.passes}; it must be at least 2")

    def score(self, query: Query) -> NDArray[Any]:
        return query.rowwise_passes(self.passes, _mean_deviation)

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]


def _mean_deviation(passes: Array) -> Array:
    xp = array_namespace(passes)
    return xp.mean(xp.sqrt(variance(passes)), axis=-1)

from dataclasses import dataclass

from array_api_compat import array_namespace

from ...benchmark.registry import strategy
from ...benchmark.types import Array, Query, Rows
from ..kernels.kmeans import central, kmeans
from ..kernels.scores import entropy
from ..kernels.space import Space, needs, unlabelled_in


@strategy(
    "clue",
    cite="Prabhu, Chandrasekaran, Saenko and Hoffman, Active Domain Adaptation via Clustering Uncertainty-weighted "
    "Embeddings, ICCV 2021 (arXiv 2010.08666)",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class Clue:
    """The central row of each of n clusters of the unlabelled rows, in which uncertain rows weigh more.

    k-means with k = n on what the model's last layer sees (with ``space: embedding`` on the embedding), a row weighing
    the entropy of its prediction at ``temperature`` T, softmax(logits / T) (as summarised on the authors' page and in
    their code; T is 1 for their digits and 0.1 for DomainNet). Seeds and centres follow the weights. The central row
    is the member nearest the centre, whatever it weighs; where there are fewer than n clusters, the next nearest
    follow. Rows of entropy 0 weigh nothing; where all do, they weigh the same.

    Where we differ: a row is nearest among the members of its centre's cluster, so none comes twice; the authors' code
    takes the nearest row anywhere, then the second nearest of each, until n differ. The domain adaptation of the paper
    is none of the rule. Cost: O(U n H) for each of k-means' iterations, memory O(U H).
    """

    temperature: float = 1.0
    space: Space = "model"

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"clue: temperature is {self.temperature}; it must be above 0")

    @property
    def needs(self) -> frozenset[str]:
        return needs(self.space)

    def select(self, query: Query) -> Rows:
        weights, rows = query.rowwise(self.uncertainty), unlabelled_in(query, self.space)
        centres, cluster = kmeans(rows, query.n, query.rng, weights if weights.any() else None)
        return query.unlabelled[central(rows, centres, cluster, query.n, query.rng)]

    def uncertainty(self, p: Array) -> Array:
        """Return the entropy of softmax(logits / T) from probabilities (b, C), (b,) float64."""
        xp = array_namespace(p)
        odds = (xp.astype(p, xp.float64) / xp.max(p, axis=-1, keepdims=True)) ** (1 / self.temperature)
        return entropy(odds / xp.sum(odds, axis=-1, keepdims=True))

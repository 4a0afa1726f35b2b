from dataclasses import dataclass

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.head.gradients import gradients
from ..kernels.sampling import spread
from ..kernels.scores import argmax, fill
from ..kernels.space import Space, needs, unlabelled_in


@strategy(
    "badge",
    cite="Ash, Zhang, Krishnamurthy, Langford and Agarwal, Deep Batch Active Learning by Diverse, Uncertain Gradient "
    "Lower Bounds, ICLR 2020 (arXiv 1906.03671)",
    version=2,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class Badge:
    """k-means++ seeds in the space of the last layer's gradients under the predicted label (Algorithm 1).

    The gradient of a row is (p - e_predicted) x [h, 1]: h is what the model's last layer sees (with ``space:
    embedding`` the embedding), and the 1 is the head's bias (the authors' code has no such term). The first seed is
    the longest gradient, as in the authors' code; the others are drawn by D². Rows whose gradient equals a picked one
    come last, in random order.
    """

    space: Space = "model"

    @property
    def needs(self) -> frozenset[str]:
        return needs(self.space)

    def select(self, query: Query) -> Rows:
        steps = gradients(query.probs, unlabelled_in(query, self.space))
        first = argmax(steps.squared_norms, query.rng)
        picks = spread(steps, first, query.n, query.rng)
        return query.unlabelled[fill(picks, query.n, len(query.unlabelled), query.rng)]

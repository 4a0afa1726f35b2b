from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.scores import top


@strategy(
    "margin",
    cite="Scheffer, Decomain and Wrobel, Active Hidden Markov Models for Information Extraction, IDA 2001",
    version=1,
    needs={"scores"},
)
@dataclass(frozen=True)
class Margin:
    """The rows whose two best classes are closest: the n smallest differences of the two largest scores.

    Scores are probabilities where the learner gives them; for a support vector machine they are decision values, and
    the difference is how far the row is from changing class. Classes without a label may score -inf. Ties are broken
    by the query's generator.
    """

    def select(self, query: Query) -> Rows:
        two_best = np.partition(query.scores, -2, axis=1)[:, -2:]  # (U, 2), ascending
        margin = two_best[:, 1] - two_best[:, 0]
        return query.unlabelled[top(-margin, query.n, query.rng)]

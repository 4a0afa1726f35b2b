from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Features, Query, Rows
from ..kernels.distances import Positions, blocks, unit_rows
from ..kernels.head.boundaries import seen
from ..kernels.kmeans import representatives
from ..kernels.scores import fill

ENOUGH = 25  # candidates for each row to buy


@strategy(
    "dropquery",
    cite="Gupte, Aklilu, Nirschl and Yeung-Levy, Revisiting Active Learning in the Era of Vision Foundation Models, "
    "TMLR 2024 (arXiv 2401.14555)",
    version=1,
    needs={"hidden", "head"},
)
@dataclass(frozen=True)
class DropQuery:
    """A spread of the rows whose prediction does not survive that most of their features are left out.

    ``passes`` times each feature of each row is left out with chance ``rate``, and the others grow by 1 / (1 - rate).
    Candidates are the rows whose prediction differs from the one without in more than half of the passes; while they
    are fewer than 25 n, the authors' code takes one pass less, down to one. They are clustered by k-means into n
    clusters, as unit rows, and the row nearest each centre is bought; where there are fewer than n, all are, and the
    rest is drawn.

    The features are h (H,), what the model's last layer sees, and its head is linear: so the rule makes its passes
    itself, with its own rate and a mask a row as in the paper, whatever the learner's ``passes`` are. O(passes U H C)
    and k-means; a block of masks at a time. Where we differ: the authors' head normalises features by batch.
    """

    passes: int = 3
    rate: float = 0.75

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise ValueError(f"dropquery: passes is {self.passes}; it must be at least 1")
        if not 0 < self.rate < 1:
            raise ValueError(f"dropquery: rate is {self.rate}; it must be above 0 and below 1")

    def select(self, query: Query) -> Rows:
        found = self.candidates(query)
        found = found[representatives(unit_rows(query.hidden[found]), query.n, query.rng)]
        return query.unlabelled[fill(found, query.n, len(query.unlabelled), query.rng)]

    def candidates(self, query: Query) -> Positions:
        """Return the positions of the rows that the passes disagree on often enough."""
        differ = self._disagreements(query.hidden, query)
        above = self.passes // 2
        while above > 0 and np.count_nonzero(differ > above) < ENOUGH * query.n:
            above -= 1
        return np.flatnonzero(differ > above)

    def _disagreements(self, hidden: Features, query: Query) -> Positions:
        """Return in how many passes each row's prediction is not the one without dropout, (U,)."""
        weights, bias = (part.astype(np.float32) for part in seen(query.head))
        differ = np.zeros(len(hidden), np.int64)
        for part in blocks(len(hidden)):
            rows = hidden[part]
            clean = (rows @ weights + bias).argmax(axis=1)
            for _ in range(self.passes):
                kept = rows * (query.rng.random(rows.shape, np.float32) >= self.rate)
                differ[part] += ((kept @ weights) / np.float32(1 - self.rate) + bias).argmax(axis=1) != clean
        return differ

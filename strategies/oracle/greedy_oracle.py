from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.parameters import check
from ..kernels.scores import margin, top


@strategy(
    "greedy-oracle",
    cite="Werner, Burchert, Stubbemann and Schmidt-Thieme, A Cross-Domain Benchmark for Active Learning, NeurIPS 2024 "
    "(arXiv 2408.00426)",
    version=1,
    needs={"oracle", "learner", "scores"},
)
@dataclass(frozen=True)
class GreedyOracle:
    """The rows that raise the accuracy on the test set the most, one after another: an upper bound, no rule.

    For each row ``candidates`` unlabelled rows are drawn. The trial's learner is fitted once with each of them, under
    its hidden label, beside all that is labelled or taken so far; the one after which most rows of the test set are
    right is taken, of equal ones any. Where none of them is better than nothing, the one of smallest margin under the
    model so far is. ``step`` above 1 takes so many of the best at once, each judged by itself.

    As in the paper's code (defaults 20 and 1), but there is no paper's warm start: each fit begins as the trial's does.
    Greedy is no bound in earnest: two rows that help only together are never found, and a row may help by luck.

    n / ``step`` times ``candidates`` + 1 fits and answers on the test set: 2,100 for 100 rows, which takes minutes.
    """

    candidates: int = 20
    step: int = 1

    def __post_init__(self) -> None:
        check("greedy-oracle", self, {"candidates": 1, "step": 1})
        if self.step > self.candidates:
            raise ValueError(f"greedy-oracle: step is {self.step}; it must be at most candidates, {self.candidates}")

    def select(self, query: Query) -> Rows:
        rows, wanted = query.labelled, len(query.labelled) + query.n
        while len(rows) < wanted:
            rows = np.concatenate([rows, self.best(query, rows, min(self.step, wanted - len(rows)))])
        return rows[len(query.labelled) :]

    def best(self, query: Query, rows: Rows, count: int) -> Rows:
        """Return the best (count,) of some rows drawn, beside these rows (M,)."""
        free = np.setdiff1d(query.unlabelled, rows)
        drawn = query.rng.choice(free, min(self.candidates, len(free)), replace=False)
        if len(drawn) == count:
            return drawn
        oracle = query.oracle
        now = query.fit(rows, oracle.labels[rows])
        tried = (np.append(rows, row) for row in drawn)
        right = np.array([oracle.correct(query.fit(known, oracle.labels[known])) for known in tried])
        helps = np.flatnonzero(right > oracle.correct(now))
        first = helps[top(right[helps], count, query.rng)]
        others = np.setdiff1d(np.arange(len(drawn)), first)
        uncertain = margin(now.of(drawn[others]).scores)
        best: Rows = drawn[np.concatenate([first, others[top(uncertain, count - len(first), query.rng)]])]
        return best

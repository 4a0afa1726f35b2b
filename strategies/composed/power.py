from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ...benchmark.registry import needs_of, rule, strategy
from ...benchmark.types import Floats, Query, Rows, Scored
from ..kernels.scores import top


@strategy(
    "power",
    cite="Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, Stochastic Batch Acquisition: A Simple "
    "Baseline for Deep Active Learning, TMLR 2023 (arXiv 2106.12059)",
    version=1,
)
@dataclass(frozen=True)
class Power:
    """A batch drawn by the scores of another rule: PowerBALD over `bald`, and the same over any other.

    ``over`` is the rule whose scores s are taken. Rows are drawn one after another without replacement; ``kind`` is the
    form of their odds: s^beta (``power``), exp(beta s) (``softmax``) or rank^-beta (``softrank``; rank 1 is the largest
    score). The larger ``beta``, above 0, the more a larger score counts. That is to take the n largest of log s, s or
    -log rank, plus Gumbel noise over beta (the paper's section 3 and table 2). Rows of score 0 come last under
    ``power``. Scores below 0 have no such odds: ``power`` refuses them, and is unsupported over the `margin` of
    decision values; the other two kinds take any. Equal scores are ranked in random order. Cost: that of the scores and
    O(U log U).
    """

    over: Scored = field(default_factory=rule("bald"))
    kind: Literal["power", "softmax", "softrank"] = "power"
    beta: float = 1.0

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta}; it must be above 0")

    @property
    def needs(self) -> frozenset[str]:
        """What the rule below needs; ``power`` over `margin` needs that its scores are probabilities."""
        below = needs_of(self.over)
        return below | {"probabilities"} if self.kind == "power" and "scores" in below else below

    def select(self, query: Query) -> Rows:
        noise = query.rng.gumbel(size=len(query.unlabelled)) / self.beta
        return query.unlabelled[top(self._log_odds(query) + noise, query.n, query.rng)]

    def _log_odds(self, query: Query) -> Floats:
        """Return the logarithm of each row's odds (U,), over beta."""
        scores = self.over.score(query).astype(np.float64)
        if self.kind == "softmax":
            return scores
        if self.kind == "softrank":
            log_odds = np.empty(len(scores))
            log_odds[top(scores, len(scores), query.rng)] = -np.log(np.arange(1, len(scores) + 1))
            return log_odds
        if scores.min() < 0:
            raise ValueError(f"power needs scores of at least 0, got {scores.min():.3g}; kind: softmax takes any")
        with np.errstate(divide="ignore"):  # the logarithm of 0 is what is meant
            return np.log(scores)

from dataclasses import dataclass, field

import numpy as np

from ...benchmark.registry import ask, needs_of, rule, strategy
from ...benchmark.types import Batch, Query, Rows, Strategy
from ..kernels.scores import argmax


def _proposers() -> tuple[Strategy, ...]:
    return tuple(rule(name)() for name in ("random", "margin", "badge", "coreset", "typiclust"))


@strategy(
    "boss-oracle",
    cite="Huseljic, Hahn, Herde, Sandrock and Sick, BoSS: A Best-of-Strategies Selector as an Oracle for Deep Active "
    "Learning, 2026 (arXiv 2603.13109)",
    version=1,
    needs={"oracle", "learner"},
)
@dataclass(frozen=True)
class BossOracle:
    """The best of many batches that other rules propose, by the accuracy on the test set: an upper bound, no rule.

    ``candidates`` batches are proposed, each by one of ``rules`` (drawn) from a part of the unlabelled rows (drawn,
    of 4 n to ``largest`` rows, uniformly). The trial's learner is fitted on the labelled rows and each batch with its
    hidden labels; the batch with the fewest errors on the test set is bought, of equal ones any.

    The paper has 100 candidates of ten rules; the defaults are fewer of both, so that a round takes seconds. Its rules
    see nothing of the pool but their part of it; here those that look at features (``typiclust``) see all of them.

    ``candidates`` times a rule and a fit.
    """

    rules: tuple[Strategy, ...] = field(default_factory=_proposers)
    candidates: int = 20
    largest: int = 5000

    def __post_init__(self) -> None:
        for name in ("candidates", "largest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if "reveal" in self.needs:  # what it reveals must be bought, and most of what is proposed is not
            raise ValueError("a rule that has labels revealed cannot propose a batch")

    @property
    def needs(self) -> frozenset[str]:
        """What the rules need that propose."""
        return frozenset().union(*map(needs_of, self.rules))

    def select(self, query: Query) -> Rows:
        return self.choose(query).rows

    def choose(self, query: Query) -> Batch:
        """Return the best batch, and whose it is."""
        batches = [self.proposed(query) for _ in range(self.candidates)]
        return batches[argmax(np.array([correct(query, batch.rows) for batch in batches]), query.rng)]

    def proposed(self, query: Query) -> Batch:
        """Return a batch (n,) of one of the rules."""
        U, rng = len(query.unlabelled), query.rng
        size = rng.integers(min(4 * query.n, U), min(max(4 * query.n, self.largest), U), endpoint=True)
        part = rng.choice(query.unlabelled, size, replace=False)
        return ask(self.rules[rng.integers(len(self.rules))], query.among(part))


def correct(query: Query, batch: Rows) -> int:
    """Return how many rows of the test set are told right once the labels of a batch are known."""
    rows = np.concatenate([query.labelled, batch])
    return query.oracle.correct(query.fit(rows, query.oracle.labels[rows]))

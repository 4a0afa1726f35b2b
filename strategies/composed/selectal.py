from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ...benchmark.registry import ask, needs_of, rule, strategy
from ...benchmark.types import Batch, Features, Labels, Query, Rows, Strategy
from ..kernels.distances import Positions, unit_rows
from ..kernels.kmeans import kmeans
from ..kernels.scores import argmax, top
from ..kernels.typicality import typicality

NEIGHBOURS = 20  # of a typicality, as in typiclust

Take = Callable[[Features, int, np.random.Generator], Positions]
"""From rows (M, D) to the positions of so many of them."""


@strategy(
    "selectal",
    cite="Hacohen and Weinshall, How to Select Which Active Learning Strategy is Best Suited for Your Specific Problem "
    "and Budget, NeurIPS 2023 (arXiv 2306.03543)",
    version=1,
    needs={"learner"},
)
@dataclass(frozen=True)
class SelectAL:
    """A rule for low budgets, for high ones, or one between: whichever's removal test hurts the most (Algorithm 1).

    A share ``removed`` of the labelled rows is taken out, class by class (at least one row of a class, never its
    last), and the trial's learner is fitted on the rest: once without the most typical (they stand for ``low``), once
    without the least typical (for ``high``), ``draws`` times without rows drawn (for ``middle``). What the learner
    loses is seen on a share ``held_out`` of the labelled rows, set aside before; all this is done for ``splits`` draws
    of them. The rule buys whose removal leaves the fewest right; of equal ones any.

    Typical rows are those of highest typicality in as many k-means clusters of the class's unit rows as are taken out
    (`typiclust`). Where no class has three labelled rows there is nothing to test, and ``low`` buys. The paper trains
    a network for 50 epochs on each of these sets; here it is the learner of the trial. Where few rows are labelled
    few are held out, equals are frequent, and the choice is a draw more often than a finding.

    ``splits`` (``draws`` + 2) fits, 35 by default, and then one rule.
    """

    low: Strategy = field(default_factory=rule("typiclust"))
    middle: Strategy = field(default_factory=rule("random"))
    high: Strategy = field(default_factory=rule("badge"))
    removed: float = 0.05
    held_out: float = 0.05
    splits: int = 5
    draws: int = 5

    def __post_init__(self) -> None:
        for name in ("removed", "held_out"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0 and below 1")
        for name in ("splits", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    @property
    def needs(self) -> frozenset[str]:
        """What the three rules need."""
        return needs_of(self.low) | needs_of(self.middle) | needs_of(self.high)

    def select(self, query: Query) -> Rows:
        return self.choose(query).rows

    def choose(self, query: Query) -> Batch:
        """Return what the suited rule buys."""
        return ask(self.suited(query), query)

    def suited(self, query: Query) -> Strategy:
        """Return the rule that the removal test chooses."""
        if np.bincount(query.labels).max() < 3:
            return self.low
        units = unit_rows(query.features[query.labelled])
        right = np.zeros(3, dtype=np.int64)  # of each way, over as many fits: those that are not drawn count for all
        for kept, tested in self._splits(query):
            for way, take, times in ((0, typical, 1), (1, drawn, self.draws), (2, atypical, 1)):
                for _ in range(times):
                    rows = kept[without(take, units[kept], query.labels[kept], self.removed, query.rng)]
                    said = query.fit(query.labelled[rows], query.labels[rows]).of(query.labelled[tested]).predicted
                    right[way] += np.count_nonzero(said == query.labels[tested]) * self.draws // times
        return (self.low, self.middle, self.high)[argmax(-right, query.rng)]

    def _splits(self, query: Query) -> Iterator[tuple[Positions, Positions]]:
        """Yield positions among the labelled rows: those to fit on, and those to test on."""
        tested = max(1, round(self.held_out * len(query.labels)))
        for _ in range(self.splits):
            order = query.rng.permutation(len(query.labels))
            yield order[tested:], order[:tested]


def without(take: Take, units: Features, labels: Labels, share: float, rng: np.random.Generator) -> Positions:
    """Return the positions that stay when ``take`` has taken its share of the rows (M, D) of each class."""
    stays = np.ones(len(labels), dtype=np.bool_)
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        count = min(max(1, round(share * len(members))), len(members) - 1)
        if count:
            stays[members[take(units[members], count, rng)]] = False
    return np.flatnonzero(stays)


def drawn(units: Features, count: int, rng: np.random.Generator) -> Positions:
    """Return positions of rows (M, D), drawn."""
    return rng.choice(len(units), count, replace=False)


def typical(units: Features, count: int, rng: np.random.Generator, sign: int = 1) -> Positions:
    """Return the most typical row of each of ``count`` clusters of rows (M, D); with fewer clusters, the next ones."""
    _, cluster = kmeans(units, count, rng)
    place = np.empty(len(units), dtype=np.int64)  # in its cluster, the most typical first
    for c in np.unique(cluster):
        members = np.flatnonzero(cluster == c)
        place[members[top(sign * typicality(units[members], NEIGHBOURS), len(members), rng)]] = np.arange(len(members))
    return np.lexsort((rng.random(len(units)), place))[:count]


atypical = partial(typical, sign=-1)

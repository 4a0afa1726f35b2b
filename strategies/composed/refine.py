from dataclasses import dataclass, field

import numpy as np

from ...benchmark.registry import needs_of, rule, strategy
from ...benchmark.types import Query, Rows, Strategy
from ..kernels.parameters import check


def _ensemble() -> tuple[Strategy, ...]:
    return tuple(rule(name)() for name in ("random", "margin", "badge", "typiclust", "max-herding"))


@strategy(
    "refine",
    cite="Huseljic, Herde, Rauch, Hahn and Sick, Cleaning the Pool: Progressive Filtering of Unlabeled Pools in Deep "
    "Active Learning, CVPR 2026 (arXiv 2511.22344)",
    version=1,
)
@dataclass(frozen=True)
class Refine:
    """Coverage of what many rules would buy: the pool is filtered by all of them, again and again, then herded.

    Filter, ``depth`` times: each of ``rules`` buys ``draws`` batches of n rows, each from ``largest`` rows drawn from
    the pool; what any of them bought is the next pool (of more than ``most`` rows, so many drawn). After the first
    time ``share`` of the pool is drawn instead, at least n rows. From the last pool ``then`` buys the batch. A rule
    sees no other unlabelled row than those drawn, nor does ``then``: what it covers is the filtered pool.

    The paper was not read beyond its abstract; numbers and steps are those of its authors' code, which draws 11 batches
    (the paper 10, as others tell) for each of nine rules (bait, alfa-mix, dropquery and uncertainty-herding beside
    those here) and herds with `uncertainty-herding`. Both numbers are smaller here, so that a purchase takes seconds:
    `bait-binary` alone takes over 2 seconds for 100 of 5,000 rows of 512 features.

    ``depth`` times ``draws`` calls of each rule on a pool of ``largest`` rows, whatever the size of the whole pool;
    O(``largest`` D) memory for their features.
    """

    rules: tuple[Strategy, ...] = field(default_factory=_ensemble)
    then: Strategy = field(default_factory=rule("max-herding"))
    depth: int = 5
    draws: int = 2
    share: float = 0.4
    largest: int = 5000
    most: int = 10_000

    def __post_init__(self) -> None:
        check("refine", self, {"depth": 0, "draws": 1, "largest": 1, "most": 1})
        if not 0 < self.share <= 1:
            raise ValueError(f"refine: share is {self.share}; it must be above 0 and at most 1")
        if "reveal" in self.needs:  # what it reveals must be bought, and most of what is proposed is not
            raise ValueError("refine: a rule that has labels revealed cannot filter")

    @property
    def needs(self) -> frozenset[str]:
        """What all the rules need."""
        return frozenset().union(*map(needs_of, (*self.rules, self.then)))

    def select(self, query: Query) -> Rows:
        pool, size = query.unlabelled, self.largest
        for _ in range(self.depth):
            pool = self.filtered(query, pool, size)
            size = int(self.share * len(pool))
        return _bought(self.then, query, pool)

    def filtered(self, query: Query, pool: Rows, size: int) -> Rows:
        """Return what is left of a pool (M,), ascending: the rows that some rule buys from ``size`` of them."""
        size = min(max(size, query.n), len(pool))
        offers = ((one, query.rng.choice(pool, size, replace=False)) for one in self.rules for _ in range(self.draws))
        left = np.unique([_bought(one, query, offered) for one, offered in offers])
        most = max(self.most, query.n)
        return left if len(left) <= most else np.sort(query.rng.choice(left, most, replace=False))


def _bought(one: Strategy, query: Query, offered: Rows) -> Rows:
    """Return what a rule buys where there are no other unlabelled rows than those offered (M,)."""
    part, kept = query.within(offered)
    return kept[one.select(part)]

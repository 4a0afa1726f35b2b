from dataclasses import dataclass, field

from ...benchmark.registry import needs_of, rule, strategy
from ...benchmark.types import Query, Rows, Strategy


@strategy("subset", cite="SpaceML, Active-Labeler, github.com/spaceml-org/Active-Labeler, 2021", version=1)
@dataclass(frozen=True)
class Subset:
    """Any rule, asked about ``size`` unlabelled rows that are drawn anew for each batch: Active-Labeler's ``limit``.

    The rule ``over`` does not see the others, so that scores are standardised and clusters made over the drawn rows
    alone. A batch of more than ``size`` rows is chosen among as many as it holds; of no more than ``size`` unlabelled
    rows all take part, and nothing is drawn. Cost: that of the rule on so many rows. What a rule makes of the whole
    pool, once for all rounds (unit rows, neighbours), it still does.
    """

    over: Strategy = field(default_factory=rule("margin"))
    size: int = 10_000

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"subset: size is {self.size}; it must be at least 1")

    @property
    def needs(self) -> frozenset[str]:
        """What the rule below needs."""
        return needs_of(self.over)

    def select(self, query: Query) -> Rows:
        size = max(self.size, query.n)
        if size >= len(query.unlabelled):
            return self.over.select(query)
        return self.over.select(query.among(query.rng.choice(query.unlabelled, size, replace=False)))

from dataclasses import dataclass, field

from ...benchmark.registry import ask, needs_of, rule, strategy
from ...benchmark.types import Batch, Query, Rows, Strategy


@strategy(
    "tcm",
    cite="Doucet, Estermann, Aczel and Wattenhofer, Bridging Diversity and Uncertainty in Active Learning with "
    "Self-Supervised Pre-Training, 2024 (arXiv 2403.03728)",
    version=1,
)
@dataclass(frozen=True)
class TCM:
    """Typical rows first, uncertain ones afterwards: `typiclust` for ``steps`` purchases, then `margin`.

    ``first`` is the rule of these purchases, ``then`` that of all later ones. The initial labels are no step. While
    nothing is labelled ``first`` buys as well, and that is no step either: it stands for the initial labels.

    The paper was not read: that TypiClust comes first, then Margin, and that the switch follows a rule of thumb that
    goes by the budget, is its abstract; ``steps`` of 3, after initial labels drawn at random, is how the code of
    "Cleaning the Pool" (arXiv 2511.22344) has it, whatever the budget.

    Cost: that of the rule whose turn it is.
    """

    first: Strategy = field(default_factory=rule("typiclust"))
    then: Strategy = field(default_factory=rule("margin"))
    steps: int = 3

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"tcm: steps is {self.steps}; it must be at least 0")

    @property
    def needs(self) -> frozenset[str]:
        """What the two rules need."""
        return needs_of(self.first) | needs_of(self.then)

    @property
    def beginning(self) -> Strategy:
        """The rule that buys while nothing is labelled."""
        return self.first

    def select(self, query: Query) -> Rows:
        return self.choose(query).rows

    def choose(self, query: Query) -> Batch:
        """Return what the rule buys whose turn it is."""
        steps_done = len(query.purchases) - 1
        return ask(self.first if steps_done < self.steps else self.then, query)

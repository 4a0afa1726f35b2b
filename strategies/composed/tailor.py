from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

import numpy as np

from ...benchmark.registry import ask, label, needs_of, rule, strategy
from ...benchmark.types import Batch, Chooser, Floats, Query, Rows, Strategy
from ..kernels.distances import Positions


@strategy(
    "tailor",
    cite="Zhang, Shao, Verma and Nowak, Algorithm Selection for Deep Active Learning with Imbalanced Datasets, "
    "NeurIPS 2023 (arXiv 2302.07317)",
    version=1,
    needs={"labels"},
)
@dataclass(frozen=True)
class Tailor:
    """A bandit over rules (TAILOR): each row of a batch goes to the rule that Thompson sampling expects to earn most.

    A row with a label of class c earns v_c = 1 / (labels of class c so far, at least 1), negative for a class with more
    than half of all labels. What a rule buys is Dirichlet: theta_i ~ Dirichlet(a_i + 1), (C,), where a_ic counts the
    rows of class c that rule i bought, beginning with 1; each purchase multiplies what was counted before by
    ``memory``. Position by position theta is drawn anew for all rules, and the one with the largest theta_i · v has it.
    No label is known before the batch is whole, so all positions can be drawn at once. Then each rule is asked once, in
    the order in which they come first, for as many rows as it has won, from those that the others have left.

    Who bought which row is read from `Query.chosen_by`. The ``rules`` to choose from are any that choose themselves (no
    `tcm` here). Asked by a rule that passes nothing of this on (`ceal`), it has no memory.

    The paper was not read; all this is how its authors' code does it. They take one row after another, so that each
    rule knows what was taken just before; here a rule knows only that it is gone. Their rules for classification are
    GALAXY, least confidence, BADGE, and two more; here those of `boss-oracle`, as GALAXY reveals labels.

    Cost: that of the rules, and O(n K C) for K rules.
    """

    rules: tuple[Strategy, ...] = field(default_factory=lambda: rule("boss-oracle")().rules)
    memory: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.memory <= 1:
            raise ValueError(f"tailor: memory is {self.memory}; it must be from 0 to 1")
        if choosers := [label(one) for one in self.rules if isinstance(one, Chooser)]:
            raise ValueError(f"tailor: rules has {choosers[0]}, which leaves its rows to others; name those others")

    @property
    def needs(self) -> frozenset[str]:
        """What the rules need."""
        return frozenset().union(*map(needs_of, self.rules))

    def select(self, query: Query) -> Rows:
        return self.choose(query).rows

    def choose(self, query: Query) -> Batch:
        """Return the rows of all rules, each at the positions that it has won."""
        winner, left = self.winners(query), query.unlabelled
        rows, chosen_by = np.empty(query.n, np.int64), np.empty(query.n, object)
        for i in dict.fromkeys(winner.tolist()):
            won = np.flatnonzero(winner == i)
            batch = ask(self.rules[i], replace(query.among(left), n=len(won)))
            rows[won], chosen_by[won] = batch
            left = np.setdiff1d(left, batch.rows)
        return Batch(rows, tuple(chosen_by.tolist()))

    def winners(self, query: Query) -> Positions:
        """Return which rule has each position of the batch, (n,)."""
        value = values(query)
        earned = [query.rng.dirichlet(counted + 1, size=query.n) @ value for counted in self.counts(query)]
        return np.asarray(np.argmax(earned, axis=0), np.int64)

    def counts(self, query: Query) -> Floats:
        """Return what each of the rules has bought of each class, (K, C): one more, and the older the less."""
        chosen_by, counted = np.array(query.chosen_by, dtype=str), np.ones((len(self.rules), query.n_classes))
        for begin, end in pairwise(accumulate(query.purchases, initial=0)):
            if (chosen_by[begin:end] != "").any():  # the initial labels are no purchase of its own
                counted *= self.memory
            for i, one in enumerate(self.rules):
                bought = query.labels[begin:end][chosen_by[begin:end] == label(one)]
                counted[i] += np.bincount(bought, minlength=query.n_classes)
        return counted


def values(query: Query) -> Floats:
    """Return what a label of each class is worth, (C,): the rarer, the more; a class of more than half costs."""
    known = np.bincount(query.labels, minlength=query.n_classes)
    return np.where(known > len(query.labels) / 2, -1.0, 1.0) / np.maximum(known, 1)

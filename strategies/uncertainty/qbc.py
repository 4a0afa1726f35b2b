from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Answers, Query, Rows
from ..kernels.sampling import resampled
from ..kernels.scores import entropy, top, without_rounding


@strategy(
    "qbc",
    cite="Seung, Opper and Sompolinsky, Query by Committee, COLT 1992; by bagging: Abe and Mamitsuka, Query Learning "
    "Strategies Using Boosting and Bagging, ICML 1998; vote entropy: Dagan and Engelson, Committee-Based Sampling for "
    "Training Probabilistic Classifiers, ICML 1995; divergence: McCallum and Nigam, Employing EM and Pool-Based Active "
    "Learning for Text Classification, ICML 1998",
    version=1,
    needs={"learner"},
)
@dataclass(frozen=True)
class QBC:
    """The rows that a committee disagrees on most; its members are the learner on bootstrap samples of the labels.

    ``measure: vote-entropy`` is the entropy of the members' votes, -sum_c v_c log v_c for v_c the share of the K =
    ``members`` whose prediction is class c; ``measure: kl`` the mean over the members of KL(p_k || mean p), for a
    learner that gives probabilities, which is `bald` over the committee. A member is fitted on L draws with replacement
    from the L labelled rows, and on one row of each class that fell out besides.

    The committee is fitted (and not taken from the learner's passes) so that the rule means the same beside every
    learner, and runs beside those that say no more than a class; of passes the same is `variation-ratio` or `bald`.
    While each class has one label, all members are nearly one model: most rows tie. Votes take few values: ties are
    many, and broken by the query's generator.

    Cost: K fits on L rows, counted as selection, and K predictions of the U unlabelled rows; (U, C) counts are held.
    """

    members: int = 10
    measure: Literal["vote-entropy", "kl"] = "vote-entropy"

    def __post_init__(self) -> None:
        if self.members < 2:
            raise ValueError(f"qbc: members is {self.members}; it must be at least 2")

    @property
    def needs(self) -> frozenset[str]:
        """Votes need no more than predictions."""
        return frozenset({"probabilities"} if self.measure == "kl" else ())

    def score(self, query: Query) -> NDArray[Any]:
        mean, alone = np.zeros((len(query.unlabelled), query.n_classes)), np.zeros(len(query.unlabelled))
        for _ in range(self.members):
            drawn = resampled(query.rng, query.labels)
            said = self._said(query.fit(query.labelled[drawn], query.labels[drawn]), query.n_classes)
            mean += said / self.members
            alone += entropy(said) / self.members
        if self.measure == "kl":
            return np.asarray(without_rounding(entropy(mean) - alone))
        shares = np.sort(np.round(mean * self.members), axis=1) / self.members  # equal votes have equal sums
        return np.asarray(entropy(shares))

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

    def _said(self, member: Answers, n_classes: int) -> NDArray[np.float64]:
        """Return a member's probabilities (U, C), or its vote for one class as 1."""
        if self.measure == "kl":
            return member.probs.astype(np.float64)
        votes: NDArray[np.bool_] = member.predicted[:, None] == np.arange(n_classes)
        return votes.astype(np.float64)

from dataclasses import dataclass, field

import numpy as np

from ...benchmark.registry import needs_of, rule, strategy
from ...benchmark.types import Labels, Query, Rows, Strategy
from ..kernels.scores import entropy


@strategy(
    "ceal",
    cite="Wang, Zhang, Li, Zhang and Lin, Cost-Effective Active Learning for Deep Image Classification, IEEE TCSVT 27, "
    "2017 (arXiv 1701.03551)",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class Ceal:
    """Any rule, and the surest rows with their predicted labels in this round's training besides (Algorithm 1).

    Sure are the unlabelled rows whose entropy (natural logarithm) is below ``delta``, which falls by ``decay`` with
    each purchase after the first labels. They are guessed anew in each round and never bought: what ``over`` may
    choose from does not change. The paper fine-tunes one network on; here each round is trained from scratch.

    An entropy is never below 0, so once ``delta`` would be (after 152 purchases by default) nothing is guessed. DeepAL+
    takes ``decay`` times the round off what is left of it, and guesses nothing from round 17 on.

    O(U C) beyond ``over``, a block at a time.
    """

    over: Strategy = field(default_factory=rule("entropy"))
    delta: float = 5e-5
    decay: float = 3.3e-7

    def __post_init__(self) -> None:
        for name in ("delta", "decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")

    @property
    def needs(self) -> frozenset[str]:
        """What the rule below needs."""
        return needs_of(self.over)

    def select(self, query: Query) -> Rows:
        return self.over.select(query)

    def pseudo_labels(self, query: Query, rows: Rows) -> tuple[Rows, Labels]:
        """Return the sure rows (E,) that are not among ``rows``, and their predicted labels (E,)."""
        bought_since = len(query.purchases) - 1
        sure = query.rowwise(entropy) < self.delta - self.decay * bought_since
        sure &= ~np.isin(query.unlabelled, rows)
        return query.unlabelled[sure], query.predicted[sure]

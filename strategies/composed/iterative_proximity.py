from dataclasses import dataclass, field

import numpy as np

from ...benchmark.registry import needs_of, rule, strategy
from ...benchmark.types import Floats, Query, Rows, Scored
from ..kernels.distances import blocks
from ..kernels.scores import top


@strategy("iterative-proximity", cite="SpaceML, Active-Labeler, github.com/spaceml-org/Active-Labeler, 2021", version=1)
@dataclass(frozen=True)
class IterativeProximity:
    """The best rows by another rule's scores, ten at a time, with a bonus for lying far from those taken before.

    Scores, those of the rule ``over``, are standardised over the unlabelled rows. The first ``step`` rows are the
    largest. Before each further ``step`` rows the distances of all unlabelled rows to the mean of the features picked
    so far are scaled to [-``weight``, ``weight``] and added (Active-Labeler's "iterative proximity"). Where all scores,
    or all distances, are equal they decide nothing. Ties are broken by the query's generator. Cost: that of the scores
    and O(U D) for each step.
    """

    over: Scored = field(default_factory=rule("margin"))
    step: int = 10
    weight: float = 0.3

    def __post_init__(self) -> None:
        if self.step < 1:
            raise ValueError(f"step is {self.step}; it must be at least 1")

    @property
    def needs(self) -> frozenset[str]:
        """What the rule below needs."""
        return needs_of(self.over)

    def select(self, query: Query) -> Rows:
        score = _standardised(self.over.score(query).astype(np.float64))
        bonus, picks = np.zeros_like(score), np.empty(0, np.int64)
        while len(picks) < query.n:
            total = score + bonus
            total[picks] = -np.inf
            picks = np.concatenate([picks, top(total, min(self.step, query.n - len(picks)), query.rng)])
            if len(picks) < query.n:
                bonus = self.weight * _scaled(_from_mean(query, query.unlabelled[picks]))
        return query.unlabelled[picks]


def _standardised(scores: Floats) -> Floats:
    """Return scores (U,) of mean 0 and deviation 1; 0 where they do not differ, or are not finite."""
    spread = scores.std() if np.isfinite(scores).all() else 0.0
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)


def _from_mean(query: Query, picked: Rows) -> Floats:
    """Return the distance of each unlabelled row's features to the mean of those picked, (U,)."""
    mean, found = query.features[picked].mean(axis=0, dtype=np.float64), np.empty(len(query.unlabelled))
    for part in blocks(len(found)):
        apart = query.features[query.unlabelled[part]] - mean
        found[part] = np.sqrt(np.einsum("ud,ud->u", apart, apart))
    return found


def _scaled(values: Floats) -> Floats:
    """Return values (U,) scaled to [-1, 1]; 0 where they do not differ."""
    low, high = values.min(), values.max()
    return 2 * (values - low) / (high - low) - 1 if high > low else np.zeros_like(values)

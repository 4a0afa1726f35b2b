from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Features, Floats, Query, Rows
from ..kernels.distances import EPS, Closeness, Distances, Positions, euclidean
from ..kernels.farthest import farthest


@strategy(
    "cdal",
    cite="Agarwal, Arora, Anand and Arora, Contextual Diversity for Active Learning, ECCV 2020 (arXiv 2008.05723)",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class CDAL:
    """Farthest first among predictions: again and again the row whose probabilities differ most from all bought ones.

    CDAL-CS for classification (as summarised from the authors' code): k-Center-Greedy from the labelled rows on, where
    two rows with probabilities p and q (C,) are (KL(p‖q) + KL(q‖p)) / 2 = Σ_c (p - q) (log p - log q) / 2 apart.
    Probabilities below ``floor`` count as ``floor``: those of single precision may be 0. This is no metric, so
    k-centre's factor of 2 is not promised.

    Each distance is two products of C numbers: time O(N (|L| + n) C), memory O(N C). Where we differ: nothing of
    CDAL-RL, which learns a policy, nor of the mixtures over pixels that the paper takes for segmentation.
    """

    floor: float = 1e-7

    def __post_init__(self) -> None:
        if not 0 < self.floor < 1:
            raise ValueError(f"cdal: floor is {self.floor}; it must be above 0 and below 1")

    def select(self, query: Query) -> Rows:
        closed = np.ones(len(query.features), dtype=bool)
        closed[query.unlabelled] = False
        probs = query.of(np.arange(len(query.features))).probs
        return farthest(Divergence(probs, self.floor), query.n, query.rng, query.labelled, closed)


class Divergence(Distances):
    """Half the symmetric KL divergence between rows of probabilities (M, C).

    With l = log p: (p - q)(l - l') = (|(s p + l / s) - (s q + l' / s)|² - |(s p - l / s) - (s q - l' / s)|²) / 4 for
    any s: a difference of two Euclidean distances, which are exact; s makes both parts about as long.
    """

    def __init__(self, probs: Features, floor: float) -> None:
        p = np.maximum(probs, np.float32(floor))
        s = np.float32(np.sqrt(-np.log(floor)))
        logs = (np.log(p) / s).astype(np.float32)
        self._sum, self._gap = euclidean(p * s + logs), euclidean(p * s - logs)
        self.error = -2 * EPS * float(np.log(floor))  # of single precision: no distance is above -log floor

    def __len__(self) -> int:
        return len(self._sum)

    def to(self, rows: Positions | slice, picks: Positions) -> Closeness:
        return self.exact(np.arange(len(self))[rows], picks).astype(np.float32)

    def exact(self, rows: Positions, picks: Positions) -> Floats:
        twice = self._sum.exact(rows, picks) - self._gap.exact(rows, picks)
        return np.maximum(twice, 0) / 8

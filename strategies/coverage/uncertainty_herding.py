from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Array, Features, Floats, Labels, Query, Rows
from ..kernels.calibration import calibrated, tempered
from ..kernels.distances import pool_units
from ..kernels.graphs import nearest_neighbours
from ..kernels.herding import covers, gaussian, herd
from ..kernels.scores import UNCERTAINTIES, Uncertainty

FINEST = 0.02  # on unit rows products in single precision tell no smaller distance
LEAST = 1e-12  # an uncertainty that is smaller is rounding


@strategy(
    "uncertainty-herding",
    cite="Bae, Oliveira and Sutherland, Uncertainty Herding: One Active Learning Method for All Label Budgets, ICLR "
    "2025 (arXiv 2412.20644)",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class UncertaintyHerding:
    """Greedy maximisation of the uncertainty coverage: `max-herding` in which uncertain rows count for more.

    Each pick x' gains most in Σ_x u(x) max(0, k(x, x') - cover(x)) over the unlabelled rows x, where k is the Gaussian
    exp(-(|x - x'| / ``width``)²) between unit rows, cover(x) the largest k to a labelled or picked row, and u the
    ``uncertainty`` of the model's probabilities at temperature T.

    Two things shift by themselves from coverage to uncertainty as labels grow (the paper's adaptation, as summarised in
    its abstract and the authors' code): the width, where it is None, is the least distance above 0 between labelled
    rows (1 where there is none), and T the one of 1.0, 1.1, ..., 19.9 with the least expected calibration error on
    labels held out: of the labelled rows by ``folds``-fold cross-validation with the trial's learner, of the validation
    set that the budget paid for, or T = 1 (``calibration``). Where no row is uncertain all count the same.

    Time O(U T' D) a pass over T' targets (`herd`) and ``folds`` fits; targets are the uncertain rows, or ``targets`` of
    them drawn anew for each query where there are more. Where we differ: the authors' code caps the candidates
    (35,000) instead of the targets, and sets one part of the labels aside where we cross-validate; with no label at all
    it herds with u = 1, and here the batch is `random`'s.
    """

    uncertainty: Uncertainty = "margin"
    calibration: Literal["labelled", "validation", "none"] = "labelled"
    width: float | None = None
    targets: int | None = 10_000
    folds: int = 5

    def __post_init__(self) -> None:
        if self.width is not None and not self.width > 0:
            raise ValueError(f"uncertainty-herding: width is {self.width}; it must be above 0, or null to adapt")
        if self.targets is not None and self.targets < 1:
            raise ValueError(f"uncertainty-herding: targets is {self.targets}; it must be at least 1, or null for all")
        if self.folds < 2:
            raise ValueError(f"uncertainty-herding: folds is {self.folds}; it must be at least 2")

    @property
    def needs(self) -> frozenset[str]:
        """What the labels that are held out come from."""
        asked = {"labelled": {"learner"}, "validation": {"validation"}, "none": set[str]()}
        return frozenset(asked[self.calibration])

    def select(self, query: Query) -> Rows:
        units, weights = pool_units(query), self.weights(query)
        targets = np.flatnonzero(weights)
        if self.targets is not None and self.targets < len(targets):
            targets = query.rng.choice(targets, self.targets, replace=False)
        there, weights = units[query.unlabelled[targets]], weights[targets]
        width = self.width or least_distance(units[query.labelled])
        cover = covers(gaussian(units[query.labelled], there, width, weights), len(query.labelled), len(targets))
        similarity = gaussian(units[query.unlabelled], there, width, weights)
        return query.unlabelled[herd(similarity, len(query.unlabelled), cover, query.n, query.rng)]

    def weights(self, query: Query) -> Floats:
        """Return the uncertainty of each unlabelled row at the calibrated temperature, (U,), the largest 1."""
        T = calibrated(list(self._held_out(query)))

        def uncertainty(probs: Array) -> Array:
            return UNCERTAINTIES[self.uncertainty](tempered(probs, T))

        found = query.rowwise(uncertainty).astype(np.float64)
        found[found <= LEAST] = 0
        return found / found.max() if found.any() else np.ones_like(found)

    def _held_out(self, query: Query) -> Iterator[tuple[Features, Labels]]:
        """Yield probabilities (H, C) and labels (H,) of rows that the model who says them was not trained on."""
        if self.calibration == "validation":
            rows, labels = query.validation
            if len(rows):
                yield query.of(rows).probs, labels
        elif self.calibration == "labelled" and len(query.labels) > 1:
            order = query.rng.permutation(len(query.labels))
            for out in np.array_split(order, min(self.folds, len(order))):
                kept = np.setdiff1d(order, out)
                said = query.fit(query.labelled[kept], query.labels[kept])
                yield said.of(query.labelled[out]).probs, query.labels[out]


def least_distance(units: Features) -> float:
    """Return the least distance between two of some unit rows that differ, at least `FINEST`; 1 where none do."""
    rows = np.unique(units, axis=0)
    if len(rows) < 2:
        return 1.0
    return max(FINEST, float(nearest_neighbours(rows, 1)[1].min()))

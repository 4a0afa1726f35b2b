"""Nearest neighbours: the classifier with nothing to train."""

from dataclasses import dataclass

import numpy as np

from ...strategies.kernels.neighbours import nearest_rows
from ..device import fetch
from ..registry import learner
from ..types import Array, Features, Floats, Labels, Lesson


@learner(
    "knn", cite="Cover & Hart, Nearest neighbor pattern classification, IEEE Trans. Inf. Theory 13, 1967", version=2
)
@dataclass(frozen=True)
class KNN:
    """k-nearest-neighbour vote in Euclidean distance; of rows equally far those that were labelled first vote.

    Probabilities are vote shares (equal votes: the nearest neighbour decides). With ``k: 1``, or while fewer than k
    rows are labelled, all labelled rows up to k vote. One neighbour gives no graded probabilities, so rules that
    need them are unsupported with ``k: 1``.
    """

    k: int = 1

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError("k must be at least 1")

    @property
    def gives(self) -> frozenset[str]:
        """Vote shares as probabilities, unless there is only one vote."""
        return frozenset({"probabilities", "scores"}) if self.k > 1 else frozenset()

    def fit(self, lesson: Lesson) -> "KNNModel":
        """Keep the labelled rows; nothing is drawn."""
        return KNNModel(fetch(lesson.inputs), lesson.labels.copy(), lesson.n_classes, min(self.k, len(lesson.labels)))


@dataclass(frozen=True, eq=False)
class KNNModel:
    """The labelled rows (M, D) and their labels (M,)."""

    features: Features
    labels: Labels
    n_classes: int
    k: int

    def scores(self, inputs: Array) -> Features:
        """Return the share of the k votes that each class gets, (b, C)."""
        return self._votes(fetch(inputs))[0].astype(np.float32)

    def predict(self, inputs: Array) -> Labels:
        votes, nearest = self._votes(fetch(inputs))
        rows = np.arange(len(votes))
        tied = votes[rows, nearest] == votes.max(axis=1)
        return np.where(tied, nearest, votes.argmax(axis=1))

    def _votes(self, features: Features) -> tuple[Floats, Labels]:
        """Return vote shares (M, C) and the nearest neighbour's class (M,)."""
        voters = self.labels[nearest_rows(self.features, features, self.k)[0]]  # (M, k)
        votes = np.zeros((len(features), self.n_classes))
        np.add.at(votes, (np.arange(len(voters))[:, None], voters), 1.0 / self.k)
        return votes, voters[:, 0]

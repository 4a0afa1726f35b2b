"""Nearest neighbours: the classifier with nothing to train."""

from dataclasses import dataclass

import numpy as np

from ..device import fetch
from ..registry import learner
from ..types import Array, Features, Floats, Labels, Lesson

BLOCK = 4096  # rows whose distances are held at once


@learner("knn", cite="Cover & Hart, Nearest neighbor pattern classification, IEEE Trans. Inf. Theory 13, 1967")
@dataclass(frozen=True)
class KNN:
    """k-nearest-neighbour vote in Euclidean distance.

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
        rows, labels = fetch(lesson.inputs).astype(np.float64), lesson.labels
        return KNNModel(rows, labels.copy(), lesson.n_classes, min(self.k, len(labels)))


@dataclass(frozen=True, eq=False)
class KNNModel:
    """The labelled rows (M, D) and their labels (M,)."""

    features: Floats
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
        votes = np.zeros((len(features), self.n_classes))
        nearest = np.empty(len(features), dtype=np.int64)
        norms = np.sum(self.features**2, axis=1)
        for start in range(0, len(features), BLOCK):
            block = slice(start, start + BLOCK)
            # ‖x‖² is the same for every neighbour of x and decides nothing
            closeness = norms - 2 * (features[block].astype(np.float64) @ self.features.T)
            order = np.argsort(closeness, axis=1, kind="stable")[:, : self.k]
            voters = self.labels[order]  # (rows of the block, k)
            np.add.at(votes[block], (np.arange(len(voters))[:, None], voters), 1.0 / self.k)
            nearest[block] = voters[:, 0]
        return votes, nearest

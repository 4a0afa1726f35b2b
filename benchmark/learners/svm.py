"""Support vector machine with an RBF kernel (scikit-learn)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..device import fetch
from ..registry import learner
from ..types import Array, Features, Floats, Labels, Lesson

BLOCK_BYTES = 2**25
"""So much is held of what each pair of classes says of a block of rows: 300 classes are 44,850 pairs."""


@learner("svm", cite="Cortes & Vapnik, Support-vector networks, Machine Learning 20, 1995; scikit-learn's SVC")
@dataclass(frozen=True)
class SVM:
    """RBF support vector machine, scikit-learn's defaults.

    It gives decision values and no probabilities: ``margin`` then means the distance to the boundary (between the two
    best classes), and rules that need probabilities are unsupported. ``gamma`` is ``scale`` (1 / (D · variance)),
    ``auto`` (1 / D) or a number. ``C`` is the weight of labels that are told wrong beside the width of the margin.
    """

    C: float = 1.0
    gamma: str | float = "scale"

    def __post_init__(self) -> None:
        if isinstance(self.gamma, str) and self.gamma not in ("scale", "auto"):
            raise ValueError(f"gamma is {self.gamma!r}; legal: scale, auto, or a positive number")

    @property
    def gives(self) -> frozenset[str]:
        """Decision values."""
        return frozenset({"scores"})

    def fit(self, lesson: Lesson) -> SVMModel:
        """Fit on the classes that have labels; nothing is drawn."""
        from sklearn.svm import SVC  # noqa: PLC0415 - takes a second to load, which other learners need not wait for

        present = np.unique(lesson.labels)
        svc = None
        if len(present) > 1:
            svc = SVC(
                C=self.C,
                gamma=self.gamma,
                decision_function_shape="ovo",
                random_state=0,  # else it draws from numpy's global generator, in vain
            )
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # many classes "could be a regression"
                svc.fit(fetch(lesson.inputs), lesson.labels)
        return SVMModel(svc, present, lesson.n_classes)


@dataclass(frozen=True, eq=False)
class SVMModel:
    """A fitted SVC that answers pair by pair, or None where a single class has labels."""

    svc: Any
    present: Labels
    n_classes: int

    def scores(self, inputs: Array) -> Features:
        """Return decision values (b, C); -inf for a class without labels. Two classes: -d/2 and d/2."""
        scores = np.full((len(inputs), self.n_classes), -np.inf, np.float32)
        if self.svc is None:
            scores[:, self.present] = 0.0
            return scores
        C = len(self.present)
        size = max(1, BLOCK_BYTES // (8 * C * (C - 1) // 2))
        for start in range(0, len(inputs), size):
            block = slice(start, start + size)
            pairs = np.asarray(self.svc.decision_function(fetch(inputs[block])))
            one = np.stack([-pairs / 2, pairs / 2], axis=1) if C == 2 else against_the_rest(pairs, C)
            scores[block, self.present] = one
        return scores

    def predict(self, inputs: Array) -> Labels:
        if self.svc is None:
            return np.full(len(inputs), self.present[0], dtype=np.int64)
        return np.asarray(self.svc.predict(fetch(inputs)), dtype=np.int64)


def against_the_rest(pairs: Floats, C: int) -> Floats:
    """Return a decision value per class (b, C) from one per pair of classes (b, C (C - 1) / 2).

    The pairs that a class wins, and a fraction of how clearly: scikit-learn's shape "ovr" to the last bit, whose loop
    in Python over all pairs took most of the time of a trial with many classes.
    """
    votes, margins, start = np.zeros((len(pairs), C)), np.zeros((len(pairs), C)), 0
    for c in range(C):
        won = pairs[:, start : start + C - 1 - c]  # by c against each class after it, where above 0
        votes[:, c] += (won >= 0).sum(axis=1)
        votes[:, c + 1 :] += won < 0
        margins[:, c + 1 :] -= won
        margins[:, c] = np.add.accumulate(np.column_stack([margins[:, c], won]), axis=1)[:, -1]
        start += C - 1 - c
    decisions: Floats = votes + margins / (3 * (np.abs(margins) + 1))
    return decisions

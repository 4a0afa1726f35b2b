"""A learner whose settings its labels choose: the policy of hyper-parameters that a grid says as ``tune:``."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..lesson import Sees, Settled, needed_views, sees
from ..types import Answers, Labels, Learner, Lesson, Model, Rows

FEWEST = 2
"""So many labels for each class of the dataset, on average, must there be before a part of them is held out."""


@dataclass(frozen=True)
class Tuned:
    """Of several candidates, one learner with different settings, the one that tells most held-out labels right.

    Of equal ones the first listed. Accuracy decides, because it is what the tables compare and what every learner
    has; a likelihood only those have that give probabilities. Rows are counted, so that equal ones are equal exactly.

    ``cross-validation`` deals the labelled rows out into ``folds`` (`dealt`), no more than the largest class has
    labels, and counts each row where it is held out. With fewer than `FEWEST` labels a class on average, which is so
    in the same rounds for every strategy, nothing is held out and the first listed is taken. ``validation`` fits on
    all labelled rows and counts on the set that the budget paid for; the full-data bound, which has none, is
    cross-validated.

    All candidates are fitted with the same draws on the same rows. ``over`` names the parameters in which they differ.
    ``once``: what the first labels choose is kept in all rounds.
    """

    candidates: tuple[Learner, ...]
    over: tuple[str, ...]
    by: Literal["cross-validation", "validation"] = "cross-validation"
    folds: int = 5
    once: bool = False

    @property
    def gives(self) -> frozenset[str]:
        """What all candidates give."""
        return frozenset.intersection(*(frozenset(candidate.gives) for candidate in self.candidates))

    @property
    def sees(self) -> Sees:
        return sees(self.candidates[0])

    @property
    def reads_unlabelled(self) -> bool:
        return getattr(self.candidates[0], "reads_unlabelled", False)

    @property
    def pretrained(self) -> bool:
        return getattr(self.candidates[0], "pretrained", False)

    @property
    def views(self) -> int:
        return max(map(needed_views, self.candidates))

    @property
    def chained(self) -> bool:
        return any(getattr(candidate, "chained", False) for candidate in self.candidates)

    def settle(self, lesson: Lesson) -> Settled:
        """Choose a candidate; say which, and by what."""
        if self.by == "validation" and lesson.validation is not None:
            return self._settled(self._right(lesson, *lesson.validation), {"by": "validation"})
        if len(lesson.rows) < FEWEST * lesson.n_classes:
            return self._settled(np.zeros(len(self.candidates)), {"by": "first listed"})
        n = min(self.folds, int(np.bincount(lesson.labels).max()))
        fold = dealt(lesson.labels, n, lesson.rng)
        right = np.zeros(len(self.candidates), dtype=np.int64)
        for k in range(n):
            kept, held = fold != k, fold == k
            part = replace(lesson, rows=lesson.rows[kept], labels=lesson.labels[kept])
            right += self._right(part, lesson.rows[held], lesson.labels[held])
        return self._settled(right, {"by": "cross-validation", "folds": n})

    def fit(self, lesson: Lesson) -> Model:
        """Choose a candidate and fit it."""
        return self.settle(lesson).learner.fit(lesson)

    def _right(self, lesson: Lesson, rows: Rows, labels: Labels) -> NDArray[np.int64]:
        """Return how many of these rows each candidate tells right that was taught this lesson."""
        seed, right = lesson.rng.integers(2**63), []
        for candidate in self.candidates:
            alike = replace(lesson, rng=np.random.default_rng(seed), weights=deepcopy(lesson.weights), previous=None)
            model = candidate.fit(alike)
            said = Answers(model, lesson.view, rows, frozenset(), lambda: lesson.rng).predicted
            right.append(np.count_nonzero(said == labels))
        return np.array(right)

    def _settled(self, right: NDArray[Any], how: Mapping[str, Any]) -> Settled:
        best = self.candidates[int(np.argmax(right))]
        return Settled(best, {**how, "setting": {name: getattr(best, name) for name in self.over}})


def dealt(labels: Labels, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each label (M,), in [0, n): folds, and the rows of a class in them, differ by one at most."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % n
    return fold

"""What all rounds of a trial share: its data as its learner sees them, its rows set apart, how it fits and scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .lesson import Learner, Lesson, Model, Settled, Tunable, View, needed_views, sees
from .query import Answers
from .scoring import score
from .seeds import generator
from .types import Labels, Pool, Predicted, Rows, Scores, Trial


@dataclass(frozen=True, eq=False)
class Bench:
    """A trial, its pool and its learner."""

    trial: Trial
    pool: Pool
    learner: Learner

    @cached_property
    def view(self) -> View:
        """The pool as the learner sees it."""
        return View(self.pool.seen(sees(self.learner)))

    @cached_property
    def test(self) -> View:
        """The test set as the learner sees it; for the scorer, and for oracles."""
        return View(self.pool.seen_in_test(sees(self.learner)))

    @cached_property
    def transformed(self) -> tuple[tuple[View, ...], tuple[View, ...]]:
        """The weak and the strong views that the learner needs: the pool's first."""
        weak, strong = (tuple(map(View, those)) for those in self.pool.transformed(needed_views(self.learner)))
        return weak, strong

    @cached_property
    def initial(self) -> Rows:
        """Rows of the initial labels (`initial_rows`)."""
        return initial_rows(self.trial, self.pool)

    @cached_property
    def validation(self) -> Rows:
        """Rows whose labels the budget pays for and nobody trains on: the shuffle's last that are not initial ones."""
        n = self.trial.budget.validation.resolve(self.pool.n_classes)
        if not n:
            return np.empty(0, dtype=np.int64)
        backwards = _shuffled(self.trial, self.pool)[::-1]
        return backwards[~np.isin(backwards, self.initial)][:n]

    def unlabelled(self, labelled: Rows) -> Rows:
        """Return the rows that may be bought, ascending."""
        free = np.ones(len(self.pool), dtype=bool)
        free[labelled] = False
        free[self.validation] = False
        return np.flatnonzero(free)

    def of(self, learner: Learner) -> Bench:
        """Return the same bench with a learner that sees the same, its own with other settings say."""
        return self if learner is self.learner else replace(self, learner=learner)

    def settle(self, index: int, rows: Rows) -> Settled:
        """Return the learner with the settings that these rows and their labels choose, with the draws of a round."""
        if not isinstance(self.learner, Tunable):
            return Settled(self.learner)
        names = self.trial.names("tune", index)
        return self.learner.settle(self._lesson(names, rows, self.pool.labels[rows], self.unlabelled(rows)))

    def fit(
        self, names: tuple[str | int, ...], rows: Rows, labels: Labels, unlabelled: Rows, previous: Model | None = None
    ) -> Model:
        """Fit on these rows with these labels, with the draws of these names."""
        taken_up = previous if getattr(self.learner, "chained", False) else None
        return self.learner.fit(replace(self._lesson(names, rows, labels, unlabelled), previous=taken_up))

    def _lesson(self, names: tuple[str | int, ...], rows: Rows, labels: Labels, unlabelled: Rows) -> Lesson:
        weak, strong = self.transformed
        return Lesson(
            view=self.view,
            rows=rows,
            labels=labels,
            unlabelled=unlabelled,
            n_classes=self.pool.n_classes,
            rng=generator(*names),
            derived=self.pool.derived,
            weights=generator(*self.trial.names("weights", 0)),
            validation=(self.validation, self.pool.labels[self.validation]) if len(self.validation) else None,
            weak=weak,
            strong=strong,
        )

    def answers(self, model: Model, rows: Rows, needs: frozenset[str], index: int) -> Answers:
        """Return what a model says of rows of the pool; the draws of its passes are those of this round."""
        return Answers(model, self.view, rows, needs, lambda: generator(*self.trial.names("passes", index)))

    def score(self, model: Model) -> tuple[Scores, Predicted]:
        """Score a model on the test set; return the class that it predicts for each row (M,) too."""
        every = np.arange(len(self.test))
        gives = frozenset(self.learner.gives) | {"scores"}
        said = Answers(model, self.test, every, gives, lambda: generator("no passes"))
        probs = said.probs if "probabilities" in gives else None
        scores = score(said.predicted, self.pool.test_labels, self.pool.n_classes, probs)
        return scores, said.predicted.astype(np.min_scalar_type(self.pool.n_classes - 1))


def initial_rows(trial: Trial, pool: Pool) -> Rows:
    """Return the rows of the initial labels: the same for every strategy, learner and embedding of a dataset and seed.

    They are a prefix of one shuffle of the pool, so budgets that start with more labels contain those that start
    with fewer; ``stratified`` deals the shuffle out class by class.
    """
    n = trial.budget.initial.resolve(pool.n_classes)
    if not n:
        return np.empty(0, dtype=np.int64)
    shuffled = _shuffled(trial, pool)
    if trial.budget.initial_by == "stratified":
        labels = pool.labels[shuffled]
        turn = np.empty(len(pool), dtype=np.int64)  # how many of its class stand before it
        for c in range(pool.n_classes):
            turn[labels == c] = np.arange(np.count_nonzero(labels == c))
        shuffled = shuffled[np.argsort(turn, kind="stable")]
    return shuffled[:n]


def _shuffled(trial: Trial, pool: Pool) -> Rows:
    return generator(*trial.names("initial", 0)).permutation(len(pool)).astype(np.int64)

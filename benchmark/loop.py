"""One trial, purchase by purchase: pure, without files, clocks of its own making or Ray."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from . import registry
from .scoring import score
from .seeds import generator
from .types import Learner, Model, Pool, Query, Resources, Round, Rows, Strategy, Trial


class InvalidSelectionError(RuntimeError):
    """A strategy answered with anything but n distinct unlabelled rows."""


class Purchase(NamedTuple):
    """Rows bought at once, who chose them (`Round.bought_by`), and the seconds that took."""

    rows: Rows
    bought_by: Literal["initial", "strategy", "random"]
    select_s: float


@dataclass(frozen=True, eq=False)
class Recorded:
    """Stands in for a strategy: what it bought in another run, the initial labels first, is bought again."""

    purchases: tuple[Purchase, ...]

    def after(self, labelled: Rows) -> Purchase:
        """Return what was bought next after these rows; its seconds are those of the strategy, then.

        Raises
        ------
        InvalidSelectionError
            When these are not the rows that were bought, in this order, before one of the purchases.
        """
        n = 0
        for purchase in self.purchases:
            if n == len(labelled):
                return purchase
            if not np.array_equal(purchase.rows, labelled[n : n + len(purchase.rows)]):
                break
            n += len(purchase.rows)
        raise InvalidSelectionError(f"the {len(labelled)} labels bought so far are not those of the run on record")


@dataclass(frozen=True, eq=False)
class Job:
    """A trial with its plugins and what is on record of it already."""

    trial: Trial
    strategy: Strategy | Recorded
    learner: Learner
    resources: Resources
    history: tuple[Rows, ...] = ()
    attempts: int = 1

    @cached_property
    def kind(self) -> tuple[str, ...]:
        """Trials of one kind differ by seed alone and cost about the same."""
        trial = self.trial
        parts = (trial.dataset, trial.embedding, trial.learner, trial.strategy)
        return (*(part.label for part in parts), trial.budget.name)


@dataclass(frozen=True, eq=False)
class Start:
    """The fitted initial state and its row of results: one for all strategies of the same ``Trial.start_id``."""

    model: Model
    round: Round


def start(trial: Trial, pool: Pool, learner: Learner) -> Start | None:
    """Buy the initial labels and fit round 0, or None when the budget starts from no labels."""
    rows = initial_rows(trial, pool)
    if not len(rows):
        return None
    model, round_ = _fit_and_score(trial, pool, learner, 0, rows, len(rows), "initial", 0.0)
    return Start(model, round_)


def run_trial(
    trial: Trial,
    pool: Pool,
    strategy: Strategy | Recorded,
    learner: Learner,
    history: Sequence[Rows] = (),
    begin: Start | None = None,
) -> Iterator[Round]:
    """Yield the rounds of a trial that are not in ``history`` yet.

    Parameters
    ----------
    history
        The rows bought in the rounds already on record, in order; the trial continues behind them, and every draw
        is derived from its round's name, so the rest is the same as without the interruption.
    begin
        The shared initial state, where it has been fitted already.

    Raises
    ------
    InvalidSelectionError
        When the strategy returns anything but exactly n distinct unlabelled rows.
    """
    begin = begin if begin is not None or len(history) > 1 else start(trial, pool, learner)
    purchases = trial.budget.purchases(len(pool), pool.n_classes)
    bought = list(history)
    if begin is not None and not bought:
        yield begin.round
        bought.append(begin.round.selected)
    first = 0 if trial.budget.initial.resolve(pool.n_classes) else 1
    labelled = np.concatenate([np.empty(0, np.int64), *bought])
    model = begin.model if begin is not None and len(bought) == 1 else None
    for index in range(first + len(bought), len(purchases) + 1):
        if model is None and len(labelled):
            model = _fit(trial, pool, learner, index - 1, labelled)
        n = purchases[index - 1]
        bought_now = _buy(trial, pool, strategy, labelled, n, index, model)
        labelled = np.concatenate([labelled, bought_now.rows])
        model, round_ = _fit_and_score(trial, pool, learner, index, labelled, n, *bought_now[1:])
        yield round_


def initial_rows(trial: Trial, pool: Pool) -> Rows:
    """Rows of the initial labels: the same for every strategy, learner and embedding of a dataset and seed.

    They are a prefix of one shuffle of the pool, so budgets that start with more labels contain those that start
    with fewer; ``stratified`` deals the shuffle out class by class.
    """
    n = trial.budget.initial.resolve(pool.n_classes)
    if not n:
        return np.empty(0, dtype=np.int64)
    shuffled = generator(*trial.names("initial", 0)).permutation(len(pool))
    if trial.budget.initial_by == "stratified":
        labels = pool.labels[shuffled]
        turn = np.empty(len(pool), dtype=np.int64)  # how many of its class stand before it
        for c in range(pool.n_classes):
            turn[labels == c] = np.arange(np.count_nonzero(labels == c))
        shuffled = shuffled[np.argsort(turn, kind="stable")]
    return shuffled[:n].astype(np.int64)


def _buy(
    trial: Trial, pool: Pool, strategy: Strategy | Recorded, labelled: Rows, n: int, index: int, model: Model | None
) -> Purchase:
    """Ask the strategy, or ``random`` in its place where it needs labels and there are none yet."""
    free = np.ones(len(pool), dtype=bool)
    free[labelled] = False
    if isinstance(strategy, Recorded):
        again = strategy.after(labelled)
        _check(again.rows, free, n, trial.strategy.label)
        return again
    began = time.perf_counter()
    plugin = registry.strategies.of(type(strategy))
    needs = plugin.needs if plugin else frozenset()
    random = bool(needs) and not len(labelled)
    asked = registry.strategies.get("random").cls() if random else strategy
    query = Query(
        features=pool.features,
        labelled=labelled,
        labels=pool.labels[labelled],
        unlabelled=np.flatnonzero(free),
        n=n,
        n_classes=pool.n_classes,
        rng=generator(*trial.names("select", index)),
        derived=pool.derived,
        model=model if needs else None,
    )
    rows = asked.select(query)
    _check(rows, free, n, trial.strategy.label)
    return Purchase(rows.copy(), "random" if random else "strategy", time.perf_counter() - began)


def _check(rows: Rows, free: np.ndarray[tuple[int], np.dtype[np.bool_]], n: int, name: str) -> None:
    if not isinstance(rows, np.ndarray) or rows.dtype != np.int64 or rows.ndim != 1:
        raise InvalidSelectionError(f"{name} must return a one-dimensional int64 array of rows, got {rows!r:.80}")
    if len(rows) != n:
        raise InvalidSelectionError(f"{name} returned {len(rows)} rows, {n} were asked for")
    if rows.min() < 0 or rows.max() >= len(free) or not free[rows].all():
        raise InvalidSelectionError(f"{name} returned rows that are labelled already or not in the pool")
    if len(np.unique(rows)) != n:
        raise InvalidSelectionError(f"{name} returned {n} rows of which only {len(np.unique(rows))} are distinct")


def _fit(trial: Trial, pool: Pool, learner: Learner, index: int, labelled: Rows) -> Model:
    rng = generator(*trial.names("fit", index))
    return learner.fit(pool.features[labelled], pool.labels[labelled], pool.n_classes, rng)


def _fit_and_score(
    trial: Trial,
    pool: Pool,
    learner: Learner,
    index: int,
    labelled: Rows,
    n_bought: int,
    bought_by: Literal["initial", "strategy", "random"],
    select_s: float,
) -> tuple[Model, Round]:
    began = time.perf_counter()
    model = _fit(trial, pool, learner, index, labelled)
    fitted = time.perf_counter()
    probs = model.scores(pool.test_features) if "probabilities" in learner.gives else None
    scores = score(model.predict(pool.test_features), pool.test_labels, pool.n_classes, probs)
    return model, Round(
        index=index,
        selected=labelled[len(labelled) - n_bought :],
        n_labelled=len(labelled),
        class_counts=np.bincount(pool.labels[labelled], minlength=pool.n_classes).astype(np.int32),
        bought_by=bought_by,
        scores=scores,
        select_s=select_s,
        fit_s=fitted - began,
        eval_s=time.perf_counter() - fitted,
        peak_rss_mb=_peak_rss_mb(),
    )


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10

"""One trial, round by round: pure, without files, clocks of its own making or Ray."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from . import registry
from .bench import Bench
from .device import Meter
from .lesson import Learner, Model, Settled, needed_views, sees
from .purchase import InvalidSelectionError, Labelled, Purchase, Recorded, buy
from .query import FROM_THE_MODEL, Strategy
from .types import Batch, Pool, Resources, Round, Trial


@dataclass(frozen=True, eq=False)
class Job:
    """A trial with its plugins and what is on record of it already."""

    trial: Trial
    strategy: Strategy | Recorded
    learner: Learner
    resources: Resources
    selector: Learner | None = None
    history: tuple[Batch, ...] = ()
    attempts: int = 1
    keeps_predictions: bool = False

    @property
    def learners(self) -> tuple[Learner, ...]:
        """The learner, and the selector where there is one."""
        return (self.learner, *([self.selector] if self.selector else []))

    @cached_property
    def sees_images(self) -> bool:
        """Whether the pool must hold its images: the learner sees them, or the rule asks for them."""
        return "images" in {*map(sees, self.learners), *registry.needs_of(self.strategy)}

    @cached_property
    def views(self) -> int:
        """How many weak and strong views of its rows the pool must hold."""
        return max(map(needed_views, self.learners))

    @property
    def load(self) -> tuple[str, ...]:
        """Trials of one load, a learner on an embedding, fill a card's memory about alike; they may share a start."""
        trial = self.trial
        return trial.dataset.label, trial.embedding.label, trial.learner.label

    @cached_property
    def kind(self) -> tuple[str, ...]:
        """Trials of one kind differ by seed alone and cost about the same."""
        return (*self.load, self.trial.strategy.label, self.trial.budget.name)


def asks_a_model(strategy: object) -> bool:
    """Return whether a rule asks for what a fitted learner says, or to fit it itself."""
    return not registry.needs_of(strategy).isdisjoint((*FROM_THE_MODEL, "learner"))


def chained(strategy: object, *learners: object) -> bool:
    """Return whether a model depends on the one before it, so that a trial cannot go on from its picks alone."""
    return hasattr(strategy, "pseudo_labels") or any(getattr(learner, "chained", False) for learner in learners)


class Fitted(NamedTuple):
    """The model of a round, and the learner that fitted it: where settings are tuned, with those chosen then."""

    model: Model
    by: Settled


@dataclass(frozen=True, eq=False)
class Start:
    """The fitted initial state and its row of results: one for all strategies of the same ``Trial.start_id``."""

    fitted: Fitted
    round: Round


def start(trial: Trial, pool: Pool, learner: Learner) -> Start | None:
    """Buy the initial labels and fit round 0, or None when the budget starts from no labels."""
    bench = Bench(trial, pool, learner)
    if not len(bench.initial):
        return None
    purchase, meter = Purchase(Batch(bench.initial), "initial", 0.0), Meter()
    return Start(*_learn(bench, 0, [purchase.batch], purchase, None, meter))


def run_trial(
    trial: Trial,
    pool: Pool,
    strategy: Strategy | Recorded,
    learner: Learner,
    history: Sequence[Batch] = (),
    begin: Start | None = None,
    selector: Learner | None = None,
) -> Iterator[Round]:
    """Yield the rounds of a trial that are not in ``history`` yet.

    Parameters
    ----------
    history
        What was bought in the rounds already on record, in order; the trial continues behind them, and every draw
        is derived from its round's name, so the rest is the same as without the interruption. Where a model takes up
        the one before (`chained`) the trial is run again from its first round, and must buy the same rows.
    begin
        The shared initial state, where it has been fitted already.
    selector
        The learner whose model answers the rule, where it is not the one that is scored. It is fitted on the same
        labels, through its own view of the pool, for each purchase whose rule asks for a model.

    Raises
    ------
    InvalidSelectionError
        When the strategy returns anything but exactly n distinct unlabelled rows.
    """
    if history and chained(strategy, learner, selector):
        yield from _again(run_trial(trial, pool, strategy, learner, (), begin, selector), history)
        return
    bench = Bench(trial, pool, learner)
    chooser = None if selector is None else _Selector(Bench(trial, pool, selector))
    begin = begin if begin is not None or len(history) > 1 else start(trial, pool, learner)
    sizes = trial.budget.purchases(len(pool), pool.n_classes)
    bought, extra, fitted = list(history), None, None
    if begin is not None and len(bought) <= 1:
        fitted = begin.fitted
        if not bought:
            yield begin.round
            bought.append(begin.round.batch)
    first = 0 if len(bench.initial) else 1
    for index in range(first + len(bought), len(sizes) + 1):
        if fitted is None and bought and chooser is None:
            fitted = _fit(bench, index - 1, bought, None, None)
        meter = Meter()
        if chooser is not None:
            purchase = chooser.buy(strategy, bought, sizes[index - 1], index, extra)
        else:
            purchase = _buy(bench, strategy, bought, sizes[index - 1], index, fitted)
        bought.append(purchase.batch)
        extra = purchase.extra
        fitted, round_ = _learn(bench, index, bought, purchase, fitted, meter)
        yield round_ if chooser is None else chooser.told(round_)


@dataclass(eq=False)
class _Selector:
    """The learner whose model answers the rule, and what it fitted for its last purchase."""

    bench: Bench
    fitted: Fitted | None = None

    def buy(
        self, strategy: Strategy | Recorded, bought: Sequence[Batch], n: int, index: int, extra: Labelled | None
    ) -> Purchase:
        """Fit on what is bought, where the rule asks for a model, and buy; the seconds of both are the selection's."""
        began = time.perf_counter()
        if bought and asks_a_model(strategy):
            self.fitted = _fit(self.bench, index - 1, bought, extra, self.fitted)
        fitted = time.perf_counter()
        purchase = _buy(self.bench, strategy, bought, n, index, self.fitted)
        return purchase._replace(select_s=fitted - began + purchase.select_s)

    def told(self, round_: Round) -> Round:
        """Return the round with the settings of the model that chose its rows."""
        settings = self.fitted.by.settings if self.fitted else {}
        return replace(round_, settings={**round_.settings, "selector": settings}) if settings else round_


def _buy(
    bench: Bench, strategy: Strategy | Recorded, bought: Sequence[Batch], n: int, index: int, fitted: Fitted | None
) -> Purchase:
    """Buy by a model; a rule that fits the learner itself has it with the settings of that model."""
    if fitted is None:
        return buy(bench, strategy, bought, n, index, None)
    return buy(bench.of(fitted.by.learner), strategy, bought, n, index, fitted.model)


def _again(rounds: Iterator[Round], history: Sequence[Batch]) -> Iterator[Round]:
    """Pass the rounds over that are on record, having checked that they came out the same; yield the others."""
    for number, round_ in enumerate(rounds):
        if number >= len(history):
            yield round_
        elif not np.array_equal(round_.selected, history[number].rows):
            raise InvalidSelectionError(f"run again, round {round_.index} bought other rows than are on record")


def _settle(bench: Bench, index: int, bought: Sequence[Batch], before: Fitted | None) -> Settled:
    """Choose the settings of a round on all that is bought by then, or once for all on what was bought first."""
    if not getattr(bench.learner, "once", False):
        return bench.settle(index, np.concatenate([batch.rows for batch in bought]))
    return before.by if before else bench.settle(index - len(bought) + 1, bought[0].rows)


def _fit(bench: Bench, index: int, bought: Sequence[Batch], extra: Labelled | None, before: Fitted | None) -> Fitted:
    """Fit the model of a round on all that is bought by then, and on what the rule adds to this round alone."""
    settled = _settle(bench, index, bought, before)
    rows = np.concatenate([batch.rows for batch in bought])
    labels = bench.pool.labels[rows]
    if extra is not None:
        rows, labels = (np.concatenate(pair) for pair in zip((rows, labels), extra, strict=True))
    names, unlabelled = bench.trial.names("fit", index), bench.unlabelled(rows)
    previous = before.model if before and before.by.learner == settled.learner else None  # else it may not fit
    return Fitted(bench.of(settled.learner).fit(names, rows, labels, unlabelled, previous), settled)


def _learn(
    bench: Bench, index: int, bought: Sequence[Batch], purchase: Purchase, before: Fitted | None, meter: Meter
) -> tuple[Fitted, Round]:
    """Fit and score the model of a round; the round's own purchase is the last of those bought."""
    began = time.perf_counter()
    fitted = _fit(bench, index, bought, purchase.extra, before)
    ended = time.perf_counter()
    scores, predicted = bench.score(fitted.model)
    scored = time.perf_counter()
    labelled = np.concatenate([batch.rows for batch in bought])
    return fitted, Round(
        index=index,
        selected=purchase.rows,
        n_labelled=len(labelled) + len(bench.validation),
        class_counts=np.bincount(bench.pool.labels[labelled], minlength=bench.pool.n_classes).astype(np.int32),
        bought_by=purchase.bought_by,
        scores=scores,
        select_s=purchase.select_s,
        fit_s=ended - began,
        eval_s=scored - ended,
        peak_rss_mb=_peak_rss_mb(),
        card=meter.read(purchase.select_s + scored - began),
        predicted=predicted,
        chosen_by=purchase.batch.chosen_by,
        settings={"learner": fitted.by.settings} if fitted.by.settings else {},
    )


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10

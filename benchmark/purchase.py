"""One purchase: what a rule is asked, what it may ask back, and whether its answer is one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np

from . import registry
from .bench import Bench
from .lesson import Model
from .query import FROM_THE_MODEL, WITHOUT_LABELS, Answers, Batch, Chooser, Desk, Oracle, Query, Strategy
from .seeds import generator
from .types import Labels, Rows

Labelled = tuple[Rows, Labels]
"""Rows (n,) with their labels, (n,)."""


class InvalidSelectionError(RuntimeError):
    """A strategy answered with anything but n distinct unlabelled rows."""


class Purchase(NamedTuple):
    """A batch, who bought it (`Round.bought_by`), and the seconds that took.

    ``extra`` are rows and labels that the rule adds to this round's training alone (its own guesses, not bought).
    """

    batch: Batch
    bought_by: Literal["initial", "strategy", "random"]
    select_s: float
    extra: Labelled | None = None

    @property
    def rows(self) -> Rows:
        return self.batch.rows


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
class Revealer:
    """Gives the labels of rows of one batch at once, and remembers which: they must be among those bought."""

    labels: Labels
    unlabelled: Rows
    n: int
    revealed: dict[int, int] = field(default_factory=dict)

    def __call__(self, row: int) -> int:
        """Return the label of an unlabelled row, of at most ``n`` different ones."""
        if row not in self._free:
            raise InvalidSelectionError(f"row {row} is no unlabelled row; only those of this batch can be revealed")
        if row not in self.revealed and len(self.revealed) == self.n:
            raise InvalidSelectionError(f"{self.n} rows are bought, and a label was to be revealed for one more")
        return self.revealed.setdefault(row, int(self.labels[row]))

    def check(self, bought: Rows, name: str) -> None:
        """Raise `InvalidSelectionError` when a row that was revealed is not among those bought."""
        if others := set(self.revealed) - set(bought.tolist()):
            raise InvalidSelectionError(f"{name} had the label of row {min(others)} revealed and did not buy it")

    @cached_property
    def _free(self) -> frozenset[int]:
        return frozenset(self.unlabelled.tolist())


def beginning(strategy: Strategy) -> Strategy:
    """Return the rule that buys in place of this one while nothing is labelled: itself where it needs no labels.

    Else it is the rule's own `beginning`, or ``random`` where it has none, or one that needs labels too.
    """
    if registry.needs_of(strategy) <= WITHOUT_LABELS:
        return strategy
    rule: Strategy | None = getattr(strategy, "beginning", None)
    return (
        rule
        if rule is not None and registry.needs_of(rule) <= WITHOUT_LABELS
        else registry.strategies.get("random").cls()
    )


def buy(
    bench: Bench, strategy: Strategy | Recorded, bought: Sequence[Batch], n: int, index: int, model: Model | None
) -> Purchase:
    """Ask the strategy; where it needs labels and there are none yet, its `beginning`, or ``random`` in its place.

    Raises
    ------
    InvalidSelectionError
        When the answer is anything but exactly n distinct unlabelled rows, or a revealed row is not among them.
    """
    labelled = np.concatenate([np.empty(0, np.int64), *(batch.rows for batch in bought)])
    unlabelled, label = bench.unlabelled(labelled), bench.trial.strategy.label
    if isinstance(strategy, Recorded):
        again = strategy.after(labelled)
        _check(again.rows, unlabelled, n, label)
        return again
    began = time.perf_counter()
    asked = strategy if len(labelled) else beginning(strategy)
    revealer = Revealer(bench.pool.labels, unlabelled, n)
    query = Query(
        features=bench.pool.features,
        labelled=labelled.copy(),  # copies: a rule that writes by force does not change what it is checked against
        labels=bench.pool.labels[labelled],
        unlabelled=unlabelled.copy(),
        n=n,
        n_classes=bench.pool.n_classes,
        rng=generator(*bench.trial.names("select", index)),
        derived=bench.pool.derived,
        purchases=tuple(len(batch.rows) for batch in bought),
        chosen_by=tuple(chain.from_iterable(batch.chosen_by or ("",) * len(batch.rows) for batch in bought)),
        desk=_desk(bench, registry.needs_of(asked), unlabelled, index, model, revealer),
    )
    chosen = registry.ask(asked, query) if isinstance(strategy, Chooser) else Batch(asked.select(query))
    if isinstance(rows := chosen.rows, np.ndarray):
        rows = np.array(rows)  # a copy that the rule does not hold, and no subclass of an array
    _check(rows, unlabelled, n, label)
    batch = Batch(rows, checked_choosers(chosen.chosen_by, n, label) if isinstance(strategy, Chooser) else ())
    extra = None
    if guess := getattr(asked, "pseudo_labels", None):
        extra = checked_guess(guess(query, rows.copy()), np.setdiff1d(unlabelled, rows), bench.pool.n_classes, label)
    revealer.check(rows, label)
    at_random = asked is not strategy and registry.label(asked) == "random"
    return Purchase(batch, "random" if at_random else "strategy", time.perf_counter() - began, extra)


def _desk(
    bench: Bench,
    needs: frozenset[str],
    unlabelled: Rows,
    index: int,
    model: Model | None,
    revealer: Revealer,
) -> Desk:
    """Put behind the query what the rule has declared, and nothing else."""
    pool, of_model = bench.pool, needs.intersection(FROM_THE_MODEL)

    def fit(rows: Rows, labels: Labels) -> Answers:
        names = bench.trial.names("fit", index - 1)  # the draws of the current model: what differs is the labels
        fitted = bench.fit(names, rows, labels, np.setdiff1d(unlabelled, rows))
        return bench.answers(fitted, unlabelled, needs, index)

    return Desk(
        needs=needs,
        model=bench.answers(model, unlabelled, needs, index) if of_model and model is not None else None,
        fit=fit if "learner" in needs else None,
        validation=(bench.validation.copy(), pool.labels[bench.validation]) if "validation" in needs else None,
        reveal=revealer if "reveal" in needs else None,
        images=pool.images if "images" in needs else None,
        oracle=Oracle(pool.labels, bench.test, pool.test_labels) if "oracle" in needs else None,
    )


def _check(rows: Rows, unlabelled: Rows, n: int, name: str) -> None:
    if not isinstance(rows, np.ndarray) or rows.dtype != np.int64 or rows.ndim != 1:
        raise InvalidSelectionError(f"{name} must return a one-dimensional int64 array of rows, got {rows!r:.80}")
    if len(rows) != n:
        raise InvalidSelectionError(f"{name} returned {len(rows)} rows, {n} were asked for")
    if not np.isin(rows, unlabelled).all():
        raise InvalidSelectionError(f"{name} returned rows that are labelled already or not in the pool")
    if len(np.unique(rows)) != n:
        raise InvalidSelectionError(f"{name} returned {n} rows of which only {len(np.unique(rows))} are distinct")


def checked_choosers(chosen_by: tuple[str, ...], n: int, name: str) -> tuple[str, ...]:
    """Return who a rule says chose each of its rows, (n,).

    Raises
    ------
    InvalidSelectionError
        When it does not name one rule for each row.
    """
    names = isinstance(chosen_by, tuple) and all(isinstance(by, str) and by for by in chosen_by)
    if not names or len(chosen_by) != n:
        raise InvalidSelectionError(f"{name} must name the rule that chose each of {n} rows, got {chosen_by!r:.80}")
    return chosen_by


def checked_guess(extra: tuple[Rows, Labels], left: Rows, n_classes: int, name: str) -> tuple[Rows, Labels]:
    """Return the guesses of a rule that changes this round's training: rows (E,) of those ``left``, labels (E,).

    Raises
    ------
    InvalidSelectionError
        When a row is guessed twice, labelled, or bought just now, or a label is no class.
    """
    rows, labels = extra
    legal = len(rows) == len(labels) == len(np.unique(rows)) and np.isin(rows, left).all()
    if not legal or ((labels < 0) | (labels >= n_classes)).any():
        raise InvalidSelectionError(
            f"{name} guessed labels for rows that are not distinct unlabelled ones, or of no class"
        )
    return rows, labels

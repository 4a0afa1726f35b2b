"""One purchase: what a rule is asked, what it may ask back, and whether its answer is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from . import registry
from .bench import Bench
from .lesson import Model
from .query import FROM_THE_MODEL, WITHOUT_LABELS, Answers, Desk, Oracle, Query, Strategy
from .seeds import generator
from .types import Labels, Rows


class InvalidSelectionError(RuntimeError):
    """A strategy answered with anything but n distinct unlabelled rows."""


class Purchase(NamedTuple):
    """Rows bought at once, who chose them (`Round.bought_by`), and the seconds that took.

    ``extra`` are rows and labels that the rule adds to this round's training alone (its own guesses, not bought).
    """

    rows: Rows
    bought_by: Literal["initial", "strategy", "random"]
    select_s: float
    extra: tuple[Rows, Labels] | None = None


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


def buy(
    bench: Bench, strategy: Strategy | Recorded, bought: list[Rows], n: int, index: int, model: Model | None
) -> Purchase:
    """Ask the strategy, or ``random`` in its place where it needs labels and there are none yet.

    Raises
    ------
    InvalidSelectionError
        When the answer is anything but exactly n distinct unlabelled rows, or a revealed row is not among them.
    """
    labelled = np.concatenate([np.empty(0, np.int64), *bought])
    unlabelled, label = bench.unlabelled(labelled), bench.trial.strategy.label
    if isinstance(strategy, Recorded):
        again = strategy.after(labelled)
        _check(again.rows, unlabelled, n, label)
        return again
    began = time.perf_counter()
    needs = registry.needs_of(strategy)
    random = bool(needs - WITHOUT_LABELS) and not len(labelled)
    asked: Strategy = registry.strategies.get("random").cls() if random else strategy
    revealed: dict[int, int] = {}
    desk = Desk() if random else _desk(bench, needs, unlabelled, n, index, model, revealed)
    query = Query(
        features=bench.pool.features,
        labelled=labelled.copy(),  # copies: a rule that writes by force does not change what it is checked against
        labels=bench.pool.labels[labelled],
        unlabelled=unlabelled.copy(),
        n=n,
        n_classes=bench.pool.n_classes,
        rng=generator(*bench.trial.names("select", index)),
        derived=bench.pool.derived,
        purchases=tuple(map(len, bought)),
        desk=desk,
    )
    rows = asked.select(query)
    _check(rows, unlabelled, n, label)
    if not set(revealed) <= set(rows.tolist()):
        raise InvalidSelectionError(
            f"{label} had the label of row {min(set(revealed) - set(rows.tolist()))} revealed and did not buy it"
        )
    guess = getattr(asked, "pseudo_labels", None)
    extra = None if guess is None else _checked(guess(query, rows), unlabelled, bench.pool.n_classes, label)
    return Purchase(rows.copy(), "random" if random else "strategy", time.perf_counter() - began, extra)


def _desk(
    bench: Bench,
    needs: frozenset[str],
    unlabelled: Rows,
    n: int,
    index: int,
    model: Model | None,
    revealed: dict[int, int],
) -> Desk:
    """Put behind the query what the rule has declared, and nothing else."""
    pool, of_model = bench.pool, needs.intersection(FROM_THE_MODEL)

    def fit(rows: Rows, labels: Labels) -> Answers:
        names = bench.trial.names("fit", index - 1)  # the draws of the current model: what differs is the labels
        fitted = bench.fit(names, rows, labels, np.setdiff1d(unlabelled, rows))
        return bench.answers(fitted, unlabelled, frozenset(bench.learner.gives), index)

    return Desk(
        needs=needs,
        model=bench.answers(model, unlabelled, needs, index) if of_model and model is not None else None,
        fit=fit if "learner" in needs else None,
        validation=(bench.validation, pool.labels[bench.validation]) if "validation" in needs else None,
        reveal=_revealer(pool.labels, unlabelled, n, revealed) if "reveal" in needs else None,
        images=pool.images if "images" in needs else None,
        oracle=Oracle(pool.labels, bench.test, pool.test_labels) if "oracle" in needs else None,
    )


def _revealer(labels: Labels, unlabelled: Rows, n: int, revealed: dict[int, int]) -> Callable[[int], int]:
    free = frozenset(unlabelled.tolist())

    def reveal(row: int) -> int:
        if row not in free:
            raise InvalidSelectionError(f"row {row} is no unlabelled row; only those of this batch can be revealed")
        if row not in revealed and len(revealed) == n:
            raise InvalidSelectionError(f"{n} rows are bought, and a label was to be revealed for one more")
        return revealed.setdefault(row, int(labels[row]))

    return reveal


def _check(rows: Rows, unlabelled: Rows, n: int, name: str) -> None:
    if not isinstance(rows, np.ndarray) or rows.dtype != np.int64 or rows.ndim != 1:
        raise InvalidSelectionError(f"{name} must return a one-dimensional int64 array of rows, got {rows!r:.80}")
    if len(rows) != n:
        raise InvalidSelectionError(f"{name} returned {len(rows)} rows, {n} were asked for")
    if not np.isin(rows, unlabelled).all():
        raise InvalidSelectionError(f"{name} returned rows that are labelled already or not in the pool")
    if len(np.unique(rows)) != n:
        raise InvalidSelectionError(f"{name} returned {n} rows of which only {len(np.unique(rows))} are distinct")


def _checked(extra: tuple[Rows, Labels], unlabelled: Rows, n_classes: int, name: str) -> tuple[Rows, Labels]:
    """Return the guesses of a rule that changes this round's training: rows (E,) of the unlabelled, labels (E,)."""
    rows, labels = extra
    legal = len(rows) == len(labels) == len(np.unique(rows)) and np.isin(rows, unlabelled).all()
    if not legal or ((labels < 0) | (labels >= n_classes)).any():
        raise InvalidSelectionError(
            f"{name} guessed labels for rows that are not distinct unlabelled ones, or no class"
        )
    return rows, labels

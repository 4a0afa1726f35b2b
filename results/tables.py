"""Frames of rounds and trials -> the values of the tables. Nothing is imputed: a cell says what it rests on.

A cell is (dataset, embedding, learner, budget, strategy); its values are over seeds, and only over trials that are
done. All frames are those of `RunStore.rounds` and `RunStore.trials`, perhaps of several runs one under another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from ..benchmark.seeds import generator
from ..benchmark.types import FULL_DATA, Outcome
from .metrics import CURVE_METRICS, gain
from .stats import Interval, bootstrap_mean, sd

IDENTITY = ["dataset", "embedding", "learner", "budget", "strategy"]
LEFT = "left"
"""The count of seeds without an ended trial, beside those of the outcomes."""
Outcomes: TypeAlias = tuple[dict[str, int], tuple[str, ...]]  # counts, reasons


class Setting(NamedTuple):
    """What strategies are compared on; a full-data bound belongs to it."""

    dataset: str
    embedding: str
    learner: str

    def __str__(self) -> str:
        return "/".join(self)


class Key(NamedTuple):
    """The names of a cell."""

    dataset: str
    embedding: str
    learner: str
    budget: str
    strategy: str

    @property
    def setting(self) -> Setting:
        return Setting(*self[:3])

    def __str__(self) -> str:
        return f"{self.setting}, {self.budget}, {self.strategy}"


@dataclass(frozen=True, eq=False)
class Cell:
    """One strategy on one setting and budget.

    ``by_seed`` has one row per finished seed and the columns of `CURVE_METRICS`. Gains are over the baseline, in
    points, over the seeds that both have. ``outcomes`` counts seeds by outcome, and `LEFT`; ``reasons`` says why
    some are not done.
    """

    key: Key
    by_seed: pd.DataFrame
    aubc: Interval
    final: Interval
    gain_aubc: Interval
    gain_final: Interval
    outcomes: dict[str, int]
    reasons: tuple[str, ...]
    is_baseline: bool = False

    @property
    def n(self) -> int:
        return len(self.by_seed)

    @property
    def aubc_sd(self) -> float:
        return sd(self.by_seed["aubc/1"])

    @property
    def final_sd(self) -> float:
        return sd(self.by_seed["final/1"])

    def gain_over(self, other: Cell) -> Interval:
        """Return the mean difference of ``aubc/1`` to another cell in points, paired by seed."""
        return _gain(self.key, self.by_seed, other.by_seed, other.key.strategy, "aubc/1")

    @property
    def status(self) -> str:
        """What is not done, as ``1 failed, 2 left``; empty when all is."""
        return ", ".join(f"{n} {name}" for name, n in self.outcomes.items() if name != Outcome.DONE)


@dataclass(frozen=True, eq=False)
class Summary:
    """All cells, the baseline first in each block, and the full-data bounds (their value is ``final``)."""

    baseline: str
    cells: dict[Key, Cell] = field(default_factory=dict)
    bounds: dict[Setting, Cell] = field(default_factory=dict)

    def budgets(self) -> list[str]:
        return list(dict.fromkeys(key.budget for key in self.cells))

    def strategies(self) -> list[str]:
        return list(dict.fromkeys(key.strategy for key in self.cells))

    def settings(self, budget: str | None = None) -> list[Setting]:
        return list(dict.fromkeys(key.setting for key in self.cells if budget in {None, key.budget}))

    def get(self, setting: Setting, budget: str, strategy: str) -> Cell | None:
        return self.cells.get(Key(*setting, budget, strategy))

    def best(self, setting: Setting, budget: str) -> set[str]:
        """Return the strategy of highest mean ``aubc/1``, and those whose paired difference to it may be zero.

        Empty where the best has fewer than two seeds. A strategy that shares fewer than two seeds with it is not in.
        """
        every = (self.get(setting, budget, strategy) for strategy in self.strategies())
        cells = [cell for cell in every if cell is not None and cell.n]
        best = max(cells, key=lambda cell: cell.aubc.mean, default=None)
        if best is None or best.n < 2:
            return set()
        return {cell.key.strategy for cell in cells if cell.gain_over(best).contains_zero}


def summarise(
    rounds: pd.DataFrame,
    trials: pd.DataFrame,
    baseline: str = "random",
    order: Mapping[str, Sequence[str]] | None = None,
    plan: pd.DataFrame | None = None,
) -> Summary:
    """Return all table values; gains are over the strategy ``baseline``.

    Names and seed are enough to tell trials apart here (`report.read_runs` sees to it). ``order`` gives the labels of
    a column of `IDENTITY` in the order to show them; the rest follows by name. ``plan`` (`RunStore.plan`) says which
    trials are asked for besides those that have begun.
    """
    expected = _expected(trials, rounds, *([] if plan is None else [plan]))
    finished = dict(list(curve_values(rounds, trials).groupby(IDENTITY)))
    ended = dict(list(trials.groupby(IDENTITY)))
    cells: dict[Key, Cell] = {}
    bounds: dict[Setting, Cell] = {}
    for key in sorted(expected, key=_sorter(baseline, order or {})):
        values, other = _by_seed(finished.get(key)), _by_seed(finished.get(key._replace(strategy=baseline)))
        cell = _cell(key, values, other, baseline, _outcomes(ended.get(key), values, expected[key]))
        if key.budget == FULL_DATA:
            bounds[key.setting] = cell
        else:
            cells[key] = cell
    return Summary(baseline, cells, bounds)


def curve_values(rounds: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return one row per trial that is done and whole: its identity, seed and the columns of `CURVE_METRICS`."""
    rounds = finished_rounds(rounds, trials)
    first = ~rounds["trial_id"].duplicated()
    values = rounds.loc[first, [*IDENTITY, "seed"]].reset_index(drop=True)
    starts = np.flatnonzero(first)[1:]
    xs, ys = (np.split(rounds[column].to_numpy(), starts) for column in ("n_labelled", "accuracy"))
    for name, metric in CURVE_METRICS.items():
        values[name] = [metric(x, y) for x, y in zip(xs, ys, strict=True)] if len(values) else pd.Series(dtype=float)
    return values


def finished_rounds(rounds: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rounds of the trials that are done and whole, by (trial_id, round).

    A trial is whole when its purchases add up to its labels (else a part of the run was lost) and it got as far as
    the others of its setting and budget.
    """
    done = trials.loc[trials["outcome"] == Outcome.DONE, "trial_id"]
    rounds = rounds[rounds["trial_id"].isin(done)].sort_values(["trial_id", "round"])
    bought = rounds["selected"].map(len).groupby(rounds["trial_id"]).transform("sum")
    reached = rounds.groupby("trial_id")["n_labelled"].transform("max")
    furthest = rounds.groupby(IDENTITY[:4])["n_labelled"].transform("max")
    return rounds[((bought == reached) | (rounds["budget"] == FULL_DATA)) & (reached == furthest)]


def _expected(*frames: pd.DataFrame) -> dict[Key, set[int]]:
    """Return every cell that some frame knows of, with its seeds."""
    expected: dict[Key, set[int]] = {}
    seen = pd.concat([frame[[*IDENTITY, "seed"]].drop_duplicates() for frame in frames])
    for *names, seed in seen.itertuples(index=False):
        expected.setdefault(Key(*names), set()).add(seed)
    return expected


def _sorter(baseline: str, order: Mapping[str, Sequence[str]]) -> Callable[[Key], list[tuple[int, str]]]:
    places = {column: {label: place for place, label in enumerate(order.get(column, ()))} for column in IDENTITY}
    places["strategy"][baseline] = -1

    def sorter(key: Key) -> list[tuple[int, str]]:
        return [(places[column].get(label, len(places[column])), label) for column, label in key._asdict().items()]

    return sorter


def _by_seed(values: pd.DataFrame | None) -> pd.DataFrame:
    if values is None:
        return pd.DataFrame(columns=list(CURVE_METRICS), dtype=float)
    return values.set_index("seed")[list(CURVE_METRICS)].sort_index()


def _cell(key: Key, values: pd.DataFrame, other: pd.DataFrame, baseline: str, outcomes: Outcomes) -> Cell:
    return Cell(
        key=key,
        by_seed=values,
        aubc=bootstrap_mean(values["aubc/1"], generator("report", *key, "aubc/1")),
        final=bootstrap_mean(values["final/1"], generator("report", *key, "final/1")),
        gain_aubc=_gain(key, values, other, baseline, "aubc/1"),
        gain_final=_gain(key, values, other, baseline, "final/1"),
        outcomes=outcomes[0],
        reasons=outcomes[1],
        is_baseline=key.strategy == baseline,
    )


def _gain(key: Key, values: pd.DataFrame, other: pd.DataFrame, other_name: str, metric: str) -> Interval:
    """Return the mean paired difference of two `Cell.by_seed` in points, over the seeds that both have."""
    shared = values.index.intersection(other.index)
    differences = gain(values.loc[shared, metric], other.loc[shared, metric])
    return bootstrap_mean(differences, generator("report", *key, "gain/1", metric, other_name))


def _outcomes(ended: pd.DataFrame | None, values: pd.DataFrame, seeds: set[int]) -> Outcomes:
    """Count a cell's seeds by outcome, with the reasons of those not done; a done trial that lost rounds is left."""
    if ended is None:
        return {LEFT: len(seeds)}, ()
    done = len(values)
    counts = Counter(ended["outcome"].tolist())
    lost_rounds = counts[Outcome.DONE] - done
    counts[Outcome.DONE] = done
    counts[LEFT] = len(seeds - set(ended["seed"])) + lost_rounds
    reasons = sorted(set(ended.loc[ended["outcome"] != Outcome.DONE, "reason"]) - {""})
    if lost_rounds:
        reasons.append(f"{lost_rounds} done but without all rounds: run the grid again")
    return {name: counts[name] for name in (*Outcome, LEFT) if counts[name]}, tuple(reasons)

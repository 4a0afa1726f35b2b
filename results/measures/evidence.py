"""What a report rests on: the rows of some runs, read as one, and the values made of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ...benchmark import text
from ..record.schema import FIRSTS, FORMER, NOW
from ..record.store import RunStore
from .certainty import Both, certainties
from .predicted import Classes, Predictions, read_predictions
from .tables import IDENTITY, LEFT, Key, Summary, curve_values, summarise
from .words import count

_NAMES = [*IDENTITY, "seed", "trial_id"]
_PLAN = [*_NAMES, "n_bought"]
_TEXTS = [*IDENTITY, "bought_by", "outcome", "reason", "host", "device", "class_name"]


@dataclass(frozen=True, eq=False)
class Runs:
    """The rounds and trials of some runs, one trial per cell and seed; ``manifests`` and ``grids`` by directory name.

    They are those of the grids as they are now; ``earlier`` has one row for each trial that belongs to an earlier state
    of its grid: the columns of `IDENTITY`, seed, trial_id and outcome.

    ``each`` has, where there are several runs, the values of each by itself as `tables.curve_values` returns them;
    ``firsts`` is what the rows that are bought first look like (`schema.FIRSTS`), ``stores`` are the runs themselves.
    """

    rounds: pd.DataFrame
    trials: pd.DataFrame
    plan: pd.DataFrame
    manifests: dict[str, dict[str, Any]]
    notices: tuple[str, ...]
    grids: dict[str, str] = field(default_factory=dict)
    each: dict[str, pd.DataFrame] = field(default_factory=dict)
    firsts: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FIRSTS.names))
    earlier: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*_NAMES, "outcome"]))
    stores: tuple[RunStore, ...] = ()

    def summarise(self, baseline: str = "random") -> Summary:
        order: dict[str, list[str]] = {}
        for manifest in self.manifests.values():
            for column, labels in manifest.get("order", {}).items():
                now = [re.sub(FORMER, NOW, label) for label in labels] if column == "embedding" else labels
                order[column] = list(dict.fromkeys([*order.get(column, []), *now]))
        marks = {label: of for manifest in self.manifests.values() for label, of in manifest.get("marks", {}).items()}
        regimes = {
            label: of for manifest in self.manifests.values() for label, of in manifest.get("regimes", {}).items()
        }
        return summarise(self.rounds, self.trials, baseline, order, self.plan, marks, self.earlier, regimes)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Some runs, read as one, and the table values over a baseline: all that a section of the report is made of."""

    runs: Runs
    summary: Summary

    @classmethod
    def of(cls, runs: Runs, baseline: str = "random") -> Evidence:
        return cls(runs, runs.summarise(baseline))

    @property
    def rounds(self) -> pd.DataFrame:
        return self.runs.rounds

    @property
    def trials(self) -> pd.DataFrame:
        return self.runs.trials

    @property
    def finished(self) -> pd.DataFrame:
        """The rounds of the trials that are done and whole: what the values are made of."""
        return self.summary.finished

    @cached_property
    def predictions(self) -> Predictions:
        """What these trials predicted, of those that have kept it; read when it is asked for."""
        return read_predictions(self.runs.stores, self.finished)

    @cached_property
    def certainty(self) -> dict[Key, dict[str, Both]]:
        """How sure the means of each cell are, of those whose predictions are kept."""
        cells = self.summary.cells.values()
        return {cell.key: both for cell in cells if (both := certainties(cell, self.summary, self.predictions))}

    @cached_property
    def classes(self) -> dict[Key, Classes]:
        """How right each cell, bounds included, is about each class."""
        return {key: found for key in self.predictions.cells if (found := self.predictions.classes(key))}


def read_runs(directories: Sequence[Path]) -> Runs:
    """Read some runs as one. Where trials have the same names and seed, the one that is planned, or newest, stays.

    A file that cannot be read is a notice. Raises `StorageError` when a directory holds no run at all.
    """
    stores = {directory: RunStore.open(directory, lenient=True) for directory in directories}
    # trials first: a trial that ends in between is then one that is left, not one without rounds
    trials = [_shown(store.trials()) for store in stores.values()]
    rounds = [_shown(store.rounds()) for store in stores.values()]
    found = [None if (plan := store.plan()) is None else _shown(plan) for store in stores.values()]
    trials, ended_before = _split(trials, found)
    rounds, begun_before = _split(rounds, found)
    earlier = pd.concat([ended_before[[*_NAMES, "outcome"]], begun_before[_NAMES].assign(outcome=LEFT)])
    nothing = pd.DataFrame(columns=_PLAN).astype({"seed": int})
    plans = [nothing if plan is None else plan[_PLAN] for plan in found]
    names = [_name(store, list(stores.values())) for store in stores.values()]
    agreed, disagreement = _one_answer(rounds)
    merged = _one_each(agreed, pd.concat(trials, ignore_index=True), pd.concat(plans, ignore_index=True))
    firsts = [_shown(frame) for store in stores.values() if (frame := store.firsts()) is not None]
    grids = dict(zip(names, (text.clean(store.grid_yaml) for store in stores.values()), strict=True))
    notices = [*(notice for store in stores.values() for notice in store.notices), *disagreement]
    kept = {*merged[0]["trial_id"].unique(), *merged[1]["trial_id"].unique()}
    if dropped := len({*pd.concat([frame["trial_id"] for frame in (*trials, *rounds)]).unique()} - kept):
        notices.append(
            f"{count(dropped, 'trial')} left out: others have the same names and seed (another version of the data, a"
            " strategy or a learner)"
        )
    each = {}
    if len(stores) > 1:
        own = zip(names, rounds, trials, plans, strict=True)
        each = {name: curve_values(*_one_each(*frames)) for name, *frames in own}
    manifests = dict(zip(names, (store.manifest for store in stores.values()), strict=True))
    seen = pd.concat(firsts).drop_duplicates(["dataset", "row"]) if firsts else pd.DataFrame(columns=FIRSTS.names)
    return Runs(
        *merged,
        manifests,
        tuple(notices),
        grids,
        each,
        seen,
        earlier.drop_duplicates("trial_id"),
        tuple(stores.values()),
    )


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows with every text as it can be shown (`text.spelled`): in a run from elsewhere it may be anything."""
    for column in frame.columns.intersection(_TEXTS):
        held = {value for value in frame[column].unique() if isinstance(value, str)}
        odd = {value: shown for value in held if (shown := text.spelled(value)) != value}
        if odd:
            frame = frame.assign(**{column: frame[column].replace(odd)})
    return frame


def _split(
    frames: Sequence[pd.DataFrame], plans: Sequence[pd.DataFrame | None]
) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """Return of each run the rows of trials that some plan asks for, and all others as one frame.

    A run without a plan (an older albench's) is taken as it is.
    """
    named = [plan["trial_id"] for plan in plans if plan is not None]
    planned = pd.concat(named) if named else []
    ours = [frame["trial_id"].isin(planned) | (plan is None) for frame, plan in zip(frames, plans, strict=True)]
    kept = [frame if mask.all() else frame[mask] for frame, mask in zip(frames, ours, strict=True)]
    return kept, pd.concat([frame[~mask] for frame, mask in zip(frames, ours, strict=True)])


def _one_answer(runs: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, list[str]]:
    """Return the rounds of all runs; of a trial that two of them disagree about, those of one, and a line about it.

    The run that has more rounds of the trial counts, the first of equals.
    """
    if len(runs) == 1:
        return runs[0], []
    rounds = pd.concat([frame.assign(run=i) for i, frame in enumerate(runs)], ignore_index=True)
    twice = rounds[rounds.duplicated(["trial_id", "round"], keep=False)]
    answers = twice.assign(selected=twice["selected"].map(tuple)).drop_duplicates(
        ["trial_id", "round", "accuracy", "selected"]
    )
    odd = answers[answers.duplicated(["trial_id", "round"])]
    if odd.empty:
        return rounds.drop(columns="run"), []
    disputed = rounds[rounds["trial_id"].isin(odd["trial_id"])]
    longest = disputed.groupby(["trial_id", "run"]).size().groupby("trial_id").idxmax()  # the first of equals
    dropped = [pair not in set(longest) for pair in zip(disputed["trial_id"], disputed["run"], strict=True)]
    first = odd.iloc[0]
    line = text.spelled(
        f"{count(odd['trial_id'].nunique(), 'trial')} gave another answer in another run, first round {first['round']}"
        f" of trial {first.trial_id} ({first.strategy}, seed {first.seed}); the run with more rounds of it counts, the"
        " first of equals"
    )
    return rounds.drop(disputed.index[dropped]).drop(columns="run"), [line]


def _one_each(
    rounds: pd.DataFrame, trials: pd.DataFrame, plan: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the rounds and trials less those whose names and seed a newer, or planned, trial has; and the plan."""
    chosen = _chosen(trials, rounds, plan)
    trials = trials[trials["trial_id"].isin(chosen)].sort_values("ended_at", kind="stable")
    trials = trials.sort_values("outcome", key=lambda outcome: outcome == "done", kind="stable")
    trials = trials.drop_duplicates("trial_id", keep="last").sort_values("trial_id", ignore_index=True)
    rounds = rounds[rounds["trial_id"].isin(chosen)].drop_duplicates(["trial_id", "round"])
    return rounds.sort_values(["trial_id", "round"], ignore_index=True), trials, plan


def _name(store: RunStore, stores: Sequence[RunStore]) -> str:
    """Return the folder's own name where that tells the runs apart, so that a report can be moved and compared."""
    names = [other.directory.resolve().name for other in stores]
    own = store.directory.resolve().name
    return own if names.count(own) == 1 else str(store.directory)


def _chosen(trials: pd.DataFrame, rounds: pd.DataFrame, plan: pd.DataFrame) -> set[str]:
    columns = [*_NAMES, "ended_at"]
    latest = rounds[columns].drop_duplicates("trial_id", keep="last")  # few, before anything is sorted
    ended = pd.concat([trials[columns], latest]).sort_values(["ended_at", "trial_id"])
    every = pd.concat([ended[_NAMES], plan])
    return set(every.drop_duplicates([*IDENTITY, "seed"], keep="last")["trial_id"])

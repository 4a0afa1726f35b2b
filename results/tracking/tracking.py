"""What MLflow shows of a run's Parquet files.

One experiment per grid name, in it one run per run directory, below that one run per trial, with the trial's
parameters, its metrics per round (step: the round, timestamp: when it ended) and its outcome. Cells that are
unsupported are no runs; the parent counts them. Everything is told by the rows alone, so sending a row again changes
nothing.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...benchmark.types import Outcome, canonical_json
from ..record.store import RunStore
from ..record.tail import Row, Tail, TrialRows
from .follower import SyncResult, TrackingError
from .trackers import OUTCOME, PARENT, REASON, ROUNDS, RUN, TRIAL, Held, Point, State, Tracker, TrialRun

PARAMS = ("dataset", "embedding", "learner", "strategy", "strategy_params", "budget", "seed")
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "n_labelled", "select_s", "fit_s")
"""What of a round goes to MLflow; each metric costs time per round, and all of them are in the Parquet files."""

_NOTHING = State("RUNNING", None, None, None)  # of a run that was made just now
_REASON_LENGTH, _PARAM_LENGTH, _NAME_LENGTH = 500, 6000, 250  # the last two are MLflow's

Alive = Callable[[], None]


class Mirror:
    """One connection to the tracker: what it holds of the run, and the parts it is brought level with.

    ``alive`` is called whenever something was done, at least every few seconds of work. After an error the connection
    is given up, and the next one compares everything afresh.
    """

    def __init__(self, directory: Path, tracker: Tracker, result: SyncResult, alive: Alive) -> None:
        self._tracker, self._result, self._alive = tracker, result, alive
        self._manifest = RunStore.open(directory).manifest
        self._identity = _identity(self._manifest)
        self._experiment = self._find_experiment(directory)
        self._children: dict[str, tuple[str, State]] = {}  # trial id -> run id, what it holds
        self._level: dict[str, int] = {}  # trial id -> rounds
        self._tail = Tail(directory, alive)
        self._behind = self._tail.update()
        self._parent = self._adopt() or self._create_parent()

    def advance(self) -> None:
        """Send what the tracker lacks.

        Raises
        ------
        TrackingError
            At the end, when the tracker refused some trials; every other error ends the pass at once.
        """
        behind = self._compare(self._behind | self._tail.update())
        refused: dict[str, str] = {}
        for batch in self._tail.batches(behind, self._tracker.batch):
            runs = [self._run(trial_id, rows) for trial_id, rows in batch.items()]
            for run, written in zip(runs, self._tracker.write(self._experiment, runs), strict=True):
                if written.run_id is not None:
                    self._children[run.trial_id] = written.run_id, run.state if written.refusal is None else _NOTHING
                if written.refusal is not None:
                    refused[run.trial_id] = written.refusal
                else:
                    self._level[run.trial_id] = len(self._tail.trials[run.trial_id].seen)
                    self._result.written += 1
            self._count()
        self._behind = set(refused)
        self._tail.keep(refused)
        if refused:
            trial_id, reason = next(iter(refused.items()))
            raise TrackingError(f"{len(refused)} trials were refused, the first with: trial {trial_id}: {reason}")

    def close(self) -> None:
        """End the parent run, with the time of the last trial and the number of unsupported cells."""
        ends = [trial.end["ended_at"] for trial in self._tail.trials.values() if trial.end]
        unsupported = sum(trial.unsupported for trial in self._tail.trials.values())
        self._tracker.end(self._parent, max(ends, default=None), {"albench.unsupported": str(unsupported)})

    # --- what the tracker holds --------------------------------------------------------------------------------

    def _find_experiment(self, directory: Path) -> str:
        name = self._manifest["name"]
        experiment, active = self._tracker.experiment(name, (directory / "mlartifacts").as_uri())
        if not active:
            raise TrackingError(f"its experiment {name!r} is deleted; restore it there, or rename the grid")
        return experiment

    def _adopt(self) -> str | None:
        """Take over what earlier connections wrote; return the id of the parent run, if any.

        A request that timed out may still have been carried out after its repetition: twins are deleted.
        """
        held = sorted(self._tracker.held(self._experiment, self._identity))
        self._alive()
        parents = [run.run_id for run in held if run.parent_id is None]
        children = [run for run in held if run.parent_id is not None]
        parent = next((run.parent_id for run in children if run.parent_id in parents), next(iter(parents), None))
        twins = [run_id for run_id in parents if run_id != parent]
        twins += [run.run_id for run in children if not self._take(run)]
        self._tracker.delete(twins)
        return parent

    def _take(self, run: Held) -> bool:
        """Take over the run of a trial, and say whether it is the first one."""
        return self._children.setdefault(str(run.trial_id), (run.run_id, run.state))[0] == run.run_id

    def _compare(self, trial_ids: set[str]) -> list[str]:
        """Return those of these trials that are not level, in order of first appearance, and count the others."""
        behind = []
        for trial_id in self._tail.trials if len(trial_ids) > 1 else trial_ids:
            trial = self._tail.trials[trial_id]
            if trial_id not in trial_ids or trial.unsupported:
                continue
            held = self._children.get(trial_id)
            if held is not None and held[1] == _wanted(trial):
                self._level[trial_id] = len(trial.seen)
            else:
                self._level.pop(trial_id, None)
                behind.append(trial_id)
        self._count()
        return behind

    def _count(self) -> None:
        self._result.trials, self._result.rounds = len(self._level), sum(self._level.values())
        self._alive()

    # --- writing -----------------------------------------------------------------------------------------------

    def _create_parent(self) -> str:
        started = int(min((trial.started_at for trial in self._tail.trials.values()), default=1000 * time.time()))
        tags = {RUN: self._identity, "albench.grid_id": self._manifest["grid_id"]}
        if commit := self._manifest.get("git_commit"):
            tags["mlflow.source.git.commit"] = str(commit)
        return self._tracker.begin(self._experiment, self._manifest["name"], started, tags)

    def _run(self, trial_id: str, rounds: Sequence[Row]) -> TrialRun:
        """Return what the tracker is to hold of a trial, with these rounds that it does not hold yet."""
        trial = self._tail.trials[trial_id]
        run_id, held = self._children.get(trial_id, (None, _NOTHING))
        names, state = trial.names, _wanted(trial)
        tags = {ROUNDS: str(state.rounds)}
        if trial.end is not None:
            tags |= {OUTCOME: trial.end["outcome"], REASON: (trial.end["reason"] or "")[:_REASON_LENGTH]}
        birth = {PARENT: self._parent, RUN: self._identity, TRIAL: trial_id}
        if marks := self._manifest.get("marks", {}).get(names["strategy"]):
            birth["albench.marks"] = ", ".join(marks)
        title = " ".join(str(names[part]) for part in ("strategy", "dataset", "embedding", "learner", "budget", "seed"))
        return TrialRun(
            trial_id,
            run_id,
            title[:_NAME_LENGTH],
            trial.started_at,
            birth,
            {} if held.rounds else {name: str(names[name])[:_PARAM_LENGTH] for name in PARAMS},
            _points(rounds),
            tags,
            state,
        )


def _wanted(trial: TrialRows) -> State:
    rounds = str(len(trial.seen))
    if trial.end is None:
        return State("RUNNING", None, rounds, None)
    outcome = trial.end["outcome"]
    return State("FINISHED" if outcome == Outcome.DONE.value else "FAILED", trial.end["ended_at"], rounds, outcome)


def _points(rounds: Sequence[Row]) -> list[Point]:
    """Return the metrics of some rounds; what is missing or not finite MLflow cannot keep, and is left out."""
    return [
        Point(name, float(row[name]), row["ended_at"], row["round"])
        for row in rounds
        for name in METRICS
        if row[name] is not None and math.isfinite(row[name])
    ]


def _identity(manifest: dict[str, Any]) -> str:
    """Return what tells run directories apart wherever they are moved to: a digest of the first writer's manifest."""
    first = {**manifest, "earlier": []}
    if manifest.get("earlier"):
        first = {**manifest["earlier"][0], "earlier": []}
    return hashlib.sha256(canonical_json(first).encode()).hexdigest()[:16]

"""What MLflow shows of a run's Parquet files.

One experiment per grid name, in it one run per run directory, below that one run per trial, with the trial's
parameters, its metrics per round (step: the number of labels, timestamp: when it ended), its outcome and, in the end,
its values as a whole. The parent has the leaderboard, what the report says first, and its files; it counts the cells
that are unsupported, which are no runs. All of it is told by the record alone, so sending a row again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...benchmark.types import Outcome, canonical_json
from ..record.store import RunStore
from ..record.tail import Row, Tail
from .follower import SyncResult, TrackingError
from .overview import NOTE, Overview, Values, digest, files
from .trackers import OUTCOME, PARENT, REASON, ROUNDS, RUN, TRIAL, VALUES, Held, Point, State, Tracker, TrialRun

PARAMS = ("dataset", "embedding", "learner", "strategy", "budget", "seed")
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "select_s", "fit_s")
"""What of a round goes to MLflow; each metric costs time per round, and all of them are in the Parquet files."""

EXPERIMENT = {
    "mlflow.experimentKind": "custom_model_development",  # MLflow opens it on its runs, not on traces of chats
    NOTE: "A grid of albench: a run for each output folder, in it a run for each trial. Metrics of a trial are by the"
    " number of labels; its aubc, final and gain, and the leaderboard of the parent, come when the run has ended.",
}
_FILES = "albench.files"
_LAYOUT = 2  # of what is told: what an earlier one wrote gives way

_NOTHING = State("RUNNING", None, None, None, None)  # of a run that was made just now
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
        self._directory = directory
        self._identity = _identity(self._manifest, _LAYOUT)
        self._experiment = self._find_experiment(directory)
        self._children: dict[str, tuple[str, State]] = {}  # trial id -> run id, what it holds
        self._values: Mapping[str, Values] = {}  # by trial id, in the end
        self._level: dict[str, int] = {}  # trial id -> rounds
        self._written: set[str] = set()
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
        self._send(self._compare(self._behind | self._tail.update()))

    def _send(self, behind: list[str]) -> None:
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
                    self._written.add(run.trial_id)
                    self._result.written = len(self._written)
            self._count()
        self._behind = set(refused)
        self._tail.keep(refused)
        if refused:
            trial_id, reason = next(iter(refused.items()))
            raise TrackingError(f"{len(refused)} trials were refused, the first with: trial {trial_id}: {reason}")

    def close(self) -> None:
        """End the parent run, at the time of the last trial, with the leaderboard and the files of the report.

        Every trial that is done gets its values as a whole: only now those that they are compared with are known.
        """
        overview = Overview.of(self._directory)
        self._alive()
        self._values = overview.values
        self._send(self._compare(set(self._tail.trials)))
        ends = [trial.end["ended_at"] for trial in self._tail.trials.values() if trial.end]
        unsupported = sum(trial.unsupported for trial in self._tail.trials.values())
        last = int(max(ends, default=0))
        points = [Point(name, value, last, 0) for name, value in overview.metrics.items()]
        tags = {"albench.unsupported": str(unsupported), NOTE: overview.note, _FILES: self._attach()}
        self._tracker.end(self._parent, last or None, tags, points)

    def _attach(self) -> str:
        """Bring the files of the whole run, unless they are those that are there; return what tells them."""
        found = files(self._directory)
        now = digest(found)
        if self._tracker.tags(self._parent).get(_FILES) != now:
            for path, folder in found:
                self._tracker.attach(self._parent, path, folder)
                self._alive()
        return now

    # --- what the tracker holds --------------------------------------------------------------------------------

    def _find_experiment(self, directory: Path) -> str:
        name = self._manifest["name"]
        experiment, active = self._tracker.experiment(name, (directory / "mlartifacts").as_uri(), EXPERIMENT)
        if not active:
            raise TrackingError(f"its experiment {name!r} is deleted; restore it there, or rename the grid")
        return experiment

    def _adopt(self) -> str | None:
        """Take over what earlier connections wrote; return the id of the parent run, if any.

        A request that timed out may still have been carried out after its repetition: twins are deleted.
        """
        self._tracker.delete(
            [run.run_id for run in self._tracker.held(self._experiment, _identity(self._manifest, layout=1))]
        )
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
            if held is not None and held[1] == self._wanted(trial_id):
                self._level[trial_id] = len(trial.seen)
            else:
                self._level.pop(trial_id, None)
                behind.append(trial_id)
        self._count()
        return behind

    def _count(self) -> None:
        self._result.trials, self._result.rounds = len(self._level), sum(self._level.values())
        self._alive()

    def _wanted(self, trial_id: str) -> State:
        """Return what is to be held of a trial; values, once they are held, until there are others."""
        trial, (_, held) = self._tail.trials[trial_id], self._children.get(trial_id, (None, _NOTHING))
        values = str(self._values[trial_id]) if trial_id in self._values else held.values
        rounds = str(len(trial.seen))
        if trial.end is None:
            return State("RUNNING", None, rounds, None, values)
        outcome = trial.end["outcome"]
        status = "FINISHED" if outcome == Outcome.DONE.value else "FAILED"
        return State(status, trial.end["ended_at"], rounds, outcome, values)

    # --- writing -----------------------------------------------------------------------------------------------

    def _create_parent(self) -> str:
        begun = (trial.started_at for trial in self._tail.trials.values() if not trial.unsupported)
        started = int(min(begun, default=1000 * time.time()))
        tags = {RUN: self._identity, "albench.grid_id": self._manifest["grid_id"]}
        if commit := self._manifest.get("git_commit"):
            tags["mlflow.source.git.commit"] = str(commit)
        return self._tracker.begin(self._experiment, self._manifest["name"], started, tags)

    def _run(self, trial_id: str, rounds: Sequence[Row]) -> TrialRun:
        """Return what the tracker is to hold of a trial, with these rounds that it does not hold yet."""
        trial = self._tail.trials[trial_id]
        run_id, held = self._children.get(trial_id, (None, _NOTHING))
        names, state = trial.names, self._wanted(trial_id)
        tags, points = {ROUNDS: str(state.rounds)}, _points(rounds)
        if state.values is not None and state.values != held.values:
            whole = self._values[trial_id]
            tags[VALUES] = state.values
            points += [Point(name, value, state.end_time or 0, whole.labels) for name, value in whole.metrics.items()]
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
            {} if held.rounds else _params(names),
            points,
            tags,
            state,
        )


def _params(names: Row) -> dict[str, str]:
    """Return what tells a trial, flat: each parameter of its strategy by itself."""
    told = {name: names[name] for name in PARAMS}
    told |= {f"strategy.{name}": value for name, value in json.loads(names["strategy_params"] or "{}").items()}
    plain = {name: value if isinstance(value, str) else canonical_json(value) for name, value in told.items()}
    return {name: value[:_PARAM_LENGTH] for name, value in plain.items()}


def _points(rounds: Sequence[Row]) -> list[Point]:
    """Return the metrics of some rounds; what is missing or not finite MLflow cannot keep, and is left out."""
    return [
        Point(name, float(row[name]), row["ended_at"], row["n_labelled"])
        for row in rounds
        for name in METRICS
        if row[name] is not None and math.isfinite(row[name])
    ]


def _identity(manifest: dict[str, Any], layout: int) -> str:
    """Return what tells run directories apart wherever they are moved to: a digest of the first writer's manifest.

    And what tells how the mirror told it (`_LAYOUT`).
    """
    first = {**manifest, "earlier": []}
    if manifest.get("earlier"):
        first = {**manifest["earlier"][0], "earlier": []}
    digest = hashlib.sha256(canonical_json(first).encode()).hexdigest()[:16]
    return digest if layout == 1 else f"{digest}-{layout}"

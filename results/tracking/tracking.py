"""What MLflow shows of a run's Parquet files; the only file that imports mlflow (`mirror` runs it, in its own process).

One experiment per grid name, in it one run per run directory, below that one run per trial, with the trial's
parameters, its metrics per round (step: the round, timestamp: when it ended) and its outcome. Cells that are
unsupported are no runs; the parent counts them. Everything is told by the rows alone, so sending a row again changes
nothing: MLflow's databases keep a metric once per (run, key, step, timestamp, value).
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from ...benchmark.types import Outcome, canonical_json
from ..record.store import RunStore
from ..record.tail import Row, Tail, TrialRows
from .follower import SyncResult, TrackingError

PARAMS = ("dataset", "embedding", "learner", "strategy", "strategy_params", "budget", "seed")
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "n_labelled", "select_s", "fit_s")
"""What of a round goes to MLflow; each metric costs time per round, and all of them are in the Parquet files."""

FORESEEN = (TrackingError, MlflowException, OSError)
"""Errors whose reason says enough."""

_ROUNDS_PER_CALL = 100  # MLflow takes at most 1000 values in one call
_REASON_LENGTH = 500
_HTTP_THREADS = 4  # a request is mostly waiting; a database has one writer


class _State(NamedTuple):
    """What tells whether the run of a trial is level: tags are written after metrics, the status after all."""

    status: str
    end_time: int | None
    rounds: str | None
    outcome: str | None

    @classmethod
    def wanted(cls, trial: TrialRows) -> _State:
        rounds = str(len(trial.seen))
        if trial.end is None:
            return cls("RUNNING", None, rounds, None)
        outcome = trial.end["outcome"]
        return cls("FINISHED" if outcome == Outcome.DONE.value else "FAILED", trial.end["ended_at"], rounds, outcome)

    @classmethod
    def held(cls, run: Run) -> _State:
        tags = run.data.tags
        return cls(run.info.status, run.info.end_time, tags.get("albench.rounds"), tags.get("albench.outcome"))


class Mirror:
    """One connection to the tracker: what it holds of the run, and the parts it is brought level with.

    After an error the connection is given up, and the next one compares everything afresh.
    """

    def __init__(self, directory: Path, uri: str, result: SyncResult) -> None:
        remote = uri.startswith("http")
        if uri.startswith("sqlite:"):
            _check_sqlite(uri)
        self._client = MlflowClient(tracking_uri=uri)
        self._tail = Tail(directory)
        self._manifest = RunStore.open(directory).manifest
        self._identity = _identity(self._manifest)
        self._result = result
        self._threads = _HTTP_THREADS if remote else 1
        self._experiment = self._find_experiment(None if remote else (directory / "mlartifacts").as_uri())
        self._children: dict[str, tuple[str, _State]] = {}  # trial id -> run id, what it holds
        self._tail.update()
        self._parent = self._adopt() or self._create_parent()

    def advance(self, report: Callable[[], None]) -> None:
        """Send what the tracker lacks, and call ``report`` after each trial.

        Raises
        ------
        TrackingError
            At the end, when the tracker refused some trials; every other error ends the pass at once.
        """
        self._tail.update()
        behind = self._start_count()
        pool = ThreadPoolExecutor(self._threads)
        try:
            refusals = []
            for trial, refusal in zip(behind, pool.map(self._send_or_refuse, behind), strict=True):
                if refusal is None:
                    self._result.trials += 1
                    self._result.rounds += len(trial.seen)
                    self._result.written += 1
                else:
                    refusals.append(refusal)
                report()
        finally:
            pool.shutdown(cancel_futures=True)
        if refusals:
            raise TrackingError(f"{len(refusals)} trials were refused, the first with: {refusals[0]}")

    def close(self) -> None:
        """End the parent run, with the time of the last trial and the number of unsupported cells."""
        ends = [trial.end["ended_at"] for trial in self._tail.trials.values() if trial.end]
        unsupported = str(sum(trial.unsupported for trial in self._tail.trials.values()))
        info, tags = self._parent.info, self._parent.data.tags
        if tags.get("albench.unsupported") != unsupported:
            self._client.set_tag(info.run_id, "albench.unsupported", unsupported)
        if ends and (info.status, info.end_time) != ("FINISHED", max(ends)):
            self._client.set_terminated(info.run_id, "FINISHED", max(ends))

    # --- what the tracker holds --------------------------------------------------------------------------------

    def _find_experiment(self, artifacts: str | None) -> str:
        name = self._manifest["name"]
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, artifacts))
            except MlflowException:  # somebody else has made it meanwhile?
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise TrackingError(f"its experiment {name!r} is deleted; restore it there, or rename the grid")
        return str(found.experiment_id)

    def _adopt(self) -> Run | None:
        """Take over what earlier connections wrote; return the parent run, if any.

        A request that timed out may still have been carried out after its repetition: twins are deleted.
        """
        runs = sorted(self._search(), key=lambda run: run.info.run_id)
        parents = {run.info.run_id: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
        parent: Run | None = None
        for run in runs:
            tags = run.data.tags
            if run.info.run_id in parents:
                continue
            parent = parent or parents.get(tags["mlflow.parentRunId"])
            if tags["albench.trial_id"] in self._children:
                self._client.delete_run(run.info.run_id)
                continue
            self._children[tags["albench.trial_id"]] = (run.info.run_id, _State.held(run))
        parent = parent or next(iter(parents.values()), None)
        for run in parents.values():
            if run is not parent:
                self._client.delete_run(run.info.run_id)
        return parent

    def _search(self) -> Iterator[Run]:
        condition, token = f"tags.`albench.run` = '{self._identity}'", None
        while True:
            page = self._client.search_runs([self._experiment], condition, max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _start_count(self) -> list[TrialRows]:
        """Count the trials that are level, and return the others."""
        behind: list[TrialRows] = []
        level: list[TrialRows] = []
        for trial_id, trial in self._tail.trials.items():
            if not trial.unsupported:
                _, held = self._children.get(trial_id, (None, None))
                (level if held == _State.wanted(trial) else behind).append(trial)
        for trial in level:
            trial.waiting.clear()
        self._result.trials = len(level)
        self._result.rounds = sum(len(trial.seen) for trial in level)
        return behind

    # --- writing -----------------------------------------------------------------------------------------------

    def _create_parent(self) -> Run:
        started = min((trial.started_at for trial in self._tail.trials.values()), default=1000 * time.time())
        tags = {"albench.run": self._identity, "albench.grid_id": self._manifest["grid_id"]}
        if commit := self._manifest.get("git_commit"):
            tags["mlflow.source.git.commit"] = str(commit)
        return self._client.create_run(self._experiment, int(started), tags, run_name=self._manifest["name"])

    def _send_or_refuse(self, trial: TrialRows) -> str | None:
        """Return why the tracker refuses this trial, None when it took it; errors of the tracker itself are raised."""
        try:
            self._send(trial)
        except MlflowException as error:
            if error.get_http_status_code() >= 500:  # type: ignore[no-untyped-call]  # mlflow is typed in part
                raise
            return f"trial {trial.row['trial_id']}: {reason_of(error)}"
        return None

    def _send(self, trial: TrialRows) -> None:
        trial_id, state = trial.row["trial_id"], _State.wanted(trial)
        run_id, held = self._children.get(trial_id) or self._create_child(trial)
        rounds = sorted(trial.waiting, key=_round)
        params = [] if held.rounds else [Param(name, str(trial.row[name])) for name in PARAMS]
        tags = [RunTag("albench.rounds", str(state.rounds))]
        if trial.end is not None:
            tags.append(RunTag("albench.outcome", trial.end["outcome"]))
            tags.append(RunTag("albench.reason", (trial.end["reason"] or "")[:_REASON_LENGTH]))
        while len(rounds) > _ROUNDS_PER_CALL:
            self._client.log_batch(run_id, _metrics(rounds[:_ROUNDS_PER_CALL]))
            rounds = rounds[_ROUNDS_PER_CALL:]
        self._client.log_batch(run_id, _metrics(rounds), params, tags)
        if (held.status, held.end_time) != (state.status, state.end_time):
            self._client.set_terminated(run_id, state.status, state.end_time)
        self._children[trial_id] = (run_id, state)
        trial.waiting.clear()

    def _create_child(self, trial: TrialRows) -> tuple[str, _State]:
        row = trial.row
        tags = {
            "mlflow.parentRunId": self._parent.info.run_id,
            "albench.run": self._identity,
            "albench.trial_id": row["trial_id"],
        }
        if marks := self._manifest.get("marks", {}).get(row["strategy"]):
            tags["albench.marks"] = ", ".join(marks)
        name = f"{row['strategy']} {row['dataset']} {row['embedding']} {row['learner']} {row['budget']} {row['seed']}"
        run = self._client.create_run(self._experiment, int(trial.started_at), tags, run_name=name)
        return run.info.run_id, _State("RUNNING", None, None, None)


def _round(row: Row) -> int:
    return int(row["round"])


def _metrics(rounds: list[Row]) -> list[Metric]:
    """Return the metrics of some rounds; what is missing or not finite MLflow cannot keep, and is left out."""
    return [
        Metric(name, float(row[name]), row["ended_at"], row["round"])
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


@event.listens_for(Engine, "connect")
def _write_without_waiting(connection: object, _: object) -> None:
    """Leave it to the system when an SQLite file reaches the disk: MLflow commits seven times a trial.

    A killed process loses nothing by it; after a power cut the file can be deleted, since `sync` writes it again.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


def _check_sqlite(uri: str) -> None:
    """Fail at once where the file cannot be written; MLflow would try for minutes."""
    path = uri.removeprefix("sqlite:///")
    try:
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        raise TrackingError(f"{path} cannot be written: {error}") from None


def reason_of(error: BaseException) -> str:
    """Return one line for the cause at the root of an error."""
    while not isinstance(error, TrackingError) and (cause := error.__cause__ or error.__context__):
        error = cause
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) <= 300 else text[:300] + " ..."

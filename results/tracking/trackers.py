"""What every tracker can do, seen from the mirror; `database` and `server` are the two ways to do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

ROUNDS, OUTCOME, REASON, VALUES = "albench.rounds", "albench.outcome", "albench.reason", "albench.values"
RUN, TRIAL, PARENT = "albench.run", "albench.trial_id", "mlflow.parentRunId"


class State(NamedTuple):
    """What tells whether the run of a trial is level: status and end of the run, tags `ROUNDS`, `OUTCOME`, `VALUES`."""

    status: str
    end_time: int | None
    rounds: str | None
    outcome: str | None
    values: str | None


class Held(NamedTuple):
    """A run that the tracker holds; one without ``parent_id`` is a parent itself, of no trial."""

    run_id: str
    parent_id: str | None
    trial_id: str | None
    state: State


class Point(NamedTuple):
    """One value of a metric; ``timestamp`` in ms since the epoch."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True, eq=False)
class TrialRun:
    """What the tracker is to hold of one trial.

    ``birth`` are the tags of a run that is made now, because there was none (``run_id`` is None); ``tags`` are those
    that change, ``points`` what is new since the last time.
    """

    trial_id: str
    run_id: str | None
    name: str
    started_at: int
    birth: Mapping[str, str]
    params: Mapping[str, str]
    points: Sequence[Point]
    tags: Mapping[str, str]
    state: State


class Written(NamedTuple):
    """The run of a trial, and why the tracker refuses what it was sent (None: it took it)."""

    run_id: str | None
    refusal: str | None


class Tracker(Protocol):
    """A connection to MLflow. Every error that is not of a single trial is raised, and ends the connection."""

    batch: int
    """How many trials to write at a time."""

    def experiment(self, name: str, artifacts: str, tags: Mapping[str, str]) -> tuple[str, bool]:
        """Return the id of the experiment, made with ``tags`` where there is none, and whether it is active."""

    def held(self, experiment: str, identity: str) -> Iterator[Held]:
        """Yield the active runs whose tag `RUN` is ``identity``."""

    def begin(self, experiment: str, name: str, started_at: int, tags: Mapping[str, str]) -> str:
        """Make a run and return its id."""

    def end(self, run_id: str, ended_at: int | None, tags: Mapping[str, str], points: Sequence[Point]) -> None:
        """Write tags and values of a run, and mark it as finished unless ``ended_at`` is None."""

    def tags(self, run_id: str) -> Mapping[str, str]:
        """Return the tags of a run."""

    def attach(self, run_id: str, file: Path, folder: str) -> None:
        """Put a file into a folder of the artifacts of a run; one of its name gives way."""

    def delete(self, run_ids: Iterable[str]) -> None:
        """Mark runs as deleted."""

    def write(self, experiment: str, runs: Sequence[TrialRun]) -> list[Written]:
        """Write at most ``batch`` trials. What is there already is not written twice."""

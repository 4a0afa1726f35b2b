"""Runs on disk, and what a tracker must then hold."""

import math
import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from albench.results.record.store import RunStore
from albench.results.tracking.follower import SyncResult, TrackingError
from albench.results.tracking.mirror import follow

Row = dict[str, Any]

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "select_s", "fit_s")
T0 = 1_700_000_000_000


def identity(number: int) -> Row:
    names = {"dataset": "digits", "embedding": "raw", "learner": "linear", "strategy": "margin", "budget": "low"}
    return {**names, "trial_id": f"{number:016x}", "strategy_params": '{"a":1}', "seed": number}


def rounds_of(number: int, rounds: range) -> list[Row]:
    rng = np.random.default_rng(number)
    values = rng.random((10, 7))
    return [
        identity(number)
        | dict(zip(METRICS[:3], values[r, :3].tolist(), strict=True))
        | {"round": r, "n_labelled": 10 * r + 10, "bought_by": "strategy", "nll": None, "ece": math.nan}
        | {"class_counts": [5, 5], "selected": [r], "select_s": values[r, 3], "fit_s": values[r, 4]}
        | {"eval_s": 0.5, "peak_rss_mb": 100.0, "ended_at": T0 + 10_000 * number + 1000 * r}
        for r in rounds
    ]


def end_of(number: int, outcome: str = "done", ended_at: int = 9000) -> Row:
    machine = {"attempts": 1, "wall_s": 6.0, "host": "here", "device": "cpu", "traceback": ""}
    why = {"outcome": outcome, "reason": "" if outcome == "done" else f"because {outcome}"}
    return identity(number) | machine | why | {"ended_at": T0 + 10_000 * number + ended_at}


def create(directory: Path) -> RunStore:
    name = directory.name
    return RunStore.create(directory, f"name: {name}\n", {"grid_id": "0123", "name": name, "git_commit": "c0ffee"})


def write(directory: Path, rounds: list[Row], ends: list[Row]) -> Path:
    with create(directory) as store:
        store.add_rounds(rounds)
        store.add_trials(ends)
    return directory


def write_done(directory: Path, trials: range, n_rounds: int = 3) -> Path:
    rounds = [row for number in trials for row in rounds_of(number, range(n_rounds))]
    return write(directory, rounds, [end_of(number) for number in trials])


def expected(directory: Path) -> dict[str, Row]:
    """What MLflow must hold, told from the Parquet files without any code of the mirror."""
    store = RunStore.open(directory)
    children: dict[str, Row] = {}
    for row in store.rounds().to_dict("records"):
        child = children.setdefault(row["trial_id"], {"status": "RUNNING", "end": None, "metrics": {}})
        for name in METRICS:
            if not math.isnan(row[name]):
                child["metrics"].setdefault(name, []).append([row["n_labelled"], float(row[name]), row["ended_at"]])
    for row in store.trials().to_dict("records"):
        if row["outcome"] != "unsupported":
            child = children.setdefault(row["trial_id"], {"metrics": {}})
            child |= {"status": "FINISHED" if row["outcome"] == "done" else "FAILED", "end": row["ended_at"]}
    return children


def dump(path: Path) -> dict[str, list[Row]]:
    """Return every row of every table of an SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [row["name"] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        return {table: [dict(row) for row in connection.execute(f'select * from "{table}"')] for table in tables}  # noqa: S608 (our own table names)


def held(path: Path, name: str = "run") -> dict[str, Row]:
    """Return the children in one experiment of an SQLite store, as `expected` tells them; none may be there twice."""
    tables = dump(path)
    (experiment,) = (row["experiment_id"] for row in tables["experiments"] if row["name"] == name)
    runs = {row["run_uuid"]: row for row in tables["runs"] if row["experiment_id"] == experiment}
    runs = {run: row for run, row in runs.items() if row["lifecycle_stage"] == "active"}
    ids = [row for row in tables["tags"] if row["key"] == "albench.trial_id"]
    trial_of = {row["run_uuid"]: row["value"] for row in ids if row["run_uuid"] in runs}
    assert len(set(trial_of.values())) == len(trial_of)
    children: dict[str, Row] = {
        trial: {"status": runs[run]["status"], "end": runs[run]["end_time"], "metrics": {}}
        for run, trial in trial_of.items()
    }
    for row in sorted(tables["metrics"], key=lambda row: int(row["step"])):
        if row["run_uuid"] not in trial_of:
            continue
        points = children[trial_of[row["run_uuid"]]]["metrics"].setdefault(row["key"], [])
        points.append([row["step"], row["value"], row["timestamp"]])
    return children


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def made_level(directory: Path, uri: str) -> SyncResult:
    """Do in this process what `sync` has a child of its own do."""
    told: list[tuple[SyncResult, str | None]] = []
    last = threading.Event()
    last.set()
    follow(directory, uri, lambda result, reason: told.append((result, reason)), last)
    result, reason = told[-1]
    if reason is not None:
        raise TrackingError(reason)
    return result

"""A database of MLflow's as a tracker: many trials in one transaction, through MLflow's own tables.

MLflow's client needs 26 ms of processor time for a trial, in seven transactions; this takes about one. What it writes
is row by row what the client writes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.db.utils import _verify_schema
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlExperimentTag,
    SqlLatestMetric,
    SqlMetric,
    SqlParam,
    SqlRun,
    SqlTag,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import URL, Connection, Engine, Table, bindparam, create_engine, delete, event, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError

from ..record.parts import write_atomic
from .follower import TrackingError
from .trackers import OUTCOME, PARENT, ROUNDS, RUN, TRIAL, VALUES, Held, Point, State, TrialRun, Written

Row = dict[str, Any]

_EXPERIMENTS: Table = SqlExperiment.__table__
_EXPERIMENT_TAGS: Table = SqlExperimentTag.__table__
_RUNS: Table = SqlRun.__table__
_TAGS: Table = SqlTag.__table__
_PARAMS: Table = SqlParam.__table__
_METRICS: Table = SqlMetric.__table__
_LATEST: Table = SqlLatestMetric.__table__
_OURS = {table.name for table in (_EXPERIMENTS, _EXPERIMENT_TAGS, _RUNS, _TAGS, _PARAMS, _METRICS, _LATEST)}

_ACTIVE, _DELETED = LifecycleStage.ACTIVE, LifecycleStage.DELETED
_UNKNOWN_USER = "unknown"  # what MLflow's client says where nobody is named
JOURNALS = ("-journal", "-wal", "-shm")
"""What SQLite writes beside a file, by the end of its name."""

_SURROUNDINGS = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
_WAIT_S = 20  # for another process that writes, as MLflow waits


class UnusableError(TrackingError):
    """The tables are not all there, or those of another MLflow."""


class Database:
    """MLflow's tables in a database of SQLAlchemy's."""

    batch = 500

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        try:
            _verify_schema(engine)  # type: ignore[no-untyped-call]  # mlflow is typed in part
        except MlflowException as error:
            raise UnusableError(
                "its tables are those of another MLflow; 'mlflow db upgrade' brings older ones up to date"
            ) from error

    @classmethod
    def at(cls, uri: str) -> Database:
        """Connect to a database server; MLflow makes the tables where there are none."""
        engine = create_engine(uri, pool_pre_ping=True)
        with engine.connect():  # MLflow would try for minutes
            pass
        SqlAlchemyStore(uri, "./mlruns")  # type: ignore[no-untyped-call]  # mlflow is typed in part
        return cls(engine)

    @classmethod
    def in_file(cls, path: Path) -> Database:
        """Open an SQLite file, whatever its name; it is made where there is none."""
        if not path.exists() or not path.stat().st_size:
            _make(path)
        with closing(sqlite3.connect(path, timeout=_WAIT_S)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # fails at once where it cannot be written
            connection.rollback()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise UnusableError(f"SQLite finds it damaged: {found}")
        if missing := _OURS - tables:
            raise UnusableError(f"it is not MLflow's, or not whole: no table {min(missing)}")
        engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": _WAIT_S})
        event.listen(engine, "connect", _set_up)
        return cls(engine)

    def experiment(self, name: str, artifacts: str, tags: Mapping[str, str]) -> tuple[str, bool]:
        found = select(_EXPERIMENTS.c.experiment_id, _EXPERIMENTS.c.lifecycle_stage).where(_EXPERIMENTS.c.name == name)
        now = int(1000 * time.time())
        made = {"name": name, "artifact_location": artifacts, "lifecycle_stage": _ACTIVE}
        with self._engine.begin() as connection:
            row = connection.execute(found).first()
            if row is None:
                connection.execute(insert(_EXPERIMENTS).values(**made, creation_time=now, last_update_time=now))
                row = connection.execute(found).one()
                told = [{"experiment_id": row[0], "key": key, "value": value} for key, value in tags.items()]
                connection.execute(insert(_EXPERIMENT_TAGS), told)
        return str(row[0]), row[1] == _ACTIVE

    def held(self, experiment: str, identity: str) -> Iterator[Held]:
        ours = select(_TAGS.c.run_uuid).where(_TAGS.c.key == RUN, _TAGS.c.value == identity)
        runs = select(_RUNS.c.run_uuid, _RUNS.c.status, _RUNS.c.end_time).where(
            _RUNS.c.run_uuid.in_(ours),
            _RUNS.c.experiment_id == int(experiment),
            _RUNS.c.lifecycle_stage == _ACTIVE,
        )
        telling = select(_TAGS.c.run_uuid, _TAGS.c.key, _TAGS.c.value).where(
            _TAGS.c.run_uuid.in_(ours), _TAGS.c.key.in_([PARENT, TRIAL, ROUNDS, OUTCOME, VALUES])
        )
        with self._engine.connect() as connection:
            tags: dict[str, dict[str, str]] = {}
            for run_id, key, value in connection.execute(telling):
                tags.setdefault(run_id, {})[key] = value
            for run_id, status, end_time in connection.execute(runs):
                told = tags.get(run_id, {})
                state = State(status, end_time, told.get(ROUNDS), told.get(OUTCOME), told.get(VALUES))
                yield Held(run_id, told.get(PARENT), told.get(TRIAL), state)

    def begin(self, experiment: str, name: str, started_at: int, tags: Mapping[str, str]) -> str:
        run_id = uuid4().hex
        with self._engine.begin() as connection:
            place = _artifacts(connection, experiment)
            connection.execute(insert(_RUNS), [_run(run_id, experiment, name, started_at, place)])
            connection.execute(insert(_TAGS), _tags(run_id, {**tags, MLFLOW_RUN_NAME: name}))
        return run_id

    def end(self, run_id: str, ended_at: int | None, tags: Mapping[str, str], points: Sequence[Point]) -> None:
        rows = [_metric(run_id, point) for point in points]
        with self._engine.begin() as connection:
            _replace_tags(connection, [run_id], _tags(run_id, tags))
            there = _there(connection, [run_id]).points
            new = [row for row, point in zip(rows, points, strict=True) if (run_id, *point) not in there]
            if new:
                connection.execute(insert(_METRICS), new)
                _replace_latest(connection, {run_id}, {(run_id, row["key"]): row for row in new})
            if ended_at is not None:
                _end(connection, [{"id": run_id, "status": "FINISHED", "end_time": ended_at}])

    def tags(self, run_id: str) -> Mapping[str, str]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(_TAGS.c.key, _TAGS.c.value).where(_TAGS.c.run_uuid == run_id))
            return {row.key: row.value for row in rows}

    def attach(self, run_id: str, file: Path, folder: str) -> None:
        with self._engine.connect() as connection:
            place = connection.execute(select(_RUNS.c.artifact_uri).where(_RUNS.c.run_uuid == run_id)).scalar_one()
        repository = get_artifact_repository(place)
        repository.log_artifact(str(file), folder or None)  # type: ignore[no-untyped-call]  # mlflow is typed in part

    def delete(self, run_ids: Iterable[str]) -> None:
        gone = {"lifecycle_stage": _DELETED, "deleted_time": int(1000 * time.time())}
        with self._engine.begin() as connection:
            for run_id in run_ids:
                connection.execute(update(_RUNS).where(_RUNS.c.run_uuid == run_id).values(**gone))

    def write(self, experiment: str, runs: Sequence[TrialRun]) -> list[Written]:
        """Write all of them, or, where the database refuses one, each by itself."""
        ids = [run.run_id or uuid4().hex for run in runs]
        try:
            with self._engine.begin() as connection:
                _write(connection, experiment, dict(zip(ids, runs, strict=True)))
        except (DataError, IntegrityError) as error:
            if len(runs) > 1:
                return [written for run in runs for written in self.write(experiment, [run])]
            return [Written(runs[0].run_id, str(error.orig))]
        return [Written(run_id, None) for run_id in ids]


def _write(connection: Connection, experiment: str, runs: Mapping[str, TrialRun]) -> None:
    """Write some trials by the ids of their runs."""
    place = _artifacts(connection, experiment)
    new = {run_id: run for run_id, run in runs.items() if run.run_id is None}
    known = [run_id for run_id in runs if run_id not in new]
    there = _there(connection, known)
    made = [_run(run_id, experiment, run.name, run.started_at, place) for run_id, run in new.items()]
    tags = [row for run_id, run in new.items() for row in _tags(run_id, {**run.birth, MLFLOW_RUN_NAME: run.name})]
    params = [
        {"run_uuid": run_id, "key": key, "value": value}
        for run_id, run in runs.items()
        for key, value in run.params.items()
        if (run_id, key) not in there.params
    ]
    points = [
        _metric(run_id, point)
        for run_id, run in runs.items()
        for point in dict.fromkeys(run.points)
        if (run_id, *point) not in there.points
    ]
    latest: dict[tuple[str, str], Row] = {}
    for row in points:
        key = row["run_uuid"], row["key"]
        if row["step"] >= there.latest.get(key, row["step"]):
            there.latest[key] = row["step"]
            latest[key] = row
    for table, rows in ((_RUNS, made), (_TAGS, tags), (_PARAMS, params), (_METRICS, points)):
        if rows:
            connection.execute(insert(table), rows)
    _replace_tags(connection, known, [row for run_id, run in runs.items() for row in _tags(run_id, run.tags)])
    _replace_latest(connection, set(known), latest)
    _end(connection, [{"id": i, "status": r.state.status, "end_time": r.state.end_time} for i, r in runs.items()])


class _There:
    """What the tables hold of some runs: keys of their params, points, and the last step of each metric."""

    def __init__(self) -> None:
        self.params: set[tuple[str, str]] = set()
        self.points: set[tuple[str, str, float, int, int]] = set()
        self.latest: dict[tuple[str, str], int] = {}


def _there(connection: Connection, run_ids: Sequence[str]) -> _There:
    there, m, last = _There(), _METRICS.c, _LATEST.c
    if run_ids:
        params = select(_PARAMS.c.run_uuid, _PARAMS.c.key).where(_PARAMS.c.run_uuid.in_(run_ids))
        points = select(m.run_uuid, m.key, m.value, m.timestamp, m.step).where(m.run_uuid.in_(run_ids))
        latest = select(last.run_uuid, last.key, last.step).where(last.run_uuid.in_(run_ids))
        there.params = {(run_id, key) for run_id, key in connection.execute(params)}
        there.points = {tuple(row) for row in connection.execute(points)}
        there.latest = {(run_id, key): step for run_id, key, step in connection.execute(latest)}
    return there


def _artifacts(connection: Connection, experiment: str) -> str:
    where = select(_EXPERIMENTS.c.artifact_location).where(_EXPERIMENTS.c.experiment_id == int(experiment))
    return str(connection.execute(where).scalar_one())


def _run(run_id: str, experiment: str, name: str, started_at: int, artifacts: str) -> Row:
    place = append_to_uri_path(artifacts, run_id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME)  # type: ignore[no-untyped-call]  # mlflow is typed in part
    return {
        "run_uuid": run_id,
        "experiment_id": int(experiment),
        "name": name,
        "start_time": started_at,
        "artifact_uri": place,
        "user_id": _UNKNOWN_USER,
        "status": "RUNNING",
        "lifecycle_stage": _ACTIVE,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
    }


def _tags(run_id: str, tags: Mapping[str, str]) -> list[Row]:
    return [{"run_uuid": run_id, "key": key, "value": value} for key, value in tags.items()]


def _metric(run_id: str, point: Point) -> Row:
    return {"run_uuid": run_id, **point._asdict(), "is_nan": False}


def _replace_tags(connection: Connection, known: Sequence[str], tags: Sequence[Row]) -> None:
    """Write tags; those of known runs take the place of what has their keys."""
    if known and tags:
        keys = {row["key"] for row in tags}
        connection.execute(delete(_TAGS).where(_TAGS.c.run_uuid.in_(known), _TAGS.c.key.in_(keys)))
    if tags:
        connection.execute(insert(_TAGS), tags)


def _replace_latest(connection: Connection, known: set[str], latest: Mapping[tuple[str, str], Row]) -> None:
    old = [{"id": run_id, "of": key} for run_id, key in latest if run_id in known]
    if old:
        one = delete(_LATEST).where(_LATEST.c.run_uuid == bindparam("id"), _LATEST.c.key == bindparam("of"))
        connection.execute(one, old)
    if latest:
        connection.execute(insert(_LATEST), list(latest.values()))


def _end(connection: Connection, ends: Sequence[Row]) -> None:
    """Say how runs stand; rows of ``id``, ``status`` and ``end_time``."""
    connection.execute(update(_RUNS).where(_RUNS.c.run_uuid == bindparam("id")), ends)


def _make(path: Path) -> None:
    """Make a file with MLflow's tables: in memory first, so that no kill and no full disk leaves half of it."""
    content = _tables()
    for journal in JOURNALS:  # of a file that was here before: SQLite would play it back into ours
        path.with_name(path.name + journal).unlink(missing_ok=True)
    if not path.exists() or not path.stat().st_size:  # else another mirror was faster
        write_atomic(path, content)


@cache
def _tables() -> bytes:
    """Return an SQLite file with MLflow's tables."""
    store = SqlAlchemyStore("sqlite:///:memory:", "./mlruns")  # type: ignore[no-untyped-call]  # mlflow is typed in part
    with closing(store.engine.raw_connection()) as connection:
        tables = cast(sqlite3.Connection, connection.driver_connection)
        content = tables.serialize()
    store.engine.dispose()
    return content


def _set_up(connection: sqlite3.Connection, _: object) -> None:
    """Leave it to the system when the file reaches the disk.

    A killed process loses nothing by it; what a power cut breaks is begun anew, since the record has all of it.
    """
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = ON")


def damaged(error: BaseException) -> bool:
    """Return whether an error comes of what an SQLite file holds, not of the disk, its permissions, another writer."""
    if isinstance(error, UnusableError):
        return True
    if type(error) in (sqlite3.DatabaseError, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _SURROUNDINGS
    cause = error.__cause__ or error.__context__
    return cause is not None and damaged(cause)


def set_aside(path: Path) -> Path:
    """Give an SQLite file another name, and what it was writing with it."""
    aside = path.with_name(f"{path.name}.aside")
    for suffix in ("", *JOURNALS):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    return aside

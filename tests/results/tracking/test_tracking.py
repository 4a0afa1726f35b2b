import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.tracking import (
    T0,
    Row,
    create,
    dump,
    end_of,
    expected,
    free_port,
    held,
    identity,
    rounds_of,
    until,
    write,
    write_done,
)

from albench.results.tracking.follower import Follower, TrackingError, default_uri, sync

DUMP = """
import json, sys
from mlflow.tracking import MlflowClient
client, (uri, name) = None, sys.argv[1:]
client = MlflowClient(tracking_uri=uri)
experiment = client.get_experiment_by_name(name)
def told(run):
    metrics = {
        key: sorted([m.step, m.value, m.timestamp] for m in client.get_metric_history(run.info.run_id, key))
        for key in run.data.metrics
    }
    return {"id": run.info.run_id, "status": run.info.status, "end": run.info.end_time, "tags": run.data.tags,
            "params": run.data.params, "metrics": metrics}
print(json.dumps([told(run) for run in client.search_runs([experiment.experiment_id])]))
"""

# --- a real server -------------------------------------------------------------------------------------------------


class Server:
    """``mlflow server`` on loopback; its address stays the same when it is started again."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "server.db"
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--backend-store-uri", f"sqlite:///{self.database}"]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--workers", "1", *where],
                cwd=self.folder,
                env={**os.environ, **quiet},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self.answers, 90)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:  # noqa: S310 (our own server)
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


# --- a local file --------------------------------------------------------------------------------------------------


def test_an_sqlite_tracker_holds_what_the_parquet_files_say_and_a_second_sync_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    rounds = [row for number in range(4) for row in rounds_of(number, range(3))]
    rounds += rounds_of(8, range(1, 10)) * 2  # what two parts repeat is one point
    rounds += [rounds_of(9, range(1))[0] | {"round": r, "ended_at": T0 + r} for r in range(322)]
    ends = [end_of(0), end_of(1, "failed"), end_of(2, "timeout", 5000), end_of(2), end_of(7, "unsupported")]
    directory = write(tmp_path / "run", rounds, [*ends, end_of(8, "lost")])
    before = dict(os.environ)

    assert sync(directory, default_uri(directory)).trials == 6
    database = directory / "mlflow.db"
    assert held(database) == expected(directory)
    tables = dump(database)
    result = sync(directory, default_uri(directory))
    assert (result.trials, result.rounds, result.written) == (6, 343, 0)
    assert dump(database) == tables

    tags = {(row["run_uuid"], row["key"]): row["value"] for row in tables["tags"]}
    (parent,) = (run for run, key in tags if key == "albench.grid_id")
    children = [run for run, key in tags if key == "albench.trial_id"]
    assert {tags[run, "mlflow.parentRunId"] for run in children} == {parent}
    assert tags[parent, "albench.unsupported"] == "1"
    assert {tags.get((run, "albench.reason")) for run in children} == {None, "", "because failed", "because lost"}
    assert [row["name"] for row in tables["experiments"]] == ["Default", "run"]
    assert "mlflow" not in sys.modules
    assert dict(os.environ) == before
    assert list(here.iterdir()) == []


def test_a_mirror_killed_in_the_middle_is_made_level_without_duplicates(tmp_path: Path) -> None:
    directory = write_done(tmp_path / "run", range(3000))
    follower = Follower.start(directory, default_uri(directory), modest=False)
    until(lambda: follower.result.trials >= 5, 300)
    follower.stop()
    assert 0 < len(held(directory / "mlflow.db")) < 3000
    add_twin(directory / "mlflow.db")
    assert sync(directory, default_uri(directory)).trials == 3000
    assert held(directory / "mlflow.db") == expected(directory)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the system does not share by session")
def test_the_mirror_takes_what_the_trials_leave_over(tmp_path: Path) -> None:
    """Where processors are shared among sessions first, a nice process of its own session has as much as all trials."""
    directory = write_done(tmp_path / "run", range(2))
    follower = Follower.start(directory, default_uri(directory))
    try:
        pid = follower._process.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        assert Path(f"/proc/{pid}/autogroup").read_text().endswith("nice 19\n")
        assert Path("/proc/self/autogroup").read_text() != Path(f"/proc/{pid}/autogroup").read_text()
    finally:
        follower.stop()


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="the system does not share by session")
def test_a_mirror_that_is_waited_for_has_its_full_share_again(tmp_path: Path) -> None:
    """The run is over: on a machine where others work, what they leave over may be nothing."""
    follower = Follower.start(directory := write_done(tmp_path / "run", range(200)), default_uri(directory))
    share = Path(f"/proc/{follower._process.pid}/autogroup")
    assert share.read_text().endswith("nice 19\n")
    time.sleep(0.2)  # Linux takes ten changes a second
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(follower.finish, 120)
        until(lambda: share.read_text().endswith("nice 0\n"), 30)
        assert waiting.result() is None


def add_twin(path: Path) -> None:
    """Repeat a child, as happens when a request that creates one times out, is repeated, and both are carried out."""
    with closing(sqlite3.connect(path)) as connection, connection:
        (run,) = connection.execute("select run_uuid from tags where key = 'albench.trial_id'").fetchone()
        for table in ("runs", "tags"):
            connection.execute(f"create temp table twin as select * from {table} where run_uuid = ?", [run])  # noqa: S608 (our own table names)
            connection.execute("update twin set run_uuid = ?", ["f" * 32])
            connection.execute(f"insert into {table} select * from twin")  # noqa: S608 (our own table names)
            connection.execute("drop table twin")


def test_parts_that_appear_are_followed_across_compaction_and_a_retried_trial_by_one_process_only(
    tmp_path: Path,
) -> None:
    directory, database = tmp_path / "run", tmp_path / "run" / "mlflow.db"
    with create(directory) as store:
        follower = Follower.start(directory, default_uri(directory), modest=False)
        store.add_rounds(rounds_of(0, range(2)))
        store.flush()
        until(lambda: follower.result.rounds == 2, 300)
        assert held(database) == expected(directory)  # live: half a trial is there
        with pytest.raises(TrackingError, match="another process is mirroring this run now"):
            sync(directory, default_uri(directory))
        store.add_rounds(rounds_of(0, range(2, 4)) + rounds_of(1, range(3)))
        store.add_trials([end_of(1, "failed", 3000)])
        store.flush()
        store.compact()
        until(lambda: follower.result.rounds == 7, 300)
        store.add_rounds(rounds_of(1, range(3, 5)))
        store.add_trials([end_of(0), end_of(1)])
    assert follower.finish(200) is None
    assert follower.result.trials == 2
    assert held(database) == expected(directory)
    assert {child["status"] for child in held(database).values()} == {"FINISHED"}


# --- a server ------------------------------------------------------------------------------------------------------


def test_a_server_tells_its_clients_what_the_parquet_files_say(tmp_path: Path, server: Server) -> None:
    directory = write(tmp_path / "small", rounds_of(0, range(3)) + rounds_of(1, range(2)), [end_of(0)])
    sync(directory, server.uri)
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DUMP, server.uri, "small"], check=True, capture_output=True, text=True
    )
    runs = json.loads(told.stdout)
    children = {run["tags"]["albench.trial_id"]: run for run in runs if "albench.trial_id" in run["tags"]}
    assert {key: {name: run[name] for name in ("status", "end", "metrics")} for key, run in children.items()} == (
        expected(directory)
    )
    (parent,) = (run for run in runs if "albench.trial_id" not in run["tags"])
    assert {run["tags"]["mlflow.parentRunId"] for run in children.values()} == {parent["id"]}
    assert [children[f"{n:016x}"]["params"] for n in range(2)] == [
        {name: str(value) for name, value in identity(n).items() if name not in ("trial_id", "strategy_params")}
        | {"strategy.a": "1"}
        for n in range(2)
    ]
    tables = dump(server.database)
    assert sync(directory, server.uri).written == 0
    assert dump(server.database) == tables


def test_a_server_that_dies_loses_nothing_that_a_sync_cannot_bring(tmp_path: Path, server: Server) -> None:
    directory = write_done(tmp_path / "large", range(80))
    follower = Follower.start(directory, server.uri, modest=False)
    until(lambda: follower.result.trials >= 5, 300)
    server.kill()
    notice = follower.finish(200)
    assert 0 < follower.result.trials < 80
    assert notice is not None
    assert notice.startswith(f"MLflow at {server.uri} is {80 - follower.result.trials} of 80 trials behind: ")
    assert notice.endswith(f"; run: albench mlflow-sync {directory} --mlflow {server.uri}")
    server.start()
    assert sync(directory, server.uri).trials == 80
    assert held(server.database, "large") == expected(directory)
    tables = dump(server.database)
    assert sync(directory, server.uri).written == 0
    assert dump(server.database) == tables


def test_a_file_holds_row_by_row_what_a_server_is_told(tmp_path: Path, server: Server) -> None:
    """A file is written past MLflow's client, a server through it: a user of MLflow must not see the difference."""
    rounds = rounds_of(0, range(3)) + rounds_of(1, range(2)) + rounds_of(2, range(1)) + rounds_of(4, range(9))
    ends = [end_of(0), end_of(1, "failed"), end_of(3, "unsupported"), end_of(5, "timeout")]
    directory = write(tmp_path / "twice", rounds, ends)
    sync(directory, server.uri)
    sync(directory, default_uri(directory))
    assert without_ids(dump(directory / "mlflow.db"), "twice") == without_ids(dump(server.database), "twice")


def without_ids(tables: dict[str, list[Row]], name: str) -> dict[str, list[Row]]:
    """Return the rows of one experiment, by the names of its runs; not where artifacts would lie."""
    (experiment,) = (row["experiment_id"] for row in tables["experiments"] if row["name"] == name)
    runs = {row["run_uuid"]: row["name"] for row in tables["runs"] if row["experiment_id"] == experiment}
    told: dict[str, list[Row]] = {}
    for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
        rows = [dict(row) for row in tables[table] if row["run_uuid"] in runs]
        for row in rows:
            row["run_uuid"] = runs[row["run_uuid"]]
            row["value"] = runs.get(row.get("value", ""), row.get("value"))
            row |= {"experiment_id": 0, "artifact_uri": ""}
        told[table] = sorted(rows, key=lambda row: str(sorted(row.items())))
    return told


# --- trackers that fail --------------------------------------------------------------------------------------------


def test_a_tracker_that_never_answers_holds_nobody_up(tmp_path: Path) -> None:
    directory = write_done(tmp_path / "run", range(2))
    with silent_server() as uri:
        begin = time.monotonic()
        follower = Follower.start(directory, uri, modest=False)
        assert time.monotonic() - begin < 2
        begin = time.monotonic()
        notice = follower.finish(3)
        assert time.monotonic() - begin < 8
    assert notice == (
        f"MLflow at {uri} is 2 of 2 trials behind: not done after 3 s;"
        f" run: albench mlflow-sync {directory} --mlflow {uri}"
    )


def test_an_address_where_nobody_listens_is_said_in_one_line(tmp_path: Path) -> None:
    directory = write_done(tmp_path / "run", range(2))
    uri = f"http://user:secret@127.0.0.1:{free_port()}"
    follower = Follower.start(directory, uri, modest=False)
    notice = follower.finish(200)
    shown = uri.replace("user:secret@", "")
    assert notice is not None
    assert notice.startswith(f"MLflow at {shown} is 2 of 2 trials behind: ")
    assert "Connection refused" in notice
    assert "secret" not in notice
    assert "\n" not in notice


def test_what_is_no_tracker_is_said_in_one_line(tmp_path: Path) -> None:
    directory = write_done(tmp_path / "run", range(1))
    with pytest.raises(TrackingError, match=r"'htp://there' is no address .*did you mean 'http'\? legal: sqlite, http"):
        Follower.start(directory, "htp://there")
    with pytest.raises(TrackingError, match="'there' is no address"):
        sync(directory, "there")
    (tmp_path / "text").write_text("this is no database, only text of some length\n" * 100)
    with pytest.raises(TrackingError, match=r"text: file is not a database; remove it"):
        sync(directory, f"sqlite:///{tmp_path / 'text'}")
    with web_server(tmp_path) as uri, pytest.raises(TrackingError, match=r"^MLflow at http://\S+: .*404.*$"):
        sync(directory, uri)


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """A server that answers, but is no MLflow."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_mirror_ends_when_the_driver_is_killed_even_in_the_middle_of_a_request(tmp_path: Path) -> None:
    directory = write_done(tmp_path / "run", range(2))
    script = """
import sys, time
from pathlib import Path
from albench.results.tracking.follower import Follower
follower = Follower.start(Path(sys.argv[1]), sys.argv[2])
print(follower._process.pid, flush=True)
time.sleep(600)
"""
    with silent_server() as uri:
        command = [sys.executable, "-c", script, str(directory), uri]
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with driver:
            assert driver.stdout is not None
            mirror = int(driver.stdout.readline())
            assert os.getpriority(os.PRIO_PROCESS, mirror) == 19
            until((directory / ".mlflow.lock").exists, 300)  # it is in its first request now
            driver.kill()
        until(lambda: not _lives(mirror), 10)


def _lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"

"""What must not stop the mirror for good: early kills, damaged files, odd names, folders that take nothing."""

import multiprocessing
import os
import shutil
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from conftest import Program
from support.tracking import expected, held, made_level, until, write_done

from albench.results.tracking import follower as following
from albench.results.tracking.follower import Follower, SyncResult, TrackingError, default_uri, sync

Level = Callable[[Path, str], SyncResult]


@pytest.fixture(scope="module")
def level() -> Iterator[Level]:
    """What `sync` has its child do, but in one child for all tests: loading MLflow takes seconds."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
        yield lambda directory, uri: child.submit(made_level, directory, uri).result(300)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory, level: Level) -> Path:
    """A run of three trials with its mlflow.db, to be copied."""
    directory = write_done(tmp_path_factory.mktemp("mirrored") / "run", range(3))
    level(directory, default_uri(directory))
    return directory


def half_made(path: Path) -> None:
    """As an early kill of older versions left it: some of MLflow's tables, at the version of one of its migrations."""
    with closing(sqlite3.connect(path)) as connection, connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for name in set(tables) - {"experiments", "runs", "alembic_version", "sqlite_sequence"}:
            connection.execute(f'drop table "{name}"')
        connection.execute("delete from runs")
        connection.execute("update alembic_version set version_num = '451aebb31d03'")


def a_table_is_gone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("drop table metrics")


def overwritten_in_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : len(content) // 2] = b"\xa5" * (len(content) // 2 - 4096)
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def text(path: Path) -> None:
    path.write_text("no database\n" * 1000)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def stale_journal(path: Path) -> None:
    """The file was deleted by hand after a power cut; its journal would be played back into a new one."""
    path.with_name("mlflow.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\xff" * 2000)
    path.unlink()


@pytest.mark.parametrize(
    "damage", [half_made, a_table_is_gone, overwritten_in_the_middle, cut_short, text, emptied, stale_journal]
)
def test_a_damaged_file_is_made_anew(
    damage: Callable[[Path], None], mirrored: Path, level: Level, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(mirrored, tmp_path / "run"))
    damage(directory / "mlflow.db")
    result = level(directory, default_uri(directory))
    assert held(directory / "mlflow.db") == expected(directory)
    assert ("is made anew, the old one is now mlflow.db.aside" in result.notice) == (
        (directory / "mlflow.db.aside").exists()
    )
    assert (result.notice == "") == (damage in (emptied, stale_journal))
    assert level(directory, default_uri(directory)).notice == ""


def test_a_file_elsewhere_is_nobody_elses_to_replace(mirrored: Path, level: Level, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mine.db")) as connection, connection:
        connection.execute("create table letters (text)")
    why = (
        "it is not MLflow's, or not whole: no table experiment_tags; remove it, and all of it is written again, or give"
    )
    with pytest.raises(TrackingError, match=why):
        level(mirrored, f"sqlite:///{tmp_path / 'mine.db'}")
    with closing(sqlite3.connect(tmp_path / "mine.db")) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("letters",)]


def test_a_kill_at_any_time_leaves_no_file_or_a_whole_one(level: Level, tmp_path: Path) -> None:
    """The file is there at once with all of MLflow's tables."""
    directory = write_done(tmp_path / "run", range(2))
    follower = Follower.start(directory, default_uri(directory), modest=False)
    until((directory / "mlflow.db").exists, 300)
    follower.stop()
    assert not list(directory.glob(".*.tmp"))
    assert level(directory, default_uri(directory)).notice == ""
    assert held(directory / "mlflow.db") == expected(directory)


NAMES = ["100%2F is it 5? #1;a=b&c [red]x[/red] :smile: 'an' \"apo\" größe me@y"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_folder_or_file_is_taken_as_it_stands(
    name: str, mirrored: Path, level: Level, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(mirrored, tmp_path / name / "run"))
    (directory / "mlflow.db").unlink()
    level(directory, default_uri(directory))
    assert held(directory / "mlflow.db") == expected(directory)
    elsewhere = tmp_path / f"{name}.db"
    level(directory, f"sqlite:///{elsewhere}")
    assert held(elsewhere) == expected(directory)
    assert {path.name for path in directory.glob("*.db*")} == {"mlflow.db"}


@pytest.mark.usefixtures("own_folder")
def test_the_command_line_prints_a_name_as_it_stands_and_a_remedy_that_a_shell_takes(
    albench: Program, mirrored: Path
) -> None:
    directory = Path("[red]it's[red] :smile: 5%?").absolute()
    shutil.copytree(mirrored, directory)
    (directory / "mlflow.db").unlink()
    following_it = Follower.start(directory, "http://127.0.0.1:9")
    notice = following_it.finish(0.0)
    assert notice is not None
    remedy = notice.partition("run: albench ")[2]
    said = subprocess.run(["bash", "-c", f"printf '%s\n' {remedy}"], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["mlflow-sync", str(directory), "--mlflow", "http://127.0.0.1:9"]
    status, out, err = albench.run("mlflow-sync", directory.name)
    assert (status, err) == (0, "")
    assert out.startswith("level: 3 trials")
    status, out, err = albench.run("report", directory.name)
    assert f"report: {directory.name}/report/report.md" in out
    assert status == 0, err


# --- folders that take nothing -------------------------------------------------------------------------------------


@pytest.fixture
def read_only(mirrored: Path, tmp_path: Path) -> list[str]:
    """The beginning of a command that sees a run on a disk that cannot be written (root may write where others not)."""
    directory = Path(shutil.copytree(mirrored, tmp_path / "run"))
    (directory / "mlflow.db").unlink()
    mount = f"mount --bind '{directory}' '{directory}' && mount -o remount,ro,bind '{directory}'"
    if subprocess.run(["unshare", "-m", "bash", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    return ["unshare", "-m", "bash", "-c", f'{mount} && exec "$@"', "bash"]


@pytest.mark.parametrize("uri", [None, "http://127.0.0.1:9", "elsewhere.db"])
def test_a_run_on_a_read_only_disk_is_a_line(uri: str | None, read_only: list[str], tmp_path: Path) -> None:
    option = [] if uri is None else ["--mlflow", uri if uri.startswith("http") else f"sqlite:///{tmp_path / uri}"]
    command = [*read_only, sys.executable, "-m", "albench.cli", "mlflow-sync", str(tmp_path / "run"), *option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {tmp_path / 'run'} cannot be mirrored to MLflow, its log must be there: Read-only file system\n"
    )


# --- servers that fail ---------------------------------------------------------------------------------------------


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET  # noqa: N815  the names are http.server's

        def log_message(self, *_: object) -> None: ...

    class Server(socketserver.ThreadingMixIn, HTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def failing(request: BaseHTTPRequestHandler) -> None:
    request.send_error(500, "out of order")


def trickling(request: BaseHTTPRequestHandler) -> None:
    """Each byte comes in time, and the answer never ends."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    for _ in range(1000):
        request.wfile.write(b" ")
        request.wfile.flush()
        time.sleep(0.2)


@pytest.mark.parametrize(("answer", "why"), [(failing, "500"), (trickling, "no answer for 20 s")])
def test_a_server_that_fails_or_never_ends_its_answer_is_a_line(
    answer: Callable[[BaseHTTPRequestHandler], None], why: str, mirrored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "QUIET_S", 20.0)
    begin = time.monotonic()
    with answering(answer) as uri, pytest.raises(TrackingError, match=f"^MLflow at {uri}: .*{why}.*$"):
        sync(mirrored, uri)
    assert time.monotonic() - begin < 60


def test_an_experiment_that_was_deleted_in_mlflow_is_a_line(mirrored: Path, level: Level, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(mirrored, tmp_path / "run"))
    with closing(sqlite3.connect(directory / "mlflow.db")) as connection, connection:
        connection.execute("update experiments set lifecycle_stage = 'deleted' where name = 'run'")
    with pytest.raises(TrackingError, match="its experiment 'run' is deleted; restore it there, or rename the grid"):
        level(directory, default_uri(directory))
    assert not os.path.lexists(directory / "mlflow.db.aside")

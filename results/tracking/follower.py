"""Mirroring a run to MLflow, seen from the driver: a child process does it, and nothing here imports mlflow.

So a slow, hanging or dead tracker can neither hold up a run nor lose a row of it: the Parquet files are the record, and
what the tracker missed is made up by the next `sync`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, cast

from ...benchmark.registry import suggestion
from ...benchmark.types import Outcome, UserError
from ..record.store import RunStore

LOG, LOCK = "mlflow.log", ".mlflow.lock"
QUIET_S = 120.0
"""A mirror that tells nothing for so long hangs: it tells of each step, and what it waits for is bounded otherwise."""

SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql")
_FORCED = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # the reasons of a failure are told in our own words
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # printing them costs a request per trial
    "PYTHONWARNINGS": "ignore",
}
_UNLESS_SET = {  # MLflow would wait for several minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


class TrackingError(UserError):
    """The tracker could not be made level with the Parquet files; ``str()`` is one line: its address and the reason."""


@dataclass
class SyncResult:
    """How far the tracker is: trials that are level with the Parquet files, their rounds, trials written this time.

    ``notice`` is a line about what was wrong with the tracker and was put right.
    """

    trials: int = 0
    rounds: int = 0
    written: int = 0
    notice: str = ""


def default_uri(directory: Path) -> str:
    """Return the tracker used where none is given: an SQLite file in the run's directory."""
    return f"sqlite:///{directory.absolute() / 'mlflow.db'}"


def sync(directory: Path, uri: str) -> SyncResult:
    """Bring the tracker level with the Parquet files of a run; what is level already is not written again.

    Raises
    ------
    StorageError
        When the directory holds no run.
    TrackingError
        When that fails. What was written stays, and the next call goes on from there.
    """
    RunStore.open(directory)  # an error where there is no run, before anything is written
    follower = Follower.start(directory, uri, modest=False)
    reason = follower.wait()
    if reason is not None:
        raise TrackingError(f"MLflow at {_shown(uri)}: {reason}")
    return follower.result


class Follower:
    """The child process that mirrors a run while it goes on, and ends when we do.

    ``result`` is what the child last told.
    """

    def __init__(self, directory: Path, uri: str, process: subprocess.Popen[str]) -> None:
        self.result = SyncResult()
        self._directory = directory
        self._uri = uri
        self._process = process
        self._lifeline = cast(IO[str], process.stdin)  # its end of file tells the child that we are gone
        self._reason: str | None = None
        self._heard = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def start(cls, directory: Path, uri: str, *, modest: bool = True) -> Self:
        """Start to mirror the run in ``directory``; returns at once, whatever the tracker does.

        A ``modest`` one takes what the trials leave over.

        Raises
        ------
        TrackingError
            When ``uri`` is no address of a tracker, or the folder takes no log.
        """
        directory = directory.absolute()
        command = [sys.executable, "-P", "-m", f"{__package__}.mirror", str(directory), check_uri(uri)]
        try:
            with (directory / LOG).open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 (our own module)
                    command,
                    cwd=directory,  # relative paths of MLflow's own, such as ./mlruns, belong there
                    env={**_UNLESS_SET, **os.environ, **_FORCED},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for the driver to handle
                )
        except OSError as error:
            raise TrackingError(
                f"{directory} cannot be mirrored to MLflow, its log must be there: {error.strerror}"
            ) from error
        if modest:
            _yield_to_others(process.pid, 19)
        return cls(directory, uri, process)

    def finish(self, timeout: float) -> str | None:
        """Wait at most ``timeout`` seconds for the tracker to be level; else return a line saying what is missing."""
        reason = self.wait(timeout)
        if reason is None:
            return None
        total = _count_trials(self._directory)
        return (
            f"MLflow at {_shown(self._uri)} is {total - self.result.trials} of {total} trials behind: {reason};"
            f" run: {shlex.join(self._remedy())}"
        )

    def _remedy(self) -> list[str]:
        elsewhere = [] if self._uri == default_uri(self._directory) else ["--mlflow", _shown(self._uri)]
        return ["albench", "mlflow-sync", str(self._directory), *elsewhere]

    def wait(self, timeout: float | None = None) -> str | None:
        """Ask for the last pass, wait for it and end the child; return None when all is level, else the reason.

        It is given up after ``timeout`` seconds, or, where there is none, when it has told nothing for `QUIET_S`.
        """
        late = None
        if self._process.poll() is None:  # whoever waits has nothing else to run
            _yield_to_others(self._process.pid, 0)
        try:
            with suppress(BrokenPipeError):  # it has ended: its status tells
                self._lifeline.write("\n")
                self._lifeline.flush()
            late = self._late(timeout)
        finally:
            status = self._process.poll()
            self.stop()
        if status:
            return f"the mirror ended with status {status}, see {self._directory / LOG}"
        return self._reason or late

    def _late(self, timeout: float | None) -> str | None:
        """Wait for the end of the child; return why it is not waited for any longer."""
        begin = time.monotonic()
        while self._process.poll() is None:
            if timeout is None:
                left, why = max(begin, self._heard) + QUIET_S - time.monotonic(), f"no answer for {QUIET_S:g} s"
            else:
                left, why = begin + timeout - time.monotonic(), f"not done after {timeout:g} s"
            if left <= 0:
                return why
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(min(left, 1.0))
        return None

    def stop(self) -> None:
        """End the child at once. What the tracker lacks then, the next sync brings."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        with suppress(BrokenPipeError):
            self._lifeline.close()

    def _read(self) -> None:
        with cast(IO[str], self._process.stdout) as reports:
            for line in reports:
                if line.endswith("\n"):  # else it was killed while it wrote
                    report = json.loads(line)
                    self._heard = time.monotonic()
                    self._reason = report.pop("reason")
                    self.result = SyncResult(**report)


def check_uri(uri: str) -> str:
    """Return the address in full, or raise `TrackingError` when no tracker can have it."""
    scheme, separator, path = uri.partition(":///" if uri.startswith("sqlite:") else "://")
    dialect = scheme.partition("+")[0]  # as in postgresql+psycopg2
    if not separator or not path or dialect not in SCHEMES:
        raise TrackingError(f"{uri!r} is no address of an MLflow tracker (SCHEME://...){suggestion(dialect, SCHEMES)}")
    return f"{scheme}:///{Path(path).absolute()}" if dialect == "sqlite" else uri


def file_of(uri: str) -> Path | None:
    """Return the file of an SQLite tracker: all that follows ``sqlite:///`` is its name, as it stands."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _shown(uri: str) -> str:
    """Return the address without its password."""
    if file_of(uri) is not None:
        return uri
    scheme, separator, rest = uri.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}"


def _yield_to_others(pid: int, niceness: int) -> None:
    """Let a process that leads a session of its own have what others leave over (19), or its full share again (0)."""
    with suppress(OSError):  # only the privileged may take it back
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    with suppress(OSError):  # where Linux shares processors among sessions first, niceness counts within one only
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="utf-8")


def _count_trials(directory: Path) -> int:
    store = RunStore.open(directory)
    ends = store.trials()
    return len({*store.rounds()["trial_id"], *ends["trial_id"][ends["outcome"] != Outcome.UNSUPPORTED.value]})

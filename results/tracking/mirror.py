"""The child process that mirrors a run: ``python -m albench.results.mirror DIR URI``, started by `follower.Follower`.

A line on standard input asks for the last pass; its end of file says that the driver is gone. How far the tracker is
goes to standard output, one JSON object per line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from .follower import LOCK, SyncResult, TrackingError, file_of
from .trackers import Tracker
from .tracking import Mirror

_PERIOD_S = 2.0
_LONGEST_PERIOD_S = 30.0  # between attempts at a tracker that fails

Report = Callable[[SyncResult, str | None], None]


def follow(directory: Path, uri: str, report: Report, last: threading.Event) -> None:
    """Bring the tracker level again and again until ``last`` is set, and then once more; failures are tried again."""
    lock = FileLock(directory / LOCK)
    result, mirror, pause = SyncResult(), None, _PERIOD_S
    while True:
        ending = last.is_set()
        reason = None
        try:
            _acquire(lock)
            mirror = mirror or _open(directory, uri, result, lambda: report(result, None))
            mirror.advance()
            if ending:
                mirror.close()
            pause = _PERIOD_S
        except Exception as error:  # database drivers raise what they like, and none of it may end the mirror
            mirror, reason, pause = None, reason_of(error), min(2 * pause, _LONGEST_PERIOD_S)
            _log(error)
            if _at_fault(uri, error):
                if not result.notice and file_of(uri) == directory / "mlflow.db":
                    result.notice = _begin_anew(directory / "mlflow.db", reason)
                    continue
                reason += "; remove it, and all of it is written again, or give another --mlflow"
        report(result, reason)
        if ending:
            return
        last.wait(pause)


def _acquire(lock: FileLock) -> None:
    if not lock.is_locked:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise TrackingError("another process is mirroring this run now") from None


def _open(directory: Path, uri: str, result: SyncResult, alive: Callable[[], None]) -> Mirror:
    alive()
    tracker = _connect(uri)
    alive()
    return Mirror(directory, tracker, result, alive)


def _connect(uri: str) -> Tracker:
    if uri.startswith("http"):
        from .server import Server  # noqa: PLC0415  each takes seconds to load

        return Server(uri)
    from .database import Database  # noqa: PLC0415  each takes seconds to load

    path = file_of(uri)
    return Database.at(uri) if path is None else Database.in_file(path)


def _at_fault(uri: str, error: Exception) -> bool:
    """Return whether an error comes of what an SQLite file holds."""
    if file_of(uri) is None:
        return False
    from .database import damaged  # noqa: PLC0415  takes seconds to load

    return damaged(error)


def _begin_anew(path: Path, reason: str) -> str:
    """Set the run's own file aside, and say so: all that the mirror wrote there is in the record."""
    from .database import set_aside  # noqa: PLC0415  takes seconds to load

    return f"{path} could not be used ({reason}): it is made anew, the old one is now {set_aside(path).name}"


def _log(error: Exception) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), reason_of(error), file=sys.stderr, flush=True)
    if not isinstance(error, (TrackingError, OSError)):
        traceback.print_exception(error)


def reason_of(error: BaseException) -> str:
    """Return one line for the cause at the root of an error."""
    while not isinstance(error, TrackingError) and (cause := error.__cause__ or error.__context__):
        error = cause
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) <= 300 else text[:300] + " ..."


def _listen(last: threading.Event) -> None:
    while os.read(0, 1):
        last.set()
    os._exit(0)  # the main thread may hang in a request


def main() -> None:
    """Run the child's side of `follower.Follower`."""
    directory, uri = Path(sys.argv[1]), sys.argv[2]
    last = threading.Event()
    threading.Thread(target=_listen, args=(last,), daemon=True).start()
    with os.fdopen(os.dup(1), "w", buffering=1) as out:
        os.dup2(2, 1)  # what the libraries print goes to the log

        def report(result: SyncResult, reason: str | None) -> None:
            print(json.dumps({**asdict(result), "reason": reason}), file=out)

        follow(directory, uri, report, last)


if __name__ == "__main__":
    main()

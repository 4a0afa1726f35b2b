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

from .follower import SyncResult, TrackingError
from .tracking import FORESEEN, Mirror, reason_of

_PERIOD_S = 2.0
_LONGEST_PERIOD_S = 30.0  # between attempts at a tracker that fails

Report = Callable[[SyncResult, str | None], None]


def follow(directory: Path, uri: str, report: Report, last: threading.Event) -> None:
    """Bring the tracker level again and again until ``last`` is set, and then once more; failures are tried again."""
    lock = FileLock(directory / ".mlflow.lock")
    result, mirror, pause = SyncResult(), None, _PERIOD_S
    while True:
        ending = last.is_set()
        reason = None
        try:
            _acquire(lock)
            mirror = mirror or Mirror(directory, uri, result)
            mirror.advance(lambda: report(result, None))
            if ending:
                mirror.close()
            pause = _PERIOD_S
        except Exception as error:  # database drivers raise what they like, and none of it may end the mirror
            mirror, reason, pause = None, reason_of(error), min(2 * pause, _LONGEST_PERIOD_S)
            _log(error)
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


def _log(error: Exception) -> None:
    print(time.strftime("%Y-%m-%d %H:%M:%S"), reason_of(error), file=sys.stderr, flush=True)
    if not isinstance(error, FORESEEN):
        traceback.print_exception(error)


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

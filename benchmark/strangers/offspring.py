"""What a plugin starts (processes, daemons that leave its session) ends with the trial that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PATIENCE_S = 5.0  # how long a killed process may take to go; one that waits for a disk takes longer
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 1, 36, 37  # prctl(2)


def end_with_parent() -> None:
    """Let the system kill this process when the one that started it ends, where it can."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def adopted() -> Iterator[frozenset[int]]:
    """Make orphans below this process its children, where the system can; yield the children it has now."""
    before = ctypes.c_int(0)
    _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before))
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield frozenset(_children())
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, before.value)


def end(known: frozenset[int]) -> None:
    """Kill the children that are not ``known``, and all below them, until there are none."""
    until = time.monotonic() + PATIENCE_S
    while (strangers := _children() - known) and time.monotonic() < until:
        for pid in strangers:
            with suppress(psutil.Error):
                child = psutil.Process(pid)
                for process in (child, *child.children(recursive=True)):  # the child first: it may start others
                    process.kill()
        for pid in strangers:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def _children() -> set[int]:
    """Return the ids of our children; in microseconds where there are none."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for each in lists for pid in _read(each).split()} or {p.pid for p in psutil.Process().children()}


def _read(path: Path) -> str:
    with suppress(OSError):  # a thread that has ended
        return path.read_text(encoding="ascii")
    return ""


def _prctl(option: int, value: object) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)

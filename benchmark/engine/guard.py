"""The program in a child process, and the parent that has the last word.

Ray's C++ ends the process that holds it when Ray dies, and a hang in C hears no signal. So the command runs in a
child, forked before anything heavy is loaded. The parent passes signals on, ends a child that does not heed them, says
a line where the child could not, ends what the child left behind, and gives the exit status.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .deadline import InterruptError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HEED_S = 10.0  # how long the child may take to end when it was told to, or when it has ended but for its libraries
SAME_S = 0.3  # a terminal sends Ctrl-C to parent and child, and the parent passes it on: one Ctrl-C comes twice
KEPT = "what is done is kept; the same command goes on"

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_MENDABLE = 1  # the exit status of what the user can mend


class _Child:
    """What the child knows of its parent."""

    said: int | None = None  # where the exit status is written when the program has had its own word
    err = 2  # standard error, also while it is silenced
    at_once = False
    stopped: int | None = None  # the signal that ends it
    litter: Path | None = None
    last_words = mmap.mmap(-1, 1024)  # shared with the parent: what it says when the child dies without a word


def guarded(work: Callable[[], None]) -> NoReturn:
    """Run ``work`` in a child process and exit as it does.

    Ctrl-C, SIGTERM and SIGHUP raise `InterruptError` in it, unless it handles them. An end that is not its own (a
    signal, an ``_exit`` inside a library) is told in one line, with exit status 1.
    """
    if not hasattr(os, "fork"):
        work()
        sys.exit(0)
    reading, _Child.said = os.pipe()
    lifeline, ours = os.pipe()  # its end of file tells the child that we are gone
    if sys.platform == "linux":  # what the child leaves behind becomes ours to end
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.close(ours)
        threading.Thread(target=_follow, args=(lifeline,), daemon=True).start()
        _run(work)
    os.close(_Child.said)
    os.close(lifeline)
    os._exit(_Parent(child, reading).watch())


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Put the handlers of signals back that a library replaces in the block."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(number: int, frame: FrameType | None = None) -> NoReturn:
    """End the program as a signal asks: with `InterruptError`, and without what could take long."""
    if _Child.said is not None:
        _handle(lambda *_: None)  # the end has begun; the parent bounds it
        _Child.stopped, _Child.at_once = number, True
    raise InterruptError(number)


def leave_at_once() -> None:
    """Skip what libraries do when the interpreter ends: they would wait for what is dead."""
    _Child.at_once = True


def litter(folder: Path) -> None:
    """Name the folder that goes with the guarded program when its parent is killed."""
    _Child.litter = folder


def leaving() -> bool:
    """Return whether the guarded program ends in a hurry."""
    return _Child.at_once


def signal_of(error: KeyboardInterrupt) -> int:
    """Return the signal that an exception comes of; Ray turns some into a KeyboardInterrupt of its own."""
    return error.args[0] if isinstance(error, InterruptError) else _Child.stopped or signal.SIGINT


def give_up(line: str) -> NoReturn:
    """Say an error and end the program here and now, whatever its other threads do."""
    _say(f"error: {line}")
    _leave(_MENDABLE)


@contextmanager
def within(seconds: float, line: str) -> Iterator[None]:
    """End the guarded program with a line when a library hangs in the block for longer, or ends the program there."""
    timer = threading.Timer(seconds, give_up, [line])
    timer.daemon = True
    if _Child.said is not None:
        timer.start()
        leave_word(line)
    try:
        yield
    finally:
        timer.cancel()
        leave_word("")


def stopped_by(number: int) -> str:
    """Say that a signal ended the program."""
    return f"stopped by {signal.Signals(number).name}; {KEPT}"


def _follow(lifeline: int) -> None:
    """Wait until the parent is gone, killed: end what we started, and end."""
    os.read(lifeline, 1)
    _kill_descendants()
    if _Child.litter is not None:
        shutil.rmtree(_Child.litter, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _run(work: Callable[[], None]) -> NoReturn:
    """The child's side: run the program, tell the parent how it ends, and end."""
    _Child.err = os.dup(2)
    _handle(stop)
    status = 0
    try:
        work()
    except SystemExit as end:
        status = _status(end)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    _leave(status) if _Child.at_once else _tell(status)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, HEED_S)  # a library that hangs while the interpreter ends
    sys.exit(status)


def _handle(how: Callable[[int, FrameType | None], None]) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGINT:  # nohup; but not a shell's "&"
            signal.signal(number, how)


def _status(end: SystemExit) -> int:
    if isinstance(end.code, str):
        _say(end.code)
    return end.code if isinstance(end.code, int) else int(end.code is not None)


def _leave(status: int) -> NoReturn:
    _tell(status)
    os._exit(status)


def leave_word(line: str) -> None:
    """Say what the parent is to say should this process die without a word."""
    size = len(_Child.last_words)
    _Child.last_words[:] = line.encode(errors="replace")[:size].ljust(size, b"\0")


def _tell(status: int) -> None:
    if _Child.said is not None:
        os.write(_Child.said, bytes([status % 256]))


def _say(line: str) -> None:
    with suppress(OSError):  # a terminal that is gone
        os.write(_Child.err, f"{line}\n".encode(errors="replace"))


class _Parent:
    """The parent's side: pass signals on, wait, and have the last word."""

    def __init__(self, child: int, reading: int) -> None:
        self._child, self._reading = child, reading
        self._told: int | None = None  # the signal that asks the child to end at once
        self._interrupted: float | None = None  # when Ctrl-C came first

    def watch(self) -> int:
        """Wait for the child, end what it leaves, and return the exit status."""
        _handle(self._pass_on)
        signal.signal(signal.SIGALRM, self._end)
        how = self._wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        _end_what_is_left()
        said = self._said()
        if self._told is not None and said not in (0, 128 + self._told):
            _clear()
            _say(stopped_by(self._told))
            return 128 + self._told
        if said is None:
            _clear()
            word = _Child.last_words[:].rstrip(b"\0").decode(errors="replace")
            _say(f"error: {word or f'{_cause(how)}; {KEPT}'}")
            if how == -signal.SIGKILL:
                os.kill(os.getpid(), signal.SIGKILL)  # who watches us is to see it too (137: a job's memory, mostly)
        return _MENDABLE if said is None else said

    def _said(self) -> int | None:
        """Return the exit status that the child gave itself, if it came to it."""
        os.set_blocking(self._reading, False)  # what it forked may hold the other end
        with suppress(BlockingIOError):
            if said := os.read(self._reading, 1):
                return said[0]
        return None

    def _wait(self) -> int:
        """Return the exit code of the child, negative for a signal; orphans that became ours are waited for too."""
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == self._child:
                return os.waitstatus_to_exitcode(status)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child, number)
        now = time.monotonic()
        first = self._interrupted = self._interrupted or now
        if number != signal.SIGINT or now - first > SAME_S:
            self._told = number
            signal.setitimer(signal.ITIMER_REAL, HEED_S)

    def _end(self, number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)


def _cause(how: int) -> str:
    if how == -signal.SIGKILL:
        return "the program was killed (SIGKILL; a machine without free memory does that)"
    if how < 0:
        return f"a library ended the program ({signal.Signals(-how).name})"
    return f"a library ended the program (exit status {how}), as Ray does when its own processes die"


def _end_what_is_left() -> None:
    """Kill the descendants that the child left, which are ours now, until there are none."""
    with suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                _kill_descendants()
                time.sleep(0.01)


def _kill_descendants() -> None:
    import psutil  # noqa: PLC0415 - seldom

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()


def _clear() -> None:
    from . import folder  # noqa: PLC0415 - seldom

    folder.clear()

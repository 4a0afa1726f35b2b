"""A stranger's code in a process of its own: however that ends, it is known how, and it ends nothing else."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar

from ..values import UserError
from . import offspring, raised

LOOK_S = 0.05  # how often the parent looks whether the child is still there
CLOSED_S = 2.0  # how long a child may still be there that can tell nothing more
T = TypeVar("T")
Tell = Callable[[T], None]


class DiedError(Exception):
    """The process ended before its work: ``str()`` says how. ``killed`` when by SIGKILL, which others send too."""

    def __init__(self, how: str, *, killed: bool = False) -> None:
        super().__init__(how)
        self.killed = killed


class SilentError(Exception):
    """Nothing came for longer than it may take."""


def apart(work: Callable[[Tell[T]], None], patience: float | None = None) -> Iterator[T]:
    """Yield what ``work`` tells in a forked child, which ends at the latest when this does, with all that it started.

    Raises
    ------
    DiedError
        When the child was ended by a signal, or left with an exit code of its own.
    SilentError
        When it tells nothing for longer than ``patience`` seconds.
    UserError
        What ``work`` raises; for anything else that it raises a RuntimeError that says what it was.
    """
    with offspring.adopted() as known:
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = Pipe(duplex=False)
        parent, child = os.getpid(), os.fork()
        if child == 0:
            _live(work, writing, parent)
        writing.close()
        try:
            yield from _messages(reading, child, patience)
        finally:
            reading.close()
            offspring.end(known)


def _messages(reading: Connection, child: int, patience: float | None) -> Iterator[Any]:
    heard = time.monotonic()
    while True:
        if not reading.poll(LOOK_S):  # what the child forked may hold the other end: no end of file says that it died
            if patience is not None and time.monotonic() - heard > patience:
                raise SilentError
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None or reading.poll(0):
                continue
            raise _died(child)
        try:
            kind, value = reading.recv()
        except (EOFError, OSError):
            raise _died(child) from None
        if kind == "end":
            return
        if kind == "error":
            raise value
        yield value
        heard = time.monotonic()


def _died(child: int) -> DiedError:
    """Return how the child ended; one that only closed its end of the pipe is ended."""
    until = time.monotonic() + CLOSED_S
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(LOOK_S)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return DiedError(ending(code), killed=code == -signal.SIGKILL)


def ending(code: int) -> str:
    """Say how a process ended, by its exit code; one below 0 is a signal."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _live(work: Callable[[Tell[T]], None], writing: Connection, parent: int) -> NoReturn:
    """The child's side."""
    try:
        os.setsid()  # Ctrl-C is for the parent
        offspring.end_with_parent()
        if os.getppid() == parent:
            work(lambda value: writing.send(("value", value)))
        _tell(writing, "end", None)
    except UserError as error:
        _tell(writing, "error", error)
    except BaseException as error:  # of a stranger: who knows whether it can be sent
        _tell(writing, "error", RuntimeError(raised.line(error)))
    finally:
        os._exit(0)


def _tell(writing: Connection, kind: str, value: object) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    writing.send((kind, value))

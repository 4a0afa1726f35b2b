"""An end to what takes too long: an alarm inside the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class DeadlineError(BaseException):
    """Not an Exception, so that no plugin swallows it."""


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise `DeadlineError` inside the block when it takes longer (at the next Python instruction)."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise DeadlineError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

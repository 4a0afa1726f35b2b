"""An end to what takes too long: an alarm inside the process."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class DeadlineError(BaseException):
    """Not an Exception, so that no plugin swallows it."""


class InterruptError(KeyboardInterrupt):
    """A signal (its number is the argument) that ends the program; a plugin's own KeyboardInterrupt does not."""


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise `DeadlineError` inside the block when it takes longer (at the next Python instruction), or at its end."""
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise DeadlineError

    before = signal.signal(signal.SIGALRM, ring)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})  # a plugin may have blocked it
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))  # 0 would be never
    began = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if time.monotonic() - began > seconds:  # the alarm was switched off, or swallowed
        raise DeadlineError

"""One call of a plugin, in its time and with what it raises, and whether what a rule answers is an answer."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.deadline import DeadlineError, deadline
from ..purchase import InvalidSelectionError, Revealer, checked_guess
from ..strangers import raised
from ..types import Query, Rows, Strategy

LIMIT_S = 20.0
"""So long may one call take; the largest pool has 503 rows, the largest lesson 60."""
GRACE_S = 5.0
"""So long is a plugin given to obey the alarm."""
before_call: ContextVar[Callable[[str], None]] = ContextVar("before_call", default=lambda where: None)
"""What is told of each call, before it is made: from where the process can be ended when the call does not end."""


class NonConformanceError(AssertionError):
    """What a check found; its text is for somebody who has never read this file."""


def pick(strategy: Strategy, query: Query, where: str) -> Rows:
    """Return the rows that a rule buys, or raise a `NonConformanceError` for whatever is wrong with the call."""
    return answer(strategy, query, where)[0]


def answer(strategy: Strategy, query: Query, where: str) -> list[NDArray[Any]]:
    """Return the rows that a rule buys and, of one that guesses labels (``pseudo_labels``), rows and labels of those.

    Raises
    ------
    NonConformanceError
        For whatever is wrong with the call.
    """
    with asked("select()", where):
        rows = strategy.select(query)
        _check(rows, query, where)
        extra: tuple[NDArray[Any], ...] = ()
        if guess := getattr(strategy, "pseudo_labels", None):
            left = np.setdiff1d(query.unlabelled, rows)
            extra = checked_guess(guess(query, rows), left, query.n_classes, "pseudo_labels()")
        if isinstance(query.desk.reveal, Revealer):
            query.desk.reveal.check(rows, "select()")
    return [rows, *extra]


@contextmanager
def asked(call: str, where: str) -> Iterator[None]:
    """Tell of a call, end it after `LIMIT_S`, take a warning for an error, and make a finding of what it raises."""
    before_call.get()(where)
    try:
        with warnings.catch_warnings(), _limited(call, where):
            warnings.simplefilter("error")
            yield
    except (NonConformanceError, KeyboardInterrupt):
        raise
    except DeadlineError:
        raise NonConformanceError(f"{where}: {call} did not end within {LIMIT_S:g} s") from None
    except InvalidSelectionError as error:
        raise NonConformanceError(f"{where}: {error}") from error
    except BaseException as error:  # whatever a stranger's code raises is the finding
        raise NonConformanceError(f"{where}: {call} raised {raised.line(error)}") from error


def few(rows: Rows) -> str:
    """Return the first of some rows, for a message."""
    return ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")


def _check(rows: Any, query: Query, where: str) -> None:
    if not isinstance(rows, np.ndarray) or rows.dtype != np.int64 or rows.ndim != 1:
        found = f"{rows.dtype} of shape {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise NonConformanceError(f"{where}: returned {found} instead of an int64 array of shape ({query.n},)")
    if len(rows) != query.n:
        raise NonConformanceError(f"{where}: returned {len(rows)} rows instead of {query.n}")
    if len(np.unique(rows)) != query.n:
        raise NonConformanceError(f"{where}: returned {len(np.unique(rows))} distinct rows of {query.n}")
    strangers = np.setdiff1d(rows, query.unlabelled)
    if len(strangers):
        raise NonConformanceError(f"{where}: returned rows that are not in query.unlabelled: {few(strangers)}")


@contextmanager
def _limited(call: str, where: str) -> Iterator[None]:
    """End the block after `LIMIT_S`, and the process with a line where the block does not obey."""
    last = threading.Timer(LIMIT_S + GRACE_S, _give_up, (call, where))
    last.daemon = True
    last.start()
    try:
        with deadline(LIMIT_S):
            yield
    finally:
        last.cancel()


def _give_up(call: str, where: str) -> None:
    sys.stderr.write(f"FAIL  {where}: {call} did not end within {LIMIT_S:g} s, nor when it was told to\n")
    sys.stderr.flush()
    os._exit(1)  # it hangs in C, or swallows every exception: nothing else ends it

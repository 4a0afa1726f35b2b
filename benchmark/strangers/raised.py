"""What an exception says, whoever wrote it: bounded and printable, and asking for it never raises."""

from __future__ import annotations

import traceback
from collections import deque
from typing import Any

from ..engine.deadline import InterruptError
from ..text import clean

LINE, TRACE = 300, 8_000  # characters
FRAMES, LINKS = 100, 5  # of each exception the innermost, of its causes the nearest


def line(error: BaseException) -> str:
    """Return kind and text of an exception, the first line of them."""
    return clean(_said(error).split("\n", 1)[0][:LINE])


def trace(error: BaseException) -> str:
    """Return an exception with its frames after those it came of, as Python prints them."""
    shown = ["".join(traceback.format_tb(_slot(e, "__traceback__"), -FRAMES)) + _said(e) for e in _related(error)]
    return clean("\n\nwhich led to\n\n".join(reversed(shown)), TRACE)


def _said(error: BaseException) -> str:
    try:
        text = str.__str__(str(error))  # of a subclass of str only what it holds
    except InterruptError:
        raise
    except BaseException:  # a stranger's exception, asked for its text
        text = "(its text cannot be made)"
    kind: str = type.__dict__["__name__"].__get__(type(error))
    return f"{kind}: {clean(text, TRACE // 2).strip()}" if text.strip() else kind


def _related(error: BaseException) -> list[BaseException]:
    """Return an exception and those it came of, the nearest first."""
    found: list[BaseException] = []
    waiting = deque([error])
    while waiting and len(found) < LINKS:
        found.append(waiting.popleft())
        hidden = _slot(found[-1], "__suppress_context__")
        came_of = _slot(found[-1], "__cause__") or (None if hidden else _slot(found[-1], "__context__"))
        grouped = _slot(found[-1], "exceptions") if issubclass(type(found[-1]), BaseExceptionGroup) else ()
        waiting += [e for e in (came_of, *grouped) if e is not None and all(e is not known for known in found)]
    return found


def _slot(error: BaseException, name: str) -> Any:
    """Return what an exception holds, not what its class may say instead (a cause without end)."""
    holder = BaseExceptionGroup if name in vars(BaseExceptionGroup) else BaseException
    return vars(holder)[name].__get__(error)

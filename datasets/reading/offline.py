"""A look ahead that downloads nothing: what is not on this machine is told apart from what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from unittest.mock import patch

from .base import DataError

_offline: ContextVar[bool] = ContextVar("offline", default=False)
_HUB = ("huggingface_hub.constants", "datasets.config")
"""Modules that read HF_HUB_OFFLINE once, when they are loaded."""


class AbsentError(DataError):
    """Data or weights that are not here; a run downloads them."""


@contextmanager
def offline() -> Iterator[None]:
    """Download nothing in the block: `AbsentError` is raised instead."""
    token = _offline.set(True)
    try:
        with ExitStack() as stack:
            stack.enter_context(patch.dict(os.environ, {"HF_HUB_OFFLINE": "1"}))
            for name in _HUB:
                if name in sys.modules:
                    stack.enter_context(patch.object(sys.modules[name], "HF_HUB_OFFLINE", new=True))
            yield
    finally:
        _offline.reset(token)


def is_offline() -> bool:
    """Return whether nothing is to be downloaded now."""
    return _offline.get()


def unavailable(messages: list[str], what: str) -> DataError:
    """Return the error of a source that does not answer, or, where it was not to be asked, that ``what`` is absent."""
    return AbsentError([f"{what} not on this machine"]) if is_offline() else DataError(messages)

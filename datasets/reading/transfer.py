"""The one place that speaks HTTP: a file, or the rest of one, into a file on disk.

A look ahead downloads nothing (`offline`): what is not on this machine is then told apart from what is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib import request
from urllib.error import HTTPError, URLError

from ... import __version__
from .base import DataError

TIMEOUT = 30.0
"""Seconds without a byte after which a server is given up."""

_HUB = ("huggingface_hub.constants", "datasets.config")
"""Modules of the hub that read `_SAID` once, when they are loaded."""
_SAID = "HF_HUB_OFFLINE"
_offline: ContextVar[bool] = ContextVar("offline", default=False)


class FailedError(Exception):
    """A file cannot be had from an address; the text is the reason."""


class AbsentError(DataError):
    """Data or weights that are not here; a run downloads them."""


@contextmanager
def offline() -> Iterator[None]:
    """Download nothing in the block: `AbsentError` is raised instead."""
    token, said = _offline.set(True), os.environ.get(_SAID)
    loaded = {name: vars(sys.modules[name])[_SAID] for name in _HUB if name in sys.modules}
    try:
        os.environ[_SAID] = "1"
        for name in loaded:
            setattr(sys.modules[name], _SAID, True)
        yield
    finally:
        _offline.reset(token)
        for name, before in loaded.items():
            setattr(sys.modules[name], _SAID, before)
        if said is None:
            del os.environ[_SAID]
        else:
            os.environ[_SAID] = said


def is_offline() -> bool:
    """Return whether nothing is to be downloaded now."""
    return _offline.get()


def unavailable(messages: list[str], what: str) -> DataError:
    """Return the error of a source that does not answer, or, where it was not to be asked, that ``what`` is absent."""
    return AbsentError([f"{what} not on this machine"]) if is_offline() else DataError(messages)


def bring(url: str, part: Path, told: Callable[[int, int], None]) -> None:
    """Append to ``part`` what is missing of it, telling (bytes done, bytes in all) on the way, or raise `FailedError`.

    Where the connection breaks, the next one goes on from there, as long as each brings more.
    """
    while True:
        before = size(part)
        try:
            return _receive(url, part, told)
        except FailedError:
            if size(part) <= before:
                raise


def size(path: Path) -> int:
    """Return the bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _receive(url: str, part: Path, told: Callable[[int, int], None]) -> None:
    """Append what is missing of a file; a server that does not know Range sends it from its beginning."""
    have = size(part)
    with _network():
        response = _open(url, have)
    if response is None:
        return
    with response:
        done = have if response.status == 206 else 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else 0
        with part.open("ab" if done else "wb") as file:
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                told(done, max(total, done))
    if done < total:
        raise FailedError(f"the connection ended after {done:,} of {total:,} bytes")


def _open(url: str, have: int) -> HTTPResponse | None:
    """Ask for a file from byte ``have`` on; None when there are no more bytes."""
    opener = request.OpenerDirector()  # not urllib's own, which a redirect can send to file:// and ftp://
    for handler in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPRedirectHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor,
        request.UnknownHandler,
    ):
        opener.add_handler(handler())
    headers = {"User-Agent": f"albench/{__version__}"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        return cast("HTTPResponse", opener.open(request.Request(url, headers=headers), timeout=TIMEOUT))  # noqa: S310  the opener knows http and https only
    except HTTPError as error:
        with error:
            if error.code == 416 and have:
                return None
            raise


def _read(response: HTTPResponse) -> bytes:
    with _network():
        return response.read1(2**18)


@contextmanager
def _network() -> Iterator[None]:
    """Turn what goes wrong with a connection (never with the disk) into a reason."""
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) and not isinstance(error, HTTPError) else error
        reason = f"no answer for {TIMEOUT:g} s" if isinstance(cause, TimeoutError) else str(cause) or repr(cause)
        raise FailedError(" ".join(reason.split())) from error

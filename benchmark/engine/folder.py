"""The folder of a local Ray: one of our own for each run, short enough for sockets, and gone afterwards."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ..types import UserError

_NAME = "albench-"  # short: Ray leaves little of the path of a socket
_INSIDE = f"/{_NAME}12345678/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"
_LONGEST = (107 if sys.platform == "linux" else 103) - len(_INSIDE)  # bytes of a root whose sockets have a legal path
_ROOM = 16 << 20  # bytes: Ray's own logs of a run, with room to spare
_REMEDY = "set RAY_TMPDIR to a folder with a short path, where you may write and there is room"


class FolderError(UserError):
    """Ray has no folder to start in; ``str()`` is one line that says why and what to do."""

    exit_status = 1


class Folder:
    """An empty folder below ``RAY_TMPDIR``, or else where the system has its temporary files; `close` removes it.

    It is locked as long as this process lives, so that those who come later know what was left behind.
    """

    def __init__(self) -> None:
        clear()
        root = _root()
        try:
            new = Path(tempfile.mkdtemp(prefix=f".{_NAME}", dir=root))
            self._lock = _locked(new)
            self.path = new.rename(root / new.name[1:])  # nobody sees it before it is locked
        except OSError as error:
            raise FolderError(f"Ray's temporary folder in {root}: {error.strerror}; {_REMEDY}") from error

    def close(self) -> None:
        until = time.monotonic() + 2.0
        while self.path.exists() and time.monotonic() < until:  # a process that is about to end may write another log
            shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)


def clear() -> None:
    """Remove the folders of our own whose process is gone."""
    for left in (folder for root in _roots() for folder in root.glob(f"{_NAME}*")):
        with suppress(OSError):
            if left.lstat().st_uid == os.geteuid() and (lock := _locked(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """Lock a folder and return what holds the lock; None where another process holds it."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def _roots() -> list[Path]:
    asked = os.environ.get("RAY_TMPDIR")
    names = [*([asked] if asked else []), tempfile.gettempdir(), "/tmp", "/var/tmp"]  # noqa: S108 - made by mkdtemp
    return list(dict.fromkeys(Path(name).absolute() for name in names))


def _root() -> Path:
    """Return the first root in which Ray can start; one that was asked for gives way only where it is too long."""
    roots = _roots()
    if os.environ.get("RAY_TMPDIR"):
        problem = "" if _too_long(roots[0]) else _problem(roots[0])
        if problem:
            raise FolderError(f"Ray's temporary folder: {problem}; {_REMEDY}")
    problems = [_too_long(root) or _problem(root) for root in roots]
    for root, problem in zip(roots, problems, strict=True):
        if not problem:
            return root
    raise FolderError(f"Ray's temporary folder: {', '.join(problems)}; {_REMEDY}")


def _too_long(root: Path) -> str:
    return f"{root} is too long for the path of a socket" if len(os.fsencode(root)) > _LONGEST else ""


def _problem(root: Path) -> str:
    """Say why Ray cannot start below a root, or nothing."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(root).free
    except OSError as error:
        return f"{root}: {error.strerror}"
    if not os.access(root, os.W_OK | os.X_OK):
        return f"{root}: Permission denied"
    return f"{root} has no room ({free >> 10} KiB are free, {_ROOM >> 20} MiB are needed)" if free < _ROOM else ""

"""Where encoded images lie: a folder, or a zip of one, read in place. And what each file holds, by its sha256.

A file that was hashed once is not read again for it while its size and time of change stay as they were.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...benchmark.text import reason
from ...benchmark.types import Rows, canonical_json
from .base import DataError, cache_dir
from .plain import whole

THREADS = min(os.cpu_count() or 1, 16)
NAMED = 10
"""At most so many files of one kind are named in an error; the rest are counted."""
FILE_BYTES = 2**28
"""A larger file is not read: no image that is decoded (`pictures.PIXELS`) takes more, even uncompressed."""

UNKNOWN = (-1, -1)

_AT_ONCE = 1024
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file system has given a file that changes again another time."""
_OPENING = Lock()
_REMEMBERED = np.dtype([("size", "<i8"), ("changed", "<i8"), ("sha256", "u1", 32)])

T = TypeVar("T")
R = TypeVar("R")


class UnreadableError(Exception):
    """A file that cannot be read or decoded; the text is the reason."""


class Source(Protocol):
    """Files by name, for several threads and processes at once. ``str()`` is what errors call it."""

    def read(self, name: str) -> bytes:
        """Return the content of a file, or raise `UnreadableError`."""

    def stamps(self, names: Sequence[str]) -> Rows:
        """Return bytes and nanoseconds (N, 2) that change when a file does, `UNKNOWN` where nothing tells."""


@dataclass(frozen=True)
class OnDisk:
    """The files below a folder, by their names relative to it, with "/" between."""

    path: str

    def __str__(self) -> str:
        return self.path

    def read(self, name: str) -> bytes:
        return read_file(Path(self.path).expanduser() / name)

    def stamps(self, names: Sequence[str]) -> Rows:
        root = Path(self.path).expanduser()
        return np.array([_stamped(root / name) for name in names], dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Zipped:
    """The members of a zip whose names begin with ``top``, by the rest of their names."""

    path: str
    top: str = ""

    def __str__(self) -> str:
        return self.path

    def read(self, name: str) -> bytes:
        file = Path(self.path).expanduser()
        try:
            with _OPENING:
                archive = _archive(file, _stamp(file), os.getpid())
            member = archive.getinfo(self.top + name)
            _check_bytes(member.file_size)  # no more than it claims is unpacked
            return archive.read(member)
        except KeyError:
            raise UnreadableError("not in the archive") from None
        except UnreadableError:
            raise
        except Exception as error:  # each way of packing has exceptions of its own
            raise UnreadableError(f"damaged ({reason(error)})") from error

    def stamps(self, names: Sequence[str]) -> Rows:
        return np.tile(np.array(_stamped(Path(self.path).expanduser()), dtype=np.int64), (len(names), 1))


@lru_cache(maxsize=4)
def _archive(path: Path, stamp: tuple[int, int], process: int) -> zipfile.ZipFile:
    """Return an open archive: its list is read once, and a process that was forked opens its own."""
    return zipfile.ZipFile(path)


def read_file(path: Path) -> bytes:
    """Return the content of an ordinary file, or raise `UnreadableError`: others can be endless, or be waited for."""
    try:
        status = path.stat()  # of what a link leads to
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("not an ordinary file")
        _check_bytes(status.st_size)
        with path.open("rb") as file:
            return file.read(status.st_size)  # a kernel's file may say 0 and never end
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror})") from error


def _check_bytes(size: int) -> None:
    if size > FILE_BYTES:
        raise UnreadableError(f"has {size:,} bytes; at most {FILE_BYTES:,} are read")


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _stamped(path: Path) -> tuple[int, int]:
    try:
        return _stamp(path)
    except OSError:  # reading it will say why
        return UNKNOWN


def opened(path: str, tops: Sequence[str] = (), *, depth: int) -> tuple[Source, list[str]]:
    """Return what lies in a folder or zip, and its visible names, sorted, folders ending in "/".

    The folders ``tops`` at the top (or all) are listed ``depth`` levels deep, a zip is listed whole. They may lie in
    the one folder at the top of a zip. Raises `DataError` for a path that is neither.
    """
    try:
        root = Path(path).expanduser()
        if root.is_dir():
            return OnDisk(path), _visible(_walk(root, "", tops, depth))
        if not root.exists():
            raise DataError([f"{path}: no such folder or zip file"])
        if not root.is_file() or not zipfile.is_zipfile(root):
            raise DataError([f"{path}: neither a folder nor a zip file"])
    except OSError as error:
        raise DataError([f"{error.filename or path}: cannot be read ({error.strerror})"]) from error
    except RuntimeError as error:  # no such home folder
        raise DataError([f"{path}: {error}"]) from error
    try:
        with zipfile.ZipFile(root) as archive:
            names = _visible(archive.namelist())
    except Exception as error:  # a damaged list of members has many ends
        raise DataError([f"{path}: damaged ({reason(error)})"]) from error
    first = {name.split("/")[0] for name in names}
    top = f"{first.pop()}/" if len(first) == 1 and not first & set(tops) else ""
    return Zipped(path, top), [name.removeprefix(top) for name in names if name != top]


def _walk(root: Path, below: str, tops: Sequence[str], depth: int) -> Iterator[str]:
    with os.scandir(root / below) as entries:
        for entry in entries:
            name = below + entry.name
            if not _is_folder(entry):
                yield name
                continue
            yield f"{name}/"
            if (not tops or name.split("/")[0] in tops) and name.count("/") < depth - 1:
                yield from _walk(root, f"{name}/", tops, depth)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself; reading it will say so
        return False


def _visible(names: Iterator[str] | Sequence[str]) -> list[str]:
    def hidden(name: str) -> bool:
        parts = name.split("/")
        return any(p.startswith((".", "__MACOSX")) for p in parts) or parts[-1].lower() == "thumbs.db"

    return sorted({name for name in names if not hidden(name)})


def in_threads(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Yield the answers in order; no more than `_AT_ONCE` are waiting."""
    if len(items) == 1:
        yield function(items[0])
        return
    with ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(items), _AT_ONCE):
            yield from threads.map(function, items[start : start + _AT_ONCE])


def shortened(messages: list[str], summary: str) -> list[str]:
    """Return the messages, or the first `NAMED` of them and what sums them all up."""
    if len(messages) <= NAMED:
        return messages
    return [*messages[:NAMED], f"{summary}; the first {NAMED} are named"]


def content_hashes(source: Source, names: Sequence[str]) -> NDArray[np.uint8]:
    """Return the sha256 (N, 32) of each file, or raise `DataError` with those that cannot be read.

    They are remembered in the cache per source and list of names, so that only files that changed are read again.
    """
    where = hashlib.sha256(canonical_json([str(Path(str(source)).expanduser().resolve()), *names]).encode())
    memory = cache_dir() / "digests" / f"{where.hexdigest()}.npy"
    known = _recall(memory, len(names))
    now = source.stamps(names)
    same = (known["size"] == now[:, 0]) & (known["changed"] == now[:, 1]) & (now[:, 0] >= 0)
    stale = np.flatnonzero(~same)
    started = time.time_ns()
    for row, content in zip(stale, _hashed(source, [names[int(row)] for row in stale]), strict=True):
        known["sha256"][row] = np.frombuffer(content, dtype=np.uint8)
    known["size"], known["changed"] = now.T
    unsettled = now[:, 1] > started - _SETTLED  # it might change again within the same tick of the clock
    known["size"][unsettled] = UNKNOWN[0]
    if len(stale) and (known["size"] >= 0).any():
        _remember(memory, known)
    hashes: NDArray[np.uint8] = np.ascontiguousarray(known["sha256"])
    return hashes


def _hashed(source: Source, names: Sequence[str]) -> list[bytes]:
    def one(name: str) -> bytes | str:
        try:
            return hashlib.sha256(source.read(name)).digest()
        except UnreadableError as error:
            return f"{source}: {name}: {error}"

    answers = list(in_threads(one, names))
    bad = [answer for answer in answers if isinstance(answer, str)]
    if bad:
        raise DataError(shortened(bad, f"{source}: {len(bad)} of {len(names)} images cannot be read"))
    return [answer for answer in answers if isinstance(answer, bytes)]


def _recall(memory: Path, rows: int) -> NDArray[Any]:
    try:
        known = np.load(memory, allow_pickle=False)
        if isinstance(known, np.ndarray) and known.dtype == _REMEMBERED and known.shape == (rows,):
            return np.array(known)
    except (OSError, ValueError, EOFError):  # none, or not whole: all files are read
        pass
    unknown = np.zeros(rows, dtype=_REMEMBERED)
    unknown["size"] = UNKNOWN[0]
    return unknown


def _remember(memory: Path, known: NDArray[Any]) -> None:
    """What cannot be remembered is read again another time."""
    content = io.BytesIO()  # into a file, np.save would pass over a disk that is full at the last bytes
    np.save(content, known, allow_pickle=False)
    with suppress(OSError), whole(memory) as file:
        file.write(content.getbuffer())

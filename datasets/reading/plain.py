"""Files and JSON that somebody else may have put where ours lie: data, not trusted, and never waited for.

What we write there ourselves is there whole or not at all (`whole`).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from ...benchmark import text

JSON_BYTES = 2**24
"""A manifest is read whole, so a larger one is refused."""

_DEEPEST = 50  # levels of lists and objects; ours have five
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class UnfitError(Exception):
    """What lies there cannot be what its name says; ``str()`` is the reason, to be read after the name."""


def opened(path: Path) -> BinaryIO:
    """Open a regular file for reading, through links too.

    Raises
    ------
    FileNotFoundError
        When nothing has that name.
    UnfitError
        When it is a folder, a pipe, a device or a link to nothing.
    OSError
        When the disk or a permission refuses, or a link leads to itself.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind != stat.S_IFREG:
            raise UnfitError(f"is {_KINDS.get(kind, 'something else')}, no file")
        return os.fdopen(
            os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb"
        )  # a pipe put there meanwhile is not waited for
    except FileNotFoundError:
        if path.is_symlink():
            raise UnfitError("is a link to nothing") from None
        raise


@contextmanager
def whole(path: Path, *, lasting: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that takes its name when the block ends well; whatever else happens, nothing of it stays behind.

    Until then it is hidden beside its place, under a name that ends in ``.tmp``; the folder is made. With ``lasting``
    it is on the disk before it takes its name. A link that has its name is replaced, not followed. Errors of the
    disk are raised as they come.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.unlink(missing_ok=True)
        with unfinished.open("xb") as file:
            yield file
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def read(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most ``most`` bytes; raises as `opened` does."""
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UnfitError(f"has more than {most:,} bytes")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; raises as `opened` does, `UnfitError` with the field where there is one."""
    return parse_json(read(path, JSON_BYTES))


def parse_json(content: bytes) -> dict[str, Any]:
    """Return the object that JSON text is, or raise `UnfitError`: what Python's reader lets pass in silence is a fault.

    That is a key that stands twice, NaN and infinity, numbers that 64 bits do not hold, half a surrogate pair, and
    nesting without end.
    """
    try:
        value = json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise UnfitError("is nested too deeply") from None
    except ValueError as error:  # no UTF-8, no JSON, or a number of more digits than Python reads
        raise UnfitError(f"is no JSON ({str(error)[:100]})") from None
    if not isinstance(value, dict):
        raise UnfitError("holds no JSON object")
    for field, part in _parts(value):
        if isinstance(part, int | float) and not -(2.0**63) <= part < 2.0**63:
            raise UnfitError(f"holds a number beyond 64 bits under {field}")
        if isinstance(part, str) and not part.isascii() and any("\ud800" <= c <= "\udfff" for c in part):
            raise UnfitError(f"holds half a surrogate pair under {field}")
    return value


def unprintable(value: Any) -> str:
    """Return the first field that holds a character which no terminal should be sent, or nothing."""
    texts = ((field, part) for field, part in _parts(value) if isinstance(part, str))
    return next((field for field, part in texts if "\n" in part or text.clean(part) != part), "")


def printable(value: Any) -> Any:
    """Return JSON with every text as it can be shown (`text.spelled`)."""
    if isinstance(value, dict):
        return {text.spelled(key): printable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [printable(part) for part in value]
    return text.spelled(value) if isinstance(value, str) else value


def link_out(folder: Path) -> Path | None:
    """Return the first thing in a folder that is a link to somewhere outside of it, or to nothing."""
    home = folder.resolve()
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        an_editors_lock = entry.name.startswith(".#")
        if entry.is_symlink() and not an_editors_lock and not (_exists(entry) and entry.resolve().is_relative_to(home)):
            return entry
    return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a loop
        return False


def _parts(value: Any, field: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield every key and every leaf of JSON, with the field it stands under (``files.train.npy``)."""
    if depth > _DEEPEST:
        raise UnfitError(f"is nested too deeply under {field[:60]}")
    if isinstance(value, dict):
        for key, part in value.items():
            at = f"{field}.{text.spelled(key)[:60]}".removeprefix(".")
            yield at, key
            yield from _parts(part, at, depth + 1)
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _parts(part, f"{field}[{i}]", depth + 1)
    else:
        yield field, value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{text.spelled(key)[:60]} stands twice")
        found[key] = value
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")

"""A seal: the sha256 of a Parquet file in the file itself, so that every flipped bit of it is found.

Page checksums cover the values only, neither the pages' headers nor the footer. The seal covers all: it stands between
the last page and the footer, where a reader of Parquet looks for nothing. A file without one was written by an older
albench or by somebody else, and has what its pages' checksums give.
"""

from __future__ import annotations

import hashlib

_MARK = b"albench-sha256:"
_SIZE = len(_MARK) + hashlib.sha256().digest_size


def sealed(content: memoryview) -> bytes:
    """Return a Parquet file with a seal."""
    at = _footer(content)
    return b"".join((content[:at], _MARK, _digest(content[:at], content[at:]), content[at:]))


def is_broken(content: bytes) -> bool:
    """Return whether a file has a seal that is not its own."""
    view = memoryview(content)
    end = _footer(view)
    seal = view[max(0, end - _SIZE) : max(0, end)]
    if seal[: len(_MARK)] != _MARK:
        return _MARK in content  # it is there, and the footer is not where it was
    return seal[len(_MARK) :] != _digest(view[: end - _SIZE], view[end:])


def _footer(content: memoryview) -> int:
    """Return where the footer starts: its length stands before the four last bytes."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def _digest(*content: memoryview) -> bytes:
    found = hashlib.sha256()
    for part in content:
        found.update(part)
    return found.digest()

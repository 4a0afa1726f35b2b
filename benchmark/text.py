"""Text from outside (messages, names of files, labels) as it can be written anywhere: UTF-8, printable, bounded.

And the terminal it is written to, which may know fewer characters.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import unicodedata
from collections.abc import Iterable

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls but for tab and newline, separators of lines, changes of direction, halves of surrogate pairs."""


def clean(text: str, limit: int | None = None) -> str:
    r"""Return ``text`` with an escape (``\x1b``) for each character that cannot be encoded or shown; lines stay.

    A byte of a file's name that is not UTF-8 is shown as that byte. Of a text longer than ``limit`` characters its
    first and last halves of the limit are kept, and how many are missing is said between them.
    """
    if limit is not None and len(text) > limit:
        head, tail = limit - limit // 2, limit // 2
        missing = f" [... {len(text) - limit:,} characters left out ...] "
        text = text[:head] + missing + text[len(text) - tail :]
    return _UNPRINTABLE.sub(_escape, text)


def reason(error: BaseException, limit: int = 200) -> str:
    """Return what an exception of somebody else's code says, on one line and bounded; or its kind."""
    return clean(" ".join(str(error).split()), limit) or type(error).__name__


def spelled(text: str) -> str:
    r"""Return how a thing is called: `clean`, on one line, in Unicode's composed form (NFC).

    A Mac writes é as e and an accent (NFD): the same name, another string.
    """
    return unicodedata.normalize("NFC", clean(text).replace("\n", "\\n").replace("\t", "\\t"))


def unnameable(path: str) -> str:
    """Return why a file cannot have this name for Python and for libraries that take names as UTF-8, or nothing."""
    try:
        os.fsencode(path)
        path.encode()
    except UnicodeEncodeError:
        here = sys.getfilesystemencoding()
        return "is not UTF-8" + ("" if here == "utf-8" else f", or not {here} as this locale asks (PYTHONUTF8=1 helps)")
    return ""


def same_names(texts: Iterable[str]) -> list[list[str]]:
    """Return those of the distinct ``texts`` that are one name (see `spelled`) in several spellings, grouped."""
    spellings: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        spellings.setdefault(spelled(text), []).append(text)
    return [group for group in spellings.values() if len(group) > 1]


def listing(names: Iterable[object], most: int = 10) -> str:
    """Return names for a message, apart by commas: the first ``most``, and how many there are beyond those."""
    texts = [str(one) for one in names]
    rest = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + rest


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # what Python makes of a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def prepare_terminal() -> None:
    """Have standard output and error write an escape for a character that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, *, error: bool = False) -> None:
    """Print `clean` text on standard output, or on standard error."""
    print(clean(text), file=sys.stderr if error else sys.stdout, flush=True)


def say_problems(problems: str, most: int = 100) -> None:
    """Print the lines of an error, the first ``most`` of them."""
    lines = problems.split("\n")
    for line in lines[:most]:
        say(f"error: {line}", error=True)
    if len(lines) > most:
        say(f"error: and {len(lines) - most:,} more", error=True)


class Warnings(logging.Handler):
    """Warnings as lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {record.getMessage()}", error=True)

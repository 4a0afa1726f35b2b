"""The bytes of a table of text -> its fields, however they are encoded and separated; nothing is dropped unsaid."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...benchmark.types import UserError
from ..measures.words import count, more_than_one
from .foreign_columns import known

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MOST_BYTES = 2**26
_SAMPLE = 100  # lines that tell what separates fields


class TableError(UserError):
    """The file cannot be imported; ``str()`` is one line per problem."""

    def __init__(self, file: Path, problems: Sequence[str]) -> None:
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


@dataclass(frozen=True)
class Sheet:
    """The ``rows`` of a table with the ``lines`` they end on; all have as many fields. ``notes`` say how it was read.

    ``heading`` are the fields of a comment before the first row, where it names columns of ours (numpy writes such).
    """

    rows: list[list[str]]
    lines: list[int]
    heading: list[str]
    notes: list[str]


def read_sheet(file: Path) -> Sheet:
    """Read a table of fields, or raise `TableError`."""
    text, notes = _text(file)
    lines = list(io.StringIO(text, newline=""))
    comments = [line for line in lines if line.lstrip().startswith("#")]
    if comments:
        notes.append(f"{count(len(comments), 'comment line')} (#) left out")
        lines = ["\n" if line.lstrip().startswith("#") else line for line in lines]
    separator = _separator(lines)
    if separator != ",":
        notes.append(f"separated by {SEPARATORS[separator]}")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        read = [(reader.line_num, [field.strip() for field in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise TableError(file, [f"is not a CSV file: line {reader.line_num}: {error}"]) from error
    if not read:
        raise TableError(file, ["is empty"])
    width = len(read[0][1])
    if width == 1:
        raise TableError(file, [f"has one column: {', '.join(SEPARATORS.values())} can separate columns"])
    if ragged := [(line, len(row)) for line, row in read[1:] if len(row) != width]:
        line, n = ragged[0]
        raise TableError(file, [f"line {line} has {n} fields, the header {width}{more_than_one(len(ragged))}"])
    return Sheet([row for _, row in read], [line for line, _ in read], _heading(comments, separator, width), notes)


def _text(file: Path) -> tuple[str, list[str]]:
    """Return the text of a file, and how it is encoded where that is not UTF-8."""
    try:
        if not file.is_file():
            raise TableError(file, ["is not an ordinary file"])
        if file.stat().st_size > MOST_BYTES:
            raise TableError(file, [f"has {file.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read"])
        data = file.read_bytes()
    except OSError as error:
        raise TableError(file, [f"cannot be read: {error.strerror}"]) from error
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TableError(file, [f"is not text in UTF-8, UTF-16 or Windows-1252: {error}"]) from error
    return text, [] if encoding == "utf-8-sig" else [f"read as {encoding}, for it is not UTF-8"]


def _encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding, zeros in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if 2 * zeros.count(0) > len(zeros):
            return encoding
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252"  # and Latin-1, whose printable characters it shares
    return "utf-8-sig"


def _separator(lines: Sequence[str]) -> str:
    """Return what separates fields: what gives most names of ours at the top, rows of one width, and most columns."""
    sample = [line for line in lines if line.strip()][:_SAMPLE]

    def worth(sign: str) -> tuple[int, bool, int]:
        try:
            rows = [row for row in csv.reader(sample, delimiter=sign, skipinitialspace=True) if row]
        except csv.Error:
            rows = []
        widths = {len(row) for row in rows}
        alike = len(widths) == 1 and widths != {1}
        return len({*map(known, rows[0] if rows else [])} - {""}) if widths != {1} else 0, alike, max(widths, default=0)

    return max(SEPARATORS, key=worth)  # the first of equals


def _heading(comments: Sequence[str], separator: str, width: int) -> list[str]:
    for comment in comments:
        fields = [field.strip() for field in comment.lstrip().removeprefix("#").split(separator)]
        if len(fields) == width and len({*map(known, fields)} - {""}) > 1:
            return fields
    return []

"""Blocks as plain text for a terminal or a pipe: tables are cut into groups of columns that fit, nothing is cut off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from .blocks import Block

GAP = "  "
WIDEST = 36
"""Characters of a column; longer texts are wrapped."""
Lines = list[list[str]]


def lines(block: Block, width: int, stub: int = 1) -> Iterator[str]:
    """Yield the lines of a block, none longer than ``width``; the first ``stub`` columns are repeated in each group.

    A line break in a column's title stays one. Only a single column that is wider than the page goes beyond it.
    """
    title = wrap(block.title, width)
    yield from title
    yield ("=" if block.level <= 2 else "-") * max(map(len, title))
    if block.text:
        yield from wrap(block.text, width)
    for item in block.items:
        yield from wrap(item, width, initial_indent="- ", subsequent_indent="  ")
    if block.columns:
        table = [[_cell(text) for text in row] for row in (block.columns, *block.rows)]
        for group in _groups(table, width, stub):
            yield ""
            yield from _table([[row[j] for j in group] for row in table])
    if block.note:
        yield from wrap(block.note, width)
    yield ""


def _cell(text: str) -> list[str]:
    return [line for part in text.split("\n") for line in wrap(part, WIDEST) or [""]]


def _groups(table: Sequence[Lines], width: int, stub: int) -> Iterator[list[int]]:
    widths = _widths(table)
    first = list(range(min(stub, len(widths))))
    group, used = list(first), sum(widths[j] + len(GAP) for j in first)
    start = used
    for j in range(len(first), len(widths)):
        if len(group) > len(first) and used + widths[j] > width:
            yield group
            group, used = list(first), start
        group.append(j)
        used += widths[j] + len(GAP)
    yield group


def _table(table: Sequence[Lines]) -> Iterator[str]:
    widths = _widths(table)
    for number, row in enumerate(table):
        for k in range(max(len(cell) for cell in row)):
            texts = (cell[k] if k < len(cell) else "" for cell in row)
            yield GAP.join(text.ljust(size) for text, size in zip(texts, widths, strict=True)).rstrip()
        if number == 0:
            yield GAP.join("-" * size for size in widths)


def _widths(table: Sequence[Lines]) -> list[int]:
    return [max(len(line) for cell in column for line in cell) for column in zip(*table, strict=True)]

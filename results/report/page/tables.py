"""The tables of the page: a value and its interval in columns of their own, and what each row is about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...measures.tables import IDENTITY
from ..blocks import Block
from ..marks import SIGNS
from ..names import INTERVAL, meaning, plain

_BOTH = re.compile(r"^((?:\S+/\d )?\S+) (\[[^\]]+\])( n=\d+)?$")
_NUMBER = re.compile(r"^[<>≤≥≈±]?[+-]?[\d.,]+(e[+-]?\d+)?( ?%|/\d+/\d+| of \d+)?( n=\d+)?$")
_NOTHING = {"", "-"}
LONG = 40
"""From so many letters on a text wraps."""


@dataclass(frozen=True)
class Column:
    """A column: its title, what that means, and its kind: ``name``, ``number``, ``interval``, ``identity`` or ``text``.

    ``strategy`` is set where the column is about one.
    """

    title: str
    meaning: str
    kind: str
    strategy: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell's text; ``shade`` is a colour from -1 to 1, 0 being none of a table that has some."""

    text: str
    kind: str
    strong: bool = False
    shade: float | None = None

    @property
    def is_long(self) -> bool:
        return len(self.text) > LONG


@dataclass(frozen=True)
class Row:
    """A row: its cells, the strategy that it is about, and its identity as far as the table has it."""

    cells: tuple[Cell, ...]
    strategy: str
    about: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table as the page shows it; ``is_map`` where its cells are shaded."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    is_map: bool


def table(block: Block, strategies: Sequence[str]) -> Table:
    """Return the table of a block; ``strategies`` are the names that the reader can choose from."""
    texts = [[row[j] for row in block.rows] for j in range(len(block.columns))]
    split = [j > 0 and any(map(_BOTH.match, column)) for j, column in enumerate(texts)]
    kinds = ["name", *(_kind(title, column) for title, column in zip(block.columns[1:], texts[1:], strict=True))]
    columns = []
    for title, kind, two in zip(block.columns, kinds, split, strict=True):
        columns.append(Column(plain(title), meaning(title), kind, _strategy(title, strategies)))
        if two:
            columns.append(Column(INTERVAL, meaning(INTERVAL), "interval"))
    rows = []
    for i, row in enumerate(block.rows):
        cells = []
        for j, text in enumerate(row):
            found = _BOTH.match(text) if split[j] else None
            value = found[1] if found else text
            cells.append(Cell(value, kinds[j], (i, j) in block.strong, block.shades.get((i, j))))
            if split[j]:
                cells.append(Cell(f"{found[2]}{found[3] or ''}" if found else "", "interval"))
        about = {title: row[j] for j, title in enumerate(block.columns) if title in IDENTITY[:4]}
        name = row[block.columns.index("strategy")] if "strategy" in block.columns else row[0]
        rows.append(Row(tuple(cells), _strategy(name, strategies), about))
    return Table(tuple(columns), tuple(rows), bool(block.shades))


def _strategy(text: str, strategies: Sequence[str]) -> str:
    name = text.rstrip(" " + "".join(SIGNS.values()))
    return name if name in strategies else ""


def _kind(title: str, texts: Sequence[str]) -> str:
    if title in IDENTITY[:4]:
        return "identity"
    told = [text for text in texts if text not in _NOTHING]
    numbers = sum(bool(_NUMBER.match(text) or _BOTH.match(text)) for text in told)
    return "number" if told and 2 * numbers > len(told) else "text"

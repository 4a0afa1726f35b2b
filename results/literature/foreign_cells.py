"""The cells of somebody else's table as text, under names that the file or ``--columns`` gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from .foreign_columns import HEADINGS, NUMBERS, SCORES, in_percent, known, matched, place, without_percent
from .foreign_numbers import Format
from .foreign_text import Sheet, TableError

CELLS = "* cells"
"""The column of what stands under the headings that `HEADINGS` means."""


@dataclass(frozen=True, eq=False)
class Table:
    """The cells as text, the line each row ends on, and which of ours the columns are, those that were ``said`` too.

    ``header`` says whether the columns have names of their own.
    """

    text: pd.DataFrame
    lines: pd.Series[int]
    columns: dict[str, list[str]]
    said: Mapping[str, Sequence[str]]
    notes: list[str]
    header: bool

    def terms(self, ours: str) -> list[pd.Series[str]]:
        """Return the columns, or the text for all rows, that one of ours is made of."""
        header = self.text.columns.tolist()
        found = []
        for term in self.columns[ours]:
            where = place(without_percent(term, header), header)
            constant = pd.Series(term.removeprefix(":"), self.text.index, dtype=str)
            found.append(constant if where is None else self.text.iloc[:, where])
        return found

    def unused(self) -> list[str]:
        """Return the columns that are none of ours, sorted."""
        header = self.text.columns.tolist()
        used = {place(without_percent(term, header), header) for of in self.columns.values() for term in of}
        return sorted(name for i, name in enumerate(header) if i not in used)

    def percent(self, ours: str) -> bool:
        """Say whether the name of a column, or who asks for it, says percent."""
        header, term = self.text.columns.tolist(), self.columns[ours][-1]
        where = place(without_percent(term, header), header)
        return (term.endswith("%") and term not in header) or (where is not None and in_percent(header[where]))


def headed(file: Path, sheet: Sheet, said: Mapping[str, Sequence[str]]) -> Table:
    """Tell the header from the rows: it names columns of ours, or those that are said, or has no numbers."""
    first, rows, lines = sheet.rows[0], sheet.rows[1:], sheet.lines[1:]
    places = [place(term, [""] * len(first)) for ours in (*NUMBERS, *SCORES) for term in said.get(ours, ())]
    by_place = [i for i in places if i is not None]
    named = {known(name) for name in first} - {""} or any(term in first for terms in said.values() for term in terms)
    if sheet.heading:
        first, rows, lines = sheet.heading, sheet.rows, sheet.lines
    elif not named and [HEADINGS] not in said.values() and _is_row(first, rows, by_place):
        first, rows, lines = [""] * len(first), sheet.rows, sheet.lines
    if raw := [name for name in first if not name.isprintable()]:
        raise TableError(file, [f"the name of a column must be without control characters, not {raw[0]!r}"])
    header = [name or f"#{i}" for i, name in enumerate(first, 1)]
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise TableError(file, [f"several columns are called {', '.join(map(repr, twice))}"])
    if not rows:
        raise TableError(file, ["has a header and no rows"])
    columns, problems = matched(header, said)
    if problems:
        raise TableError(file, problems)
    notes = sheet.notes if any(first) else [*sheet.notes, "has no header: the first line is a row"]
    text = pd.DataFrame(rows, columns=header, dtype=str)
    return Table(text, pd.Series(lines), columns, said, notes, any(first))


def _is_row(first: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]) -> bool:
    """Say whether the first line is a row too: numbers stand where they are asked for, or where rows have fractions."""
    plain = Format().plain
    if numeric:
        return all(plain(first[i].replace(",", ".")) for i in numeric)
    fractions = [i for i in range(len(first)) if any("." in row[i] and plain(row[i]) for row in rows)]
    return any("." in first[i] and plain(first[i]) for i in fractions)


def unpivoted(table: Table) -> Table:
    """Return a table with one row for each cell under the headings that `HEADINGS` means; empty cells are left out."""
    over = next((ours for ours, terms in table.columns.items() if HEADINGS in terms), "")
    if not over:
        return table
    header = table.text.columns.tolist()
    said = {place(without_percent(term, header), header) for terms in table.columns.values() for term in terms}
    names = [name for i, name in enumerate(header) if i not in said]
    text = table.text.assign(line=table.lines).rename(columns={"line": "* line"})
    ids = [*(name for name in header if name not in names), "* line"]
    melted = text.melt(ids, names, var_name=HEADINGS, value_name=CELLS)
    there = melted[melted[CELLS] != ""].reset_index(drop=True)
    notes = [*table.notes, f"one column for each {over}: {', '.join(names[:10])}{' ...' if len(names) > 10 else ''}"]
    if empty := len(melted) - len(there):
        notes.append(f"{empty:,} empty fields left out")
    columns = {"accuracy": [CELLS], **table.columns}
    lines = there["* line"].astype(int)
    return replace(table, text=there.drop(columns="* line"), lines=lines, columns=columns, notes=notes)

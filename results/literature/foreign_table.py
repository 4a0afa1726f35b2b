"""A CSV file of learning curves as it is -> its columns under our names, checked: every problem at once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import pandas as pd

from ...benchmark.registry import suggestion
from ...benchmark.types import FULL_DATA
from .foreign_columns import (
    HEADINGS,
    NUMBERS,
    REQUIRED,
    SCORES,
    as_text,
    in_percent,
    known,
    matched,
    place,
    without_percent,
)
from .foreign_guess import proposal
from .foreign_numbers import Format, decimal_format, shares
from .foreign_text import Sheet, TableError, read_sheet

NAMES = ("dataset", "embedding", "learner", "budget", "strategy")
UNSAID = "unsaid"
CELLS = "* cells"
"""The column of what stands under the headings that `HEADINGS` means."""


@dataclass(frozen=True, eq=False)
class Curves:
    """The rows of a file, in its order: `NAMES`, seed, n_labels, `SCORES`, elapsed_seconds (NaN where it says nothing).

    ``columns`` says which of the file's columns each of ours is; ``repeated`` counts rows left out as said before;
    ``notes`` say how the file was read where that is not as a plain CSV in UTF-8.
    """

    rows: pd.DataFrame
    columns: dict[str, list[str]]
    repeated: int
    notes: list[str]


@dataclass(frozen=True, eq=False)
class _Table:
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

    def percent(self, ours: str) -> bool:
        """Say whether the name of a column, or who asks for it, says percent."""
        header, term = self.text.columns.tolist(), self.columns[ours][-1]
        where = place(without_percent(term, header), header)
        return (term.endswith("%") and term not in header) or (where is not None and in_percent(header[where]))


def read_curves(
    file: Path, said: Mapping[str, Sequence[str]], command: str = "albench import FILE --out DIR"
) -> Curves:
    """Read a file; ``said`` is what `parse_columns` returns, ``command`` what a line begins with that reads it.

    Raises
    ------
    TableError
        When a column is missing, a value is not what it must be, or rows disagree.
    """
    sheet = read_sheet(file)
    table = _headed(file, sheet, said)
    missing = [ours for ours in REQUIRED if ours not in table.columns]
    if over := _over_headings(table, missing):
        table.columns[over] = [HEADINGS]
    elif set(missing) - ({"accuracy"} if [HEADINGS] in table.columns.values() else set()):
        raise TableError(file, [*_missing(table, missing), *_remedy(file, table, command)])
    return _curves(file, _long(table), command)


def _headed(file: Path, sheet: Sheet, said: Mapping[str, Sequence[str]]) -> _Table:
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
    return _Table(text, pd.Series(lines), columns, said, notes, any(first))


def _is_row(first: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]) -> bool:
    """Say whether the first line is a row too: numbers stand where they are asked for, or where rows have fractions."""
    plain = Format().plain
    if numeric:
        return all(plain(first[i].replace(",", ".")) for i in numeric)
    fractions = [i for i in range(len(first)) if any("." in row[i] and plain(row[i]) for row in rows)]
    return any("." in first[i] and plain(first[i]) for i in fractions)


def _missing(table: _Table, missing: Sequence[str]) -> list[str]:
    if not table.header or set(REQUIRED) == set(missing):
        what = "the header names none" if table.header else "there is no header, so nothing says which are the columns"
        return [f"{what} of {', '.join(missing)}"]
    header = table.text.columns.tolist()
    return [
        f"no column {ours!r} ({', '.join(REQUIRED[ours])}){suggestion(ours, header)}; or say --columns {ours}=NAME"
        for ours in missing
    ]


def _over_headings(table: _Table, missing: Sequence[str]) -> str:
    """Return which of ours the headings of further columns are, where nothing but that and the accuracy is missing."""
    if not (table.header and len(missing) == 2 and "accuracy" in missing):
        return ""
    found = proposal(table.text, table.columns, True, "")
    return next((ours for ours, terms in found.items() if terms == [HEADINGS]), "")


def _remedy(file: Path, table: _Table, command: str) -> list[str]:
    """Return a line with a command that reads the file, tried; nothing where none is known."""
    found = proposal(table.text, table.columns, table.header, file.stem)
    if "accuracy" not in {**table.columns, **found} and [HEADINGS] not in found.values():
        return []
    try:
        _curves(file, _long(replace(table, columns={**table.columns, **found})), command)
    except TableError:
        return []
    made_up = any(term.startswith(":") for terms in found.values() for term in terms)
    hint = " (what stands after a colon the file does not say: put your own)" if made_up else ""
    return [f"this reads it: {_with_columns(command, {**table.said, **found})}{hint}"]


def _with_columns(command: str, columns: Mapping[str, Sequence[str]]) -> str:
    return f"{command} --columns {shlex.quote(as_text(columns))}"


def _long(table: _Table) -> _Table:
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


def _curves(file: Path, table: _Table, command: str) -> Curves:
    text, lines, columns, notes = table.text, table.lines, table.columns, list(table.notes)
    scores = {name: table.terms(name)[0] for name in SCORES if name in columns}
    style = decimal_format(pd.concat(scores.values()))
    if style.mark == ",":
        notes.append("a comma marks decimals")
    problems: list[str] = []
    joined = {ours: _joined(table.terms(ours)) for ours in columns}
    rows = pd.DataFrame({name: _names(joined, name) for name in NAMES}, index=text.index)
    for name in ("dataset", "strategy"):
        problems += _wrong(rows[name] == "", rows[name], lines, f"{name} is empty")
    for name in NAMES:
        raw = ~rows[name].map(str.isprintable)  # they would reach a terminal
        problems += _wrong(raw, rows[name], lines, f"{name} must be without control characters")
    reserved = f"budget must be another name (that of {FULL_DATA} bounds is reserved)"
    problems += _wrong(rows["budget"] == FULL_DATA, rows["budget"], lines, reserved)
    for name in ("seed", "n_labels"):
        numbers = sum(style.numbers(term, whole=True) for term in table.terms(name)) + pd.Series(0.0, text.index)
        least = 0 if name == "seed" else 1
        wrong = ~((numbers % 1 == 0) & (numbers >= least) & (numbers < 2**53))
        doubt = (
            " (1.000 may be 1 or 1,000: write it without the mark)" if joined[name].map(style.in_doubt).any() else ""
        )
        problems += _wrong(wrong, joined[name], lines, f"{name} must be a whole number from {least}{doubt}")
        rows[name] = numbers
        grouped = joined[name][[style.plain(one) not in {one, ""} for one in joined[name]]]
        if not problems and len(grouped):
            notes.append(f"{name} {grouped.iloc[0]!r} is {rows[name][grouped.index[0]]:.0f}")
    for name in SCORES:
        rows[name] = float("nan")
        if name in scores:
            found = shares(name, scores[name], style, table.percent(name))
            rows[name] = found.values
            notes += found.notes
            if found.doubt:
                problems += [found.doubt, *_in_percent(table, name, command)]
            else:
                problems += _score_problems(name, joined[name], rows[name], lines)
    rows["elapsed_seconds"] = float("nan")
    if "elapsed_seconds" in joined:
        rows["elapsed_seconds"] = sum(style.numbers(term) for term in table.terms("elapsed_seconds"))
        problems += _score_problems("elapsed_seconds", joined["elapsed_seconds"], rows["elapsed_seconds"], lines)
    if problems:
        raise TableError(file, problems)
    rows = rows.astype({"seed": "int64", "n_labels": "int64"})
    header = text.columns.tolist()
    used = {place(without_percent(term, header), header) for of in columns.values() for term in of}
    unused = sorted(name for i, name in enumerate(header) if i not in used)
    return _without_repeats(file, rows, lines, columns, unused, notes)


def _in_percent(table: _Table, name: str, command: str) -> list[str]:
    """Return the line that says how a column is read as percent, where a column's name can say so."""
    (term, *_) = table.columns[name]
    if term == CELLS:
        return ["write all of them as shares, or with a sign of percent"]
    if not re.fullmatch(r"[^,=+%#:*]+|#[0-9]+", term):
        term = f"#{table.text.columns.tolist().index(term) + 1}"
    return [f"this reads it as percent: {_with_columns(command, {**table.said, name: [f'{term}%']})}"]


def _joined(terms: Sequence[pd.Series[str]]) -> pd.Series[str]:
    joined = terms[0]
    for term in terms[1:]:
        joined = joined + "+" + term
    return joined


def _names(joined: Mapping[str, pd.Series[str]], name: str) -> pd.Series[str] | str:
    if name in joined:
        return joined[name]
    if name == "budget" and "batch_size" in joined:
        return "batch-" + joined["batch_size"]
    return UNSAID


def _score_problems(name: str, text: pd.Series[str], values: pd.Series[float], lines: pd.Series[int]) -> list[str]:
    """Return what is wrong with a column of shares, or of seconds; an empty field is wrong for accuracy only."""
    there = pd.Series(True, text.index) if name == "accuracy" else text != ""
    wrong = there & ~values.map(isfinite)
    problems = _wrong(wrong, text, lines, f"{name} must be a number")
    if name not in SCORES:
        return problems + _wrong(values < 0, text, lines, f"{name} must not be negative")
    outside = ~wrong & ((values < 0) | (values > 1))
    return problems + _wrong(outside, text, lines, f"{name} must be a share between 0 and 1")


def _wrong(where: pd.Series[bool], text: pd.Series[str], lines: pd.Series[int], rule: str) -> list[str]:
    if not where.any():
        return []
    first = int(where.to_numpy().argmax())
    return [f"line {lines.iloc[first]}: {rule}, not {text.iloc[first]!r}{_more(int(where.sum()))}"]


def _without_repeats(
    file: Path,
    rows: pd.DataFrame,
    lines: pd.Series[int],
    columns: dict[str, list[str]],
    unused: Sequence[str],
    notes: list[str],
) -> Curves:
    point = [*NAMES, "seed", "n_labels"]
    whole = rows.duplicated()
    rest = rows[~whole]
    again = rest.duplicated(point, keep=False)
    if again.any():
        first = rest[again].sort_values(point, kind="stable").iloc[:2]
        a, b = (lines.loc[i] for i in first.index)
        where = ", ".join(f"{name} {first.iloc[0][name]}" for name in point)
        hint = f"; is one of the columns {', '.join(unused)} part of a name? (--columns learner=a+b)" if unused else ""
        problem = f"lines {a} and {b} disagree about {where}: accuracy {first['accuracy'].tolist()}"
        raise TableError(file, [f"{problem}{_more(int(rest.duplicated(point).sum()))}{hint}"])
    return Curves(rest.reset_index(drop=True), columns, int(whole.sum()), notes)


def _more(n: int) -> str:
    return f" (and {n - 1} more)" if n > 1 else ""

"""A CSV file of learning curves as it is -> its columns under our names, checked: every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ...benchmark.registry import suggestion
from ..measures.words import more_than_one
from .foreign_cells import Table, headed, unpivoted
from .foreign_columns import HEADINGS, REQUIRED
from .foreign_guess import proposal
from .foreign_text import TableError, read_sheet
from .foreign_values import NAMES, Values, with_columns


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
    table = headed(file, sheet, said)
    missing = [ours for ours in REQUIRED if ours not in table.columns]
    if over := _over_headings(table, missing):
        table.columns[over] = [HEADINGS]
    elif set(missing) - ({"accuracy"} if [HEADINGS] in table.columns.values() else set()):
        raise TableError(file, [*_missing(table, missing), *_remedy(file, table, command)])
    return _curves(file, unpivoted(table), command)


def _missing(table: Table, missing: Sequence[str]) -> list[str]:
    if not table.header or set(REQUIRED) == set(missing):
        what = "the header names none" if table.header else "there is no header, so nothing says which are the columns"
        return [f"{what} of {', '.join(missing)}"]
    header = table.text.columns.tolist()
    return [
        f"no column {ours!r} ({', '.join(REQUIRED[ours])}){suggestion(ours, header)}; or say --columns {ours}=NAME"
        for ours in missing
    ]


def _over_headings(table: Table, missing: Sequence[str]) -> str:
    """Return which of ours the headings of further columns are, where nothing but that and the accuracy is missing."""
    if not (table.header and len(missing) == 2 and "accuracy" in missing):
        return ""
    found = proposal(table.text, table.columns, True, "")
    return next((ours for ours, terms in found.items() if terms == [HEADINGS]), "")


def _remedy(file: Path, table: Table, command: str) -> list[str]:
    """Return a line with a command that reads the file, tried; nothing where none is known."""
    found = proposal(table.text, table.columns, table.header, file.stem)
    if "accuracy" not in {**table.columns, **found} and [HEADINGS] not in found.values():
        return []
    try:
        _curves(file, unpivoted(replace(table, columns={**table.columns, **found})), command)
    except TableError:
        return []
    made_up = any(term.startswith(":") for terms in found.values() for term in terms)
    hint = " (what stands after a colon the file does not say: put your own)" if made_up else ""
    return [f"this reads it: {with_columns(command, {**table.said, **found})}{hint}"]


def _curves(file: Path, table: Table, command: str) -> Curves:
    values = Values(table, command, notes=list(table.notes))
    rows = values.rows()
    if values.problems:
        raise TableError(file, values.problems)
    return _without_repeats(file, rows.astype({"seed": "int64", "n_labels": "int64"}), table, values.notes)


def _without_repeats(file: Path, rows: pd.DataFrame, table: Table, notes: list[str]) -> Curves:
    point = [*NAMES, "seed", "n_labels"]
    whole = rows.duplicated()
    rest = rows[~whole]
    again = rest.duplicated(point, keep=False)
    if again.any():
        first = rest[again].sort_values(point, kind="stable").iloc[:2]
        a, b = (table.lines.loc[i] for i in first.index)
        where = ", ".join(f"{name} {first.iloc[0][name]}" for name in point)
        unused = table.unused()
        hint = f"; is one of the columns {', '.join(unused)} part of a name? (--columns learner=a+b)" if unused else ""
        problem = f"lines {a} and {b} disagree about {where}: accuracy {first['accuracy'].tolist()}"
        raise TableError(file, [f"{problem}{more_than_one(int(rest.duplicated(point).sum()))}{hint}"])
    return Curves(rest.reset_index(drop=True), table.columns, int(whole.sum()), notes)

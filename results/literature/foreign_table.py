"""A CSV file of learning curves as it is -> its columns under our names, checked: every problem at once."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import pandas as pd

from ...benchmark.registry import suggestion
from ...benchmark.types import FULL_DATA, UserError

REQUIRED = {
    "dataset": ("data",),
    "strategy": ("method", "query_strategy", "algorithm"),
    "seed": ("random_seed", "random_state"),
    "n_labels": ("n_labelled", "n_labeled", "num_labels", "labels"),
    "accuracy": ("test_accuracy", "test_acc", "acc"),
}
"""Our column -> other names that it is known by."""
OPTIONAL = {
    "embedding": ("features", "encoder", "backbone"),
    "learner": ("model", "classifier"),
    "budget": (),
    "batch_size": ("query_size", "batch"),
    "balanced_accuracy": ("balanced_test_accuracy",),
    "macro_f1": ("test_macro_f1",),
    "elapsed_seconds": ("elapsed_s",),
}
COLUMNS = {**REQUIRED, **OPTIONAL}
HEADS = ("head", "trainer")
"""Where no column is the learner's, these two are it, as ``linear+flexmatch``."""
SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
NAMES = ("dataset", "embedding", "learner", "budget", "strategy")
UNSAID = "unsaid"
SEPARATORS = {"';'": ";", "tabs": "\t", "'|'": "|"}
"""What tables are separated by that call themselves CSV."""


class TableError(UserError):
    """The file cannot be imported; ``str()`` is one line per problem."""

    def __init__(self, file: Path, problems: Sequence[str]) -> None:
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


@dataclass(frozen=True, eq=False)
class Curves:
    """The rows of a file, in its order: `NAMES`, seed, n_labels, `SCORES`, elapsed_seconds (NaN where it says nothing).

    ``columns`` says which of the file's columns each of ours is; ``repeated`` counts rows left out as said before.
    """

    rows: pd.DataFrame
    columns: dict[str, list[str]]
    repeated: int


def parse_columns(text: str) -> dict[str, list[str]]:
    """Return ``accuracy=test_accuracy,learner=head+trainer`` as our column -> columns of the file."""
    said: dict[str, list[str]] = {}
    problems = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        ours, _, theirs = (part.strip() for part in pair.partition("="))
        if ours not in COLUMNS:
            problems.append(f"--columns {pair}: unknown column {ours!r}{suggestion(ours, COLUMNS)}")
        elif not theirs:
            problems.append(f"--columns {pair}: expected OURS=THEIRS, for instance accuracy=test_accuracy")
        said[ours] = theirs.split("+")
    if problems:
        raise UserError("\n".join(problems))
    return said


def read_curves(file: Path, said: Mapping[str, Sequence[str]]) -> Curves:
    """Read a file; ``said`` is what `parse_columns` returns.

    Raises
    ------
    TableError
        When a column is missing, a value is not what it must be, or rows disagree.
    """
    text, lines = _read(file)
    columns = _columns(file, text.columns.tolist(), said)
    joined = {ours: _joined(text, theirs) for ours, theirs in columns.items()}
    problems: list[str] = []
    rows = pd.DataFrame({name: _names(joined, name) for name in NAMES}, index=text.index)
    for name in ("dataset", "strategy"):
        problems += _wrong(rows[name] == "", rows[name], lines, f"{name} is empty")
    for name in NAMES:
        raw = ~rows[name].map(str.isprintable)  # they would reach a terminal
        problems += _wrong(raw, rows[name], lines, f"{name} must be without control characters")
    reserved = f"budget must be another name (that of {FULL_DATA} bounds is reserved)"
    problems += _wrong(rows["budget"] == FULL_DATA, rows["budget"], lines, reserved)
    for name in ("seed", "n_labels"):
        numbers = pd.to_numeric(joined[name], errors="coerce")
        least = 0 if name == "seed" else 1
        wrong = ~((numbers % 1 == 0) & (numbers >= least) & (numbers < 2**53))
        problems += _wrong(wrong, joined[name], lines, f"{name} must be a whole number from {least}")
        rows[name] = numbers
    for name in (*SCORES, "elapsed_seconds"):
        rows[name] = pd.to_numeric(joined[name], errors="coerce") if name in joined else float("nan")
        if name in joined:
            problems += _score_problems(name, joined[name], rows[name], lines)
    if problems:
        raise TableError(file, problems)
    rows = rows.astype({"seed": "int64", "n_labels": "int64"})
    return _without_repeats(
        file, rows, lines, columns, sorted({*text.columns.tolist()} - {c for of in columns.values() for c in of})
    )


def _read(file: Path) -> tuple[pd.DataFrame, pd.Series[int]]:
    """Return the cells as text, and the line each row ends on."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            read = [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise TableError(file, [f"cannot be read: {error.strerror}"]) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(file, [f"is not a CSV file in UTF-8: {error}"]) from error
    if len(read) < 2:
        raise TableError(file, ["is empty" if not read else "has a header and no rows"])
    header = [name.strip() for name in read[0][1]]
    if len(header) == 1 and (marks := [mark for mark, sign in SEPARATORS.items() if sign in header[0]]):
        raise TableError(file, [f"has one column: separated by {marks[0]}? Commas are read"])
    if raw := [name for name in header if not name.isprintable()]:
        raise TableError(file, [f"the name of a column must be without control characters, not {raw[0]!r}"])
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise TableError(file, [f"several columns are called {', '.join(map(repr, twice))}"])
    if ragged := [(line, len(row)) for line, row in read[1:] if len(row) != len(header)]:
        line, n = ragged[0]
        raise TableError(file, [f"line {line} has {n} fields, the header {len(header)}{_more(len(ragged))}"])
    lines = pd.Series([line for line, _ in read[1:]])
    return pd.DataFrame([row for _, row in read[1:]], columns=header, dtype=str).apply(lambda c: c.str.strip()), lines


def _columns(file: Path, header: Sequence[str], said: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    columns = {ours: list(theirs) for ours, theirs in said.items()}
    problems = [
        f"--columns {ours}: no column {name!r}{suggestion(name, header)}"
        for ours, theirs in said.items()
        for name in theirs
        if name not in header
    ]
    for ours, others in COLUMNS.items():
        found = next((name for name in (ours, *others) if name in header), None)
        if ours not in columns and found is not None:
            columns[ours] = [found]
    if "learner" not in columns and (heads := [name for name in HEADS if name in header]):
        columns["learner"] = heads
    problems += [
        f"no column {ours!r} ({', '.join(others)}){suggestion(ours, header)}; or say --columns {ours}=NAME"
        for ours, others in REQUIRED.items()
        if ours not in columns
    ]
    if problems:
        raise TableError(file, problems)
    return columns


def _joined(text: pd.DataFrame, names: Sequence[str]) -> pd.Series[str]:
    joined = text[names[0]]
    for name in names[1:]:
        joined = joined + "+" + text[name]
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
    percent = bool(outside.any()) and values[~wrong].between(0, 100).all()
    hint = " (percentages? then divide by 100)" if percent else ""
    return problems + _wrong(outside, text, lines, f"{name} must be a share between 0 and 1{hint}")


def _wrong(where: pd.Series[bool], text: pd.Series[str], lines: pd.Series[int], rule: str) -> list[str]:
    if not where.any():
        return []
    first = int(where.to_numpy().argmax())
    return [f"line {lines.iloc[first]}: {rule}, not {text.iloc[first]!r}{_more(int(where.sum()))}"]


def _without_repeats(
    file: Path, rows: pd.DataFrame, lines: pd.Series[int], columns: dict[str, list[str]], unused: Sequence[str]
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
    return Curves(rest.reset_index(drop=True), columns, int(whole.sum()))


def _more(n: int) -> str:
    return f" (and {n - 1} more)" if n > 1 else ""

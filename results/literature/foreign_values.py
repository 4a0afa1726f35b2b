"""The columns of a table -> names and numbers, checked; what is wrong and how it was read is collected on the way."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite, nan

import pandas as pd

from ...benchmark.types import FULL_DATA
from ..measures.words import more_than_one
from .foreign_cells import CELLS, Table
from .foreign_columns import SCORES, as_text
from .foreign_numbers import Format, decimal_format, each, shares

NAMES = ("dataset", "embedding", "learner", "budget", "strategy")
UNSAID = "unsaid"


@dataclass(frozen=True, eq=False)
class Values:
    """Reads the columns of a ``table``; ``problems`` and ``notes`` grow as it does. ``command`` begins a remedy."""

    table: Table
    command: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rows(self) -> pd.DataFrame:
        """Return `NAMES`, seed, n_labels, `SCORES` and elapsed_seconds, NaN where the table does not say them."""
        if self._style.mark == ",":
            self.notes.append("a comma marks decimals")
        rows = pd.DataFrame({name: self._names(name) for name in NAMES}, index=self.table.text.index)
        self._check_names(rows)
        for name, least in (("seed", 0), ("n_labels", 1)):
            rows[name] = self._whole(name, least)
        for name in SCORES:
            rows[name] = self._shares(name)
        rows["elapsed_seconds"] = self._seconds("elapsed_seconds")
        return rows

    @cached_property
    def _style(self) -> Format:
        return decimal_format(pd.concat([self.table.terms(name)[0] for name in SCORES if name in self.table.columns]))

    def _text(self, name: str) -> pd.Series[str]:
        joined, *others = self.table.terms(name)
        for term in others:
            joined = joined + "+" + term
        return joined

    def _names(self, name: str) -> pd.Series[str] | str:
        if name in self.table.columns:
            return self._text(name)
        if name == "budget" and "batch_size" in self.table.columns:
            return "batch-" + self._text("batch_size")
        return UNSAID

    def _check_names(self, rows: pd.DataFrame) -> None:
        for name in ("dataset", "strategy"):
            self._wrong(rows[name] == "", rows[name], f"{name} is empty")
        for name in NAMES:
            raw = ~each(rows[name], str.isprintable)  # they would reach a terminal
            self._wrong(raw, rows[name], f"{name} must be without control characters")
        reserved = f"budget must be another name (that of {FULL_DATA} bounds is reserved)"
        self._wrong(rows["budget"] == FULL_DATA, rows["budget"], reserved)

    def _whole(self, name: str, least: int) -> pd.Series[float]:
        text, style = self._text(name), self._style
        numbers = self._sum(name, whole=True)
        wrong = ~((numbers % 1 == 0) & (numbers >= least) & (numbers < 2**53))
        doubt = " (1.000 may be 1 or 1,000: write it without the mark)" if each(text, style.in_doubt).any() else ""
        self._wrong(wrong, text, f"{name} must be a whole number from {least}{doubt}")
        grouped = text[each(text, lambda one: style.plain(one) not in {one, ""})]
        if len(grouped) and not wrong.any():
            self.notes.append(f"{name} {grouped.iloc[0]!r} is {numbers[grouped.index[0]]:.0f}")
        return numbers

    def _shares(self, name: str) -> pd.Series[float] | float:
        if name not in self.table.columns:
            return nan
        text = self._text(name)
        found = shares(name, text, self._style, self.table.percent(name))
        self.notes.extend(found.notes)
        if found.doubt:
            self.problems.extend([found.doubt, self._in_percent(name)])
            return found.values
        there = pd.Series(True, text.index) if name == "accuracy" else text != ""
        wrong = there & ~found.values.map(isfinite)
        self._wrong(wrong, text, f"{name} must be a number")
        outside = ~wrong & ((found.values < 0) | (found.values > 1))
        self._wrong(outside, text, f"{name} must be a share between 0 and 1")
        return found.values

    def _seconds(self, name: str) -> pd.Series[float] | float:
        if name not in self.table.columns:
            return nan
        text, seconds = self._text(name), self._sum(name)
        self._wrong((text != "") & ~seconds.map(isfinite), text, f"{name} must be a number")
        self._wrong(seconds < 0, text, f"{name} must not be negative")
        return seconds

    def _sum(self, name: str, *, whole: bool = False) -> pd.Series[float]:
        first, *others = (self._style.numbers(term, whole=whole) for term in self.table.terms(name))
        return sum(others, first)

    def _wrong(self, where: pd.Series[bool], text: pd.Series[str], rule: str) -> None:
        if where.any():
            first = int(where.to_numpy().argmax())
            more = more_than_one(int(where.sum()))
            self.problems.append(f"line {self.table.lines.iloc[first]}: {rule}, not {text.iloc[first]!r}{more}")

    def _in_percent(self, name: str) -> str:
        """Return the line that says how a column is read as percent, where a column's name can say so."""
        (term, *_) = self.table.columns[name]
        if term == CELLS:
            return "write all of them as shares, or with a sign of percent"
        if not re.fullmatch(r"[^,=+%#:*]+|#[0-9]+", term):
            term = f"#{self.table.text.columns.tolist().index(term) + 1}"
        return f"this reads it as percent: {with_columns(self.command, {**self.table.said, name: [f'{term}%']})}"


def with_columns(command: str, columns: Mapping[str, Sequence[str]]) -> str:
    """Return a command with what `foreign_columns.parse_columns` reads."""
    return f"{command} --columns {shlex.quote(as_text(columns))}"

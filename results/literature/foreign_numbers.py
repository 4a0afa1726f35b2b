"""The numbers that texts mean: with a decimal point or comma, in groups of thousands, in percent, with a spread."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from math import nan
from typing import Any

import pandas as pd

_SPREAD = re.compile(r"^(.*?[0-9].*?)\s*(?:(?:±|\+/-|\+-|\\pm).*|\(\s*[0-9.,]+\s*%?\s*\))$")
_GROUPS = "[ '\u00a0\u2009\u202f]"


def each(texts: pd.Series[str], of: Callable[[str], Any]) -> pd.Series[Any]:
    """Return a value for each text; equal ones are asked once, for a table repeats itself."""
    return texts.map({text: of(text) for text in texts.unique()}.get)


@dataclass(frozen=True)
class Format:
    """How the numbers of a file are written: its decimal ``mark``."""

    mark: str = "."

    @property
    def _other(self) -> str:
        return "," if self.mark == "." else "."

    def plain(self, text: str) -> str:
        """Return a number as Python writes it; nothing for what is none."""
        mark, other = re.escape(self.mark), re.escape(self._other)
        if re.fullmatch(
            rf"[+-]?[0-9]{{1,3}}(?:(?:{other}[0-9]{{3}})+|(?:{_GROUPS}[0-9]{{3}})+)(?:{mark}[0-9]*)?", text
        ):
            text = re.sub(rf"{other}|{_GROUPS}", "", text)
        if re.fullmatch(rf"[+-]?(?:[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]{{1,3}})?", text):
            return text.replace(self.mark, ".")
        return ""

    def in_doubt(self, text: str) -> bool:
        """Say whether a whole number may be another: 1.000 is 1, or 1,000 by whom a comma marks decimals."""
        return re.fullmatch(rf"[0-9]{{1,3}}(?:{re.escape(self.mark)}[0-9]{{3}})+", text) is not None

    def numbers(self, texts: pd.Series[str], whole: bool = False) -> pd.Series[float]:
        """Return the numbers, NaN for what is none; a ``whole`` one that is in doubt is none."""
        return each(texts, lambda text: nan if whole and self.in_doubt(text) else float(self.plain(text) or nan))


def decimal_format(texts: pd.Series[str]) -> Format:
    """Return how shares, or percentages, are written: none of them is in thousands."""
    means = each(texts, bare)
    commas, points = (means.str.contains(mark, regex=False).any() for mark in ",.")
    return Format("," if commas and not points else ".")


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares from 0 to 1, NaN for what is no number; ``notes`` say how they were read, ``doubt`` why they cannot be."""

    values: pd.Series[float]
    notes: list[str] = field(default_factory=list)
    doubt: str = ""


def shares(name: str, texts: pd.Series[str], style: Format, percent: bool) -> Shares:
    """Read a column of shares. Without ``percent`` it is in percent where each has the sign, or all are above 1."""
    means = each(texts, bare)
    plain = each(means, style.plain)
    values = each(plain, lambda text: float(text or nan))
    there = values[values.notna()]
    signed = texts[values.notna()].str.contains("%", regex=False)
    notes = []
    spread = texts[each(texts, lambda text: _SPREAD.match(text) is not None)]
    if len(spread):
        notes.append(f"{name}: of {len(spread)} fields like {spread.iloc[0]!r} the mean is read")
    if there.empty or (there.between(0, 1).all() and not percent and not signed.any()):
        return Shares(values, notes)
    if not percent and signed.any() != signed.all():
        return Shares(values, notes, f"{name} has % in {signed.sum()} of {len(signed)} fields")
    if not percent and not signed.any() and there.between(0, 100).all() and (there <= 1).any():
        low, high = (texts[there.index[i]] for i in (int(there.argmin()), int(there.argmax())))
        return Shares(values, notes, f"{name} is a share or in percent? It has {low!r} and {high!r}")
    if not there.between(0, 100).all():
        return Shares(values / 100 if percent or signed.any() else values, notes)
    values = each(plain, lambda text: float(Decimal(text).scaleb(-2)) if text else nan)
    first = there.index[0]
    return Shares(values, [*notes, f"{name} is in percent: {texts[first]} is {values[first]:g}"])


def bare(text: str) -> str:
    """Return the mean of what has a spread, without a sign of percent."""
    spread = _SPREAD.match(text)
    return (spread[1] if spread else text).strip().removesuffix("%").strip()

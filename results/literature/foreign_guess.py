"""What the columns of a table may be whose names do not tell: a proposal, for somebody else to agree to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from .foreign_columns import HEADINGS, REQUIRED, place, without_percent
from .foreign_numbers import Format, bare


def proposal(text: pd.DataFrame, columns: Mapping[str, Sequence[str]], header: bool, stem: str) -> dict[str, list[str]]:
    """Return terms for the `REQUIRED` columns that are missing from ``columns``, from what the cells look like.

    ``header`` says whether the names of ``text``'s columns are headings. What no cell tells is a text: the name of the
    file (``stem``), seed 0, 100 labels.
    """
    missing = [ours for ours in REQUIRED if ours not in columns]
    free = _Free(text, columns)
    found: dict[str, str] = {}
    if "accuracy" in missing:
        over = headings(free.names, missing, free.whole) if header and len(free.scores) > 1 else ""
        if over:
            found[over] = HEADINGS
        elif free.scores:
            found["accuracy"] = free.take(max(free.scores, key=lambda name: text[name].nunique()))
    if "n_labels" in missing and "n_labels" not in found:
        found["n_labels"] = _labels(text, free)
    if "seed" in missing and "seed" not in found:
        found["seed"] = free.take(free.whole[0]) if free.whole else ":0"
    name = re.sub(r"[^\w.-]", "-", stem).strip("-.") or "unsaid"
    for ours in ("strategy", "dataset"):
        if ours in missing and ours not in found:
            found[ours] = free.take(free.words[0]) if free.words else f":{name}"
    return {ours: found[ours].split("+") for ours in REQUIRED if ours in found}


def headings(names: Sequence[str], missing: Sequence[str], whole: Sequence[str]) -> str:
    """Return which of the ``missing`` columns the headings of scores are; the columns ``whole`` hold counts."""
    of_scores = [name for name in names if name not in whole]
    if not all(re.fullmatch("[0-9]{1,15}", name) for name in of_scores):
        return "strategy" if "strategy" in missing else ""
    numbers = [int(name) for name in of_scores]
    if "seed" in missing and (
        numbers == list(range(numbers[0], numbers[0] + len(numbers))) or "n_labels" not in missing
    ):
        return "seed"
    return "n_labels" if "n_labels" in missing and numbers == sorted(numbers) and numbers[0] > 0 else ""


class _Free:
    """The columns of a table that are not taken yet: of shares (or percentages), of whole numbers, of words."""

    def __init__(self, text: pd.DataFrame, columns: Mapping[str, Sequence[str]]) -> None:
        header = text.columns.tolist()
        taken = {place(without_percent(term, header), header) for terms in columns.values() for term in terms}
        self.names = [name for i, name in enumerate(header) if i not in taken and (text[name] != "").any()]
        self.text = text
        numbers = {name: _numbers(text[name]) for name in self.names}
        self.whole = [
            name
            for name, of in numbers.items()
            if of is not None and len(of) == len(text) and (of % 1 == 0).all() and (of >= 0).all()
        ]
        self.scores = [
            name
            for name, of in numbers.items()
            if name not in self.whole and of is not None and of.between(0, 100).all()
        ]
        self.words = [name for name, of in numbers.items() if of is None and (text[name] != "").all()]

    def take(self, name: str) -> str:
        """Return the term of a column, which is free no longer."""
        for kind in (self.names, self.whole, self.scores, self.words):
            if name in kind:
                kind.remove(name)
        return f"#{self.text.columns.get_loc(name) + 1}"  # type: ignore[operator]  # names are there once


def _numbers(text: pd.Series[str]) -> pd.Series[float] | None:
    """Return the numbers of a column where all that is there is one."""
    there = text[text != ""]
    for mark in ".,":
        values = Format(mark).numbers(there.map(bare))
        if values.notna().all():
            return values
    return None


def _labels(text: pd.DataFrame, free: _Free) -> str:
    """Return the term for the numbers of labels; where they begin at 0, initial labels (one step) are added."""
    if not free.whole:
        return ":100"
    name = max(free.whole, key=lambda name: (text[name].nunique(), text[name].map(len).max()))
    measured = text[(text[free.scores] != "").any(axis=1)] if free.scores else text
    counts = sorted({*map(float, filter(str.isdecimal, measured[name]))})
    term = free.take(name)
    return f"{term}+:{counts[1]:.0f}" if len(counts) > 1 and counts[0] == 0 else term

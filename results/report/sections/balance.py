"""Which classes the strategies bought: how even, and how many."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from ...measures.evidence import Evidence
from ...measures.metrics import balance, rarest
from ...measures.stats import Interval, mean_interval
from ...measures.tables import IDENTITY, Cell, Key, Setting, Summary, key_of
from ...measures.words import interval_text
from ..blocks import NOT_DONE, Block, stem
from ..numbers import Numbers


class Balance(NamedTuple):
    """Over the seeds of a cell: ``balance/1``, ``rarest/1``, classes with a label, and how many classes there are."""

    even: Interval
    rarest: Interval
    seen: Interval
    classes: int


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table for each setting and budget whose class counts are stored."""
    summary = evidence.summary
    found = balances(evidence.finished)
    tables = [
        _table(summary, found, *place) for place in summary.places() if any(c.key in found for c in summary.of(*place))
    ]
    text = (
        "The classes of all labels bought by the end, means over n seeds with 95 % intervals. balance/1: 1 is"
        " the same number of each class, 0 a single class. rarest/1: labels of the rarest class over those of the"
        " commonest."
    )
    return [Block("Class balance", text=text), *tables] if tables else []


def balances(finished: pd.DataFrame) -> dict[Key, Balance]:
    """Return the balance of the labels at the end of every finished trial, by cell; none where no class was stored."""
    last = finished.drop_duplicates("trial_id", keep="last")
    last = last[last["class_counts"].map(np.sum) > 0]
    found = {}
    for names, cell in last.groupby(IDENTITY):
        counts = cell["class_counts"]
        even, least, seen = (mean_interval(counts.map(of)) for of in (balance, rarest, np.count_nonzero))
        found[key_of(names)] = Balance(even, least, seen, max(map(len, counts)))
    return found


def _table(summary: Summary, found: dict[Key, Balance], setting: Setting, budget: str) -> Block:
    cells = summary.of(setting, budget)
    numbers = Numbers()
    rows = [_row(cell.key.strategy, found.get(cell.key), cell, numbers) for cell in cells]
    if bound := summary.bounds.get(setting):
        rows.append(_row("the whole pool", found.get(bound.key), bound, numbers))
    return Block(
        f"{setting}, {budget}",
        columns=("strategy", "n", "balance/1", "rarest/1", "classes with a label", NOT_DONE),
        rows=tuple(rows),
        level=3,
        name=stem("balance", *setting, budget),
        about={**setting._asdict(), "budget": budget},
        numbers=numbers,
    )


def _row(name: str, of: Balance | None, cell: Cell, numbers: Numbers) -> tuple[str, ...]:
    if of is None:
        return (name, str(cell.n), "-", "-", "-", cell.status)
    about = cell.key._asdict()
    even, rare = (
        interval_text(numbers.keep(value, metric, "share", **about), 2)
        for metric, value in (("balance/1", of.even), ("rarest/1", of.rarest))
    )
    seen = interval_text(numbers.keep(of.seen, "classes with a label", "classes", **about), 1)
    n_classes = numbers.keep(of.classes, "classes", "classes", **about)
    return (name, str(of.even.n), even, rare, f"{seen} of {n_classes}", cell.status)

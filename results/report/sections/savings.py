"""Label saving: what the baseline would have to pay for the accuracy a strategy reaches."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf, isnan

from ...measures.curves import savings, thinned
from ...measures.evidence import Evidence
from ...measures.stats import Interval
from ...measures.tables import Cell, Setting, Summary
from ..blocks import NOT_DONE, Block, stem
from ..numbers import Numbers


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table for each setting and budget in which the baseline has values."""
    summary = evidence.summary
    tables = [table for place in summary.places() if (table := _table(summary, *place))]
    if not tables:
        return []
    text = (
        f"saving/1: labels {summary.baseline} needs for the accuracy a strategy reaches at n labels, divided by n, with"
        f" its 95 % bootstrap interval over the paired seeds: 2 is half the labels, below 1 is a loss. >: more than"
        f" {summary.baseline} was given, so nobody knows; <: less than it began with. Bold: the whole interval is"
        " above 1."
    )
    return [Block("Label saving", text=text), *tables]


def _table(summary: Summary, setting: Setting, budget: str) -> Block | None:
    base = summary.get(setting, budget, summary.baseline)
    cells, labels = summary.of(setting, budget), thinned(summary.labels(setting, budget))
    if base is None or not base.n or len(cells) < 2 or len(labels) < 2:
        return None
    first, last = (int(end) for end in (base.curves.columns.min(), base.curves.columns.max()))
    about = {**setting._asdict(), "budget": budget}
    numbers = Numbers(**about)
    is_rival = [summary.is_rival(cell.key.strategy) for cell in cells]
    values = [[] if cell.is_baseline else savings(cell, base, labels) for cell in cells]

    def texts(cell: Cell, own: Sequence[Interval]) -> list[str]:
        """Return the texts of one row; dashes for the baseline, which saves nothing over itself."""
        if not own:
            return ["-"] * len(labels)
        kept = [
            numbers.keep(saving, "saving/1", "ratio", strategy=cell.key.strategy, n_labelled=n)
            for saving, n in zip(own, labels, strict=True)
        ]
        return [saving_text(saving, first / n, last / n) for saving, n in zip(kept, labels, strict=True)]

    return Block(
        f"{setting}, {budget}",
        columns=("strategy", "n", *(f"saving/1 at {n}" for n in labels), NOT_DONE),
        rows=tuple(
            (cell.key.strategy, str(own[0].n if own else cell.n), *texts(cell, own), cell.status)
            for cell, own in zip(cells, values, strict=True)
        ),
        strong=frozenset(
            (i, j) for i, own in enumerate(values) for j, v in enumerate(own, 2) if is_rival[i] and v.low > 1
        ),
        level=3,
        name=stem("saving", *setting, budget),
        about=about,
        numbers=numbers,
    )


def saving_text(value: Interval, least: float, most: float) -> str:
    """Return ``1.42 [1.10, >2.00]``; ``least`` and ``most`` are what the baseline's curve can tell."""
    if isnan(value.mean):
        return "-"
    mean, low, high = (_one(number, least, most) for number in (value.mean, value.low, value.high))
    return mean if isnan(value.low) else f"{mean} [{low}, {high}]"


def _one(number: float, least: float, most: float) -> str:
    if isinf(number):
        return f">{most:.2f}" if number > 0 else f"<{least:.2f}"
    return f"{number:.2f}"

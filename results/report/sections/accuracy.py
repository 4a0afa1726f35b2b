"""The accuracy at each number of labels."""

from __future__ import annotations

from ...measures.curves import thinned
from ...measures.evidence import Evidence
from ...measures.stats import BEST
from ...measures.tables import Setting, Summary
from ...measures.words import interval_text
from ..blocks import NOT_DONE, Block, stem
from ..numbers import Numbers
from ..terminal import FULL_DATA_ROW


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table for each setting and budget that has any values."""
    summary = evidence.summary
    tables = [_table(summary, *place) for place in summary.places() if any(cell.n for cell in summary.of(*place))]
    if not tables:
        return []
    text = (
        "at/1: mean accuracy over n seeds with its 95 % interval, in the round with exactly so many labels."
        " Shown are the first count, its doublings and the last, of those that most strategies have; nothing is"
        f" interpolated for the others. Bold, in each column: {BEST}."
    )
    return [Block("Accuracy by number of labels", text=text), *tables]


def _table(summary: Summary, setting: Setting, budget: str) -> Block:
    cells = summary.of(setting, budget)
    labels = thinned(summary.labels(setting, budget))
    best = [summary.best(setting, budget, n) for n in labels]
    about = {**setting._asdict(), "budget": budget}
    numbers, rows = Numbers(**about), []
    for cell in cells:
        name = cell.key.strategy
        each = (numbers.keep(cell.at(n), "at/1", "share", strategy=name, n_labelled=n) for n in labels)
        rows.append((name, str(cell.n), *map(interval_text, each), cell.status))
    if bound := summary.bounds.get(setting):
        last = "-"
        if bound.n and labels:
            last = interval_text(numbers.keep(bound.final, "final/1", "share", **bound.key._asdict()))
        rows.append((FULL_DATA_ROW, str(bound.n), *["-"] * (len(labels) - 1), *[last][: len(labels)], bound.status))
    return Block(
        f"{setting}, {budget}",
        text="" if labels else "No number of labels is common to most strategies: see the curves.",
        columns=("strategy", "n", *(f"at/1 {n}" for n in labels), NOT_DONE),
        rows=tuple(rows),
        strong=frozenset(
            (i, j) for j, names in enumerate(best, 2) for i, cell in enumerate(cells) if cell.key.strategy in names
        ),
        level=3,
        name=stem("at", *setting, budget),
        about=about,
        numbers=numbers,
    )

"""What moved between runs that share cells: two versions of the code, of the data, or of a machine."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from ...measures.evidence import Evidence
from ...measures.metrics import gain
from ...measures.stats import Interval, mean_interval
from ...measures.tables import IDENTITY, Key
from ...measures.words import count, interval_text
from ..blocks import Block, stem
from ..numbers import Numbers
from .provenance import flat

METRICS = ("aubc/1", "final/1")
_EVER_NEW = {"started", "run_id"}


def blocks(evidence: Evidence) -> list[Block]:
    """Return one block for each run and the next one where they share trials by names and seed."""
    return [
        block
        for (before, old), (after, new) in pairwise(evidence.runs.each.items())
        if (block := _pair(evidence, before, old, after, new)) is not None
    ]


def _pair(evidence: Evidence, before: str, old: pd.DataFrame, after: str, new: pd.DataFrame) -> Block | None:
    both = old.merge(new, on=[*IDENTITY, "seed"], suffixes=(" before", " after"))
    if both.empty:
        return None
    numbers, rows, unmoved = Numbers(), [], 0
    for names, cell in both.groupby(IDENTITY):
        if all(np.array_equal(cell[f"{m} before"], cell[f"{m} after"]) for m in METRICS):
            unmoved += 1
        else:
            rows.append(_row(Key(*map(str, names)), cell, numbers))
    rows.sort(key=lambda row: -row[0])
    facts = [flat(evidence.runs.manifests[name]) for name in (before, after)]
    changed = sorted({k for k in facts[0].keys() | facts[1].keys() if facts[0].get(k) != facts[1].get(k)} - _EVER_NEW)
    state = f"Equal to the last digit: {unmoved} of {count(unmoved + len(rows), 'cell')} that both have."
    if rows:
        state += " The others, by the size of the difference in aubc/1 (after less before, in points, paired by seed,"
        state += " with its 95 % interval; bold where that excludes 0):"
    return Block(
        f"What moved from {before} to {after}",
        text=state,
        items=tuple(f"{key}: {facts[0].get(key, '-')} → {facts[1].get(key, '-')}" for key in changed),
        columns=(*IDENTITY, "n", *(f"{m} {when}" for m in METRICS for when in ("before", "after", "difference")))
        if rows
        else (),
        rows=tuple(texts for _, texts, _ in rows),
        strong=frozenset((i, j) for i, (_, _, strong) in enumerate(rows) for j in strong),
        name=stem("moved", before, after),
        numbers=numbers,
    )


def _row(key: Key, cell: pd.DataFrame, numbers: Numbers) -> tuple[float, tuple[str, ...], list[int]]:
    """Return the size of the difference, the texts of a row, and which of them are strong."""
    texts: list[str] = [*key, str(len(cell))]
    strong, sizes = [], []
    for metric in METRICS:
        before, after = cell[f"{metric} before"], cell[f"{metric} after"]
        means = [
            numbers.keep(float(values.mean()), f"{metric} {when}", "share", len(cell), **key._asdict())
            for when, values in (("before", before), ("after", after))
        ]
        difference = mean_interval(gain(after, before))
        numbers.keep(difference, f"{metric} difference", "points", **key._asdict())
        if _apart(difference):
            strong.append(len(texts) + 2)
        texts += [*(f"{mean:.3f}" for mean in means), interval_text(difference, digits=2, sign="+")]
        sizes.append(abs(round(difference.mean, 6)))  # equal differences stay in order
    return sizes[0], tuple(texts), strong


def _apart(difference: Interval) -> bool:
    return difference.low > 0 or difference.high < 0

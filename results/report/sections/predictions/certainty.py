"""How sure the means are: of other seeds, and of other seeds and other test rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from ....measures.certainty import MEASURES, Both
from ....measures.evidence import Evidence
from ....measures.stats import Interval
from ....measures.tables import IDENTITY, Cell, Setting
from ....measures.words import interval_text
from ...blocks import NOT_DONE, Block, stem
from ...numbers import Numbers
from .absent import absent

TITLE = "How sure: other seeds, another test set"
_MEANINGS = (
    "over seeds: what other seeds would give on this very test set (where each seed has a split of its own: with other"
    " splits of these rows). It says which strategy is better here, and more seeds narrow it.",
    "over both, seeds and test rows: what other seeds would give on another test set of this size from the same source."
    " It says whether the same would be found on other rows; only a larger test set narrows what they add.",
)


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table for each setting and budget whose predictions are kept, of two seeds or more."""
    summary = evidence.summary
    if not any(cell.n > 1 for cell in summary.cells.values()):
        return []
    tables = [table for place in summary.places() if (table := _table(evidence, *place))]
    if not tables:
        return [absent(evidence, TITLE)]
    return [Block(TITLE, text=_text(summary.baseline), items=_MEANINGS), *tables]


def _text(baseline: str) -> str:
    return (
        f"Each mean with two 95 % intervals; gains are points over {baseline}, paired by seed and row. Over both, seeds"
        " and rows are crossed random effects (nested where each seed has a split of its own): variance components in"
        " closed form, Satterthwaite's degrees of freedom, Wilson's interval for shares. certainty.csv has the values,"
        " and what share of each variance is from the test rows."
    )


def frame(evidence: Evidence) -> pd.DataFrame:
    """Return for each cell the intervals over seeds and test rows, with the share of the variance that is from rows."""
    parts = ("mean", "low", "high", "variance from test rows")
    columns = [*IDENTITY, "n", "test_rows", *(f"{name} {part}" for name in MEASURES for part in parts)]
    rows = []
    for cell in evidence.summary.cells.values():
        found = evidence.certainty.get(cell.key)
        if not found:
            continue
        each = [found.get(name) for name in MEASURES]
        values = [
            v for b in each for v in ((b.interval.mean, b.interval.low, b.interval.high, b.rows) if b else [np.nan] * 4)
        ]
        rows.append((*cell.key, cell.n, _n_rows(found), *values))
    return pd.DataFrame(rows, columns=columns)


def _table(evidence: Evidence, setting: Setting, budget: str) -> Block | None:
    cells = evidence.summary.of(setting, budget)
    found = {cell.key.strategy: both for cell in cells if (both := evidence.certainty.get(cell.key))}
    if not found:
        return None
    numbers = Numbers()
    return Block(
        f"{setting}, {budget}",
        items=tuple(_held(cells, found)),
        columns=(
            "strategy",
            "n",
            "test rows",
            *(f"{m}: over {o}" for m in MEASURES for o in ("seeds", "both")),
            NOT_DONE,
        ),
        rows=tuple(_row(cell, found.get(cell.key.strategy, {}), numbers) for cell in cells),
        level=3,
        name=stem("certainty", *setting, budget),
        about={**setting._asdict(), "budget": budget},
        numbers=numbers,
    )


def _row(cell: Cell, both: Mapping[str, Both], numbers: Numbers) -> tuple[str, ...]:
    over_seeds = (cell.aubc, cell.gain_aubc, cell.final, cell.gain_final)
    texts = []
    for name, over in zip(MEASURES, over_seeds, strict=True):
        is_gain = name.startswith("gain")
        text = partial(interval_text, digits=1, sign="+") if is_gain else interval_text
        keep, unit = partial(numbers.keep, **cell.key._asdict()), "points" if is_gain else "share"
        none = cell.is_baseline and is_gain
        texts.append("-" if none else text(keep(over, f"{name}: over seeds", unit)))
        whole = _same(both[name].interval, over) if name in both else None
        texts.append("-" if whole is None else text(keep(whole, f"{name}: over both", unit)))
    n_rows = str(numbers.keep(_n_rows(both), "test rows", "rows", **cell.key._asdict())) if both else "-"
    return (cell.key.strategy, str(cell.n), n_rows, *texts, cell.status)


def _n_rows(both: Mapping[str, Both]) -> int:
    """Return the number of test rows; where test sets are mixed, some measures are missing."""
    return next(iter(both.values())).n_rows


def _same(both: Interval, over_seeds: Interval) -> Interval:
    """Return the interval with the mean that stands beside it: of many small numbers added up, they may round apart."""
    return replace(both, mean=over_seeds.mean)


def _held(cells: list[Cell], found: Mapping[str, Mapping[str, Both]]) -> Iterator[str]:
    """Say which gains over the seeds are no more than that, and how much of the gains' variance is from test rows."""
    gains = {
        cell.key.strategy: (cell.gain_aubc, found[cell.key.strategy][MEASURES[1]])
        for cell in cells
        if MEASURES[1] in found.get(cell.key.strategy, {})
    }
    clear = {name: both for name, (over, both) in gains.items() if not over.contains_zero and not np.isnan(over.low)}
    if not clear:
        return
    here = [name for name, both in clear.items() if both.interval.contains_zero]
    if here:
        yield f"gain/1 of aubc/1 differs from 0 on this test set, but may not on another: {', '.join(here)}."
    else:
        yield "Every gain/1 of aubc/1 that differs from 0 on this test set does so over both."
    typical = np.median([both.rows for _, both in gains.values()])
    yield f"{typical:.0%} (median) of the variance of these gains is from the test rows: more seeds leave it."

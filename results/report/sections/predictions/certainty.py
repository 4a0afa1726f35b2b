"""How sure the means are: of other seeds, and of other seeds and other test rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ....measures.crossed import Spread, crossed, interval, nested, share
from ....measures.evidence import Evidence
from ....measures.predicted import Said, Truth
from ....measures.stats import Interval, difference_interval, share_interval
from ....measures.tables import IDENTITY, Cell, Setting
from ....measures.words import interval_text
from ...blocks import NOT_DONE, Block, stem
from .absent import absent

TITLE = "How sure: other seeds, another test set"
MEASURES = ("aubc/1", "gain/1 of aubc/1", "final/1", "gain/1 of final/1")
_MEANINGS = (
    "over seeds: what other seeds would give on this very test set (where each seed has a split of its own: with other"
    " splits of these rows). It says which strategy is better here, and more seeds narrow it.",
    "over both, seeds and test rows: what other seeds would give on another test set of this size from the same source."
    " It says whether the same would be found on other rows; only a larger test set narrows what they add.",
)
Values = dict[int, NDArray[np.float32]]
"""By seed the values of the test rows (M,): their mean is that seed's."""


class Both(NamedTuple):
    """A mean with its interval over seeds and test rows, and the share of its variance that is from test rows."""

    interval: Interval
    rows: float
    n_rows: int


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
        found = _both(evidence, cell)
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
    found = {cell.key.strategy: both for cell in cells if (both := _both(evidence, cell))}
    if not found:
        return None
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
        rows=tuple(_row(cell, found.get(cell.key.strategy, {})) for cell in cells),
        level=3,
        name=stem("certainty", *setting, budget),
        about={**setting._asdict(), "budget": budget},
    )


def _row(cell: Cell, both: Mapping[str, Both]) -> tuple[str, ...]:
    over_seeds = (cell.aubc, cell.gain_aubc, cell.final, cell.gain_final)
    texts = []
    for name, over in zip(MEASURES, over_seeds, strict=True):
        is_gain = name.startswith("gain")
        text = partial(interval_text, digits=1, sign="+") if is_gain else interval_text
        none = cell.is_baseline and is_gain
        texts += ["-" if none else text(over), text(_same(both[name].interval, over)) if name in both else "-"]
    n_rows = str(_n_rows(both)) if both else "-"
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


def _both(evidence: Evidence, cell: Cell) -> dict[str, Both]:
    """Return the measures of a cell over seeds and test rows; nothing without predictions of two seeds or more."""
    predictions, truths = evidence.predictions, evidence.predictions.truths
    said = predictions.of(cell.key)
    if len(said) < 2:
        return {}
    base = {} if cell.is_baseline else predictions.of(cell.key._replace(strategy=evidence.summary.baseline))
    pairs = {
        seed: (said[seed], base[seed])
        for seed in said.keys() & base.keys()
        if said[seed].test_set == base[seed].test_set
    }
    spreads = {
        "aubc/1": _spread({seed: each.right for seed, each in said.items()}, said, truths),
        "final/1": _spread({seed: _final(each, truths) for seed, each in said.items()}, said, truths),
    }
    if len(pairs) > 1:
        aubc = {seed: 100 * (own.right - other.right) for seed, (own, other) in pairs.items()}
        final = {seed: 100 * (_final(own, truths) - _final(other, truths)) for seed, (own, other) in pairs.items()}
        spreads["gain/1 of aubc/1"] = _spread(aubc, said, truths, is_gain=True)
        spreads["gain/1 of final/1"] = _spread(final, said, truths, is_gain=True)
    return {
        name: Both((interval if name.startswith("gain") else share)(*spread), spread[0].rows, spread[0].n_rows)
        for name, spread in spreads.items()
        if spread
    }


def _final(said: Said, truths: Mapping[str, Truth]) -> NDArray[np.float32]:
    right: NDArray[np.float32] = (said.last == truths[said.test_set].labels).astype(np.float32)
    return right


def _spread(
    values: Values, said: Mapping[int, Said], truths: Mapping[str, Truth], is_gain: bool = False
) -> tuple[Spread, Interval] | None:
    """Return the spread of values over seeds and rows, and their interval over seeds.

    Crossed where all seeds have one test set, nested where each has its own; none where it is neither.
    """
    sets, arrays = [said[seed].test_set for seed in values], list(values.values())
    by_seed = [array.mean(dtype=np.float64) for array in arrays]
    over_seeds = (difference_interval if is_gain else share_interval)(by_seed)
    if min(map(len, arrays)) < 2 or 1 < len(set(sets)) < len(sets):
        return None
    if len(set(sets)) == 1:
        return crossed(np.array(arrays)), over_seeds
    tests = [truths[each] for each in sets]
    rows = [test.rows for test in tests if test.rows is not None]
    whole = min(test.pool_rows + len(test.labels) for test in tests)
    return nested(arrays, whole, rows if len(rows) == len(tests) else None), over_seeds

"""Every setting: one row per strategy, dataset, embedding, learner and budget, for the page to sort and filter."""

from __future__ import annotations

from math import isnan

from .....benchmark.types import FULL_DATA
from ....measures.evidence import Evidence
from ....measures.stats import BEST, Interval
from ....measures.tables import IDENTITY, Cell, Summary
from ....measures.words import UNSAID, interval_text
from ...blocks import NOT_DONE, Block

TITLE = "Every setting"
_COMPARED = ("aubc/1", "final/1")


def blocks(evidence: Evidence) -> list[Block]:
    """Return all cells with the two values that the field compares by and their gains, then the bounds.

    One table, or one of each regime: a reader sorts it, and rows of two regimes are not to be ranked.
    """
    regimes = evidence.summary.regimes()
    tables = [_table(evidence.summary, regime, len(regimes) > 1) for regime in regimes]
    return [table for table in tables if table is not None]


def _table(summary: Summary, regime: str, one_of_several: bool) -> Block | None:
    shown = {place for place in summary.places() if summary.regime(place[0]) == regime}
    cells = [cell for cell in summary.cells.values() if (cell.key.setting, cell.key.budget) in shown]
    if not cells:
        return None
    baseline = summary.baseline
    best = {(place, of): summary.best(*place, of) for place in shown for of in _COMPARED}
    strong = {
        (i, len(IDENTITY) + 1 + j)
        for i, cell in enumerate(cells)
        for j, of in enumerate(_COMPARED)
        if cell.key.strategy in best[(cell.key.setting, cell.key.budget), of]
    }
    bounds = [cell for cell in summary.bounds.values() if cell.n and summary.regime(cell.key.setting) == regime]
    return Block(
        f"{TITLE}: {regime or UNSAID}" if one_of_several else TITLE,
        text=f"All cells: means over n seeds with 95 % intervals; gain/1 in points over {baseline}, paired by seed."
        f" Bold, in each setting and budget: {BEST}.",
        columns=("strategy", *IDENTITY[:4], "n", *_COMPARED, "gain/1 of aubc/1", "gain/1 of final/1", NOT_DONE),
        rows=(*(_row(cell) for cell in cells), *(_bound(cell) for cell in bounds)),
        strong=frozenset(strong),
        name="every-setting",
    )


def _row(cell: Cell) -> tuple[str, ...]:
    gains = ("-", "-") if cell.is_baseline else (_gain(cell, cell.gain_aubc), _gain(cell, cell.gain_final))
    values = (interval_text(cell.aubc), interval_text(cell.final), *gains)
    return (cell.key.strategy, *cell.key[:4], str(cell.n), *values, cell.status)


def _bound(cell: Cell) -> tuple[str, ...]:
    setting, dashes = cell.key.setting, ("-", "-")
    return (FULL_DATA, *setting, FULL_DATA, str(cell.n), "-", interval_text(cell.final), *dashes, cell.status)


def _gain(cell: Cell, gain: Interval) -> str:
    pairs = "" if isnan(gain.mean) or gain.n == cell.n else f" n={gain.n}"
    return interval_text(gain, digits=1, sign="+") + pairs

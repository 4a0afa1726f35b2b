"""Every setting: one row per strategy, dataset, embedding, learner and budget, for the page to sort and filter."""

from __future__ import annotations

from math import isnan

from .....benchmark.types import FULL_DATA
from ....measures.evidence import Evidence
from ....measures.stats import BEST, Interval
from ....measures.tables import IDENTITY, Cell, Summary
from ....measures.words import UNSAID, interval_text
from ...blocks import NOT_DONE, Block
from ...numbers import Numbers

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
    baseline, numbers = summary.baseline, Numbers()
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
        rows=(*(_row(cell, numbers) for cell in cells), *(_bound(cell, numbers) for cell in bounds)),
        strong=frozenset(strong),
        numbers=numbers,
        name="every-setting",
    )


def _row(cell: Cell, numbers: Numbers) -> tuple[str, ...]:
    about, values, gains = cell.key._asdict(), (cell.aubc, cell.final), (cell.gain_aubc, cell.gain_final)
    kept = zip(_COMPARED, values, strict=True)
    texts = [interval_text(numbers.keep(value, of, "share", **about)) for of, value in kept]
    if cell.is_baseline:
        texts += ["-", "-"]
    else:
        kept = zip(_COMPARED, gains, strict=True)
        texts += [_gain(cell, numbers.keep(gain, f"gain/1 of {of}", "points", **about)) for of, gain in kept]
    return (cell.key.strategy, *cell.key[:4], str(cell.n), *texts, cell.status)


def _bound(cell: Cell, numbers: Numbers) -> tuple[str, ...]:
    final = interval_text(numbers.keep(cell.final, "final/1", "share", **cell.key._asdict()))
    return (FULL_DATA, *cell.key.setting, FULL_DATA, str(cell.n), "-", final, "-", "-", cell.status)


def _gain(cell: Cell, gain: Interval) -> str:
    pairs = "" if isnan(gain.mean) or gain.n == cell.n else f" n={gain.n}"
    return interval_text(gain, digits=1, sign="+") + pairs

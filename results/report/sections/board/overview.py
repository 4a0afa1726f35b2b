"""The tables: every strategy on every setting and budget, the full-data bound, and what is not done."""

from __future__ import annotations

from collections import Counter

from ....measures.evidence import Evidence
from ....measures.tables import LEFT, STATES, Cell, Setting, Summary
from ....measures.words import interval_text
from ...blocks import NOT_DONE, Block, stem
from ...numbers import Numbers
from ...terminal import FULL_DATA_ROW, Style, caption, counted, earlier, not_done, usual_n


def blocks(evidence: Evidence) -> list[Block]:
    """Return the table of each budget, then the bounds and the cells that are not done."""
    summary = evidence.summary
    tables = [_budget(summary, budget, summary.settings(budget)) for budget in summary.budgets()]
    return [*tables, _bounds(summary), _not_done(summary), *_earlier(summary)]


def state(summary: Summary) -> list[str]:
    """Say in a few lines what there is: trials by outcome, and what the tables can and cannot show."""
    counts: Counter[str] = Counter()
    for cell in (*summary.cells.values(), *summary.bounds.values()):
        counts.update(cell.outcomes)
    total = sum(counts.values())
    if not total:
        return ["No trial has ended and no round is written: there is nothing to compare yet."]
    lines = [f"{total} trials: " + ", ".join(f"{counts[name]} {name}" for name in STATES if counts[name])]
    if counts[LEFT]:
        lines.append(
            f"The run is not over: {counts[LEFT]} trials are left (half done, or not begun). Only finished trials are"
            " in the tables; start the same command again to go on."
        )
    if len(summary.strategies()) == 1:
        lines.append("One strategy: there is nothing to compare it with.")
    return lines


def _budget(summary: Summary, budget: str, settings: list[Setting]) -> Block:
    n = usual_n(summary)
    style, numbers = Style(usual_n=n), Numbers()
    strategies = summary.strategies()
    best = [summary.best(setting, budget) for setting in settings]
    cells = [[summary.get(setting, budget, strategy) for setting in settings] for strategy in strategies]
    rows = [
        (name, *(style.cell(_kept(cell, numbers)) if cell else "-" for cell in row))
        for name, row in zip(strategies, cells, strict=True)
    ]
    bounds = [summary.bounds.get(setting) for setting in settings]
    for bound in filter(None, bounds):
        numbers.keep(bound.final, "final/1", "share", **bound.key._asdict())
    rows.append((FULL_DATA_ROW, *map(style.bound, bounds)))
    strong = {(i, j + 1) for i, name in enumerate(strategies) for j in range(len(settings)) if name in best[j]}
    return Block(
        f"Budget {budget}",
        text=caption(summary, "Bold", n),
        columns=("strategy", *map(str, settings)),
        rows=tuple(rows),
        strong=frozenset(strong),
        name=stem("budget", budget),
        numbers=numbers,
        on_page=False,  # it has the map of gains, and every setting with its intervals
    )


def _kept(cell: Cell, numbers: Numbers) -> Cell:
    """Return a cell, of which `Style.cell` shows these two."""
    numbers.keep(cell.aubc, "aubc/1", "share", **cell.key._asdict())
    if not cell.is_baseline:
        numbers.keep(cell.gain_aubc, "gain/1 of aubc/1", "points", **cell.key._asdict())
    return cell


def _bounds(summary: Summary) -> Block:
    rows = [
        (str(setting), str(cell.n), interval_text(cell.final), cell.status) for setting, cell in summary.bounds.items()
    ]
    return Block(
        "Full-data bound",
        text="The same learner on the whole pool: what no strategy should be expected to beat by much."
        if rows
        else "No full-data trial in these runs.",
        columns=("setting", "n", "final/1", NOT_DONE) if rows else (),
        rows=tuple(rows),
    )


def _not_done(summary: Summary) -> Block:
    rows = [(what, status, reasons or "-") for what, status, reasons in not_done(summary)]
    return Block(
        "Failed, unsupported and missing",
        text="" if rows else "Nothing: every cell is done.",
        columns=("cell", "trials", "reason") if rows else (),
        rows=tuple(rows),
    )


def _earlier(summary: Summary) -> list[Block]:
    """Return the cells of earlier states of the grid, where there are any."""
    if not summary.earlier:
        return []
    rows = tuple((str(key), counted(trials)) for key, trials in summary.earlier.items())
    return [Block("Of an earlier state of the grid", text=earlier(summary)[0], columns=("cell", "trials"), rows=rows)]

"""What stands first: which strategy to use, in a sentence for each setting and budget, and who gains what where."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

from .....benchmark.types import Outcome
from ....measures.board.answers import answers
from ....measures.board.places import ordered_budgets, short
from ....measures.evidence import Evidence
from ....measures.stats import BEST
from ....measures.tables import LEFT, Cell, Setting, Summary
from ... import diagrams
from ...blocks import Block
from ...numbers import Numbers
from ...terminal import answer_lines
from .overview import state

TITLE = "Answer"


def blocks(evidence: Evidence) -> list[Block]:
    """Return the sentences and the map of gains; nothing of a study without any value."""
    summary = evidence.summary
    each = tuple(map(str, answers(summary)))
    if not any(cell.n for cell in summary.cells.values()):
        return []
    note = (
        f"aubc/1, the area under the accuracy curve: gain in points over {summary.baseline} on the same seeds with its"
        f" 95 % interval. Not beaten: {BEST}. {_unfinished(summary)}"
    ).rstrip()
    first = tuple(answer_lines(summary))
    more = [Block("Answer for each setting", items=each, level=3)] if first != each else []
    return [Block(TITLE, items=first, note=note), _map(summary), *more]


def _unfinished(summary: Summary) -> str:
    """Say that the answer may change, where trials are missing."""
    missing = sum(
        n
        for cell in summary.cells.values()
        for name, n in cell.outcomes.items()
        if name not in {Outcome.DONE, Outcome.UNSUPPORTED}
    )
    left = sum(cell.outcomes.get(LEFT, 0) for cell in summary.cells.values())
    if not missing:
        return ""
    return state(summary)[1] if left else f"{missing} trials are not done: see State."


def _map(summary: Summary) -> Block:
    """Return a table of strategies by settings and budgets: gains, shaded, the unbeaten marked."""
    places = [(s, budget) for budget in ordered_budgets(summary) for s in summary.settings(budget)]
    names = summary.strategies()
    cells = [[summary.get(*place, name) for place in places] for name in names]
    best = [summary.best(*place) for place in places]
    numbers = Numbers()
    gains = {
        (i, j): cell.gain_aubc.mean if cell.gain_aubc.low > 0 or cell.gain_aubc.high < 0 else 0.0
        for i, row in enumerate(cells)
        for j, cell in enumerate(row, 1)
        if cell and not isnan(cell.gain_aubc.mean)
    }
    most = max(map(abs, gains.values()), default=0.0) or 1.0
    table = Block(
        f"Gain over {summary.baseline}",
        text=_said(summary.baseline, "Bold, on the page framed", "Shaded on the page"),
        columns=("strategy", *(_column(summary, *place) for place in places)),
        rows=tuple(
            (
                name,
                *(
                    _text(cell, of if summary.is_rival(name) else set(), numbers)
                    for cell, of in zip(row, best, strict=True)
                ),
            )
            for name, row in zip(names, cells, strict=True)
        ),
        strong=frozenset((i, j) for i, name in enumerate(names) for j, of in enumerate(best, 1) if name in of),
        level=3,
        name="gains",
        numbers=numbers,
        shades={place: gain / most for place, gain in gains.items()},
    )
    columns = [(budget if len(summary.budgets()) > 1 else "", short(summary, setting)) for setting, budget in places]
    if not (places and names):
        return table
    drawn = replace(table, text=_said(summary.baseline, "Framed", "Shaded"))
    figure = replace(diagrams.heat_map(drawn, columns, table.title), name=table.name, on_page=False)
    return replace(table, figure=figure)


def _said(baseline: str, unbeaten: str, resolved: str) -> str:
    """Return what the map shows, by the words for how two kinds of cells look."""
    return (
        f"Points of aubc/1 over {baseline}, mean over seeds. {unbeaten}: no other beats it (Holm over the others)."
        f" {resolved}: its own 95 % interval is without 0 (where nothing differs, one in twenty is so)."
    )


def _column(summary: Summary, setting: Setting, budget: str) -> str:
    return f"{short(summary, setting)}, {budget}" if len(summary.budgets()) > 1 else short(summary, setting)


def _text(cell: Cell | None, best: set[str], numbers: Numbers) -> str:
    """Return a cell; ``best`` are the unbeaten beside it, where it was compared with others."""
    if cell is None or not cell.n:
        return "-" if cell is None else cell.status
    if best and cell.n > 1:
        numbers.keep(int(cell.key.strategy in best), "not beaten", "1 or 0", cell.n, **cell.key._asdict())
    if cell.is_baseline:
        return "0"
    gain = numbers.keep(cell.gain_aubc, "gain/1 of aubc/1", "points", **cell.key._asdict())
    return "-" if isnan(gain.mean) else f"{gain.mean:+.1f}"

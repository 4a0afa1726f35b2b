"""Who wins where: the gain over the baseline from the smallest budget to the largest, and who changes sides."""

from __future__ import annotations

from ..blocks import Block, interval_text, stem
from ..evidence import Evidence
from ..stats import BEST
from ..tables import Cell, Setting, Summary
from ..terminal import FULL_DATA_ROW


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table for each setting that was run with several budgets."""
    summary = evidence.summary
    budgets = {setting: ordered_budgets(summary, setting) for setting in summary.settings()}
    tables = [_table(summary, setting, names) for setting, names in budgets.items() if len(names) > 1]
    if not tables:
        return []
    flips = [line for setting, names in budgets.items() for line in _flips(summary, setting, names)]
    text = (
        f"gain/1 of aubc/1: points over {summary.baseline} on the same seeds, with its 95 % interval; budgets"
        f" by their number of labels at the end. Bold: {BEST}. A strategy flips"
        " when its interval is above 0 in one budget and below 0 in another (as in Hacohen et al. 2022, arXiv 2202.02794)."
    )
    items = tuple(flips) or ("No strategy flips: none wins in one budget and loses in another beyond its intervals.",)
    return [Block("Gain by budget", text=text, items=items), *tables]


def ordered_budgets(summary: Summary, setting: Setting) -> list[str]:
    """Return the budgets with values, by their number of labels at the end, then at the start."""
    spans = {}
    for budget in summary.budgets():
        counts = [n for cell in summary.of(setting, budget) for n in cell.curves.columns]
        if counts:
            spans[budget] = (max(counts), min(counts))
    return sorted(spans, key=lambda budget: spans[budget])


def flip(cells: dict[str, Cell]) -> str:
    """Say where a strategy wins and loses, by budget: ``wins low, loses high``; empty when it does not do both."""
    signs = {b: "wins" if c.gain_aubc.low > 0 else "loses" if c.gain_aubc.high < 0 else "" for b, c in cells.items()}
    both = {"wins", "loses"} <= set(signs.values())
    return ", ".join(f"{sign} {budget}" for budget, sign in signs.items() if sign) if both else ""


def _cells(summary: Summary, setting: Setting, budgets: list[str], strategy: str) -> dict[str, Cell]:
    cells = {budget: summary.get(setting, budget, strategy) for budget in budgets}
    return {budget: cell for budget, cell in cells.items() if cell is not None}


def _flips(summary: Summary, setting: Setting, budgets: list[str]) -> list[str]:
    found = {name: flip(_cells(summary, setting, budgets, name)) for name in summary.strategies()}
    return [f"{setting}: {name} flips: {what}" for name, what in found.items() if what]


def _table(summary: Summary, setting: Setting, budgets: list[str]) -> Block:
    names = [name for name in summary.strategies() if _cells(summary, setting, budgets, name)]
    best = [summary.best(setting, budget) for budget in budgets]
    rows = []
    for name in names:
        cells = _cells(summary, setting, budgets, name)
        rows.append((name, *(_text(cells.get(budget)) for budget in budgets), flip(cells) or "-"))
    if bound := summary.bounds.get(setting):
        text = f"{interval_text(bound.final)} n={bound.n}" if bound.n else bound.status
        rows.append((FULL_DATA_ROW, *[text] * len(budgets), "-"))
    spans = [_span(summary, setting, budget) for budget in budgets]
    return Block(
        f"{setting}",
        columns=("strategy", *(f"{b}, {span}" for b, span in zip(budgets, spans, strict=True)), "flip"),
        rows=tuple(rows),
        strong=frozenset((i, j) for i, name in enumerate(names) for j, of in enumerate(best, 1) if name in of),
        level=3,
        name=stem("gain", *setting),
        about=setting._asdict(),
    )


def _span(summary: Summary, setting: Setting, budget: str) -> str:
    counts = [n for cell in summary.of(setting, budget) for n in cell.curves.columns]
    return f"{min(counts)} to {max(counts)} labels"


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    if not cell.n:
        return cell.status
    if cell.is_baseline:
        return f"aubc/1 {interval_text(cell.aubc)} n={cell.n}"
    return f"{interval_text(cell.gain_aubc, 1, '+')} n={cell.gain_aubc.n}"

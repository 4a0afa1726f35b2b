"""Who wins where: the gain over the baseline from the smallest budget to the largest, and who changes sides."""

from __future__ import annotations

from ...measures.board.places import ordered_budgets, span_text
from ...measures.curves import thinned
from ...measures.evidence import Evidence
from ...measures.stats import BEST, Interval
from ...measures.tables import Cell, Setting, Summary
from ...measures.words import interval_text
from ..blocks import Block, stem
from ..numbers import Numbers
from ..terminal import FULL_DATA_ROW


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table by budget for each setting that has several, and one by number of labels for each budget."""
    summary = evidence.summary
    budgets = {setting: ordered_budgets(summary, setting) for setting in summary.settings()}
    return [*_by_budget(summary, budgets), *_by_labels(summary)]


def _by_budget(summary: Summary, budgets: dict[Setting, list[str]]) -> list[Block]:
    tables = [_table(summary, setting, names) for setting, names in budgets.items() if len(names) > 1]
    if not tables:
        return []
    flips = [line for setting, names in budgets.items() for line in _flips(summary, setting, names)]
    text = (
        f"gain/1 of aubc/1: points over {summary.baseline} on the same seeds, with its 95 % interval; budgets by their"
        f" number of labels at the end. Bold: {BEST}. A strategy flips when its interval is above 0 in one budget and"
        " below 0 in another (as in Hacohen et al. 2022, arXiv 2202.02794)."
    )
    items = tuple(flips) or ("No strategy flips: none wins in one budget and loses in another beyond its intervals.",)
    return [Block("Gain by budget", text=text, items=items), *tables]


def _by_labels(summary: Summary) -> list[Block]:
    tables = [table for place in summary.places() if (table := _curve_table(summary, *place))]
    if not tables:
        return []
    text = (
        f"gain/1 of at/1: points over {summary.baseline} on the same seeds at the same number of labels, with its 95 %"
        " interval (bold: above 0, but of oracles). A strategy flips when its interval is above 0 at one number of"
        " labels and below 0 at another: of many intervals one in twenty errs."
    )
    return [Block("Gain by number of labels", text=text), *tables]


def _curve_table(summary: Summary, setting: Setting, budget: str) -> Block | None:
    base = summary.get(setting, budget, summary.baseline)
    cells = [cell for cell in summary.of(setting, budget) if cell.n and not cell.is_baseline]
    labels = thinned(summary.labels(setting, budget))
    if base is None or not base.n or not cells or not labels:
        return None
    about = {**setting._asdict(), "budget": budget}
    numbers, rows, strong = Numbers(**about), [], set()
    for i, cell in enumerate(cells):
        found = {
            n: numbers.keep(cell.gain_at(n, base), "gain/1 of at/1", "points", strategy=cell.key.strategy, n_labelled=n)
            for n in labels
        }
        is_rival = summary.is_rival(cell.key.strategy)
        strong |= {(i, j) for j, gain in enumerate(found.values(), 2) if is_rival and gain.low > 0}
        texts = (f"{interval_text(gain, 1, '+')}{_of(gain, cell)}" for gain in found.values())
        rows.append(
            (cell.key.strategy, str(cell.n), *texts, flip({f"at {n}": gain for n, gain in found.items()}) or "-")
        )
    return Block(
        f"{setting}, {budget}",
        columns=("strategy", "n", *(f"gain/1 at {n}" for n in labels), "flip"),
        rows=tuple(rows),
        strong=frozenset(strong),
        level=3,
        name=stem("gain", *setting, budget),
        about=about,
        numbers=numbers,
    )


def _of(gain: Interval, cell: Cell) -> str:
    return f" n={gain.n}" if gain.n not in {0, cell.n} else ""


def flip(gains: dict[str, Interval]) -> str:
    """Say where a strategy wins and loses: ``wins low, loses high``; empty when it does not do both."""
    signs = {where: "wins" if gain.low > 0 else "loses" if gain.high < 0 else "" for where, gain in gains.items()}
    both = {"wins", "loses"} <= set(signs.values())
    return ", ".join(f"{sign} {where}" for where, sign in signs.items() if sign) if both else ""


def _cells(summary: Summary, setting: Setting, budgets: list[str], strategy: str) -> dict[str, Cell]:
    cells = {budget: summary.get(setting, budget, strategy) for budget in budgets}
    return {budget: cell for budget, cell in cells.items() if cell is not None}


def _flip(cells: dict[str, Cell]) -> str:
    return flip({budget: cell.gain_aubc for budget, cell in cells.items()})


def _flips(summary: Summary, setting: Setting, budgets: list[str]) -> list[str]:
    found = {name: _flip(_cells(summary, setting, budgets, name)) for name in summary.rivals()}
    return [f"{setting}: {name} flips: {what}" for name, what in found.items() if what]


def _table(summary: Summary, setting: Setting, budgets: list[str]) -> Block:
    names = [name for name in summary.strategies() if _cells(summary, setting, budgets, name)]
    best = [summary.best(setting, budget) for budget in budgets]
    numbers, rows = Numbers(**setting._asdict()), []
    for name in names:
        cells = _cells(summary, setting, budgets, name)
        rows.append((name, *(_text(cells.get(budget), numbers) for budget in budgets), _flip(cells) or "-"))
    if bound := summary.bounds.get(setting):
        text = bound.status
        if bound.n:
            text = f"{interval_text(numbers.keep(bound.final, 'final/1', 'share', **bound.key._asdict()))} n={bound.n}"
        rows.append((FULL_DATA_ROW, *[text] * len(budgets), "-"))
    spans = [span_text(summary, setting, budget) for budget in budgets]
    return Block(
        f"{setting}",
        columns=("strategy", *(f"{b}, {span}" for b, span in zip(budgets, spans, strict=True)), "flip"),
        rows=tuple(rows),
        strong=frozenset((i, j) for i, name in enumerate(names) for j, of in enumerate(best, 1) if name in of),
        level=3,
        name=stem("gain", *setting),
        about=setting._asdict(),
        numbers=numbers,
    )


def _text(cell: Cell | None, numbers: Numbers) -> str:
    if cell is None:
        return "-"
    if not cell.n:
        return cell.status
    if cell.is_baseline:
        area = numbers.keep(cell.aubc, "aubc/1", "share", **cell.key._asdict())
        return f"aubc/1 {interval_text(area)} n={cell.n}"
    gain = numbers.keep(cell.gain_aubc, "gain/1 of aubc/1", "points", **cell.key._asdict())
    return f"{interval_text(gain, 1, '+')} n={gain.n}"

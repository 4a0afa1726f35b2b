"""The content of a report as plain blocks of text and tables, which the Markdown and the HTML page both print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd

from ..benchmark.types import Outcome
from .findings import first_batches, grade, twins
from .metrics import METRICS
from .stats import Interval
from .tables import LEFT, Cell, Setting, Summary
from .terminal import FULL_DATA_ROW, Style, caption, usual_n

_APART = {"citations", "order", "earlier"}  # keys of a manifest that have their own place in the report
_EVER_NEW = {"started"}  # differs each time, and says nothing


@dataclass(frozen=True)
class Block:
    """A heading with paragraphs, a list and a table, each of which may be empty.

    ``strong`` holds the (row, column) numbers of the table's cells to be set in bold.
    """

    title: str
    text: str = ""
    items: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    strong: frozenset[tuple[int, int]] = frozenset()
    level: int = 2


def interval_text(interval: Interval, digits: int = 3, sign: str = "") -> str:
    """Return ``0.812 [0.790, 0.833]``; without brackets where there is no interval, a dash where there is no value."""
    if isnan(interval.mean):
        return "-"
    mean, low, high = (f"{value:{sign}.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return mean if isnan(interval.low) else f"{mean} [{low}, {high}]"


def blocks(
    rounds: pd.DataFrame,
    trials: pd.DataFrame,
    summary: Summary,
    manifests: Mapping[str, Mapping[str, Any]],
    notices: Sequence[str],
) -> list[Block]:
    """Return the whole report in order; ``manifests`` by the name of the run's directory."""
    found = [
        *grade(rounds, trials, summary),
        *map(str, twins(rounds)),
        *first_batches(rounds),
        *notices,
        *_continued(manifests),
    ]
    tables = [block for budget in summary.budgets() for block in _budget(summary, budget)]
    return [
        Block("State", items=tuple(state(summary))),
        Block("Read this with the numbers", items=tuple(found)),
        *tables,
        _bounds(summary),
        _not_done(summary),
        Block("Definitions", columns=("metric", "definition"), rows=tuple((i, d) for i, (_, d) in METRICS.items())),
        *(_provenance(name, manifest) for name, manifest in manifests.items()),
        _citations(manifests.values()),
    ]


def state(summary: Summary) -> list[str]:
    """Say in a few lines what there is: trials by outcome, and what the tables can and cannot show."""
    counts: Counter[str] = Counter()
    for cell in (*summary.cells.values(), *summary.bounds.values()):
        counts.update(cell.outcomes)
    total = sum(counts.values())
    if not total:
        return ["No trial has ended and no round is written: there is nothing to compare yet."]
    lines = [f"{total} trials: " + ", ".join(f"{counts[name]} {name}" for name in (*Outcome, LEFT) if counts[name])]
    if counts[LEFT]:
        lines.append(
            f"The run is not over: {counts[LEFT]} trials are left (half done, or not begun). Only finished trials are"
            " in the tables; start the same command again to go on."
        )
    if len(summary.strategies()) == 1:
        lines.append("One strategy: there is nothing to compare it with.")
    return lines


def _budget(summary: Summary, budget: str) -> list[Block]:
    settings = summary.settings(budget)
    return [_overview(summary, budget, settings), *(_details(summary, budget, setting) for setting in settings)]


def _overview(summary: Summary, budget: str, settings: list[Setting]) -> Block:
    n = usual_n(summary)
    style = Style(usual_n=n)
    strategies = summary.strategies()
    best = [summary.best(setting, budget) for setting in settings]
    cells = [[summary.get(setting, budget, strategy) for setting in settings] for strategy in strategies]
    rows = [
        (name, *(style.cell(cell) if cell else "-" for cell in row))
        for name, row in zip(strategies, cells, strict=True)
    ]
    rows.append((FULL_DATA_ROW, *(style.bound(summary.bounds.get(setting)) for setting in settings)))
    strong = {(i, j + 1) for i, name in enumerate(strategies) for j in range(len(settings)) if name in best[j]}
    return Block(
        f"Budget {budget}",
        text=caption(summary, "Bold", n),
        columns=("strategy", *map(str, settings)),
        rows=tuple(rows),
        strong=frozenset(strong),
    )


def _details(summary: Summary, budget: str, setting: Setting) -> Block:
    cells = [cell for key, cell in summary.cells.items() if (key.setting, key.budget) == (setting, budget)]
    best = summary.best(setting, budget)
    return Block(
        f"{setting}, {budget}",
        text=f"Means over n seeds with 95 % bootstrap intervals; gain/1 in points over {summary.baseline}, paired.",
        columns=(
            "strategy",
            "n",
            "aubc/1",
            "final/1",
            "SD of final/1",
            "gain/1 of aubc/1",
            "gain/1 of final/1",
            "not done",
        ),
        rows=tuple(_detail(cell) for cell in cells),
        strong=frozenset((i, 2) for i, cell in enumerate(cells) if cell.key.strategy in best),
        level=3,
    )


def _detail(cell: Cell) -> tuple[str, ...]:
    gains = ("-", "-") if cell.is_baseline else (_gain(cell, cell.gain_aubc), _gain(cell, cell.gain_final))
    sd = "-" if isnan(cell.final_sd) else f"{cell.final_sd:.3f}"
    values = (interval_text(cell.aubc), interval_text(cell.final), sd, *gains)
    return (cell.key.strategy, str(cell.n), *values, cell.status)


def _gain(cell: Cell, gain: Interval) -> str:
    pairs = f" n={gain.n}" if gain.n and gain.n != cell.n else ""
    return interval_text(gain, digits=1, sign="+") + pairs


def _bounds(summary: Summary) -> Block:
    rows = [
        (str(setting), str(cell.n), interval_text(cell.final), cell.status) for setting, cell in summary.bounds.items()
    ]
    return Block(
        "Full-data bound",
        text="The same learner on the whole pool: what no strategy should be expected to beat by much."
        if rows
        else "No full-data trial in these runs.",
        columns=("setting", "n", "final/1", "not done") if rows else (),
        rows=tuple(rows),
    )


def _not_done(summary: Summary) -> Block:
    cells = [cell for cell in (*summary.cells.values(), *summary.bounds.values()) if cell.status]
    rows = [(str(cell.key), cell.status, "; ".join(cell.reasons) or "-") for cell in cells]
    return Block(
        "Failed, unsupported and missing",
        text="" if rows else "Nothing: every cell is done.",
        columns=("cell", "trials", "reason") if rows else (),
        rows=tuple(rows),
    )


def _continued(manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for name, manifest in manifests.items():
        now = flat(manifest)
        past = [flat(earlier) for earlier in manifest.get("earlier", [])]
        changed = sorted(
            {key for facts in past for key in now.keys() | facts.keys() if now.get(key) != facts.get(key)} - _EVER_NEW
        )
        if changed:
            lines.append(f"{name} was continued {len(past)} times, with other facts in: {', '.join(changed)}")
    return lines


def _provenance(name: str, manifest: Mapping[str, Any]) -> Block:
    return Block(f"Where {name} comes from", columns=("fact", "value"), rows=tuple(flat(manifest).items()))


def flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a manifest's facts as ``{"versions.numpy": "2.4.6"}``, without what the report prints elsewhere."""
    values: dict[str, str] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping) and key not in _APART:
            values |= flat(value, f"{prefix}{key}.")
        elif key not in _APART:
            values[prefix + key] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return values


def _citations(manifests: Any) -> Block:
    texts: dict[str, str] = {}
    for manifest in manifests:
        texts |= manifest.get("citations", {})
    return Block("Cite", items=tuple(f"{name}: {text}" for name, text in sorted(texts.items())))

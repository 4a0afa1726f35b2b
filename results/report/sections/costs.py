"""What a strategy costs in time and memory, and which ones are worth it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ...measures.board.costs import COSTS, PEAKS, UNITS, Cost, cell_costs
from ...measures.evidence import Evidence
from ...measures.stats import Interval
from ...measures.tables import IDENTITY, Cell, Key, Setting, Summary
from ...measures.words import interval_text
from .. import charts
from ..blocks import NOT_DONE, Block, stem
from ..numbers import Numbers
from ..terminal import FULL_DATA_ROW


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table with its Pareto front for each setting and budget whose times are stored."""
    summary = evidence.summary
    costs = cell_costs(evidence.finished)
    tables = [
        _table(summary, costs, *place) for place in summary.places() if any(c.key in costs for c in summary.of(*place))
    ]
    if not tables:
        return []
    hosts = sorted(set(evidence.trials.loc[evidence.trials["outcome"] == "done", "host"]) - {""})
    mixed = f" Trials ran on several hosts ({', '.join(hosts)}), so times are mixed." if len(hosts) > 1 else ""
    text = (
        "Of one trial, over n seeds with 95 % intervals: seconds in all its queries and in all its fits (geometric"
        " means), and the peak memory of its process while it ran, libraries and data included (mean). Bold: the Pareto"
        " front, where no other strategy has at least the mean aubc/1 in at most the seconds in queries."
    )
    if any("gpu_s" in cost for cost in costs.values()):
        text += (
            " GPU seconds and energy are the trial's share of its card while its rounds took: a trial on a quarter of a"
            " card is billed for a quarter. GPU memory is what torch handed out at the peak."
        )
    return [Block("Cost", text=text + mixed), *tables]


def frame(finished: pd.DataFrame) -> pd.DataFrame:
    """Return the costs of each cell as the tables print them: seconds in a trial, and MB; with their intervals."""
    rows = []
    for key, cost in cell_costs(finished).items():
        parts = {f"{name} {part}": getattr(of, part) for name, of in cost.items() for part in ("mean", "low", "high")}
        rows.append({**key._asdict(), "n": cost["select_s"].n, **parts})
    return pd.DataFrame(rows, columns=None if rows else [*IDENTITY, "n"])


def front(accuracy: ArrayLike, seconds: ArrayLike) -> NDArray[np.bool_]:
    """Say of each of K strategies whether no other has at least its accuracy in at most its seconds, one strictly."""
    a, s = np.asarray(accuracy), np.asarray(seconds)
    no_worse = (a[:, None] >= a) & (s[:, None] <= s)  # (K other, K own)
    better = no_worse & ((a[:, None] > a) | (s[:, None] < s))
    return np.asarray(~better.any(axis=0))


def _table(summary: Summary, costs: dict[Key, Cost], setting: Setting, budget: str) -> Block:
    cells = summary.of(setting, budget)
    shown = [name for name in COSTS if any(name in costs.get(cell.key, {}) for cell in cells)]
    numbers = Numbers()
    kept = [(cell, numbers.keep(cell.aubc, "aubc/1", "share", **cell.key._asdict())) for cell in cells]
    rows = [_row(cell.key.strategy, area, cell, costs.get(cell.key, {}), shown, numbers) for cell, area in kept]
    if bound := summary.bounds.get(setting):
        final = numbers.keep(bound.final, "final/1", "share", **bound.key._asdict())
        rows.append(_row(FULL_DATA_ROW, final, bound, costs.get(bound.key, {}), shown, numbers))
    rivals = [cell for cell in cells if summary.is_rival(cell.key.strategy) and cell.key in costs]
    timed = [(cell.key.strategy, costs[cell.key]["select_s"].mean, cell.aubc.mean) for cell in rivals]
    frame = pd.DataFrame(timed, columns=["strategy", "seconds", "accuracy"])
    frame["front"] = front(frame["accuracy"], frame["seconds"])
    names = set(frame.loc[frame["front"], "strategy"])
    drawn = frame[frame["seconds"] > 0]  # a logarithm has no zero
    title = f"{setting}, {budget}\nmean aubc/1 against seconds in all queries of a trial"
    return Block(
        f"{setting}, {budget}",
        columns=("strategy", "n", "aubc/1", *(COSTS[name] for name in shown), NOT_DONE),
        rows=tuple(rows),
        strong=frozenset((i, j) for i, cell in enumerate(cells) if cell.key.strategy in names for j in (2, 3)),
        level=3,
        name=stem("cost", *setting, budget),
        about={**setting._asdict(), "budget": budget},
        numbers=numbers,
        figure=charts.pareto(drawn, title, summary.strategies()) if len(drawn) > 1 else None,
    )


def _row(
    strategy: str, accuracy: Interval, cell: Cell, cost: Cost, shown: Sequence[str], numbers: Numbers
) -> tuple[str, ...]:
    about = cell.key._asdict()
    kept = {name: numbers.keep(cost[name], name, UNITS[name], **about) for name in shown if name in cost}
    texts = (_text(name, kept.get(name)) for name in shown)
    return (strategy, str(cell.n), interval_text(accuracy), *texts, cell.status)


def _text(name: str, value: Interval | None) -> str:
    if value is None:
        return "-"
    return interval_text(value, 0) if name in PEAKS else seconds_text(value)


def seconds_text(value: Interval) -> str:
    """Return ``0.0123 [0.0119, 0.0130]`` with three significant digits."""
    mean, low, high = (f"{number:#.3g}".rstrip(".") for number in (value.mean, value.low, value.high))
    return mean if isnan(value.low) else f"{mean} [{low}, {high}]"

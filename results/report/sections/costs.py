"""What a strategy costs in time and memory, and which ones are worth it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ...measures.evidence import Evidence
from ...measures.stats import Interval, mean_interval
from ...measures.tables import IDENTITY, Cell, Key, Setting, Summary, key_of
from ...measures.words import interval_text
from .. import charts
from ..blocks import NOT_DONE, Block, stem
from ..terminal import FULL_DATA_ROW

TITLES = {
    "select_s": "seconds in queries",
    "fit_s": "seconds in fits",
    "peak_rss_mb": "peak memory, MB",
    "gpu_s": "GPU seconds",
    "peak_gpu_mb": "peak GPU memory, MB",
    "energy_j": "energy, J",
}
"""What of the record is a cost, and its column of the tables. The last three stand there where trials ran on a GPU."""
PEAKS = {"peak_rss_mb", "peak_gpu_mb"}
"""Costs of which a trial has the largest of its rounds; of the others it has their sum."""
ALWAYS = ["select_s", "fit_s", "peak_rss_mb"]

Cost = dict[str, Interval]
"""Of a trial, over the seeds of a cell, by the names of `TITLES`; without what some of its rounds do not say."""


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


def cell_costs(finished: pd.DataFrame) -> dict[Key, Cost]:
    """Return the costs of each cell over its finished trials; none where a time is missing, as of imported curves."""
    by_trial = finished.groupby("trial_id")
    per_trial = by_trial.agg({name: "max" if name in PEAKS else "sum" for name in TITLES})
    said = by_trial[[*TITLES]].count().eq(by_trial.size(), axis=0)  # by each of its rounds
    names = finished.drop_duplicates("trial_id").set_index("trial_id")[IDENTITY]
    return {
        key_of(key): _cost(cell)
        for key, cell in names.join(per_trial.where(said)).groupby(IDENTITY)
        if cell[ALWAYS].notna().all(axis=None) and cell["fit_s"].any()
    }


def _cost(cell: pd.DataFrame) -> Cost:
    """Return the cost of a cell from its trials, one a row."""
    said = [name for name in TITLES if cell[name].notna().all()]
    return {name: mean_interval(cell[name]) if name in PEAKS else typical(cell[name]) for name in said}


def frame(finished: pd.DataFrame) -> pd.DataFrame:
    """Return the costs of each cell as the tables print them: seconds in a trial, and MB; with their intervals."""
    rows = []
    for key, cost in cell_costs(finished).items():
        parts = {f"{name} {part}": getattr(of, part) for name, of in cost.items() for part in ("mean", "low", "high")}
        rows.append({**key._asdict(), "n": cost["select_s"].n, **parts})
    return pd.DataFrame(rows, columns=None if rows else [*IDENTITY, "n"])


def typical(seconds: ArrayLike) -> Interval:
    """Return the geometric mean of seconds (S,), and the interval of the mean of their logarithms.

    One trial that has to load or compile something first takes many times as long; below a nanosecond counts as one.
    """
    array = np.asarray(seconds, dtype=np.float64)
    if not array.any():
        return Interval(0.0, np.nan, np.nan, len(array))
    logs = mean_interval(np.log(np.maximum(array, 1e-9)))
    mean, low, high = np.exp([logs.mean, logs.low, logs.high]).tolist()
    return Interval(mean, low, high, logs.n)


def front(accuracy: ArrayLike, seconds: ArrayLike) -> NDArray[np.bool_]:
    """Say of each of K strategies whether no other has at least its accuracy in at most its seconds, one strictly."""
    a, s = np.asarray(accuracy), np.asarray(seconds)
    no_worse = (a[:, None] >= a) & (s[:, None] <= s)  # (K other, K own)
    better = no_worse & ((a[:, None] > a) | (s[:, None] < s))
    return np.asarray(~better.any(axis=0))


def _table(summary: Summary, costs: dict[Key, Cost], setting: Setting, budget: str) -> Block:
    cells = summary.of(setting, budget)
    shown = [name for name in TITLES if any(name in costs.get(cell.key, {}) for cell in cells)]
    rows = [_row(cell.key.strategy, interval_text(cell.aubc), cell, costs.get(cell.key, {}), shown) for cell in cells]
    if bound := summary.bounds.get(setting):
        rows.append(_row(FULL_DATA_ROW, interval_text(bound.final), bound, costs.get(bound.key, {}), shown))
    rivals = [cell for cell in cells if summary.is_rival(cell.key.strategy) and cell.key in costs]
    timed = [(cell.key.strategy, costs[cell.key]["select_s"].mean, cell.aubc.mean) for cell in rivals]
    frame = pd.DataFrame(timed, columns=["strategy", "seconds", "accuracy"])
    frame["front"] = front(frame["accuracy"], frame["seconds"])
    names = set(frame.loc[frame["front"], "strategy"])
    drawn = frame[frame["seconds"] > 0]  # a logarithm has no zero
    title = f"{setting}, {budget}\nmean aubc/1 against seconds in all queries of a trial"
    return Block(
        f"{setting}, {budget}",
        columns=("strategy", "n", "aubc/1", *(TITLES[name] for name in shown), NOT_DONE),
        rows=tuple(rows),
        strong=frozenset((i, j) for i, cell in enumerate(cells) if cell.key.strategy in names for j in (2, 3)),
        level=3,
        name=stem("cost", *setting, budget),
        about={**setting._asdict(), "budget": budget},
        figure=charts.pareto(drawn, title, summary.strategies()) if len(drawn) > 1 else None,
    )


def _row(strategy: str, accuracy: str, cell: Cell, cost: Cost, shown: Sequence[str]) -> tuple[str, ...]:
    return (strategy, str(cell.n), accuracy, *(_text(name, cost.get(name)) for name in shown), cell.status)


def _text(name: str, value: Interval | None) -> str:
    if value is None:
        return "-"
    return interval_text(value, 0) if name in PEAKS else seconds_text(value)


def seconds_text(value: Interval) -> str:
    """Return ``0.0123 [0.0119, 0.0130]`` with three significant digits."""
    mean, low, high = (f"{number:#.3g}".rstrip(".") for number in (value.mean, value.low, value.high))
    return mean if isnan(value.low) else f"{mean} [{low}, {high}]"

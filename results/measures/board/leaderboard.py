"""The strategies of a study in order, a row each: what a reader, a terminal and a notebook are shown first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from ....benchmark.types import Floats
from ..complete import Complete, Place
from ..ranking import mean_ranks
from ..stats import Interval, difference_interval
from ..tables import Summary
from ..words import interval_text
from .costs import cell_costs, typical
from .places import ordered_budgets

PARTS = ("mean", "low", "high")


def leaderboard(summary: Summary) -> pd.DataFrame:
    """Return one row for each strategy of each regime, best mean rank first, those without a rank last.

    Columns: ``regime`` and ``strategy``; ``rank/1`` (1 is best) and ``gain/1`` of aubc/1 in points over the baseline,
    each as ``mean``, ``low`` and ``high`` of its 95 % interval; ``wins``, ``ties``, ``losses``: settings and budgets
    in which it is told apart from the baseline, or not; ``unbeaten`` of ``settings``: those where no other beats it, of
    those where it is compared; ``gain/1 in BUDGET``, again three columns, budgets by their numbers of labels;
    ``select_s``: seconds in the queries of a trial, geometric mean over settings and budgets.

    Ranks and gains are means over the complete blocks of the regime (`Complete`), gains by seed over the seeds that
    all blocks share: NaN for a strategy that lacks any of them, and without a rank those that are not compared
    (`Summary.is_rival`). Nothing is imputed.
    """
    return _made(summary).copy()


@lru_cache(maxsize=1)
def _made(summary: Summary) -> pd.DataFrame:
    rows = [row for regime in summary.regimes() for row in _regime(summary, regime)]
    columns = ["regime", "strategy", *_named("rank/1"), *_named("gain/1"), "wins", "ties", "losses", "unbeaten"]
    budgets = [name for budget in ordered_budgets(summary) for name in _named(f"gain/1 in {budget}")]
    return pd.DataFrame(rows, columns=[*columns, "settings", *budgets, "select_s"])


def _named(value: str) -> list[str]:
    return [f"{value} {part}" for part in PARTS]


def interval_of(row: pd.Series[float], value: str) -> Interval:
    """Return the interval of a value (``rank/1``, ``gain/1``, ``gain/1 in BUDGET``) from a row of `leaderboard`."""
    mean, low, high = (float(row[name]) for name in _named(value))
    return Interval(mean, low, high, 0)


def brief(board: pd.DataFrame) -> pd.DataFrame:
    """Return a `leaderboard` as texts in few columns, to be read; of several regimes with theirs."""
    rows = [row for _, row in board.iterrows()]
    told = {
        "regime": [str(row["regime"]) for row in rows],
        "strategy": [str(row["strategy"]) for row in rows],
        "rank": [interval_text(interval_of(row, "rank/1"), 2) for row in rows],
        "gain, points": [interval_text(interval_of(row, "gain/1"), 1, "+") for row in rows],
        "wins / ties / losses": [" / ".join(str(row[name]) for name in ("wins", "ties", "losses")) for row in rows],
    }
    shown = pd.DataFrame(told, dtype=str)
    return shown if shown["regime"].nunique() > 1 else shown.drop(columns="regime")


def _regime(summary: Summary, regime: str) -> list[dict[str, object]]:
    complete = Complete.of(summary, regime)
    ranks = dict(zip(complete.strategies, mean_ranks(complete.means), strict=True)) if complete.places else {}
    places = [place for place in summary.places() if summary.regime(place[0]) == regime]
    best = {place: summary.best(*place) for place in places}
    costs = cell_costs(summary.finished) if len(summary.finished) else {}
    names = [name for name in summary.strategies() if any(summary.get(*place, name) for place in places)]
    names.sort(key=lambda name: (summary.is_oracle(name), ranks[name].mean if name in ranks else np.inf))
    rows = []
    for name in names:
        cells = [cell for place in places if (cell := summary.get(*place, name)) and cell.n]
        gains = [cell.gain_aubc for cell in cells if not cell.is_baseline and not np.isnan(cell.gain_aubc.low)]
        compared = [place for place in places if best[place] and (cell := summary.get(*place, name)) and cell.n > 1]
        seconds = [costs[cell.key]["select_s"].mean for cell in cells if cell.key in costs]
        row: dict[str, object] = {"regime": regime, "strategy": name}
        row |= _parts("rank/1", ranks.get(name)) | _parts("gain/1", _gain(summary, complete, name, complete.places))
        row |= {"wins": sum(gain.low > 0 for gain in gains), "ties": sum(gain.contains_zero for gain in gains)}
        row |= {"losses": sum(gain.high < 0 for gain in gains)}
        if summary.is_rival(name):
            row |= {"unbeaten": sum(name in best[place] for place in compared), "settings": len(compared)}
        for budget in ordered_budgets(summary):
            own = [place for place in complete.places if place[1] == budget]
            row |= _parts(f"gain/1 in {budget}", _gain(summary, complete, name, own))
        rows.append(row | {"select_s": typical(seconds).mean if seconds else np.nan})
    return rows


def _parts(value: str, interval: Interval | None) -> dict[str, object]:
    if interval is None:
        return {}
    return dict(zip(_named(value), (interval.mean, interval.low, interval.high), strict=True))


def _gain(summary: Summary, complete: Complete, name: str, places: Sequence[Place]) -> Interval | None:
    """Return the mean gain over the baseline in these places, NaN where anything is missing; None for the baseline."""
    if name == summary.baseline or not places:
        return None
    own, base = (_by_seed(summary, complete, strategy, places) for strategy in (name, summary.baseline))
    differences = 100 * (own - base)
    return difference_interval(differences) if len(differences) else None


def _by_seed(summary: Summary, complete: Complete, strategy: str, places: Sequence[Place]) -> Floats:
    """Return the mean aubc/1 over places by seed, of the seeds that all complete blocks share; NaN where one lacks."""
    shared = sorted(set.intersection(*(set(seeds.tolist()) for seeds in complete.seeds)))
    found = []
    for place in places:
        cell = summary.get(*place, strategy)
        found.append(np.full(len(shared), np.nan) if cell is None else cell.by_seed["aubc/1"].reindex(shared))
    means: Floats = np.mean(np.array(found, dtype=np.float64), axis=0)
    return means

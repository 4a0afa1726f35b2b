"""Which strategy to use, setting by setting: what the tests already made say, in a sentence each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np
import pandas as pd

from ....benchmark.text import listing
from ....benchmark.types import Floats
from ..stats import Interval, difference_interval, seeds_needed
from ..tables import Cell, Setting, Summary
from ..words import UNSAID, count, interval_text
from .leaderboard import interval_of, leaderboard
from .places import ordered_budgets, short, span_text

MOST_SEEDS = 10_000
NAMED = 4
"""So many strategies are named in a sentence; the others are counted."""


@dataclass(frozen=True)
class Answer:
    """What is known of one setting and budget.

    ``lead`` is the best on average of those that no other of ``k`` strategies beats (`Summary.best`), empty where
    nothing can be compared (then ``why`` says it), and ``value`` its mean aubc/1. ``gain`` is what it has, in points,
    over the strategy ``over``: the baseline, unless it leads itself or is not there. ``unbeaten`` are the others that
    no other beats. ``resolved`` says whether the baseline (without one: any strategy) is beaten, or beats all others.
    Where it is not, ``seeds`` is how many would show what these ``n`` have seen; None for more than `MOST_SEEDS`.
    """

    where: str
    lead: str = ""
    value: Interval | None = None
    gain: Interval | None = None
    over: str = ""
    unbeaten: tuple[str, ...] = ()
    resolved: bool = False
    k: int = 0
    n: int = 0
    seeds: int | None = None
    why: str = ""

    def __str__(self) -> str:
        if not self.lead:
            return f"{self.where}: {self.why}."
        named = (name for name in self.unbeaten if name != self.over)
        others = f"also not beaten: {listing(named, NAMED) or 'none'}"
        if self.resolved:
            return f"{self.where}: {self.lead}{self._by()}; {others}."
        needed = f"more than {MOST_SEEDS:,}" if self.seeds is None else f"about {self.seeds:,}"
        by = "" if self.gain is None else f" by {_points(self.gain)}"
        return (
            f"{self.where}: not resolved with {count(self.n, 'seed')}: {self.lead} leads {self.over}{by}, as chance may"
            f" have it for the best of {self.k}; {needed} seeds would tell; {others}."
        )

    def _by(self) -> str:
        if self.gain is not None:
            return f", {_points(self.gain, '+')} over {self.over}"
        return "" if self.value is None else f", mean accuracy {interval_text(self.value)}"


def _points(gain: Interval, sign: str = "") -> str:
    mean, bracket, interval = interval_text(gain, 1, sign).partition(" [")
    return f"{mean} points{bracket}{interval}"


def answers(summary: Summary) -> list[Answer]:
    """Return the answer of every setting and budget in which something can run, budgets by their numbers of labels."""
    order = [*ordered_budgets(summary), *summary.budgets()]
    places = sorted(summary.places(), key=lambda place: order.index(place[1]))
    return [answer(summary, *place) for place in places]


def answer(summary: Summary, setting: Setting, budget: str) -> Answer:
    """Return what is known of one setting and budget."""
    where = f"{short(summary, setting)}, {budget} ({span_text(summary, setting, budget)})"
    rivals = [cell for cell in summary.of(setting, budget) if cell.n and summary.is_rival(cell.key.strategy)]
    best = summary.best(setting, budget)
    leads = sorted((cell for cell in rivals if cell.key.strategy in best), key=lambda cell: -cell.aubc.mean)
    if not leads or len(rivals) < 2:
        return Answer(where, why=_why(rivals))
    lead, *others = leads
    base = next((cell for cell in rivals if cell.is_baseline), None)
    if base is None:
        resolved, over = len(leads) < len(rivals), None
    else:
        resolved, over = (not others, None) if base is lead else (base not in leads, base)
    if not resolved:
        over = over or others[0]
    differences = None if over is None else _differences(lead, over)
    return Answer(
        where,
        lead.key.strategy,
        lead.aubc,
        None if differences is None else difference_interval(100 * differences),
        "" if over is None else over.key.strategy,
        tuple(cell.key.strategy for cell in others),
        resolved,
        len(rivals),
        lead.n,
        None if resolved or differences is None else seeds_needed(differences, MOST_SEEDS, len(rivals) - 1),
    )


def _differences(lead: Cell, over: Cell) -> Floats:
    """Return what one cell has more of aubc/1 than another on the seeds that both have."""
    shared = lead.by_seed.index.intersection(over.by_seed.index)
    own, other = (cell.by_seed.loc[shared, "aubc/1"].to_numpy(dtype=np.float64) for cell in (lead, over))
    difference: Floats = own - other
    return difference


def _why(rivals: list[Cell]) -> str:
    if not rivals:
        return "no trial is finished"
    if len(rivals) == 1:
        return f"only {rivals[0].key.strategy} is finished: there is nothing to compare it with"
    if max(cell.n for cell in rivals) == 1:
        best = max(rivals, key=lambda cell: cell.aubc.mean)
        return f"one seed, so no difference can be told from chance; the highest curve is that of {best.key.strategy}"
    return "the strategies share no two seeds, so they cannot be compared"


def overall(summary: Summary) -> list[str]:
    """Return a sentence for each budget with several settings (of a regime, where there are several): who is unbeaten.

    With the mean gains of those (`leaderboard`). Settings of two regimes are not counted together.
    """
    lines = []
    board = leaderboard(summary).set_index(["regime", "strategy"])
    regimes = summary.regimes()
    for budget in ordered_budgets(summary):
        for regime in regimes:
            settings = [setting for setting in summary.settings(budget) if summary.regime(setting) == regime]
            found = [answer(summary, setting, budget) for setting in settings]
            told = [one for one in found if one.lead]
            if len(told) > 1:
                names = {name: _mean_gain(row, budget) for name, row in board.loc[regime].iterrows()}
                name = budget if len(regimes) == 1 else f"{budget}, {regime or UNSAID}"
                lines.append(f"{name}, {count(len(told), 'setting')}: {_counted(told, names)}")
    return lines


def _mean_gain(row: pd.Series[float], budget: str) -> str:
    gain = interval_of(row, f"gain/1 in {budget}")
    return "" if isnan(gain.mean) else f" ({_points(gain, '+')})"


def _counted(told: list[Answer], gains: Mapping[Hashable, str]) -> str:
    n = len(told)
    times = Counter(name for one in told for name in (one.lead, *one.unbeaten))
    often = sorted(set(times.values()), reverse=True)[:2]
    groups = [
        f"in {'all' if one == n else one}: "
        + listing((f"{name}{gains[name] if one == often[0] else ''}" for name in times if times[name] == one), NAMED)
        for one in often
    ]
    unresolved = sum(not one.resolved for one in told)
    open_ = f"; not resolved: {unresolved} of them" if unresolved else ""
    return f"not beaten {'; '.join(groups)}{open_}."

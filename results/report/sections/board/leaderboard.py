"""The leaderboard: one row a strategy, over all settings and budgets."""

from __future__ import annotations

from math import isnan

import pandas as pd

from ....measures.board.leaderboard import interval_of, leaderboard
from ....measures.board.places import ordered_budgets
from ....measures.evidence import Evidence
from ....measures.tables import Summary
from ....measures.words import UNSAID, interval_text
from ...blocks import Block
from ...numbers import Numbers

TITLE = "Leaderboard"
_OUTCOMES = ("wins", "ties", "losses")
_UNITS = {**dict.fromkeys((*_OUTCOMES, "unbeaten", "settings"), "settings and budgets"), "select_s": "seconds"}


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table, or one of each regime: rows of two regimes are not to be ranked together."""
    summary = evidence.summary
    board = leaderboard(summary)
    regimes = summary.regimes()
    tables = [(regime, board[board["regime"] == regime]) for regime in regimes]
    return [
        table(summary, own, f"{TITLE}: {regime or UNSAID}" if len(regimes) > 1 else TITLE)
        for regime, own in tables
        if len(own)
    ]


def table(summary: Summary, board: pd.DataFrame, title: str) -> Block:
    """Return the rows of one regime (`leaderboard`) as a table."""
    budgets = ordered_budgets(summary) if len(summary.budgets()) > 1 else []
    gains = ["gain/1", *(f"gain/1 in {budget}" for budget in budgets)]
    base = summary.baseline
    numbers, rows, strong = Numbers(), [], set()
    for i, (_, row) in enumerate(board.iterrows()):
        is_base = row["strategy"] == base
        about = {"regime": row["regime"] or UNSAID, "strategy": row["strategy"]}
        kept = {
            name: numbers.keep(float(row[name]), name, unit, **about)
            for name, unit in _UNITS.items()
            if not (is_base and name in _OUTCOMES)
        }
        of = {"rank/1": numbers.keep(interval_of(row, "rank/1"), "rank/1", "rank", **about)}
        of["gain/1"] = numbers.keep(interval_of(row, "gain/1"), "gain/1 of aubc/1", "points", **about)
        for budget, name in zip(budgets, gains[1:], strict=True):
            of[name] = numbers.keep(interval_of(row, name), "gain/1 of aubc/1", "points", **about, budget=budget)
        counts = "-" if is_base else "/".join(f"{kept[name]:.0f}" for name in _OUTCOMES)
        unbeaten = "-" if isnan(row["unbeaten"]) else f"{kept['unbeaten']:.0f} of {kept['settings']:.0f}"
        total, *each = (interval_text(of[name], 1, "+") for name in gains)
        is_rival = summary.is_rival(row["strategy"])
        seconds = "-" if isnan(row["select_s"]) else f"{kept['select_s']:#.2g}".rstrip(".")
        rows.append((row["strategy"], interval_text(of["rank/1"], 2), total, counts, unbeaten, *each, seconds))
        strong |= {
            (i, j)
            for j, name in zip((2, *range(5, 5 + len(budgets))), gains, strict=True)
            if is_rival and of[name].low > 0
        }
    return Block(
        title,
        text="One row a strategy, over all settings and budgets.",
        columns=("strategy", "rank/1", "gain/1", "wins/ties/losses", "unbeaten", *gains[1:], "seconds in queries"),
        rows=tuple(rows),
        strong=frozenset(strong),
        name="leaderboard",
        numbers=numbers,
        note=f"rank/1 (1 is best) and gain/1, in points of aubc/1 over {base}, are means over the complete settings and"
        " budgets, with 95 % intervals (bold: above 0). What is incomplete has neither; oracles and rules that change"
        f" training have no rank. Wins, ties, losses: settings in which a strategy beats {base}, cannot be told apart"
        " from it, loses. Unbeaten: settings in which no other beats it. strategies.csv has the numbers.",
    )

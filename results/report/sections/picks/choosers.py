"""Which rules bought for the strategies that leave their rows to others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd

from .....benchmark.text import spelled
from ....measures.evidence import Evidence
from ....measures.stats import share_interval
from ....measures.tables import IDENTITY, Setting
from ...blocks import Block, stem
from ...numbers import Numbers

TITLE = "Who chose"
MOST = 8
"""So many numbers of labels are shown, the first and the last among them."""
ALL = "all"


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table for each setting and budget in which a strategy left its rows to others."""
    shares = frame(evidence.finished)
    if shares.empty:
        return []
    names = evidence.summary.strategies()
    tables = []
    for setting, budget in evidence.summary.places():
        here = shares[(shares[[*Setting._fields, "budget"]] == [*setting, budget]).all(axis=1)]
        if len(here):
            tables.append(_table(setting, budget, here, sorted(here["strategy"].unique(), key=names.index)))
    text = (
        "Some strategies leave their rows to other rules. Here is what share of the rows each rule chose for them: in"
        f" all purchases, and in the one that reached so many labels ({MOST} of these at most; choosers.csv has all,"
        " with 95 % intervals). Means over n seeds."
    )
    return [Block(TITLE, text=text), *tables]


def frame(finished: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each rule by cell and number of labels, 0 standing for all purchases together."""
    told = finished[finished["chosen_by"].notna()]
    at = [(told["n_labelled"], told), (pd.Series(0, told.index), told)]
    parts = [_shares(rows.assign(n_labelled=labels)) for labels, rows in at if len(rows)]
    columns = [*IDENTITY, "n_labelled", "rule", *(f"share {part}" for part in ("mean", "low", "high", "n"))]
    found = pd.DataFrame([row for part in parts for row in part], columns=columns)
    return found.sort_values([*IDENTITY, "n_labelled", "rule"], ignore_index=True)


def _shares(told: pd.DataFrame) -> Iterable[tuple[object, ...]]:
    """Yield a row of `frame` for each rule; one that chose nothing for a seed has 0 there."""
    for key, cell in told.groupby([*IDENTITY, "n_labelled"]):
        counts = [Counter(map(spelled, np.concatenate(list(by)))) for _, by in cell.groupby("seed")["chosen_by"]]
        for rule in sorted(set().union(*counts)):
            of = share_interval(pd.Series([count[rule] / count.total() for count in counts]))
            yield (*key, rule, of.mean, of.low, of.high, of.n)


def _table(setting: Setting, budget: str, shares: pd.DataFrame, strategies: list[str]) -> Block:
    mean, n = (shares.set_index(["strategy", "n_labelled", "rule"])[f"share {part}"] for part in ("mean", "n"))
    rules = shares.groupby("rule")["share mean"].sum().sort_values(ascending=False, kind="stable").index.tolist()
    numbers, rows = Numbers(**setting._asdict(), budget=budget), []
    for name in strategies:
        labels = sorted(set(mean[name].index.get_level_values("n_labelled")) - {0})
        shown = [labels[i] for i in np.unique(np.linspace(0, len(labels) - 1, MOST).round().astype(int))]
        for at in (0, *shown):
            seeds = int(n[name, at].iloc[0])
            about = {"strategy": name, **({"n_labelled": at} if at else {})}
            shares_of = {rule: float(mean.get((name, at, rule), 0.0)) for rule in rules}
            values = [
                f"{numbers.keep(share, 'share', 'share', seeds, **about, rule=rule):.2f}"
                for rule, share in shares_of.items()
            ]
            rows.append((name, str(seeds), str(at) if at else ALL, *values))
    return Block(
        f"{TITLE}: {setting}, {budget}",
        columns=("strategy", "n", "labels", *rules),
        rows=tuple(rows),
        level=3,
        name=stem("chosen", *setting, budget),
        numbers=numbers,
    )

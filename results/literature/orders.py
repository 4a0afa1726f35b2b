"""Whose order of the rules agrees with a published one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..measures.tables import Setting
from .comparison import SCORES, Beside, Verdict
from .published_numbers import Row

NEAR = 0.01
"""The share by which label counts may differ in one rank correlation (LabelBench's BADGE ends at 10,009 of 10,000)."""


@dataclass(frozen=True)
class Order:
    """How far our order of the rules agrees with a published one: Kendall's tau-b (and its p), Spearman's rho.

    ``elsewhere`` names the rules at another number of labels than ``metric`` says, and those left out for it.
    """

    setting: Setting
    budget: str
    row: Row
    metric: str
    n: int
    tau: float
    p: float
    rho: float
    comparable: bool
    elsewhere: tuple[str, ...] = ()


def orders(besides: Sequence[Beside]) -> list[Order]:
    """Return the rank correlations over at least three rules; both sides by the same metric at the same budget.

    The same data are no second order. Rules whose label counts are not within `NEAR` of the commonest are left out.
    Rules that several printed names stand for count once, by the first. Kendall's tau-b with the exact p where nothing
    is tied; scipy.stats. A side on which all are equal has no order, and gives none.
    """
    groups: dict[tuple[object, ...], dict[str, Beside]] = defaultdict(dict)
    for one in (one for one in besides if one.verdict != Verdict.SAME_DATA):
        place = "" if one.row.metric in SCORES else one.row.budget
        names = (one.key.setting, one.key.budget, one.row.origin, one.row.dataset, one.row.metric, place)
        groups[names].setdefault(one.row.rule, one)
    found = (_order(list(group.values())) for group in groups.values())
    return [order for order in found if order is not None]


def _order(rules: Sequence[Beside]) -> Order | None:
    group, elsewhere = _at_one_budget(rules)
    if len(group) < 3:
        return None
    from scipy.stats import kendalltau, spearmanr  # noqa: PLC0415  half a second

    ours, theirs = ([float(one.ours.mean()) for one in group], [one.row.value for one in group])
    if len(set(ours)) == 1 or len(set(theirs)) == 1:
        return None
    kendall, one = kendalltau(ours, theirs), group[0]
    rho = float(spearmanr(ours, theirs).statistic)
    comparable = all(other.verdict != Verdict.NOT_COMPARABLE for other in group)
    values = (len(group), float(kendall.statistic), float(kendall.pvalue), rho)
    return Order(one.key.setting, one.key.budget, one.row, one.metric, *values, comparable, elsewhere)


def _at_one_budget(rules: Sequence[Beside]) -> tuple[list[Beside], tuple[str, ...]]:
    """Return the rules at the commonest number of labels first, then those `NEAR` it; and who is elsewhere."""
    if rules[0].row.metric not in SCORES:
        return list(rules), ()
    counts = Counter(one.row.labels for one in rules)
    usual = max(counts, key=lambda n: (counts[n], n))
    by_distance = sorted(rules, key=lambda one: abs(one.row.labels - usual))
    near = [one for one in by_distance if abs(one.row.labels - usual) <= NEAR * usual]
    told = [f"{'' if one in near else 'without '}{one.row.rule} at {one.row.labels:.0f}" for one in by_distance]
    return near, tuple(told[counts[usual] :])

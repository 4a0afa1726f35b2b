"""Our numbers beside the published ones: what is the same measurement, and how far they are apart.

A published mean and ours are compared only where regime, dataset, embedding, learner, rule, schedule and metric are the
same; everything else stands beside ours with the reason why it is not comparable.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from math import isnan, nan, sqrt

import numpy as np
import pandas as pd

from ...benchmark.types import Floats
from ..measures.evidence import Evidence
from ..measures.metrics import CURVE_METRICS
from ..measures.stats import Interval, sd
from ..measures.tables import IDENTITY, Cell, Key, Setting
from ..record.schema import IMPORTED
from .published_numbers import MARKS, NO_TARGETS, Regime, Row, published, regime_of

SCORES = ("accuracy", "balanced_accuracy", "macro_f1")
GAIN = "accuracy_gain_over_random_pp"
"""The published metric that is a difference to random at the same number of labels, in points."""
PART_MEAN = "at/1 mean"
"""The mean of ``at/1`` over the rounds whose labels are printed as ``(rounds 1-7 of 21): 10-70 labels``."""
RESOLVED, POINTS = 0.02, 100
"""An interval that holds 0 and is wider than 2 points of accuracy to either side says nothing: rules differ by less."""
_SCHEDULE = re.compile(r"^(\d+)\+(\d+)x\d+ \((\d+)\)$")  # 50+50x9 (500)
_PART = re.compile(r"\(rounds (\d+)-(\d+) of \d+\): (\d+)-(\d+) labels")


class Verdict(StrEnum):
    """What became of a comparison."""

    WITHIN = "within interval"
    DIFFERS = "differs"
    NOT_RESOLVED = "not resolved"
    SAME_DATA = "same data"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, eq=False)
class Beside:
    """A published number beside ours: ``ours`` are the values of our seeds (S,), ``difference`` is ours less theirs.

    ``metric`` is ours. Where both curves have several numbers of labels this is the last of them; ``along`` holds all,
    as the numbers of the published rows and the verdict on each.
    """

    key: Key
    row: Row
    metric: str
    ours: Floats
    difference: Interval
    verdict: Verdict
    why: tuple[str, ...] = ()
    along: tuple[tuple[int, Verdict], ...] = ()


@dataclass(frozen=True)
class Rest:
    """Published rows for a dataset of ours that do not stand beside ours, and how many of them for which reason."""

    dataset: str
    source: str
    regime: str
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, eq=False)
class _Ours:
    """One cell of ours, and the rounds of its setting and budget."""

    key: Key
    cell: Cell
    rounds: pd.DataFrame
    regime: str

    @cached_property
    def counts(self) -> list[int]:
        return [int(n) for n in self.cell.curves.columns]

    @cached_property
    def tables(self) -> dict[str, Floats]:
        """The scores (S, R) of the finished trials by `counts`, NaN where a trial has no such value."""
        mine = self.rounds[self.rounds["strategy"] == self.key.strategy]
        mine = mine[mine["seed"].isin(self.cell.by_seed.index)].drop_duplicates(["seed", "n_labelled"])
        others = {name: mine.pivot(index="seed", columns="n_labelled", values=name) for name in SCORES[1:]}
        others = {name: table.reindex(columns=self.counts) for name, table in others.items()}
        return {name: t.to_numpy(np.float64) for name, t in {"accuracy": self.cell.curves, **others}.items()}

    @cached_property
    def imported(self) -> bool:
        return bool((self.rounds.loc[self.rounds["strategy"] == self.key.strategy, "bought_by"] == IMPORTED).all())

    def at(self, score: str, labels: float) -> Floats:
        """Return a score (S,) of the finished trials at a number of labels, of those that have it."""
        values = self.tables[score][:, self.counts.index(int(labels))]
        return values[~np.isnan(values)]

    def gain(self, labels: int) -> Floats:
        """Return the gains (S,) over random at a number of labels, in points, of the seeds that both have."""
        random = self.rounds[(self.rounds["strategy"] == "random") & (self.rounds["n_labelled"] == labels)]
        theirs = random.drop_duplicates("seed").set_index("seed")["accuracy"]
        both = (self.cell.curves[labels] - theirs).dropna()
        return POINTS * both.to_numpy(dtype=np.float64)

    def budget(self) -> str:
        steps = set(np.diff(self.counts).tolist())
        return f"{self.counts[0]} + {len(self.counts) - 1} x {steps.pop()}" if len(steps) == 1 else _span(self.counts)


def compare(evidence: Evidence) -> tuple[list[Beside], list[Rest]]:
    """Return what stands beside our cells, and what else is published for the same datasets."""
    ours = _ours(evidence)
    besides: list[Beside] = []
    rests: list[Rest] = []
    for dataset in dict.fromkeys(each.key.dataset for each in ours):
        here = [each for each in ours if each.key.dataset == dataset]
        rows = [row for row in published() if _regime(row).is_data(dataset, row.dataset)]
        same = _same_regimes(here, rows)
        found = [beside for each in here for beside in _beside(each, _of_interest(each, rows, same))]
        besides += _with_parts(found, {each.key for each in here if each.imported})
        rests += _rests(dataset, here, rows, found, same)
    return besides, rests


def welch(values: Floats, mean: float, std: float, n: float, rounding: float = 0.0) -> Interval:
    """Return the 95 % interval of the mean of values (S,) less a published mean of ``n`` seeds.

    Welch (1947): variances of their own, Student's t with the Welch-Satterthwaite degrees of freedom; widened by
    ``rounding``, half a unit of the last digit printed. NaN bounds with fewer than two seeds on a side. Without a
    published standard deviation (``std`` NaN) the interval is that of our mean alone: too narrow, never too wide.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  only runs with published counterparts pay for it

    own = len(values)
    difference = float(values.mean()) - mean
    if own < 2 or (n < 2 and not isnan(std)):
        return Interval(difference, nan, nan, own)
    parts = [(sd(values) ** 2 / own, own - 1.0)]
    if not isnan(std) and not isnan(n):
        parts.append((std**2 / n, n - 1))
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / df for part, df in parts) if variance else 1.0
    half = float(stdtrit(freedom, 0.975)) * sqrt(variance) + rounding
    return Interval(difference, difference - half, difference + half, own)


def _ours(evidence: Evidence) -> list[_Ours]:
    regimes = {(row.origin, row.dataset): row for row in published()}.values()
    datasets = {key.dataset for key, cell in evidence.summary.cells.items() if cell.n}
    known = {name for name in datasets if any(_regime(row).is_data(name, row.dataset) for row in regimes)}
    rounds = dict(list(evidence.rounds[evidence.rounds["dataset"].isin(known)].groupby(IDENTITY[:4])))
    cells = evidence.summary.cells.items()
    regime = evidence.summary.regime
    return [
        _Ours(key, cell, rounds[key[:4]], regime(key.setting)) for key, cell in cells if cell.n and key.dataset in known
    ]


def _same_regimes(here: Sequence[_Ours], rows: Iterable[Row]) -> dict[Setting, set[str]]:
    """Return for each setting of ours on one dataset the origins whose regime is the same."""
    origins = {row.origin: row for row in rows}  # one of each: rows of one origin differ in dataset, rule and budget
    settings = {each.key.setting: each for each in here}
    return {s: {name for name, row in origins.items() if not _differences(each, row)} for s, each in settings.items()}


def _of_interest(each: _Ours, rows: Iterable[Row], same: Mapping[Setting, set[str]]) -> list[Row]:
    """Return the rows of a cell's rule: of its own regime where there are any, else of those that nobody here has."""
    own, taken, rule = same[each.key.setting], set().union(*same.values()), _rule(each.key)
    return [row for row in rows if row.rule == rule and (row.origin in own if own else row.origin not in taken)]


def _beside(ours: _Ours, rows: Sequence[Row]) -> list[Beside]:
    """Return the rows that stand beside a cell; of one source and metric only the comparable, where there are any."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        place = "" if row.metric in SCORES else row.budget
        groups[row.origin, row.dataset, row.strategy, row.metric, place].append(row)
    found = ([one for row in group if (one := _one(ours, row)) is not None] for group in groups.values())
    last = [_last(curve) for curve in found if curve]
    good = {(one.row.source, one.row.metric) for one in last if one.verdict != Verdict.NOT_COMPARABLE}
    return [o for o in last if o.verdict != Verdict.NOT_COMPARABLE or (o.row.source, o.row.metric) not in good]


def _last(curve: list[Beside]) -> Beside:
    last = max(curve, key=lambda one: one.row.labels)
    return replace(last, along=tuple((one.row.number, one.verdict) for one in curve))


def _with_parts(found: Sequence[Beside], imported: Collection[Key]) -> list[Beside]:
    """Return all, and as the same data too what rests on fewer seeds, where the import's other curves are the same."""
    own = {(one.key[:4], one.row.origin) for one in found if one.verdict == Verdict.SAME_DATA}
    return [
        _part(one)
        if one.key in imported and (one.key[:4], one.row.origin) in own and len(one.ours) < one.row.seeds
        else one
        for one in found
    ]


def _part(one: Beside) -> Beside:
    if one.verdict == Verdict.NOT_COMPARABLE:
        return one
    why = (f"{len(one.ours)} of their {one.row.seeds:.0f} seeds",)
    along = tuple((number, Verdict.SAME_DATA) for number, _ in one.along)
    return replace(one, verdict=Verdict.SAME_DATA, why=why, along=along)


def _one(ours: _Ours, row: Row) -> Beside | None:
    """Return a row beside our values; None where we have no value of that metric at that budget."""
    metric, values = _values(ours, row)
    if not len(values):
        return None
    difference = welch(values, row.value, row.std, row.seeds, 0.5 * 10.0**-row.digits)
    why = [*_differences(ours, row), *_budget(ours, row)]
    if "(" in ours.key.strategy:
        why.append(f"rule (ours {ours.key.strategy}; theirs as in their code)")
    if isnan(difference.low):
        why.append("one seed, so no interval")
    if why:
        return Beside(ours.key, row, metric, values, difference, Verdict.NOT_COMPARABLE, tuple(why))
    if ours.imported and _is_same(values, row):
        return Beside(ours.key, row, metric, values, difference, Verdict.SAME_DATA)
    return Beside(ours.key, row, metric, values, difference, *_verdict(row, difference))


def _is_same(values: Floats, row: Row) -> bool:
    """Say whether n, mean and SD of values (S,) are the published ones, as far as those are printed."""
    half = 0.5001 * 10.0**-row.digits
    return len(values) == row.seeds and abs(values.mean() - row.value) <= half and abs(sd(values) - row.std) <= half


def _verdict(row: Row, difference: Interval) -> tuple[Verdict, tuple[str, ...]]:
    """Judge numbers of one regime: agreement or difference needs a printed spread, and a measured number."""
    if row.mark in NO_TARGETS:
        return Verdict.NOT_RESOLVED, (f"theirs is no hard target ({dict(MARKS.values())[row.mark]})",)
    lacks = [name for name, value in (("SD", row.std), ("number of seeds", row.seeds)) if isnan(value)]
    if lacks:
        note = f"their {' and '.join(lacks)} not printed: the interval is that of our mean alone, too narrow"
        return Verdict.NOT_RESOLVED, (note,)
    if not difference.contains_zero:
        return Verdict.DIFFERS, ()
    resolved = RESOLVED * (POINTS if row.metric == GAIN else 1)
    if difference.half_width > resolved:
        return Verdict.NOT_RESOLVED, (f"half-width {difference.half_width:.4f}, more than {resolved}",)
    return Verdict.WITHIN, ()


def _values(ours: _Ours, row: Row) -> tuple[str, Floats]:
    """Return our metric and its values over seeds (S,) for a row; none where we have no such value."""
    metric = _regime(row).metric(row.metric)
    part = _PART.search(row.budget)
    if metric in CURVE_METRICS and _whole_curve(ours, row):
        return metric, ours.cell.by_seed[metric].to_numpy()
    if metric in SCORES and row.labels in ours.counts:
        return f"at/1, {metric} at {row.labels:.0f}", ours.at(metric, row.labels)
    if metric == GAIN and (labels := ours.counts[-1] if isnan(row.labels) else int(row.labels)) in ours.counts:
        return f"gain/1 over random at {labels}, points", ours.gain(labels)
    if metric == PART_MEAN and part is not None:
        first, last, low, high = (int(text) for text in part.groups())
        counts = [n for n in ours.counts if low <= n <= high]
        if len(counts) == last - first + 1 and (counts[0], counts[-1]) == (low, high):
            return PART_MEAN, ours.cell.curves[counts].dropna().mean(axis=1).to_numpy()
    return metric, np.empty(0)


def _whole_curve(ours: _Ours, row: Row) -> bool:
    """Say whether our curve begins, goes on and ends as theirs, as an area asks for."""
    first, step, last = _schedule(row)
    return all((first, step, last)) and not _budget(ours, row) and str(ours.counts[-1]) in last.split("|")


def _budget(ours: _Ours, row: Row) -> list[str]:
    """Say in what our first labels and the labels we buy at once differ from theirs (a last rest left aside)."""
    first, step, last = _schedule(row)
    if not first:
        return [f"budget (ours {ours.budget()}; theirs not printed)"]
    steps = set(np.diff(ours.counts[:-1] if len(ours.counts) > 2 else ours.counts).tolist())
    if str(ours.counts[0]) in first.split("|") and {str(n) for n in steps} <= set(step.split("|")):
        return []
    return [f"budget (ours {ours.budget()}; theirs {first} and {step} at a time{f', up to {last}' if last else ''})"]


def _schedule(row: Row) -> tuple[str, str, str]:
    """Return the first number of labels, how many are bought at once, and the last; empty where it is not printed."""
    regime, printed = _regime(row), _SCHEDULE.match(row.budget)
    return printed.group(1, 2, 3) if printed else (regime.first, regime.step, regime.last)  # type: ignore[return-value]


def _rests(
    dataset: str, here: Sequence[_Ours], rows: Sequence[Row], found: Sequence[Beside], same: Mapping[Setting, set[str]]
) -> list[Rest]:
    shown = {number for one in found for number, _ in one.along}
    settings: dict[str, set[Setting]] = defaultdict(set)
    for each in here:
        settings[_rule(each.key)].add(each.key.setting)
    rests: dict[tuple[str, str], Rest] = {}
    for row in rows:
        if row.number not in shown:
            rest = rests.setdefault((row.source, row.regime), Rest(dataset, row.source, row.regime))
            rest.reasons[_reason(row, [same[setting] for setting in settings[row.rule]])] += 1
    return list(rests.values())


def _reason(row: Row, origins: Sequence[set[str]]) -> str:
    """Say why a row stands beside nothing of ours; ``origins`` are those of the same regime, by setting of its rule."""
    if not origins:
        return "of rules not run here"
    if not any(row.origin in own for own in origins):
        return f"of another regime ({_regime(row).their_learner})"
    if _regime(row).metric(row.metric) not in {*CURVE_METRICS, *SCORES, PART_MEAN, GAIN}:
        return f"of {row.metric}, which is no metric of albench"
    printed = any(_schedule(row)) or not isnan(row.labels)
    return "at a budget or by a metric that these runs do not have" if printed else "at a budget that is not printed"


def _differences(ours: _Ours, row: Row) -> list[str]:
    return _regime(row).differences(row.dataset, ours.regime, *ours.key.setting)


def _rule(key: Key) -> str:
    return key.strategy.split("(", 1)[0]


def _regime(row: Row) -> Regime:
    return regime_of(row.source, row.regime, row.dataset, row.setting)


def _span(counts: Sequence[int]) -> str:
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} labels in {len(counts)} steps"

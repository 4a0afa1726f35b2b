"""Frames of rounds and trials -> the values of the tables. Nothing is imputed: a cell says what it rests on.

A cell is (dataset, embedding, learner, budget, strategy); its values are over seeds, and only over trials that are
done. All frames are those of `RunStore.rounds` and `RunStore.trials`, perhaps of several runs one under another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import pandas as pd

from ...benchmark.types import FULL_DATA, Outcome
from .metrics import CURVE_METRICS, gain
from .schedules import unfit
from .stats import Interval, difference_interval, sd, share_interval, unbeaten

IDENTITY = ["dataset", "embedding", "learner", "budget", "strategy"]
LEFT = "left"
"""The count of seeds without an ended trial, beside those of the outcomes."""
UNUSABLE = "unusable"
"""The count of done trials that are in no table: some accuracy is missing, or they stand beside nothing."""
STATES = (*Outcome, UNUSABLE, LEFT)
Value: TypeAlias = str | int
"""What cells are compared by: a metric of `CURVE_METRICS`, or ``at/1`` at a number of labels."""
Outcomes: TypeAlias = tuple[dict[str, int], tuple[str, ...]]  # counts, reasons


class Setting(NamedTuple):
    """What strategies are compared on; a full-data bound belongs to it."""

    dataset: str
    embedding: str
    learner: str

    def __str__(self) -> str:
        return "/".join(self)


class Key(NamedTuple):
    """The names of a cell."""

    dataset: str
    embedding: str
    learner: str
    budget: str
    strategy: str

    @property
    def setting(self) -> Setting:
        return Setting(*self[:3])

    def __str__(self) -> str:
        return f"{self.setting}, {self.budget}, {self.strategy}"


def key_of(names: object) -> Key:
    """Return the key of a group of rows, as a groupby over `IDENTITY` names it."""
    return Key(*map(str, cast("tuple[object, ...]", names)))


@dataclass(frozen=True, eq=False)
class Cell:
    """One strategy on one setting and budget.

    ``curves`` (S, R) holds the accuracy of each finished seed by number of labels, NaN where a seed has no such round;
    ``by_seed`` (S, metrics) the values of `CURVE_METRICS`. Gains are over the baseline, in points, over the seeds that
    both have. ``outcomes`` counts seeds by `STATES`; ``reasons`` says why some are not done.
    """

    key: Key
    curves: pd.DataFrame
    by_seed: pd.DataFrame
    aubc: Interval
    final: Interval
    gain_aubc: Interval
    gain_final: Interval
    outcomes: dict[str, int]
    reasons: tuple[str, ...]
    is_baseline: bool = False

    @property
    def n(self) -> int:
        return len(self.by_seed)

    @property
    def aubc_sd(self) -> float:
        return sd(self.by_seed["aubc/1"])

    @property
    def final_sd(self) -> float:
        return sd(self.by_seed["final/1"])

    def values(self, of: Value) -> pd.Series[float]:
        """Return a value by seed; at a number of labels none, unless each finished seed has a round with just that."""
        if isinstance(of, str):
            return self.by_seed[of]
        return self.curves[of] if of in self.whole else pd.Series(dtype=float)

    @cached_property
    def whole(self) -> frozenset[int]:
        """The numbers of labels at which each seed has a round."""
        reached = np.isfinite(self.curves.to_numpy()).all(axis=0)
        return frozenset(self.curves.columns[reached].tolist())

    def at(self, labels: int) -> Interval:
        """Return the mean of ``at/1`` over the seeds."""
        return share_interval(self.values(labels))

    def gain_at(self, labels: int, baseline: Cell) -> Interval:
        """Return ``gain/1`` at a number of labels: the mean paired difference of ``at/1``, in points."""
        return _gain(self.values(labels), baseline.values(labels))

    @property
    def status(self) -> str:
        """What is not done, as ``1 failed, 2 left``; empty when all is."""
        return ", ".join(f"{n} {name}" for name, n in self.outcomes.items() if name != Outcome.DONE)


@dataclass(frozen=True, eq=False)
class Summary:
    """All cells, the baseline first in each block, and the full-data bounds (their value is ``final``).

    ``finished`` holds the rounds that all of it is made of, as `finished_rounds` returns them; ``marks`` says of some
    strategies in what they are not like the others (`registry.MARKS`), ``by_learner`` to which regime the learners
    belong (`lesson.Regime`); ``earlier`` counts the trials, by outcome, that belong to an earlier state of their grid:
    nothing else here is made of them.
    """

    baseline: str
    cells: dict[Key, Cell] = field(default_factory=dict)
    bounds: dict[Setting, Cell] = field(default_factory=dict)
    finished: pd.DataFrame = field(default_factory=pd.DataFrame)
    marks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    earlier: Mapping[Key, Mapping[str, int]] = field(default_factory=dict)
    by_learner: Mapping[str, str] = field(default_factory=dict)

    def regime(self, setting: Setting) -> str:
        """Return the regime of a setting; empty of an imported learner, and of runs from before there were several."""
        return self.by_learner.get(setting.learner, "")

    def regimes(self) -> list[str]:
        """Return the regimes of what can run: only within one of them is anything ranked."""
        return list(dict.fromkeys(self.regime(setting) for setting in self.settings()))

    def budgets(self) -> list[str]:
        return list(dict.fromkeys(key.budget for key in self.cells))

    def strategies(self) -> list[str]:
        """Return all strategies, the oracles last."""
        return sorted(dict.fromkeys(key.strategy for key in self.cells), key=self.is_oracle)

    def is_oracle(self, strategy: str) -> bool:
        """Whether a strategy reads the hidden labels: then it is a bound, drawn and listed as the full-data one."""
        return "oracle" in self.marks.get(strategy, ())

    def is_rival(self, strategy: str) -> bool:
        """Whether a strategy is compared with the others: neither an oracle, nor one that changes the training."""
        return not {"oracle", "trains"} & set(self.marks.get(strategy, ()))

    def rivals(self) -> list[str]:
        """Return the strategies that are compared with each other; the others are shown only."""
        return [name for name in self.strategies() if self.is_rival(name)]

    def settings(self, budget: str | None = None) -> list[Setting]:
        """Return the settings where something can run; the others are listed among the cells that are not done."""
        cells = [cell for cell in self.cells.values() if budget in {None, cell.key.budget}]
        return list(dict.fromkeys(cell.key.setting for cell in cells if set(cell.outcomes) != {Outcome.UNSUPPORTED}))

    def places(self) -> list[tuple[Setting, str]]:
        """Return every setting and budget where something can run, budget by budget."""
        return [(setting, budget) for budget in self.budgets() for setting in self.settings(budget)]

    def get(self, setting: Setting, budget: str, strategy: str) -> Cell | None:
        return self.cells.get(Key(*setting, budget, strategy))

    def of(self, setting: Setting, budget: str) -> list[Cell]:
        """Return the cells of a setting and budget, in the order of the strategies."""
        cells = (self.get(setting, budget, strategy) for strategy in self.strategies())
        return [cell for cell in cells if cell is not None]

    def labels(self, setting: Setting, budget: str) -> list[int]:
        """Return the numbers of labels at which most strategies have a round in every finished trial."""
        cells = [cell for cell in self.of(setting, budget) if cell.n]
        counts = Counter(chain.from_iterable(cell.whole for cell in cells))
        return sorted(n for n, times in counts.items() if times > len(cells) / 2)

    def best(self, setting: Setting, budget: str, of: Value = "aubc/1") -> set[str]:
        """Return the rivals that no other beats on the same seeds (`stats.unbeaten`), of those with two or more."""
        rivals = [cell for cell in self.of(setting, budget) if self.is_rival(cell.key.strategy)]
        found = {cell.key.strategy: values for cell in rivals if len(values := cell.values(of)) > 1}
        if not found:
            return set()
        seeds = sorted(set().union(*(values.index for values in found.values())))
        by_seed = np.array([values.reindex(seeds) if len(values) < len(seeds) else values for values in found.values()])
        return {name for name, is_best in zip(found, unbeaten(by_seed), strict=True) if is_best}


def summarise(
    rounds: pd.DataFrame,
    trials: pd.DataFrame,
    baseline: str = "random",
    order: Mapping[str, Sequence[str]] | None = None,
    plan: pd.DataFrame | None = None,
    marks: Mapping[str, Sequence[str]] | None = None,
    earlier: pd.DataFrame | None = None,
    by_learner: Mapping[str, str] | None = None,
) -> Summary:
    """Return all table values; gains are over the strategy ``baseline``.

    Names and seed are enough to tell trials apart here (`report.read_runs` sees to it). ``order`` gives the labels of
    a column of `IDENTITY` in the order to show them; the rest follows by name. ``plan`` (`RunStore.plan`) says which
    trials are asked for besides those that have begun. ``marks`` are those of the strategies, by label, and
    ``by_learner`` the regimes of the learners; ``earlier`` holds the trials of earlier states of the grids
    (`evidence.Runs`), which are counted only.
    """
    expected = _expected(trials, rounds, *([] if plan is None else [plan]))
    finished = finished_rounds(rounds, trials, plan)
    points = finished[[*IDENTITY, "seed", "n_labelled", "accuracy"]]  # few columns: each group is a copy
    curves = {key_of(names): _curves(of) for names, of in points.groupby(IDENTITY)}
    by_seed = _curve_values(finished).sort_values("seed").set_index("seed")
    values = {key_of(names): of for names, of in by_seed.groupby(IDENTITY)[list(CURVE_METRICS)]}
    ends = trials[[*IDENTITY, "seed", "trial_id", "outcome", "reason"]]
    ended = {key_of(names): of for names, of in ends.groupby(IDENTITY)}
    no_curves, no_values = _curves(finished[:0]), by_seed[:0][list(CURVE_METRICS)]
    unusable = _unusable(rounds, plan)
    cells: dict[Key, Cell] = {}
    bounds: dict[Setting, Cell] = {}
    for key in sorted(expected, key=_sorter(baseline, order or {})):
        own, other = (values.get(k, no_values) for k in (key, key._replace(strategy=baseline)))
        outcomes = _outcomes(ended.get(key), own, expected[key], unusable)
        cell = _cell(key, curves.get(key, no_curves), own, other, baseline, outcomes)
        if key.budget == FULL_DATA:
            bounds[key.setting] = cell
        else:
            cells[key] = cell
    past = {} if earlier is None else {key_of(names): of for names, of in earlier.groupby(IDENTITY)["outcome"]}
    counts = {key: Counter(past[key]) for key in sorted(past, key=_sorter(baseline, order or {}))}
    return Summary(baseline, cells, bounds, finished, marks or {}, counts, by_learner or {})


def curve_values(rounds: pd.DataFrame, trials: pd.DataFrame, plan: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one row per trial that is done and whole: its identity, seed and the columns of `CURVE_METRICS`."""
    return _curve_values(finished_rounds(rounds, trials, plan))


def finished_rounds(rounds: pd.DataFrame, trials: pd.DataFrame, plan: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the rounds of the trials that are done and whole, by (trial_id, round).

    A trial is whole when its purchases add up to its labels, those of a validation set aside (else a part of the run
    was lost), and it bought as many as the plan says; where that is not known, it got as far as the others of its
    setting and budget. A curve of other people comes without
    purchases, and is whole. A trial with an accuracy that is not a number is left out, and an imported one that
    cannot stand beside the others.
    """
    done = set(trials.loc[trials["outcome"] == Outcome.DONE, "trial_id"]) - _unusable(rounds, plan).keys()
    rounds = rounds[rounds["trial_id"].isin(done)].sort_values(["trial_id", "round"])
    bought = rounds["selected"].map(len).groupby(rounds["trial_id"]).transform("sum")
    last = rounds.drop_duplicates("trial_id", keep="last")
    ends = zip(last["trial_id"], last["class_counts"], last["n_labelled"], strict=True)
    labels = rounds["trial_id"].map({t: int(np.sum(counts)) if len(counts) else n for t, counts, n in ends})
    reached = rounds.groupby("trial_id")["n_labelled"].transform("max")
    furthest = reached.where(bought > 0).groupby([rounds[name] for name in IDENTITY[:4]]).transform("max")
    asked = rounds["trial_id"].map(_asked(plan).set_index("trial_id")["n_bought"].astype(float))
    at_end = (reached == furthest) & asked.isna() | (bought == asked)
    whole = ((bought == reached) | (bought == labels)) & at_end | (rounds["budget"] == FULL_DATA)
    return rounds[whole | (bought == 0)]


def _asked(plan: pd.DataFrame | None) -> pd.DataFrame:
    """Return the trials of a plan of which it says how many labels they buy in all, each once."""
    if plan is None or "n_bought" not in plan:
        return pd.DataFrame(columns=[*IDENTITY, "seed", "trial_id", "n_bought"])
    return plan[plan["n_bought"].notna()].drop_duplicates("trial_id")


def _unusable(rounds: pd.DataFrame, plan: pd.DataFrame | None) -> dict[str, str]:
    """Return the ids of the trials that are in no table though they may be done, each with the reason."""
    unknown = rounds.loc[~np.isfinite(rounds["accuracy"].to_numpy(dtype=np.float64)), "trial_id"]
    return {**unfit(rounds), **_shorter(plan), **dict.fromkeys(unknown, "with an accuracy that is not a number")}


def _shorter(plan: pd.DataFrame | None) -> dict[str, str]:
    """Return the ids of trials that buy less than others of their names and seed: two runs mean two budgets by one."""
    asked = _asked(plan)
    most = asked.groupby([*IDENTITY[:4], "seed"])["n_bought"].transform("max")
    short = asked.assign(most=most)[asked["n_bought"] < most]
    return {
        trial_id: f"its budget ends at {n:.0f} labels, that of the others of its setting at {most:.0f}"
        for trial_id, n, most in short[["trial_id", "n_bought", "most"]].itertuples(index=False)
    }


def _expected(*frames: pd.DataFrame) -> dict[Key, set[int]]:
    """Return every cell that some frame knows of, with its seeds."""
    expected: dict[Key, set[int]] = {}
    seen = pd.concat([frame[[*IDENTITY, "seed"]].drop_duplicates() for frame in frames])
    for *names, seed in seen.itertuples(index=False):
        expected.setdefault(Key(*names), set()).add(seed)
    return expected


def _sorter(baseline: str, order: Mapping[str, Sequence[str]]) -> Callable[[Key], list[tuple[int, str]]]:
    places = {column: {label: place for place, label in enumerate(order.get(column, ()))} for column in IDENTITY}
    places["strategy"][baseline] = -1

    def sorter(key: Key) -> list[tuple[int, str]]:
        return [(places[column].get(label, len(places[column])), label) for column, label in key._asdict().items()]

    return sorter


def _curves(rounds: pd.DataFrame) -> pd.DataFrame:
    seeds, row = np.unique(rounds["seed"].to_numpy(), return_inverse=True)
    labels, column = np.unique(rounds["n_labelled"].to_numpy(), return_inverse=True)
    values = np.full((len(seeds), len(labels)), np.nan)
    values[row, column] = rounds["accuracy"].to_numpy()
    return pd.DataFrame(values, pd.Index(seeds, name="seed"), pd.Index(labels, name="n_labelled"))


def _curve_values(finished: pd.DataFrame) -> pd.DataFrame:
    first = ~finished["trial_id"].duplicated()
    values = finished.loc[first, [*IDENTITY, "seed"]].reset_index(drop=True)
    starts = np.flatnonzero(first)[1:]
    xs, ys = (np.split(finished[column].to_numpy(), starts) for column in ("n_labelled", "accuracy"))
    for name, metric in CURVE_METRICS.items():
        values[name] = [metric(x, y) for x, y in zip(xs, ys, strict=True)] if len(values) else pd.Series(dtype=float)
    return values


def _cell(
    key: Key, curves: pd.DataFrame, values: pd.DataFrame, other: pd.DataFrame, baseline: str, outcomes: Outcomes
) -> Cell:
    return Cell(
        key=key,
        curves=curves,
        by_seed=values,
        aubc=share_interval(values["aubc/1"]),
        final=share_interval(values["final/1"]),
        gain_aubc=_gain(values["aubc/1"], other["aubc/1"]),
        gain_final=_gain(values["final/1"], other["final/1"]),
        outcomes=outcomes[0],
        reasons=outcomes[1],
        is_baseline=key.strategy == baseline,
    )


def _gain(values: pd.Series[float], other: pd.Series[float]) -> Interval:
    """Return the mean paired difference of two series by seed in points, over the seeds that both have."""
    if not values.index.equals(other.index):  # rare, and slow
        shared = values.index.intersection(other.index)
        values, other = values.loc[shared], other.loc[shared]
    return difference_interval(gain(values.to_numpy(), other.to_numpy()))


def _outcomes(
    ended: pd.DataFrame | None, values: pd.DataFrame, seeds: set[int], unusable: Mapping[str, str]
) -> Outcomes:
    """Count a cell's seeds by `STATES`, with the reasons of those not done; a done trial that lost rounds is left."""
    if ended is None:
        return {LEFT: len(seeds)}, ()
    done = len(values)
    ends = list(zip(*(ended[name].tolist() for name in ("trial_id", "outcome", "reason")), strict=True))
    counts = Counter(outcome for _, outcome, _ in ends)
    unfit_for = Counter(unusable[i] for i, outcome, _ in ends if outcome == Outcome.DONE and i in unusable)
    counts[UNUSABLE] = unfit_for.total()
    lost_rounds = counts[Outcome.DONE] - done - counts[UNUSABLE]
    counts[Outcome.DONE] = done
    counts[LEFT] = len(seeds - set(ended["seed"].tolist())) + lost_rounds
    reasons = sorted({reason for _, outcome, reason in ends if outcome != Outcome.DONE} - {""})
    reasons += [f"{n} done, but {why}: in no table" for why, n in sorted(unfit_for.items())]
    if lost_rounds:
        reasons.append(f"{lost_rounds} done but without all rounds: run the grid again")
    return {name: counts[name] for name in STATES if counts[name]}, tuple(reasons)

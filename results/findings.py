"""What a reader of the tables must know besides: twins, first batches, and how far the study carries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..benchmark.types import FULL_DATA
from .tables import IDENTITY, Summary

ENOUGH_SEEDS = 10
PLACE = IDENTITY[:4]  # dataset, embedding, learner, budget
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Twin:
    """Two strategies that buy the same rows: mean Jaccard index ``jaccard`` in ``places`` of ``shared`` places."""

    first: str
    second: str
    jaccard: float
    places: tuple[str, ...]
    shared: int

    def __str__(self) -> str:
        where = f"{len(self.places)} of {self.shared} settings ({', '.join(self.places)})"
        return f"twins: {self.first} and {self.second} buy the same rows in {where}; mean Jaccard {self.jaccard:.3f}"


@dataclass(frozen=True, eq=False)
class _Picks:
    """What the strategy itself bought in one trial: rows (P,), the round of each (P,), and its first such round."""

    rows: NDArray[np.int64]
    rounds: NDArray[np.int64]
    first: int


def twins(rounds: pd.DataFrame, at_least: float = 0.99) -> list[Twin]:
    """Return the pairs of strategies whose picks coincide where they can be compared.

    Compared are the rows bought up to each round by the two strategies (not the initial labels, nor a first batch
    that one of them bought as random), by their Jaccard index, mean over rounds, then over the seeds both have, in
    each place (dataset, embedding, learner, budget). A pair is reported when it reaches ``at_least`` in any.
    """
    own = rounds[(rounds["bought_by"] == "strategy") & (rounds["budget"] != FULL_DATA)]
    own = own.sort_values(["trial_id", "round"])
    trials = own.drop_duplicates("trial_id")[[*PLACE, "strategy", "seed"]]
    trials["picks"] = pd.Series(_picks(own), index=trials.index, dtype=object)
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for names, here in trials.groupby(PLACE):
        picks = {str(name): dict(zip(of["seed"], of["picks"], strict=True)) for name, of in here.groupby("strategy")}
        for pair in combinations(picks, 2):
            seeds = sorted(picks[pair[0]].keys() & picks[pair[1]].keys())
            if seeds:
                both = ((picks[pair[0]][seed], picks[pair[1]][seed]) for seed in seeds)
                found.setdefault(pair, {})["/".join(map(str, names))] = _alike(both, len(seeds), at_least)
    reported = []
    for pair, places in found.items():
        values = {place: value for place, value in places.items() if value is not None}
        if values:
            reported.append(Twin(*pair, float(np.mean(list(values.values()))), tuple(values), len(places)))
    return sorted(reported, key=lambda twin: (twin.first, twin.second))


def _alike(both: Iterable[tuple[_Picks, _Picks]], n: int, at_least: float) -> float | None:
    """Return the mean Jaccard index of ``n`` pairs of trials; None when it is below ``at_least``."""
    values = []
    for a, b in both:
        value = _jaccard(a, b)
        if value is None or value < 1 - n * (1 - at_least):  # the others cannot make up for it: most pairs end here
            return None
        values.append(value)
    mean = float(np.mean(values))
    return mean if mean >= at_least else None


def _picks(own: pd.DataFrame) -> list[_Picks]:
    """Return the picks of each trial of a frame that is sorted by (trial_id, round)."""
    if own.empty:
        return []
    sizes = own["selected"].map(len).to_numpy()
    rounds = own["round"].to_numpy(dtype=np.int64)
    starts = np.flatnonzero(~own["trial_id"].duplicated())
    cuts = np.append(0, sizes.cumsum())[starts[1:]]
    rows = np.split(np.concatenate(own["selected"].to_list()), cuts)
    return [_Picks(*of) for of in zip(rows, np.split(np.repeat(rounds, sizes), cuts), rounds[starts], strict=True)]


def _jaccard(a: _Picks, b: _Picks) -> float | None:
    """Return the Jaccard index of what was bought up to each round, mean over the rounds both have; None without."""
    first, last = max(a.first, b.first), min(a.rounds.max(initial=-1), b.rounds.max(initial=-1))
    if first > last:
        return None  # one of them never chose where the other did
    in_a, in_b = ((picks.rounds >= first) & (picks.rounds <= last) for picks in (a, b))
    when = np.full(max(a.rows.max(), b.rows.max()) + 1, _NEVER)
    when[b.rows[in_b]] = b.rounds[in_b]
    in_both = np.maximum(a.rounds[in_a], when[a.rows[in_a]])  # the round from which both have the row
    steps = int(last - first + 1)
    both = np.bincount(in_both[in_both <= last] - first, minlength=steps).cumsum()
    of_a, of_b = (np.bincount(x.rounds[m] - first, minlength=steps).cumsum() for x, m in ((a, in_a), (b, in_b)))
    return float((both / (of_a + of_b - both)).mean())


def first_batches(rounds: pd.DataFrame) -> list[str]:
    """Say which strategies bought their first batch as random does, because there were no labels yet."""
    at_random = rounds.loc[rounds["bought_by"] == "random", ["budget", "strategy"]]
    return [
        f"budget {budget}: {', '.join(sorted(set(names)))}: first batch bought as random (no labels yet)"
        for budget, names in at_random.groupby("budget")["strategy"]
    ]


def grade(rounds: pd.DataFrame, trials: pd.DataFrame, summary: Summary) -> list[str]:
    """Say what limits the study: seeds, anchors, machines, and the five pitfalls of Lüth et al. 2023 it covers."""
    return [*_seeds(summary), *_anchors(summary), *_machines(trials), *_pitfalls(rounds)]


def _seeds(summary: Summary) -> list[str]:
    counts = [cell.n for cell in summary.cells.values() if cell.n]
    if not counts:
        return []
    if max(counts) == 1:
        return ["one seed: no interval can be given, and no difference between strategies can be told from chance"]
    if min(counts) < ENOUGH_SEEDS:
        return [f"some cells rest on {min(counts)} seeds; with fewer than {ENOUGH_SEEDS} small differences stay open"]
    return []


def _anchors(summary: Summary) -> list[str]:
    lines = []
    have = {(key.setting, key.budget) for key, cell in summary.cells.items() if key.strategy == summary.baseline}
    if without := {f"{key.setting}/{key.budget}" for key in summary.cells if (key.setting, key.budget) not in have}:
        lines.append(f"no {summary.baseline} to compare with, so no gain: {', '.join(sorted(without))}")
    if without := {str(s) for s in summary.settings() if s not in summary.bounds or not summary.bounds[s].n}:
        lines.append(f"no full-data bound: {', '.join(sorted(without))}")
    return lines


def _machines(trials: pd.DataFrame) -> list[str]:
    lines = []
    for column in ("host", "device"):
        names = sorted(set(trials.loc[trials["outcome"] == "done", column]) - {""})
        if len(names) > 1:
            lines.append(f"several {column}s: {', '.join(names)}; pairs of trials may be mixed across them")
    return lines


def _pitfalls(rounds: pd.DataFrame) -> list[str]:
    bought = rounds[rounds["budget"] != FULL_DATA]
    if bought.empty:
        return []
    first = bought.sort_values("round").drop_duplicates("trial_id")
    starts = (first["n_labelled"] - first["selected"].map(len).where(first["round"] > 0, 0)).unique()
    queries = _query_sizes(bought[bought["trial_id"].isin(first.drop_duplicates(["dataset", "budget"])["trial_id"])])
    semi = [name for name in bought["learner"].unique() if name.startswith(("flexmatch", "label-propagation"))]
    learned = [name for name in bought["embedding"].unique() if not name.startswith(("pixels", "pca"))]
    return [
        _covered("several data distributions", "datasets", list(bought["dataset"].unique())),
        _covered("several starting budgets", "initial labels", sorted(starts.tolist())),
        _covered("several query sizes", "labels per query", queries),
        f"pitfall 'tuned classifier': see the parameters of {', '.join(sorted(bought['learner'].unique()))}",
        f"pitfall 'self- and semi-supervised regimes': {'covered' if learned and semi else 'covered in part'}"
        f" (learned features: {', '.join(learned) or 'none'}; semi-supervised learners: {', '.join(semi) or 'none'})"
        if learned or semi
        else "pitfall 'self- and semi-supervised regimes': not covered",
    ]


def _query_sizes(bought: pd.DataFrame) -> list[object]:
    """Return the sizes of all purchases, less a last one that took what was left of the pool."""
    bought = bought[bought["round"] > 0].sort_values(["trial_id", "round"])
    sizes = bought["selected"].map(len)
    is_last = ~bought["trial_id"].duplicated(keep="last")
    return sorted(sizes[~is_last | (sizes >= sizes.groupby(bought["trial_id"]).shift(fill_value=0))].unique().tolist())


def _covered(pitfall: str, of: str, values: list[object]) -> str:
    state = "covered" if len(values) > 1 else "not covered"
    return f"pitfall '{pitfall}': {state} ({of}: {', '.join(map(str, values))})"

"""What a reader of the tables must know besides: twins, first batches, and how far the study carries."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...benchmark.lesson import Regime
from ...benchmark.text import listing
from ...benchmark.types import FULL_DATA, Outcome
from ..record.schema import IMPORTED
from .forensics import PLACE, Trail, trails_of
from .tables import STATES, Key, Summary
from .words import UNSAID, count

ENOUGH_SEEDS = 10
FIXED = {
    "alfm-head",
    "finetune",
    "flexmatch",
    "flexmatch-head",
    "knn",
    "label-propagation",
    "laplace-head",
    "linear",
    "mlp",
    "pseudo-label",
    "resnet18",
    "resnet50",
    "svm",
    "wrn",
}
"""Learners that take their parameters as given."""
LEARNED, UNLEARNED = {"simclr", "timm", "torchvision", "dino", "dinov2"}, {"raw", "pca", "random-conv"}
"""Encoders with and without training on images."""
SEMI = {"flexmatch", "label-propagation"}
"""Parts of the names of imported learners that use the unlabelled rows; ours declare it."""
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


def twins(rounds: pd.DataFrame, at_least: float = 0.99) -> list[Twin]:
    """Return the pairs of strategies whose picks coincide where they can be compared.

    Compared are the rows bought up to each round by the two strategies (not the initial labels, nor a first batch
    that one of them bought as random), by their Jaccard index, mean over rounds, then over the seeds both have, in
    each place (dataset, embedding, learner, budget). A pair is reported when it reaches ``at_least`` in any.
    """
    own = rounds[(rounds["bought_by"] == "strategy") & (rounds["budget"] != FULL_DATA)]
    own = own.sort_values(["trial_id", "round"])
    trials = own.drop_duplicates("trial_id")[[*PLACE, "strategy", "seed"]]
    trials["picks"] = pd.Series(trails_of(own), index=trials.index, dtype=object)
    found: dict[tuple[str, str], dict[str, float | None]] = {}
    for names, here in trials.groupby(PLACE):
        picks = {
            str(name): {seed: trail for seed, trail in zip(of["seed"], of["picks"], strict=True) if trail}
            for name, of in here.groupby("strategy")
        }
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


def apart(summary: Summary) -> list[str]:
    """Return what stands apart that a reader may take for comparable: `strangers`, and `spellings` of strategies."""
    cells = {key: cell.by_seed.index for key, cell in summary.cells.items()}
    return [*strangers(cells), *spellings("strategies", summary.strategies())]


def strangers(seeds: Mapping[Key, Iterable[int]]) -> list[str]:
    """Return a line for each setting and budget with strategies that share no seed: nothing pairs them.

    ``seeds`` are those of the trials that are done, by cell; cells without any have nothing to share.
    """
    places: dict[str, dict[tuple[int, ...], list[str]]] = {}
    for key, own in seeds.items():
        groups = places.setdefault(f"{key.setting}, {key.budget}", {})
        groups.setdefault(tuple(sorted(own)), []).append(key.strategy)
    lines = []
    for place, groups in places.items():
        pairs = [pair for pair in combinations(filter(None, groups), 2) if not set(pair[0]) & set(pair[1])]
        if pairs:
            told = (f"{listing(groups[own])} (seeds {listing(own, 4)})" for own in pairs[0])
            more = f" (nor do {count(len(pairs) - 1, 'more pair')})" if len(pairs) > 1 else ""
            lines.append(
                f"{place}: {' and '.join(told)} share no seed{more}: they cannot be compared seed by seed, so no gain"
                " is shown and neither is marked as better"
            )
    return lines


def spellings(kind: str, names: Iterable[str]) -> list[str]:
    """Return a line for each of ``names`` that stands there in several spellings: case, hyphens, spaces, accents."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold()), []).append(name)
    return [
        f"{kind} {' and '.join(map(repr, same))}: one under several spellings? They are told apart; write one name to"
        " have them as one"
        for same in groups.values()
        if len(same) > 1
    ]


def mixed_devices(trials: pd.DataFrame) -> list[str]:
    """Return a line for each place (dataset, embedding, learner, budget) whose pairs were computed on several devices.

    A pair are the trials of one seed: between devices their answers may differ in the last bits.
    """
    done = trials[(trials["outcome"] == Outcome.DONE) & (trials["device"] != "")]
    lines = []
    for names, here in done.groupby(PLACE):
        mixed = int((here.groupby("seed")["device"].nunique() > 1).sum())
        if mixed:
            devices = ", ".join(sorted(here["device"].unique()))
            lines.append(
                f"{'/'.join(map(str, names))}: the trials of {count(mixed, 'seed')} ran on several devices ({devices})"
            )
    return lines


def _alike(both: Iterable[tuple[Trail, Trail]], n: int, at_least: float) -> float | None:
    """Return the mean Jaccard index of ``n`` pairs of trials; None when it is below ``at_least``."""
    values = []
    for a, b in both:
        value = _jaccard(a, b)
        if value is None or value < 1 - n * (1 - at_least):  # the others cannot make up for it: most pairs end here
            return None
        values.append(value)
    mean = float(np.mean(values))
    return mean if mean >= at_least else None


def _jaccard(a: Trail, b: Trail) -> float | None:
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


class Grade(NamedTuple):
    """One question to a study: ``yes``, ``no``, ``in part`` or ``not known``, and what the answer rests on."""

    question: str
    answer: str
    why: str


def grade(rounds: pd.DataFrame, trials: pd.DataFrame, summary: Summary) -> list[Grade]:
    """Say how far the study carries: the pitfalls of Lüth et al. 2023 (arXiv 2301.10625), seeds, anchors, machines.

    It informs; it refuses nothing.
    """
    return [*_pitfalls(rounds, summary), _seeds(summary), *_anchors(summary), *_machines(trials), _ended(summary)]


def _seeds(summary: Summary) -> Grade:
    counts = [cell.n for cell in summary.cells.values() if cell.n]
    question = f"{ENOUGH_SEEDS} seeds or more"
    if not counts:
        return Grade(question, "no", "no trial of a strategy is finished")
    if max(counts) == 1:
        why = "one seed: no interval can be given, and no difference between strategies can be told from chance"
        return Grade(question, "no", why)
    if min(counts) < ENOUGH_SEEDS:
        why = f"some cells rest on {min(counts)} seeds; with fewer than {ENOUGH_SEEDS} small differences stay open"
        return Grade(question, "no", why)
    return Grade(question, "yes", f"each cell rests on {_span(counts)}")


def _span(counts: list[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _anchors(summary: Summary) -> list[Grade]:
    places = summary.places()
    bare = [f"{s}/{b}" for s, b in places if not (cell := summary.get(s, b, summary.baseline)) or not cell.n]
    unbound = [str(s) for s in summary.settings() if s not in summary.bounds or not summary.bounds[s].n]
    return [
        _everywhere(
            f"{summary.baseline} as an anchor", f"no {summary.baseline} to compare with, so no gain", bare, places
        ),
        _everywhere("full-data bound as an anchor", "no full-data bound", unbound, places),
    ]


def _everywhere(question: str, lack: str, without: list[str], places: Sized) -> Grade:
    if without:
        return Grade(question, "no", f"{lack}: {', '.join(without)}")
    return Grade(question, "yes", "in all settings") if places else Grade(question, "not known", "nothing ran")


def _machines(trials: pd.DataFrame) -> list[Grade]:
    grades = []
    for column in ("host", "device"):
        names = sorted(set(trials.loc[trials["outcome"] == "done", column].dropna()) - {""})
        if len(names) > 1:
            why = f"several {column}s: {', '.join(names)}; pairs of trials may be mixed across them"
            grades.append(Grade(f"one {column}", "no", why))
        elif names:
            grades.append(Grade(f"one {column}", "yes", names[0]))
    return grades


def _ended(summary: Summary) -> Grade:
    counts: Counter[str] = Counter()
    for cell in (*summary.cells.values(), *summary.bounds.values()):
        counts.update(cell.outcomes)
    told = ", ".join(f"{counts[name]} {name}" for name in STATES if counts[name])
    whole = counts.keys() <= {Outcome.DONE, Outcome.UNSUPPORTED}
    return Grade("all trials done that can run", "yes" if whole and told else "no", told or "none")


def _pitfalls(rounds: pd.DataFrame, summary: Summary) -> list[Grade]:
    bought = rounds[rounds["budget"] != FULL_DATA]
    if bought.empty:
        return []
    starts, queries = _schedules(bought)
    datasets, embeddings, learners = (sorted(rounds[name].unique()) for name in ("dataset", "embedding", "learner"))
    why = f"datasets: {', '.join(datasets)}"
    return [
        Grade("several data distributions", "yes" if len(datasets) > 1 else "no", why),
        _several("several starting budgets", "initial labels", starts),
        _several("several query sizes", "labels per query", queries),
        _tuned(rounds),
        _with_unlabelled(embeddings, learners, summary.by_learner),
        _regimes(learners, summary.by_learner),
    ]


def _several(question: str, of: str, values: Mapping[str, set[int]]) -> Grade:
    """Grade by dataset: the same schedule per class on two datasets is one schedule."""
    several = [len(numbers) > 1 for numbers in values.values()]
    answer = "yes" if all(several) else "in part" if any(several) else "no"
    return Grade(question, answer, f"{of}: {', '.join(map(str, sorted(set().union(*values.values()))))}")


def _tuned(rounds: pd.DataFrame) -> Grade:
    """The classifier is what is scored; how its selector's settings were found is said besides.

    An import names a learner, perhaps one of ours, and nobody says how its parameters were found.
    """
    of_learner, of_selector = (_chosen(rounds, model) for model in ("learner", "selector"))
    own = rounds.loc[rounds["bought_by"] != IMPORTED, "learner"].unique()
    given = sorted(label for label in own if label not in of_learner and _parts(label) <= FIXED)
    others = sorted(set(rounds["learner"].unique()) - of_learner - set(given))
    parts = [
        f"settings chosen by labels: {', '.join(sorted(of_learner))}" if of_learner else "",
        f"those of the selector chosen by labels: {', '.join(sorted(of_selector))}" if of_selector else "",
        f"parameters as given: {', '.join(given)}" if given else "",
        f"nothing says how the parameters were found of {', '.join(others)}" if others else "",
    ]
    untuned = "not known" if others else "no"
    answer = untuned if not of_learner else "in part" if given or others else "yes"
    return Grade("tuned classifier", answer, "; ".join(filter(None, parts)))


def _chosen(rounds: pd.DataFrame, model: str) -> set[str]:
    """Return the learners with settings on record that were chosen for the ``learner`` itself, or its ``selector``."""
    told = rounds[["learner", "settings"]].dropna().drop_duplicates()
    return {label for label, settings in told.itertuples(index=False) if model in json.loads(settings)}


def _with_unlabelled(embeddings: list[str], learners: list[str], regimes: Mapping[str, str]) -> Grade:
    learned = [label for label in embeddings if _parts(label) & LEARNED]
    semi = [label for label in learners if regimes.get(label) == Regime.SEMI or _parts(label) & SEMI]
    unknown = [label for label in embeddings if not (_parts(label) & LEARNED or _parts(label) <= UNLEARNED)]
    unknown += [label for label in learners if label not in (*regimes, *semi) and not _parts(label) <= FIXED]
    question = "self- and semi-supervised regimes"
    why = f"learned features: {', '.join(learned) or 'none'}; semi-supervised learners: {', '.join(semi) or 'none'}"
    if unknown:
        why += f"; not known: {', '.join(unknown)}"
    answer = "yes" if learned and semi else "in part" if learned or semi else "not known" if unknown else "no"
    return Grade(question, answer, why)


def _regimes(learners: list[str], regimes: Mapping[str, str]) -> Grade:
    """Say which regimes are covered; they are never ranked together, so each is a study of its own."""
    found: dict[str, list[str]] = {}
    for label in learners:
        found.setdefault(regimes.get(label, UNSAID), []).append(label)
    covered = len(found.keys() - {UNSAID})
    answer = "yes" if covered > 1 else "not known" if UNSAID in found else "no"
    why = "; ".join(f"{regime}: {', '.join(labels)}" for regime, labels in found.items())
    return Grade("several training regimes", answer, why)


def _parts(label: str) -> set[str]:
    """Return the names in a label.

    Those of ``linear(C=1)+flexmatch`` and of ``linear -> flexmatch`` are two, that of ``timm:vit_small`` is timm.
    """
    return {part.partition(":")[0] for part in re.split(r"\+| -> ", re.sub(r"\(.*?\)", "", label))}


def _schedules(bought: pd.DataFrame) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """Return the numbers of initial labels, and of labels per query, by dataset.

    Those of most trials of a budget: imported ones may buy other numbers. A last purchase that is smaller took what
    was left of the pool, and does not count.
    """
    medians = bought.groupby(["dataset", "budget", "round"])["n_labelled"].median().astype(int)
    counts: dict[tuple[str, str], dict[int, int]] = {}  # by dataset and budget: round -> labels
    for dataset, budget, round_, n in medians.reset_index().itertuples(index=False):
        counts.setdefault((dataset, budget), {})[round_] = n
    starts: dict[str, set[int]] = {}
    queries: dict[str, set[int]] = {}
    for (dataset, _), labels in counts.items():
        start = labels.pop(0, 0)
        sizes = np.diff([start, *labels.values()]).tolist()
        starts.setdefault(dataset, set()).add(start)
        queries.setdefault(dataset, set()).update(sizes[:-1] if sizes[-1:] < sizes[-2:-1] else sizes)
    return starts, queries

"""What the picks themselves say: who buys the same rows, who buys as chance would, which rows come first.

All of it rests on the rows that strategies chose themselves in trials that are done: neither the initial labels nor a
first batch that was bought as random. Rows are counted until half of the pool is labelled: all rules buy the same rows
in the end. A place is (dataset, embedding, learner, budget).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...benchmark.types import FULL_DATA, Floats, Rows
from .metrics import balance
from .tables import IDENTITY

PLACE = IDENTITY[:4]
RANDOM = "random"  # the strategy, whatever baseline a report has: only its draws are uniform
ALPHA = 0.05
NEAR = 1.25
"""A rule is near-random where a row bought on one seed has less than so many times the odds of others on another.

Of a large pool that is so many times the rows shared by chance. Preferring a third of it 3 to 1 gives 1.32, a half of
it 2 to 1 gives 1.11: so weak a preference may be called near-random.
"""
SAME = 0.99
"""A strategy whose mean Jaccard index with another reaches this is taken for the same (as `findings.twins` does)."""


@dataclass(frozen=True, eq=False)
class Trail:
    """What one trial bought: ``rows`` (P,) in order and the round of each (P,); its own choices begin in ``first``."""

    rows: Rows
    rounds: NDArray[np.int64]
    first: int

    def since(self, round_: int) -> Rows:
        """Return the rows bought from this round on."""
        rows: Rows = self.rows[self.rounds >= round_]
        return rows

    def before(self, round_: int) -> Rows:
        """Return the rows bought before this round."""
        rows: Rows = self.rows[self.rounds < round_]
        return rows

    def until(self, round_: int) -> Trail:
        """Return the trail as it was after this round."""
        there = self.rounds <= round_
        return Trail(self.rows[there], self.rounds[there], self.first)

    @property
    def own(self) -> Rows:
        """The rows that the strategy chose."""
        return self.since(self.first)

    @property
    def first_batch(self) -> Rows:
        """The first rows that the strategy chose."""
        rows: Rows = self.rows[self.rounds == self.first]
        return rows


@dataclass(frozen=True, eq=False)
class Place:
    """Strategies side by side: ``trails`` by strategy and seed.

    ``size`` is the number of rows of the pool, None where no full-data bound tells it. ``one_split`` says whether a
    row number is known to be the same row for every seed.
    """

    names: tuple[str, ...]
    trails: Mapping[str, Mapping[int, Trail]]
    size: int | None
    one_split: bool


@dataclass(frozen=True)
class Chance:
    """How many rows two kinds of picks share, and how many they would by chance: sums over ``n`` pairs of trials.

    ``p`` is the chance to share as many or more, ``p_near`` to share as few or fewer were the odds `NEAR` times those
    of chance; NaN, as ``expected``, where the size of the pool is not known.
    """

    seen: int
    expected: float
    p: float
    p_near: float
    n: int

    @property
    def is_more(self) -> bool:
        """Whether it is shown that more is shared than by chance."""
        return self.p <= ALPHA

    @property
    def is_near(self) -> bool:
        """Whether it is shown that hardly more is shared than by chance: the upper 95 % bound is below `NEAR`."""
        return self.p > ALPHA and self.p_near <= ALPHA


def places(finished: pd.DataFrame, manifests: Mapping[str, Mapping[str, Any]]) -> list[Place]:
    """Return the places in which strategies chose rows."""
    bounds = finished[finished["budget"] == FULL_DATA]
    bought = finished[finished["budget"] != FULL_DATA]
    most = bought.groupby("dataset")["n_labelled"].max()
    sizes = {d: n for d, n in zip(bounds["dataset"], bounds["n_labelled"].tolist(), strict=True) if n >= most.get(d, 0)}
    one_split = _of_one_split(manifests)
    found: dict[tuple[str, ...], dict[str, dict[int, Trail]]] = {}
    of_trial = bought.drop_duplicates("trial_id")
    names = zip(*(of_trial[name] for name in (*PLACE, "strategy", "seed")), strict=True)
    for (*place, strategy, seed), trail in zip(names, trails_of(bought), strict=True):
        if trail is not None:
            found.setdefault(tuple(place), {}).setdefault(strategy, {})[seed] = trail
    return [
        Place(names, _to_half(of, sizes.get(names[0])), sizes.get(names[0]), "/".join(names[:2]) in one_split)
        for names, of in found.items()
    ]


def _to_half(trails: dict[str, dict[int, Trail]], size: int | None) -> dict[str, dict[int, Trail]]:
    """Cut trails after the last round with at most half of the pool labelled, but leave each a batch of its own."""
    every = [trail for of in trails.values() for trail in of.values()]
    if size is None or max(len(trail.rows) for trail in every) <= size / 2:
        return trails
    within = [int(trail.rounds[: size // 2 + 1][-1]) - 1 for trail in every if len(trail.rows) > size / 2]
    last = max(min(within), *(trail.first for trail in every))
    return {name: {seed: trail.until(last) for seed, trail in of.items()} for name, of in trails.items()}


def _of_one_split(manifests: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the embedded datasets (``dataset/embedding``) that have one fingerprint in all runs together.

    A split of its own for each seed gives one for each seed, be they in one run or in several. Empty where a run does
    not tell its fingerprints: it may have any.
    """
    ours = (manifest for manifest in manifests.values() if "imported from" not in manifest)  # imported: no rows
    known = [manifest.get("fingerprints") or {} for manifest in ours]
    if not all(known):
        return set()
    labels = Counter(label for _, label in {pair for of in known for pair in of.items()})
    return {label for label, n in labels.items() if n == 1}


def trails_of(bought: pd.DataFrame) -> list[Trail | None]:
    """Return what each trial bought, from rounds by (trial_id, round); None for one that chose nothing itself."""
    if bought.empty:
        return []
    sizes = bought["selected"].map(len).to_numpy()
    number = bought["round"].to_numpy(dtype=np.int64)
    is_own = (bought["bought_by"] == "strategy").to_numpy() & (sizes > 0)
    starts = np.flatnonzero(~bought["trial_id"].duplicated())
    cuts = np.append(0, sizes.cumsum())[starts[1:]]
    rows = np.split(np.concatenate(bought["selected"].to_list()), cuts)
    rounds = np.split(np.repeat(number, sizes), cuts)
    own = [number[at][is_own[at]] for at in np.split(np.arange(len(bought)), starts[1:])]
    found = zip(rows, rounds, own, strict=True)
    return [Trail(chosen, when, int(own[0])) if len(own) else None for chosen, when, own in found]


def overlaps(place: Place, names: Sequence[str]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the Jaccard indices (K, K) of the strategies ``names`` and the number of seeds (K, K) of each.

    |A and B| / |A or B| of all that two strategies chose, mean over the seeds both have; both are counted from the
    first round in which both chose themselves. NaN where they share no seed.
    """
    values, n = np.full((len(names), len(names)), nan), np.zeros((len(names), len(names)), dtype=np.int64)
    for i, name in enumerate(names):
        if of := place.trails.get(name):
            values[i, i], n[i, i] = 1.0, len(of)
    for (i, a), (j, b) in combinations(enumerate(names), 2):
        found = [jaccard(x, y) for x, y in _pairs(place, a, b)]
        if found:
            values[i, j] = values[j, i] = np.mean(found)
            n[i, j] = n[j, i] = len(found)
    return values, n


def jaccard(a: Trail, b: Trail) -> float:
    """Return |A and B| / |A or B| of what both chose from the first round on in which both did."""
    since = max(a.first, b.first)
    one, other = a.since(since), b.since(since)
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / max(len(one) + len(other) - both, 1)


def with_random(place: Place, strategy: str) -> Chance:
    """Compare what a strategy chose with what `RANDOM` drew on the same seeds.

    Random draws its b rows uniformly out of the F that are free where both begin to choose, so it hits the a
    rows of the strategy as Hypergeometric(F, a, b) says, whatever the strategy's rule: mean a b / F. More than that
    says that the strategy uses random's draws (`Query.rng` gives all the same ones); as much says nothing of
    its worth (see `between_seeds`).
    """
    seen, mean, variance, n = 0, 0.0, 0.0, 0
    for a, b in _pairs(place, strategy, RANDOM):
        since = max(a.first, b.first)
        chosen, drawn = a.since(since), b.since(since)
        seen += len(np.intersect1d(chosen, drawn, assume_unique=True))
        n += 1
        if place.size is not None:
            of_pair = _hypergeometric(place.size - len(b.before(since)), len(chosen), len(drawn))
            mean, variance = mean + of_pair[0], variance + of_pair[1]
    return _chance(place, seen, mean, variance, n)


def between_seeds(place: Place, strategy: str) -> Chance | None:
    """Compare what a strategy chose on different seeds: whether it comes back to rows more often than random does.

    For two seeds s and t a random rule draws its b rows for t out of the F that are free there, and hits those that it
    chose for s as Hypergeometric(F, a, b) says (a: those of them that are free for t). Over all pairs of seeds means
    add up, and variances too, since the pairs are uncorrelated. A rule that prefers any row comes back to it. None
    where seeds may have splits of their own: a row number is then another row.
    """
    trails = list(place.trails.get(strategy, {}).values())
    if not place.one_split or not trails:
        return None
    times = np.bincount(np.concatenate([trail.own for trail in trails]))
    seen, n = int((times * (times - 1) // 2).sum()), len(trails) * (len(trails) - 1) // 2
    mean = variance = 0.0
    if place.size is not None:
        free_before = np.zeros(place.size, dtype=np.int64)  # of how many of the seeds so far each row is free
        for k, trail in enumerate(trails):
            taken = trail.before(trail.first)
            free, a = place.size - len(taken), free_before[trail.own].sum() / max(k, 1)  # a: mean over k seeds
            of_pair = _hypergeometric(free, a, len(trail.own))
            mean, variance = mean + k * of_pair[0], variance + k * of_pair[1]
            free_before += 1
            free_before[taken] -= 1
    return _chance(place, seen, mean, variance, n)


def _hypergeometric(free: int, a: float, b: int) -> tuple[float, float]:
    """Return mean and variance of how many of ``a`` rows are among ``b`` drawn from ``free``."""
    mean = a * b / free
    return mean, mean * (1 - a / free) * (free - b) / max(free - 1, 1)


def _chance(place: Place, seen: int, mean: float, variance: float, n: int) -> Chance:
    if place.size is None or not n:
        return Chance(seen, nan, nan, nan, n)
    near = mean + log(NEAR) * variance  # the slope of a hypergeometric mean in the log odds is its variance
    p_near = 1 - tail(seen + 1, near, variance * near / mean if mean else 0.0)
    return Chance(seen, mean, tail(seen, mean, variance), p_near, n)


def tail(seen: int, mean: float, variance: float) -> float:
    """Return the chance of ``seen`` or more of a sum of hypergeometric counts with this mean and variance.

    A hypergeometric count is a sum of independent yes-or-no draws, so it is taken for the binomial one with the same
    mean and variance: the normal distribution for large counts, Poisson's where the pool is much larger than the
    picks. NaN where nothing can vary.
    """
    from scipy.special import betainc  # noqa: PLC0415  a run need not load scipy for its report's sake

    if variance <= 1e-9 * mean:
        return nan
    if seen <= 0:
        return 1.0
    p = max(1 - variance / mean, 1e-9)
    most = mean / p
    return 0.0 if seen > most else float(betainc(seen, most - seen + 1, p))


def first_rows(place: Place, strategy: str, most: int = 5) -> list[tuple[int, int]]:
    """Return the rows that are most often in the strategy's first own batch, with the number of seeds: (row, seeds).

    Equally frequent rows come by number. Empty where seeds may have splits of their own.
    """
    trails = place.trails.get(strategy, {}).values()
    if not trails or not place.one_split:
        return []
    rows, seeds = np.unique(np.concatenate([trail.first_batch for trail in trails]), return_counts=True)
    order = np.lexsort((rows, -seeds))[:most]
    return list(zip(rows[order].tolist(), seeds[order].tolist(), strict=True))


def class_shares(finished: pd.DataFrame) -> pd.DataFrame:
    """Return the histogram of classes at the beginning, the middle and the end of each place's budget.

    Columns: `IDENTITY`, n_labelled, n (seeds), shares (C,) of the classes among all labels so far, seen (the number of
    classes among them), balance (``balance/1``). The last three are means over seeds.
    """
    bought = finished[(finished["budget"] != FULL_DATA) & (finished["class_counts"].map(len) > 0)]
    rows = []
    for _, here in bought.groupby(PLACE, sort=False):
        labels = np.unique(here["n_labelled"])
        shown = here[here["n_labelled"].isin(labels[[0, len(labels) // 2, -1]])]
        for (*names, n_labelled), at in shown.groupby([*IDENTITY, "n_labelled"], sort=False):
            counts = np.array(at["class_counts"].to_list(), dtype=np.float64)
            shares = counts / counts.sum(axis=1, keepdims=True)
            even = np.mean([balance(of) for of in counts])
            means = (len(at), shares.mean(axis=0), (counts > 0).sum(axis=1).mean(), even)
            rows.append((*names, n_labelled, *means))
    return pd.DataFrame(rows, columns=[*IDENTITY, "n_labelled", "n", "shares", "seen", "balance"])


def _pairs(place: Place, a: str, b: str) -> Iterator[tuple[Trail, Trail]]:
    """Yield the trails of two strategies on the seeds that both have."""
    of_a, of_b = place.trails.get(a, {}), place.trails.get(b, {})
    for seed in sorted(of_a.keys() & of_b.keys()):
        yield of_a[seed], of_b[seed]

"""Strategies compared over many settings: pure functions of arrays (B blocks, K strategies, S seeds, R rounds).

A block is one setting and budget; all accuracies are better when higher, and all tests are two-sided at 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from ...benchmark.types import Floats
from .stats import FEWEST_ALIKE, LEVEL, Interval, holm, mean_interval, paired_p

ALPHA = 1 - LEVEL
DRAWS = 2000
EXACT = 50
"""Blocks up to which the signed-rank test is exact; beyond, its normal approximation is as good."""


def ranks(values: ArrayLike) -> Floats:
    """Return the ranks (B, K) of values (B, K) within each block: 1 is the highest, equals share their mean rank."""
    array = np.asarray(values, dtype=np.float64)
    own, other = array[:, :, None], array[:, None, :]
    ranked: Floats = (other > own).sum(axis=2) + ((other == own).sum(axis=2) + 1) / 2
    return ranked


def mean_ranks(values: ArrayLike) -> list[Interval]:
    """Return the mean rank of each strategy over blocks of values (B, K), with `mean_interval` cut to [1, K].

    Below `FEWEST_ALIKE` blocks there is no interval: ranks are so coarse that one of two blocks would hold the truth
    75 times in 100.
    """
    ranked = ranks(values)
    k = ranked.shape[1]
    if len(ranked) < FEWEST_ALIKE:
        return [Interval(float(column.mean()), np.nan, np.nan, len(column)) for column in ranked.T]
    intervals = [mean_interval(column) for column in ranked.T]
    return [Interval(i.mean, max(i.low, 1.0), min(i.high, float(k)), i.n) if i.n > 1 else i for i in intervals]


def friedman(values: ArrayLike) -> float:
    """Return the p-value of the Friedman test that all strategies of values (B, K) rank alike; NaN for K < 3 or B < 2.

    The chi-squared approximation, as scipy has it; 1 where all strategies are equal in every block.
    """
    from scipy.stats import friedmanchisquare  # noqa: PLC0415  seconds to load, which tables alone need not pay

    array = np.asarray(values, dtype=np.float64)
    if array.shape[0] < 2 or array.shape[1] < 3:
        return np.nan
    if not np.ptp(array, axis=1).any():
        return 1.0
    return float(friedmanchisquare(*array.T).pvalue)


def wilcoxon_holm(values: ArrayLike) -> Floats:
    """Return the p-values (K, K) of Wilcoxon's signed-rank test for all pairs over blocks (B, K), Holm over pairs.

    Benavoli et al. 2016 (JMLR 17): unlike ranks, a pair's verdict does not depend on who else takes part. Exact up to
    `EXACT` blocks; blocks in which a pair is equal say nothing about it.
    """
    array = np.asarray(values, dtype=np.float64)
    i, j = np.triu_indices(array.shape[1], 1)
    differences = (array[:, i] - array[:, j]).T
    matrix = np.ones((array.shape[1],) * 2)
    if len(i):
        matrix[i, j] = matrix[j, i] = holm([_signed_rank(d[d != 0]) for d in differences])
    return matrix


def _signed_rank(differences: Floats) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test of differences (B,), none of them 0.

    Exact: how many of the 2^B signs give each sum of ranks is counted rank by rank. scipy counts so only where no
    two differences are equal, and tries all signs one by one where some are.
    """
    from scipy.stats import rankdata, wilcoxon  # noqa: PLC0415  as above

    if len(differences) > EXACT:
        return float(wilcoxon(differences).pvalue)
    doubled = np.rint(2 * rankdata(np.abs(differences))).astype(np.int64)  # equals share half a rank: whole numbers
    ways = np.ones(1)
    for rank in doubled:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    seen = int(doubled[differences > 0].sum())
    return min(1.0, 2 * float(min(ways[: seen + 1].sum(), ways[seen:].sum()) / ways.sum()))


def blocks_needed(k: int) -> int:
    """Return the blocks below which `wilcoxon_holm` can tell no pair of k strategies apart, whatever their values."""
    pairs, b = k * (k - 1) // 2, 1
    while 2.0 ** (1 - b) * pairs > ALPHA:
        b += 1
    return b


def critical_difference(k: int, b: int) -> float:
    """Return Nemenyi's critical difference of mean ranks of k > 1 strategies, b blocks (Demšar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range  # noqa: PLC0415  as above

    return float(studentized_range.ppf(LEVEL, k, np.inf) / sqrt(2) * sqrt(k * (k + 1) / (6 * b)))


def groups(mean: ArrayLike, p: ArrayLike) -> list[list[int]]:
    """Return the bars of a critical-difference diagram: strategies that cannot be told apart.

    They are the longest runs by mean rank (K,), best first, in which every pair has a p-value (K, K) above 5 %. A
    strategy that is told apart from both its neighbours is in none.
    """
    order, same = np.argsort(mean, kind="stable"), np.asarray(p) > ALPHA
    bars: list[list[int]] = []
    end = 0
    for start in range(len(order)):
        stop = max(start + 1, end)
        while stop < len(order) and same[np.ix_(order[start : stop + 1], order[start : stop + 1])].all():
            stop += 1
        if stop > end and stop - start > 1:
            bars.append(order[start:stop].tolist())
        end = max(end, stop)
    return bars


def places(mean: ArrayLike, p: ArrayLike) -> NDArray[np.int64]:
    """Return the ranks (K, 2), best and worst, that each strategy may have: from 1 + those that are surely better.

    Of mean ranks (K,) and p-values (K, K) adjusted for all pairs, so that all K intervals hold at once, 95 times in
    100 (Mogstad et al. 2024, Review of Economic Studies 91).
    """
    order, differ = np.asarray(mean, dtype=np.float64), np.asarray(p) <= ALPHA
    better = (differ & (order[None, :] < order[:, None])).sum(axis=1)
    worse = (differ & (order[None, :] > order[:, None])).sum(axis=1)
    return np.stack([1 + better, len(order) - worse], axis=1)


def pairwise(values: ArrayLike) -> NDArray[np.int64]:
    """Return who beats whom in one block, (K, K): 1 where row beats column, -1 where it loses, else 0.

    Of values (K, S), the same seeds for all: paired t-test at 5 %, one for each pair, not adjusted.
    """
    array = np.asarray(values, dtype=np.float64)
    i, j = np.triu_indices(len(array), 1)
    differences = array[i] - array[j]
    verdict = (np.sign(differences.mean(axis=1)) * (paired_p(differences) <= ALPHA)).astype(np.int64)
    matrix = np.zeros((len(array),) * 2, dtype=np.int64)
    matrix[i, j], matrix[j, i] = verdict, -verdict
    return matrix


def penalties(curves: ArrayLike) -> Floats:
    """Return the share of rounds in which row beats column, (K, K), of curves (K, S, R) in one block.

    The same seeds for all: paired two-sided t-test at each round, Holm over the R rounds of a pair. So a pair that does
    not differ is penalised at all in at most 5 blocks of 100.
    """
    array = np.asarray(curves, dtype=np.float64)
    i, j = np.triu_indices(len(array), 1)
    differences = np.moveaxis(array[i] - array[j], 1, 2)  # (pairs, R, S)
    differ, sign = holm(paired_p(differences)) <= ALPHA, differences.mean(axis=2)
    matrix = np.zeros((len(array),) * 2)
    matrix[i, j], matrix[j, i] = (differ & (sign > 0)).mean(axis=1), (differ & (sign < 0)).mean(axis=1)
    return matrix


def penalty_matrix(curves: Sequence[ArrayLike]) -> Floats:
    """Return the mean over blocks of `penalties` (K, K); each of ``curves`` is (K, S, R), S and R its own.

    After Ash et al. 2020 (arXiv 1906.03671), who used unpaired tests of five runs, did not adjust for the rounds, and
    give the sum over blocks: this is that sum over the number of blocks.
    """
    matrix: Floats = np.mean([penalties(block) for block in curves], axis=0)
    return matrix


def iqm(values: ArrayLike) -> Floats:
    """Return the interquartile mean (...) of values (..., N): without the lowest and the highest N // 4.

    As `scipy.stats.trim_mean` has it, which is slow for many short rows.
    """
    array = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    cut = array.shape[-1] // 4
    mean: Floats = np.asarray(array[..., cut : array.shape[-1] - cut].mean(axis=-1))
    return mean


@dataclass(frozen=True, eq=False)
class Iqm:
    """Interquartile means over all N runs (blocks and seeds), and their differences to a baseline, K of each."""

    means: list[Interval]
    differences: list[Interval]


def iqm_intervals(values: Sequence[ArrayLike], baseline: int, rng: np.random.Generator, draws: int = DRAWS) -> Iqm:
    """Return the interquartile mean of each strategy, of blocks of values (K, S), with a paired stratified bootstrap.

    Seeds are drawn within each block (the strata of Agarwal et al. 2021, arXiv 2108.13264), alike for all strategies,
    so that differences are paired. Percentile intervals from a given generator, not a global one, and wider by what
    few seeds make them too narrow: with Student's quantile, and n - 1 for n (Hesterberg 2015, section 4.4).
    """
    arrays = [np.asarray(block, dtype=np.float64) for block in values]
    pooled = np.concatenate(arrays, axis=1)
    sizes = np.array([block.shape[1] for block in arrays])
    starts = np.append(0, sizes.cumsum()[:-1])
    drawn = np.repeat(starts, sizes) + (rng.random((draws, sizes.sum())) * np.repeat(sizes, sizes)).astype(np.int64)
    boots = np.stack([iqm(row[drawn]) for row in pooled])  # (K, draws)
    means = iqm(pooled)
    tail = _expanded_tail(sizes)
    return Iqm(
        [_percentile(mean, boot, tail, pooled.shape[1]) for mean, boot in zip(means, boots, strict=True)],
        [
            _percentile(mean, boot, tail, pooled.shape[1])
            for mean, boot in zip(means - means[baseline], boots - boots[baseline], strict=True)
        ],
    )


def _expanded_tail(sizes: NDArray[np.int64]) -> float:
    """Return what to cut off each side of a bootstrap of strata of these sizes; NaN when one has a single value."""
    n, freedom = float(sizes.mean()), int((sizes - 1).sum())
    return float(ndtr(-stdtrit(freedom, (1 + LEVEL) / 2) * sqrt(n / (n - 1)))) if sizes.min() > 1 else np.nan


def _percentile(mean: float, boot: Floats, tail: float, n: int) -> Interval:
    low, high = (np.nan, np.nan) if np.isnan(tail) else np.quantile(boot, [tail, 1 - tail])
    return Interval(float(mean), float(low), float(high), n)


def profile(values: Sequence[ArrayLike], points: int = 101) -> tuple[Floats, Floats]:
    """Return accuracies tau (T,) and the share of runs above each (K, T), of blocks of values (K, S).

    The performance profile of Agarwal et al. 2021, from the lowest value, less a hair, to the highest.
    """
    pooled = np.sort(np.concatenate([np.asarray(block, dtype=np.float64) for block in values], axis=1), axis=1)
    taus = np.linspace(pooled.min() - 1e-9, pooled.max(), points)
    above = np.stack([pooled.shape[1] - np.searchsorted(row, taus, side="right") for row in pooled])
    return taus, above / pooled.shape[1]

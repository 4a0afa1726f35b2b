"""What the learning curves of two cells say together: label saving, and the label counts to show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtrit

from ...benchmark.seeds import generator
from ...benchmark.types import Floats
from .metrics import monotone, saving
from .stats import LEVEL, Interval
from .tables import Cell

DRAWS = 2000


def thinned(labels: Sequence[int], most: int = 8) -> list[int]:
    """Return at most ``most`` of some label counts in rising order: the first, its doublings, and the last.

    All where they are few. A doubling that is not among them gives way to the next that is; where doublings are too
    many, fourfold steps are taken, and so on.
    """
    chosen, factor = list(labels), 2
    while len(chosen) > most:
        start = max(labels[0], 1)
        steps = np.arange(np.log(labels[-1] / start) / np.log(factor))
        places = np.searchsorted(labels, start * factor**steps)
        chosen = sorted({labels[0], labels[-1], *(labels[place] for place in places)})
        factor *= 2
    return chosen


def savings(cell: Cell, baseline: Cell, labels: Sequence[int]) -> list[Interval]:
    """Return ``saving/1`` at each of some label counts, over the seeds that both cells have.

    NaN where a seed of the cell has no such round. Values are infinite as those of `metrics.saving` are, and so are
    bounds.
    """
    seeds = cell.curves.index.intersection(baseline.curves.index)
    n = len(seeds)
    if not n:
        return [Interval(np.nan, np.nan, np.nan, 0)] * len(labels)
    (x, base), (y, own) = (_drawn(each, tuple(seeds.tolist())) for each in (baseline, cell))
    places = pd.Index(y).get_indexer(pd.Index(labels))
    if not x or (places < 0).all():
        return [Interval(np.nan, np.nan, np.nan, n)] * len(labels)
    reached = np.where(places < 0, np.nan, own[:, places])
    means, drawn = (saving(x, base[rows], labels, reached[rows]) for rows in (slice(0, 1), slice(1, None)))
    low, high = np.full((2, len(labels)), np.nan)
    if n > 1:
        low, high = np.quantile(drawn, _levels(n), axis=0, method="inverted_cdf")  # takes infinite values
    return [Interval(float(means[0, i]), float(low[i]), float(high[i]), n) for i in range(len(labels))]


@lru_cache(maxsize=16)
def _drawn(cell: Cell, seeds: tuple[int, ...]) -> tuple[tuple[int, ...], Floats]:
    """Return the labels (R,) that all these seeds of a cell have, and its monotone mean curves there (1 + draws, R).

    First that of the seeds, then those of the resamples. The strategy's are monotone too: were the baseline's alone, a
    copy of it would seem to cost labels. Kept, since all strategies of a place ask for the same baseline.
    """
    whole = cell.curves.loc[list(seeds)].dropna(axis="columns")
    n = len(seeds)
    weights = np.concatenate([np.full((1, n), 1 / n), _resamples(n) if n > 1 else np.empty((0, n))])
    means = weights @ whole.to_numpy(dtype=np.float64)
    return tuple(map(int, whole.columns)), monotone(means) if means.size else means


def _levels(n: int) -> tuple[float, float]:
    """Return the shares of resamples below the two bounds, of n seeds.

    Hesterberg (The American Statistician 2015, section 5.3): the plain percentiles are too narrow for few values; these
    are as wide as Student's t for a mean.
    """
    tail = float(ndtr(sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - LEVEL) / 2)))
    return tail, 1 - tail


@lru_cache(maxsize=64)
def _resamples(n: int) -> Floats:
    """Return the share of each of n seeds in each resample (draws, n): the same for all curves of n seeds."""
    shares: Floats = generator("report", "resamples", n).multinomial(n, np.full(n, 1 / n), size=DRAWS) / n
    return shares

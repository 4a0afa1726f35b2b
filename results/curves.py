"""What the learning curves of two cells say together: label saving, and the label counts to show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtrit

from ..benchmark.seeds import generator
from ..benchmark.types import Floats
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
    base, own = (each.curves.loc[seeds].dropna(axis="columns") for each in (baseline, cell))
    if base.empty or own.empty:
        return [Interval(np.nan, np.nan, np.nan, n)] * len(labels)
    means = _savings(base, own, labels, np.full((1, n), 1 / n))[0]
    low, high = np.full((2, len(labels)), np.nan)
    if n > 1:
        drawn = _savings(base, own, labels, _resamples(n))
        low, high = np.quantile(drawn, _levels(n), axis=0, method="inverted_cdf")  # takes infinite values
    return [Interval(float(means[i]), float(low[i]), float(high[i]), n) for i in range(len(labels))]


def _savings(base: pd.DataFrame, own: pd.DataFrame, labels: Sequence[int], weights: Floats) -> Floats:
    """Return ``saving/1`` (W, labels) of weighted means over seeds, weights (W, S).

    Both mean curves are made monotone: were it the baseline's alone, a copy of it would seem to cost labels.
    """
    places = own.columns.get_indexer(pd.Index(labels))
    reached = monotone(weights @ own.to_numpy(dtype=np.float64))[:, places]
    reached[:, places < 0] = np.nan
    return saving(base.columns, weights @ base.to_numpy(dtype=np.float64), labels, reached)


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

"""How sure a mean is when seeds are drawn and test rows too: pure functions of arrays.

A trial of seed s is right or wrong on test row m. Both are drawn: another seed starts from other labels, another test
set holds other rows. An interval over seeds (`stats.mean_interval`) knows the first draw alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from .stats import LEVEL, Interval

Values = NDArray[np.floating[Any]]
_MOST = 1e6  # degrees of freedom: from here on Student's t is the normal distribution


@dataclass(frozen=True)
class Spread:
    """A mean over S seeds with about M test rows each, its variance, and the degrees of freedom of that variance.

    ``rows`` is the share of the variance that comes from the test rows, which no number of seeds takes away.
    """

    mean: float
    variance: float
    freedom: float
    seeds: int
    n_rows: int
    rows: float

    @property
    def t(self) -> float:
        return float(stdtrit(min(self.freedom, _MOST), (1 + LEVEL) / 2))


def crossed(x: Values) -> Spread:
    """Return the spread of values (S, M) of S > 1 seeds on the same M > 1 test rows.

    Seeds and rows are crossed random effects, x = mu + a_s + b_m + e_sm, where e holds what a seed does to a row in
    particular. The mean squares of the two-way table (one value a cell), A over seeds, B over rows and E of the rest,
    have the expectations M var(a) + var(e), S var(b) + var(e) and var(e). So the variance of the mean,
    var(a) / S + var(b) / M + var(e) / (S M), is estimated by

        V = (A' + B' - E) / (S M),    A' = max(A, E),  B' = max(B, E)

    (no component below 0), with (S M V)^2 / (A'^2 / (S - 1) + B'^2 / (M - 1) + E^2 / ((S - 1) (M - 1))) degrees of
    freedom (Satterthwaite 1946, Biometrics Bulletin 2:110). The components: Searle, Casella and McCulloch 1992,
    Variance Components, chapter 4. Readers and cases in diagnostic studies are the same design (Hillis 2007, Statistics
    in Medicine 26:596); a bootstrap of both ways has no exact form and errs on the wide side (Owen 2007, The pigeonhole
    bootstrap, Annals of Applied Statistics 1:386).
    """
    s, m = x.shape
    by_seed, by_row = x.mean(axis=1, dtype=np.float64), x.mean(axis=0, dtype=np.float64)
    mean = float(by_seed.mean())
    a, b = m * float(((by_seed - mean) ** 2).sum()), s * float(((by_row - mean) ** 2).sum())
    total = sum(float(np.square(row - mean, dtype=np.float64).sum()) for row in x)
    e = max(total - a - b, 0.0) / ((s - 1) * (m - 1))
    a, b = max(a / (s - 1), e), max(b / (m - 1), e)
    v = a + b - e
    if v <= 0:
        return Spread(mean, 0.0, _MOST, s, m, 0.0)
    freedom = v**2 / (a**2 / (s - 1) + b**2 / (m - 1) + e**2 / ((s - 1) * (m - 1)))
    return Spread(mean, v / (s * m), freedom, s, m, (b - e) / v)


def nested(values: Sequence[Values], whole: int, rows: Sequence[NDArray[np.int64]] | None = None) -> Spread:
    """Return the spread of values (M_s,) of S > 1 seeds, each on a test set of its own, drawn from ``whole`` rows.

    Rows are nested in seeds, so the variance of the seeds' means, D, holds what rows do: D / S is all of it where no
    two test sets share a row. Splits of the same rows do share some. Of test sets of M of N rows, row effects b add
    var(b) ((1 - M/N) / (S M) + 1 / N) to the variance of the mean, of which D / S has the first part alone. So

        V = D / S + var(b) / N,    of V^2 / ((D / S)^2 / (S - 1)) degrees of freedom.

    ``rows`` (M_s,) says which rows of the data a test set has: then var(b) is the mean product of what two seeds give
    the same row, each less its seed's mean. Without, the variance within seeds stands for it, which is more.
    """
    means = np.array([row.mean(dtype=np.float64) for row in values])
    s, n_rows = len(means), round(float(np.mean([len(row) for row in values])))
    effect = float(np.mean([row.var(dtype=np.float64, ddof=1) for row in values]))
    if rows is not None:
        effect = min(_row_effect([row - mean for row, mean in zip(values, means, strict=True)], rows), effect)
    between, shared = float(means.var(ddof=1)) / s, effect / whole
    v = between + shared
    freedom = min(v**2 * (s - 1) / between**2, _MOST) if between > 0 else _MOST
    return Spread(float(means.mean()), v, freedom, s, n_rows, shared / v if v > 0 else 0.0)


def _row_effect(rest: Sequence[Values], rows: Sequence[NDArray[np.int64]]) -> float:
    """Return the mean product of two values of the same row, at least 0; 0 where no row has two."""
    _, row = np.unique(np.concatenate(rows), return_inverse=True)
    z = np.concatenate(rest).astype(np.float64)
    times, sums, squares = np.bincount(row), np.bincount(row, z), np.bincount(row, z**2)
    pairs = int((times * (times - 1)).sum())
    return max(float((sums**2 - squares).sum()) / pairs, 0.0) if pairs else 0.0


def interval(spread: Spread, over_seeds: Interval) -> Interval:
    """Return the mean with Student's t interval, at least as wide as the one over seeds; none where nothing varies."""
    half = spread.t * sqrt(spread.variance) if spread.variance > 0 else np.nan
    return _around(Interval(spread.mean, spread.mean - half, spread.mean + half, spread.seeds), over_seeds)


def share(spread: Spread, over_seeds: Interval) -> Interval:
    """Return the mean of shares with Wilson's interval (1927) for as many rows as give this variance.

    Those are n = p (1 - p) / V rows; with Student's t in place of the normal quantile this is the interval of surveys
    in clusters (Dean and Pagano 2015, Journal of Survey Statistics and Methodology 3:484). It stays within 0 and 1 and
    is skewed as a share near 1 is: there the plain interval of 100 rows holds the truth 88 to 92 times in 100. Where
    all are right, or none, n is the number of test rows. At least as wide as the interval over seeds.
    """
    p, t2 = min(max(spread.mean, 0.0), 1.0), spread.t**2
    n = p * (1 - p) / spread.variance if spread.variance > 0 and 0 < p < 1 else spread.n_rows
    centre = (p + t2 / (2 * n)) / (1 + t2 / n)
    half = sqrt(t2 * (p * (1 - p) / n + t2 / (4 * n**2))) / (1 + t2 / n)
    low, high = min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p)
    return _around(Interval(p, low, high, spread.seeds), over_seeds)


def _around(interval: Interval, over_seeds: Interval) -> Interval:
    """Return the interval that holds both.

    Of two or three seeds the one over seeds is so wide, for want of degrees of freedom, that the other may lie in it;
    of five or more this widens nothing that shows (in simulations, the truth is held as often).
    """
    low, high = np.fmin(interval.low, over_seeds.low), np.fmax(interval.high, over_seeds.high)
    return Interval(interval.mean, float(low), float(high), interval.n)

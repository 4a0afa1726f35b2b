"""Intervals over seeds and test rows: the formulas against a plain two-way table, and how often they hold the truth."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t
from support.drawn import World

from albench.results.measures.crossed import crossed, interval, nested, share
from albench.results.measures.stats import Interval, difference_interval, mean_interval, share_interval

NONE = Interval(np.nan, np.nan, np.nan, 0)


def table(x: np.ndarray) -> tuple[float, float]:
    """Variance of the mean and its degrees of freedom, from the two-way table written out."""
    s, m = x.shape
    a = m * ((x.mean(1) - x.mean()) ** 2).sum() / (s - 1)
    b = s * ((x.mean(0) - x.mean()) ** 2).sum() / (m - 1)
    rest = x - x.mean(1, keepdims=True) - x.mean(0, keepdims=True) + x.mean()
    e = (rest**2).sum() / ((s - 1) * (m - 1))
    a, b = max(a, e), max(b, e)
    v = a + b - e
    return v / (s * m), v**2 / (a**2 / (s - 1) + b**2 / (m - 1) + e**2 / ((s - 1) * (m - 1)))


@given(st.integers(2, 6), st.integers(2, 40), st.integers(0, 10**6))
def test_variance_and_freedom_are_those_of_the_two_way_table(s: int, m: int, seed: int) -> None:
    x = np.random.default_rng(seed).random((s, m)) + np.arange(m) / m
    spread = crossed(x)
    assert (spread.variance, spread.freedom) == pytest.approx(table(x))
    assert spread.mean == pytest.approx(x.mean())
    assert (spread.seeds, spread.n_rows) == (s, m)
    assert 0 <= spread.rows <= 1
    assert crossed(x[::-1, ::-1]).variance == pytest.approx(spread.variance)


def test_without_a_row_effect_it_is_the_interval_over_seeds() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.5, 0.3])
    got = interval(crossed(np.repeat(values[:, None], 50, axis=1)), NONE)
    want = mean_interval(values)
    assert [got.low, got.high] == pytest.approx([want.low, want.high])


def test_without_a_seed_effect_it_is_the_interval_over_rows() -> None:
    rows = np.random.default_rng(0).normal(size=200)
    spread = crossed(np.repeat(rows[None], 4, axis=0))
    assert spread.rows == pytest.approx(1)
    got = interval(spread, NONE)
    low, high = t.interval(0.95, 199, rows.mean(), rows.std(ddof=1) / np.sqrt(200))
    assert [got.low, got.high] == pytest.approx([low, high])


def test_where_all_are_right_a_test_set_of_its_size_is_what_is_known() -> None:
    got = share(crossed(np.ones((5, 100))), share_interval(np.ones(5)))
    assert got.mean == got.high == 1
    assert got.low == pytest.approx(1 / (1 + 1.96**2 / 100), abs=1e-4)
    assert np.isnan(interval(crossed(np.zeros((5, 100))), difference_interval(np.zeros(2)[:1])).low)


def test_it_is_never_narrower_than_over_seeds() -> None:
    x = np.random.default_rng(1).random((2, 500))
    over_seeds = share_interval(x.mean(axis=1))
    got = share(crossed(x), over_seeds)
    assert got.low <= over_seeds.low < over_seeds.high <= got.high


def test_on_rows_of_its_own_each_seed_has_all_that_rows_do_in_its_mean() -> None:
    rows = [np.random.default_rng(seed).random(50) for seed in range(6)]
    over_seeds = mean_interval([row.mean() for row in rows])
    apart = interval(nested(rows, 10**12), NONE)
    assert [apart.low, apart.high] == pytest.approx([over_seeds.low, over_seeds.high])
    shared, none = np.arange(50), [np.arange(50) + 50 * seed for seed in range(6)]
    assert nested(rows, 100, none).variance == pytest.approx(nested(rows, 10**12).variance)
    assert nested(rows, 100, none).variance < nested(rows, 100).variance
    alike = [np.linspace(0, 1, 50) + seed / 10 for seed in range(6)]
    effect = nested(alike, 100, [shared] * 6).variance - nested(alike, 10**12).variance
    assert effect * 100 == pytest.approx(np.linspace(0, 1, 50).var(), rel=0.01)


@pytest.mark.parametrize(("seeds", "rows"), [(5, 200), (10, 100), (30, 100)])
def test_the_truth_is_held_95_times_in_100(seeds: int, rows: int) -> None:
    """The full table is in tests/perf/test_coverage.py; seeds alone hold it 45 to 90 times in 100 here."""
    rng, repeats = np.random.default_rng(seeds), 400
    held = {"share": 0, "gain": 0, "nested": 0}
    worlds = [World(0.8, 0.1, 1.0), World(0.9, 0.2, 1.0)]
    for world, _ in product(worlds, range(repeats)):
        x, y = world.crossed(rng, seeds, rows)
        found = share(crossed(x), NONE)
        held["share"] += found.low <= world.accuracy <= found.high
        found = interval(crossed(100 * (y - x)), NONE)
        held["gain"] += found.low <= world.gain <= found.high
        x, _, drawn = world.resampled(rng, seeds, rows, 3 * rows)
        found = share(nested(list(x), 3 * rows, list(drawn)), NONE)
        held["nested"] += found.low <= world.accuracy <= found.high
    for n in held.values():
        assert 0.92 <= n / (repeats * len(worlds)) <= 0.98  # of 800: 95 give or take 0.8

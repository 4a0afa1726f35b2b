"""Intervals, tests and their power, against scipy, statsmodels, and simulations whose truth is known."""

from collections.abc import Callable
from itertools import takewhile

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from albench.results.measures import stats

Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]


def paired_accuracies(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """Differences of two accuracies on the same 200 test rows, whose luck both share: 0.01 in the mean."""
    luck = rng.normal(0, 0.01, size)
    return (rng.binomial(200, 0.93 + luck) - rng.binomial(200, 0.92 + luck)) / 200


TYPICAL: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, size: rng.normal(3, 2, size), 3),
    "heavy tails": (lambda rng, size: rng.standard_t(5, size), 0),
    "skewed: some curves fall behind": (lambda rng, size: 0.95 - 0.01 * rng.gamma(4, 1, size), 0.91),
    "bounded: 54 test rows, 0.93 right": (lambda rng, size: rng.binomial(54, 0.93, size) / 54, 0.93),
    "paired differences": (paired_accuracies, 0.01),
}


@pytest.mark.parametrize("n", [5, 10, 30])
@pytest.mark.parametrize("kind", TYPICAL)
def test_95_of_100_intervals_hold_the_mean(kind: str, n: int) -> None:
    draw, truth = TYPICAL[kind]
    intervals = [stats.mean_interval(row) for row in draw(np.random.default_rng(n), (2000, n))]
    assert 0.93 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.97


def test_the_interval_is_that_of_scipy_and_wider_at_a_higher_level() -> None:
    values = [0.1, 0.5, 0.3, 0.9]
    for level in (0.5, 0.95):
        theirs = scipy_stats.ttest_1samp(values, 0).confidence_interval(level)
        ours = stats.mean_interval(values, level)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
        assert [ours.mean, ours.n] == pytest.approx([0.45, 4])
        assert ours.half_width == pytest.approx(ours.mean - ours.low)
    assert stats.sd(values) == pytest.approx(np.std(values) * np.sqrt(4 / 3))


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    one, none = stats.mean_interval([0.5]), stats.mean_interval([])
    assert (one.mean, one.n, none.n) == (0.5, 1, 0)
    assert np.isnan([one.low, one.high, none.mean, none.low, stats.sd([0.5])]).all()
    assert not one.contains_zero


def test_p_values_are_those_of_scipy_and_agree_with_the_intervals() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.8, 0.1, (40, 7)), rng.normal(0.85, 0.1, (40, 7))
    p = stats.paired_p(a - b)
    np.testing.assert_allclose(p, scipy_stats.ttest_rel(a, b, axis=1).pvalue)
    assert 0 < (p <= 0.05).sum() < 40
    assert [not stats.mean_interval(d).contains_zero for d in a - b] == (p <= 0.05).tolist()


def test_equal_differences_are_not_certain() -> None:
    alike = [[0.0] * 4, [0.1 + 0.2 - 0.3] * 4, [1 / 54] * 4, [17 / 54 - 16 / 54, 1 / 54, 3 / 54 - 2 / 54, 1 / 54]]
    sign = [1, 1, *[scipy_stats.binomtest(4, 4).pvalue] * 2]
    assert stats.paired_p(alike).tolist() == pytest.approx(sign)
    assert stats.paired_p(np.ones((3, 1))).tolist() == [1, 1, 1]


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_few_test_rows_do_not_make_false_findings(n: int) -> None:
    rng = np.random.default_rng(n)
    differences = (rng.binomial(54, 0.95, (20_000, n)) - rng.binomial(54, 0.95, (20_000, n))) / 54
    assert (stats.paired_p(differences) <= 0.05).mean() <= 0.053  # 0.05 and two standard errors


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).random((30, 8)) ** 3
    p[0, :4] = p[0, 4:]  # ties
    theirs = [multipletests(row, method="holm")[1] for row in p]
    np.testing.assert_allclose(stats.holm(p), theirs)
    np.testing.assert_allclose(stats.holm(p.reshape(5, 6, 8)).reshape(30, 8), theirs)
    assert stats.holm([]).size == 0


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30, 150])
def test_what_n_pairs_detect_is_that_of_statsmodels(n: int) -> None:
    assert stats.detectable(n) == pytest.approx(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8), rel=1e-5)


def test_what_n_pairs_detect_they_do_detect_in_four_cases_of_five() -> None:
    d = np.random.default_rng(0).normal(0.03 * stats.detectable(10), 0.03, (20_000, 10))
    assert (stats.paired_p(d) <= 0.05).mean() == pytest.approx(0.8, abs=0.01)
    assert np.isnan([stats.detectable(1), stats.detectable(0)]).all()


@pytest.mark.parametrize("mean", [0.02, 0.1, 0.3, 1.0, 4.0])
def test_seeds_needed_are_the_fewest_that_have_the_power(mean: float) -> None:
    values = np.array([-1.0, 0.0, 1.0]) + mean  # SD 1
    n = stats.seeds_needed(values, most=100_000)
    assert n is not None
    power = [TTestPower().power(mean, m, 0.05) for m in (n - 1, n)]
    assert power[0] < 0.8 <= power[1] + 1e-6
    assert stats.seeds_needed(-values, most=100_000) == n
    assert stats.seeds_needed(values, most=n) == n
    assert stats.seeds_needed(values, most=n - 1) is None


def test_seeds_needed_where_there_is_no_difference_or_no_spread() -> None:
    assert stats.seeds_needed([-1.0, 1.0]) is None
    assert stats.seeds_needed([0.0, 0.0]) is None
    assert stats.seeds_needed([0.1, 0.1]) == stats.FEWEST_ALIKE
    p = [float(stats.paired_p([0.1] * n)) for n in (stats.FEWEST_ALIKE - 1, stats.FEWEST_ALIKE)]
    assert p[0] > 0.05 >= p[1]


# --- the best, and what is not told apart from it --------------------------------------------------------------------


def test_who_is_unbeaten_by_hand() -> None:
    luck = np.arange(10) / 100
    noise = np.tile([0.001, -0.001], 5)
    values = np.array([0.5 + luck, 0.6 + luck + noise, 0.6 + luck])
    assert stats.unbeaten(values).tolist() == [False, True, True]
    assert stats.unbeaten(values[:1]).tolist() == [True]
    assert stats.unbeaten(values[:, :1]).tolist() == [False] * 3  # one seed says nothing


def test_the_best_of_easy_seeds_does_not_beat_one_that_is_better_on_them() -> None:
    easy = np.linspace(0.3, 0, 10)
    jitter = np.random.default_rng(0).normal(0, 0.002, (2, 10))
    values = 0.6 + easy + jitter + [[0.0], [0.02]]
    values[0, 3:] = np.nan  # half finished, and higher on average
    assert np.nanmean(values, axis=1).argmax() == 0
    assert stats.unbeaten(values).tolist() == [False, True]
    values[0, :9] = np.nan  # one seed that both have: nothing can be said of either
    assert stats.unbeaten(values).tolist() == [False, False]


def test_unbeaten_is_holm_over_paired_t_tests() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        values = rng.normal(rng.normal(0, 0.5, (5, 1)), 1, (5, 8))
        expected = []
        for i in range(5):
            tests = [scipy_stats.ttest_rel(values[i], values[j]) for j in range(5) if j != i]
            ordered = sorted((float(test.pvalue), float(test.statistic)) for test in tests)
            steps = takewhile(lambda step: step[1][0] <= 0.05 / (4 - step[0]), enumerate(ordered))  # Holm
            expected.append(not any(statistic < 0 for _, (_, statistic) in steps))
        assert stats.unbeaten(values).tolist() == expected
        assert stats.unbeaten(np.column_stack([values, np.full((5, 1), np.nan)])).tolist() == expected


@pytest.mark.parametrize("k", [2, 9, 20])
def test_the_truly_best_is_unbeaten_95_times_in_100(k: int) -> None:
    rng = np.random.default_rng(k)
    assert np.mean([stats.unbeaten(rng.normal(0, 1, (k, 10)))[0] for _ in range(1000)]) >= 0.95


def test_few_differences_that_are_alike_have_no_interval() -> None:
    for n in range(2, 9):
        interval = stats.difference_interval(np.full(n, 1.0))
        apart = bool(stats.paired_p(np.full(n, 1.0)) < 0.05)
        assert np.isnan(interval.low) != apart
        assert (interval.low > 0) == apart
    assert stats.difference_interval([0.0, 0.0]).contains_zero  # twins
    assert stats.difference_interval([1.0, 2.0]) == stats.mean_interval([1.0, 2.0])


def test_the_interval_of_a_share_is_one_of_shares() -> None:
    interval = stats.share_interval([0.7, 0.99])
    assert (interval.low, interval.high) == (0, 1)
    assert np.isnan(stats.share_interval([0.7]).low)

from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, log_loss, recall_score

from albench.benchmark.types import Floats, Labels
from albench.results import metrics, stats

Case: TypeAlias = tuple[Labels, Labels, int, Floats]


@st.composite
def predictions(draw: st.DrawFn) -> Case:
    """(predicted, labels, C, probs): some classes may be absent from either side."""
    C = draw(st.integers(2, 6))
    M = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    probs = rng.dirichlet(np.full(C, draw(st.sampled_from([0.3, 1.0, 5.0]))), size=M)
    probs = np.maximum(probs, 1e-9)
    probs /= probs.sum(axis=1, keepdims=True)
    labels = rng.integers(draw(st.integers(1, C)), size=M)
    return probs.argmax(axis=1), labels, C, probs


@given(predictions())
def test_scores_are_those_of_scikit_learn(case: Case) -> None:
    predicted, labels, C, probs = case
    got = metrics.score(predicted, labels, C, probs)
    assert got.accuracy == np.mean(predicted == labels)
    present = np.unique(labels)
    assert got.balanced_accuracy == pytest.approx(
        recall_score(labels, predicted, labels=present, average="macro", zero_division=0)
    )
    assert got.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
    assert got.nll == pytest.approx(log_loss(labels, probs, labels=np.arange(C)))


@given(predictions())
def test_ece_is_the_weighted_gap_of_fifteen_bins(case: Case) -> None:
    predicted, labels, C, probs = case
    top, hit = probs.max(axis=1), predicted == labels
    expected = 0.0
    for b in range(15):
        inside = (top > b / 15) & (top <= (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(hit[inside].mean() - top[inside].mean())
    assert metrics.score(predicted, labels, C, probs).ece == pytest.approx(expected)


def test_ece_by_hand() -> None:
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.0, 1.0]])
    # bin of 0.9: one of two right, gap 0.4 on half of the rows; 0.6: right, gap 0.4 on a quarter; 1.0: right, no gap
    assert metrics.ece(probs, np.array([True, False, True, True])) == pytest.approx(0.5 * 0.4 + 0.25 * 0.4)


def test_without_probabilities_there_is_no_likelihood() -> None:
    got = metrics.score(np.array([0, 1]), np.array([0, 0]), 2, None)
    assert (got.accuracy, got.nll, got.ece) == (0.5, None, None)


def test_a_probability_of_zero_costs_a_finite_price() -> None:
    got = metrics.score(np.array([0]), np.array([1]), 2, np.array([[1.0, 0.0]]))
    assert got.nll == pytest.approx(-np.log(1e-12))


@given(
    st.floats(0, 1),
    st.lists(st.integers(1, 10_000), min_size=1, max_size=30, unique=True).map(sorted),
)
def test_the_area_of_a_constant_is_the_constant_at_any_spacing(constant: float, n_labels: list[int]) -> None:
    assert metrics.aubc(n_labels, [constant] * len(n_labels)) == constant


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 1)), min_size=2, max_size=20, unique_by=lambda p: p[0]))
def test_the_area_is_that_of_the_line_between_the_points(points: list[tuple[int, float]]) -> None:
    x, y = np.array(sorted(points)).T
    fine = np.arange(x[0], x[-1] + 0.5)  # the points lie on whole numbers, so a step of one is exact
    assert metrics.aubc(x, y) == pytest.approx(np.trapezoid(np.interp(fine, x, y), fine) / (x[-1] - x[0]), abs=1e-9)


def test_the_three_curve_metrics_differ_where_they_should() -> None:
    x, y = [10, 20, 100], [0.0, 1.0, 0.5]
    assert metrics.aubc(x, y) == pytest.approx((10 * 0.5 + 80 * 0.75) / 90)
    assert metrics.aubc_points(x, y) == pytest.approx((0.5 + 0.75) / 3)
    assert metrics.final(x, y) == 0.5
    assert metrics.aubc([10], [0.7]) == 0.7
    assert metrics.gain([0.5, 0.25], [0.25, 0.5]).tolist() == [25.0, -25.0]
    assert all(metrics.METRICS[name][0] is function for name, function in metrics.CURVE_METRICS.items())


def test_the_interval_of_ten_normal_values_holds_the_mean_nine_times_in_ten() -> None:
    rng = np.random.default_rng(0)
    intervals = [stats.bootstrap_mean(rng.normal(3, 2, size=10), rng, draws=2000) for _ in range(1000)]
    coverage = np.mean([i.low <= 3 <= i.high for i in intervals])
    assert 0.88 <= coverage <= 0.93
    assert np.mean([i.high < 3 for i in intervals]) == pytest.approx(0.05, abs=0.03)  # it misses on both sides alike
    assert np.mean([i.low > 3 for i in intervals]) == pytest.approx(0.05, abs=0.03)


def test_a_wider_level_is_a_wider_interval_and_a_generator_fixes_it() -> None:
    values = [0.1, 0.5, 0.3, 0.9]
    wide, narrow = (stats.bootstrap_mean(values, np.random.default_rng(1), level=level) for level in (0.95, 0.5))
    assert wide.low < narrow.low < wide.mean < narrow.high < wide.high
    assert wide == stats.bootstrap_mean(values, np.random.default_rng(1))
    assert wide.mean == pytest.approx(0.45)
    assert wide.n == 4
    assert stats.sd(values) == pytest.approx(np.std(values) * np.sqrt(4 / 3))


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    one, none = (stats.bootstrap_mean(values, np.random.default_rng(0)) for values in ([0.5], []))
    assert (one.mean, one.n, none.n) == (0.5, 1, 0)
    assert np.isnan([one.low, one.high, none.mean, none.low, stats.sd([0.5])]).all()

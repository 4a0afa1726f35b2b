from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score, log_loss, recall_score

from albench.benchmark import scoring
from albench.benchmark.types import Floats, Labels
from albench.results.measures import metrics

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
    got = scoring.score(predicted, labels, C, probs)
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
    assert scoring.score(predicted, labels, C, probs).ece == pytest.approx(expected)


def test_ece_by_hand() -> None:
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.0, 1.0]])
    # bin of 0.9: one of two right, gap 0.4 on half of the rows; 0.6: right, gap 0.4 on a quarter; 1.0: right, no gap
    assert scoring.ece(probs, np.array([True, False, True, True])) == pytest.approx(0.5 * 0.4 + 0.25 * 0.4)


def test_without_probabilities_there_is_no_likelihood() -> None:
    got = scoring.score(np.array([0, 1]), np.array([0, 0]), 2, None)
    assert (got.accuracy, got.nll, got.ece) == (0.5, None, None)


def test_a_probability_of_zero_costs_a_finite_price() -> None:
    got = scoring.score(np.array([0]), np.array([1]), 2, np.array([[1.0, 0.0]]))
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


# --- at, saving, balance -------------------------------------------------------------------------------------------


def test_accuracy_at_a_number_of_labels_is_never_interpolated() -> None:
    curves = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    assert metrics.at([10, 20, 40], curves, 20).tolist() == [0.2, 0.5]
    assert metrics.at([10, 20, 40], curves[0], 40) == 0.3
    assert np.isnan(metrics.at([10, 20, 40], curves, 30)).all()


@pytest.mark.parametrize(
    ("accuracy", "labels"),
    [(0.5, 10), (0.55, 37.5), (0.6, 45), (0.65, 52.5), (0.7, 60), (0.75, np.inf), (0.4, -np.inf)],
)
def test_the_baseline_needs_the_labels_at_which_it_first_reaches_the_accuracy(accuracy: float, labels: float) -> None:
    got = metrics.saving([10, 20, 30, 60], metrics.monotone([0.5, 0.6, 0.4, 0.7]), [5], [accuracy])  # 0.5 thrice
    assert got == pytest.approx([labels / 5])


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 1000)), min_size=2, max_size=15),
    st.lists(st.integers(0, 1000), min_size=1, max_size=5),
)
def test_saving_is_the_first_crossing_of_the_monotone_line(
    steps: list[tuple[int, int]], thousandths: list[int]
) -> None:
    x, y = np.cumsum([step for step, _ in steps]), np.array([value for _, value in steps]) / 1000
    reached = np.array(thousandths) / 1000 + 1e-5  # at no level: there rounding decides
    at = np.arange(1, len(reached) + 1)
    got = metrics.saving(x, metrics.monotone(y), at, reached)
    level = IsotonicRegression().fit_transform(x, y)
    for n, target, value in zip(at, reached, got, strict=True):
        if target < level[0]:
            assert value == -np.inf
        elif target > level[-1]:
            assert value == np.inf
        else:
            needed = value * n
            assert np.interp(needed, x, level) == pytest.approx(target, abs=1e-6)
            before = np.linspace(x[0], needed, 200)[:-1]
            assert (np.interp(before, x, level) <= target + 1e-6).all()


def test_savings_of_many_curves_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    x, base, reached = np.arange(10, 60, 10), np.sort(rng.random((7, 5))), rng.random((7, 2))
    each = [metrics.saving(x, b, [20, 40], r) for b, r in zip(base, reached, strict=True)]
    np.testing.assert_array_equal(metrics.saving(x, base, [20, 40], reached), each)


def test_class_balance_by_hand() -> None:
    assert metrics.balance([5, 5, 5, 5]) == pytest.approx(1)
    assert metrics.balance([7, 0, 0]) == 0
    assert metrics.balance([3, 1]) == pytest.approx(entropy([3, 1], base=2))
    assert metrics.balance([4, 1, 0]) == pytest.approx(entropy([4, 1, 0], base=3))
    assert (metrics.rarest([2, 8, 4]), metrics.rarest([0, 3]), metrics.rarest([3, 3])) == (0.25, 0, 1)
    assert np.isnan([metrics.balance([5]), metrics.balance([]), metrics.balance([0, 0]), metrics.rarest([0])]).all()

"""Learners against independent oracles."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from support.newton import optimal_probs

from albench.benchmark.learners.knn import KNN
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.svm import SVM
from albench.benchmark.types import Features, Labels, Lesson

RNG = np.random.default_rng(0)


def tables() -> dict[str, tuple[Features, Labels]]:
    found = {}
    for name, load in {"digits": load_digits, "wine": load_wine, "wdbc": load_breast_cancer}.items():
        x, y = load(return_X_y=True)
        order = np.random.default_rng(1).permutation(len(x))
        scaled = x / 16 if name == "digits" else StandardScaler().fit_transform(x)
        found[name] = (scaled[order].astype(np.float32), y[order].astype(np.int64))
    return found


TABLES = tables()


def optimum(x: Features, y: Labels, queries: Features, C: float) -> np.ndarray:
    fitted = LogisticRegression(C=C, tol=1e-10, max_iter=100_000).fit(x.astype(float), y)
    return np.asarray(fitted.predict_proba(queries.astype(float)))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("n", [20, 100, 170])
@pytest.mark.parametrize("C", [0.01, 1.0, 10.0])
def test_linear_reaches_scikit_learns_optimum(name: str, n: int, C: float) -> None:
    x, y = TABLES[name]
    model = Linear(C=C).fit(Lesson.of(x[:n], y[:n], int(y.max()) + 1, RNG))
    seen = np.unique(y[:n])
    np.testing.assert_allclose(model.scores(x)[:, seen], optimum(x[:n], y[:n], x, C), atol=1e-4)


def test_linear_copes_with_scales_and_constant_columns() -> None:
    x, y = TABLES["wine"]
    stretched = np.hstack([x * 30, x[:, :3], np.ones((len(x), 2), np.float32), np.zeros((len(x), 1), np.float32)])
    model = Linear().fit(Lesson.of(stretched[:60], y[:60], 3, RNG))
    np.testing.assert_allclose(model.scores(stretched), optimum(stretched[:60], y[:60], stretched, 1.0), atol=1e-4)


@pytest.mark.parametrize("column", [0, 4])
@pytest.mark.parametrize(("offset", "spread"), [(1e6, 1.0), (-3e4, 1e-2), (1.7e9, 1e7)])  # the last: a time in seconds
def test_linear_is_right_far_from_the_origin(column: int, offset: float, spread: float) -> None:
    x, y = TABLES["wine"]
    far = x.copy()
    far[:, column] = spread * x[:, column] + offset
    model = Linear().fit(Lesson.of(far[:60], y[:60], 3, RNG))
    scores = model.scores(far)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, optimal_probs(far[:60], y[:60], far.astype(np.float64), 1.0), atol=1e-4)
    assert spread == 1e7 or not model.rounded  # where the time matters little, float32 may do


def test_linear_computes_in_float32_where_nothing_is_lost() -> None:
    x, y = TABLES["digits"]
    model = Linear().fit(Lesson.of(x[:200], y[:200], 10, RNG))
    assert model.rounded
    np.testing.assert_allclose(model.scores(x), replace(model, rounded=False).scores(x), atol=1e-5)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_knn_is_scikit_learns(k: int) -> None:
    x, y = TABLES["wdbc"]  # two classes and an odd k: no tied votes
    model = KNN(k).fit(Lesson.of(x[:50], y[:50], 2, RNG))
    oracle = KNeighborsClassifier(k).fit(x[:50], y[:50])
    np.testing.assert_array_equal(model.predict(x), oracle.predict(x))
    np.testing.assert_allclose(model.scores(x), oracle.predict_proba(x), atol=1e-12)


def test_knn_breaks_tied_votes_by_the_nearest() -> None:
    x = np.array([[0.0], [1.0], [3.0], [4.0]], dtype=np.float32)
    model = KNN(4).fit(Lesson.of(x, np.array([1, 1, 0, 0]), 3, RNG))
    assert model.predict(np.array([[0.4], [3.4]], dtype=np.float32)).tolist() == [1, 0]
    assert model.scores(x).tolist() == [[0.5, 0.5, 0.0]] * 4


def test_svm_is_scikit_learns() -> None:
    x, y = TABLES["digits"]
    model, oracle = SVM().fit(Lesson.of(x[:200], y[:200], 10, RNG)), SVC().fit(x[:200], y[:200])
    np.testing.assert_array_equal(model.predict(x), oracle.predict(x))
    np.testing.assert_allclose(model.scores(x), oracle.decision_function(x))


def test_svm_margin_is_the_distance_to_the_boundary_for_two_classes() -> None:
    x, y = TABLES["wdbc"]
    scores = SVM().fit(Lesson.of(x[:60], y[:60], 2, RNG)).scores(x)
    distance = SVC().fit(x[:60], y[:60]).decision_function(x)
    np.testing.assert_allclose(np.abs(scores[:, 0] - scores[:, 1]), np.abs(distance))
    np.testing.assert_array_equal(scores.argmax(axis=1), distance > 0)


def test_one_neighbour_has_no_graded_probabilities() -> None:
    assert "probabilities" in KNN(3).gives
    assert not KNN(1).gives


def test_the_vote_of_neighbours_is_right_far_from_the_origin() -> None:
    """A column at 1.7e9, all the same but for two rows, beside one that decides."""
    rng = np.random.default_rng(0)
    near, labels = rng.normal(size=(60, 2)).astype(np.float32), rng.integers(0, 3, 60)
    near[:, 0] = 128 * (np.arange(60) % 30 == 0)
    far = near + np.array([1.7e9, 0], np.float32)
    assert np.array_equal(np.diff(far, axis=0), np.diff(near, axis=0))
    answers = [KNN(3).fit(Lesson.of(x[:40], labels[:40], 3, rng)).scores(x[40:]) for x in (near, far)]
    assert np.array_equal(answers[0], answers[1])


@pytest.mark.parametrize("C", [2, 3, 7])
def test_decision_values_are_those_of_scikit_learn(C: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, whatever the size of a block."""
    from sklearn.svm import SVC

    from albench.benchmark.learners import svm

    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(90, 3)).astype(np.float32), np.arange(90) % C
    monkeypatch.setattr(svm, "BLOCK_BYTES", 8 * 11 * C)
    ours = svm.SVM().fit(Lesson.of(x, labels, C, rng)).scores(x)
    theirs = SVC().fit(x, labels).decision_function(x)
    expected = np.stack([-theirs / 2, theirs / 2], axis=1) if C == 2 else theirs
    assert np.array_equal(ours, expected.astype(np.float32))


def test_many_pairs_of_classes_take_bounded_memory() -> None:
    """Their values for all rows at once would be 80 MB at 100 classes and 2,000 rows, and 72 GB at 300 and 200,000."""
    from albench.benchmark.learners import svm

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 4)).astype(np.float32)
    model = svm.SVM().fit(Lesson.of(x[:200], np.arange(200) % 100, 100, rng))
    tracemalloc.start()
    model.scores(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * svm.BLOCK_BYTES


def test_many_classes_of_one_row_are_no_regression(recwarn: pytest.WarningsRecorder) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    SVM().fit(Lesson.of(x, np.arange(30) % 20, 20, np.random.default_rng(0)))
    assert not list(recwarn)

"""The quality of an embedding against other ways to compute it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from albench.benchmark.types import Features
from albench.datasets.embeddings.cache import quality
from albench.datasets.embeddings.cache.quality import measure, nearest, participation_ratio


def drawn(n: int, d: int, seed: int) -> Features:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * rng.uniform(0.1, 10, d) + rng.uniform(-50, 50, d)).astype(np.float32)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 5), st.integers(1, 9), st.integers(0, 99))
def test_the_nearest_row_is_that_of_all_pairs_whatever_the_blocks(
    n: int, m: int, d: int, block: int, seed: int
) -> None:
    train, test = drawn(n, d, seed), drawn(m, d, seed + 1)
    test[: min(n, m) // 2] = train[: min(n, m) // 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "BLOCK", block)
        found = nearest(train, test)
    assert np.array_equal(found, cdist(test.astype(float), train.astype(float)).argmin(axis=1))


def test_rows_far_from_the_origin_are_told_apart() -> None:
    train = (np.arange(6, dtype=np.float32)[:, None] + 2**22).repeat(3, axis=1)
    assert nearest(train, train + np.float32(0.5)).tolist() in ([0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 5])
    assert np.array_equal(nearest(train, train), np.arange(6))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(0, 99))
def test_the_dimension_is_that_of_the_eigenvalues(n: int, d: int, block: int, seed: int) -> None:
    x = drawn(n, d, seed)
    values = np.linalg.eigvalsh(np.cov(x.astype(float), rowvar=False, ddof=0).reshape(d, d)) if n > 1 else np.zeros(d)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "BLOCK", block)
        found = participation_ratio(x)
    expected = values.sum() ** 2 / (values**2).sum() if n > 1 else 0.0
    assert found == pytest.approx(expected, rel=1e-6)
    assert 0 <= found <= min(n, d) * (1 + 1e-9)


def test_dimensions_that_are_known() -> None:
    line = np.outer(np.arange(9, dtype=np.float32), np.ones(4, np.float32))
    cross = np.concatenate([np.eye(5), -np.eye(5)]).astype(np.float32)
    assert participation_ratio(line) == pytest.approx(1)
    assert participation_ratio(cross) == pytest.approx(5)
    assert participation_ratio(np.full((7, 3), 1.7, np.float32)) == 0


def test_digits_against_scikit_learn() -> None:
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    train, test = slice(0, 1200), slice(1200, None)
    found = measure(x[train], y[train], x[test], y[test], 10)
    neighbour = KNeighborsClassifier(1, algorithm="brute").fit(x[train], y[train])
    linear = LogisticRegression(tol=1e-8, max_iter=5000).fit(x[train].astype(float), y[train])
    assert found.nearest_accuracy == round(neighbour.score(x[test], y[test]), 4)
    assert found.linear_accuracy == pytest.approx(linear.score(x[test].astype(float), y[test]), abs=2 / 597 + 1e-4)
    assert (found.nearest_rows, found.linear_rows, found.dimension_rows) == (597, 1200, 1200)


def test_large_pools_are_measured_on_a_part_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawn(1000, 8, 0)
    y = (x[:, 0] > np.median(x[:, 0])).astype(np.int64)
    whole = measure(x[:800], y[:800], x[800:], y[800:], 2)
    monkeypatch.setattr(quality, "PAIRS", 800 * 8 * 50)
    monkeypatch.setattr(quality, "FIT", 8 * 16 * 300)
    monkeypatch.setattr(quality, "SPREAD", 8 * 8 * 400)
    part, again = (measure(x[:800], y[:800], x[800:], y[800:], 2) for _ in range(2))
    assert (part.nearest_rows, part.linear_rows, part.dimension_rows) == (50, 300, 400)
    assert part.linear_accuracy == pytest.approx(whole.linear_accuracy, abs=0.1)
    assert part.effective_dimension == pytest.approx(whole.effective_dimension, rel=0.2)
    assert dataclasses.replace(again, seconds=part.seconds) == part


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_features_of_any_size_have_a_quality(scale: float) -> None:
    x = (drawn(40, 3, 0) * scale).astype(np.float32)
    found = measure(x[:30], np.arange(30) % 2, x[30:], np.zeros(10, np.int64), 2)
    assert all(np.isfinite(list(dataclasses.asdict(found).values())))


def test_a_pool_of_one_class_that_does_not_vary() -> None:
    x = np.ones((6, 3), np.float32)
    found = measure(x[:4], np.zeros(4, np.int64), x[4:], np.array([0, 1]), 2)
    assert (found.nearest_accuracy, found.linear_accuracy, found.effective_dimension) == (0.5, 0.5, 0)

"""k-means: as many centres as there can be, rows with their nearest, and no worse than scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from albench.benchmark.types import Features
from albench.strategies.kernels import distances, kmeans


def cloud(seed: int, size: int, dims: int = 3) -> Features:
    return np.random.default_rng(seed).normal(size=(size, dims)).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 40), st.sampled_from([0.0, 1000.0]))
def test_there_is_a_centre_for_each_distinct_row_up_to_k(seed: int, size: int, k: int, offset: float) -> None:
    rows = cloud(seed, size)[np.arange(size) % (1 + size // 2)] + np.float32(offset)  # with duplicates
    distinct = len(np.unique(rows, axis=0))
    centres, nearest = kmeans.kmeans(rows, k, np.random.default_rng(seed))
    assert len(centres) == min(k, distinct)
    offsets = cdist(rows, centres)
    assert np.allclose(offsets[np.arange(size), nearest], offsets.min(axis=1), atol=1e-3)
    if k >= distinct:
        assert offsets.min(axis=1).max() < 1e-3


def test_it_finds_the_clouds_and_is_fixed_by_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.arange(90) % 3
    rows = (10 * np.eye(3)[truth] + np.random.default_rng(0).normal(size=(90, 3))).astype(np.float32)
    rows.setflags(write=False)
    centres, nearest = kmeans.kmeans(rows, 3, np.random.default_rng(5))
    assert len({(int(a), int(b)) for a, b in zip(nearest, truth, strict=True)}) == 3
    for j in range(3):
        assert np.allclose(centres[j], rows[nearest == j].mean(axis=0), atol=1e-4)
    again = kmeans.kmeans(rows, 3, np.random.default_rng(5))
    assert np.array_equal(centres, again[0])
    assert np.array_equal(nearest, again[1])
    monkeypatch.setattr(distances, "BLOCK", 7)
    in_blocks = kmeans.kmeans(rows, 3, np.random.default_rng(5))
    assert np.allclose(centres, in_blocks[0], atol=1e-5)


def test_a_cluster_that_loses_its_rows_starts_again_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([[0], [1], [2], [100]], dtype=np.float32)
    monkeypatch.setattr(kmeans, "spread", lambda *_: np.array([0, 0, 1]))  # the second can win no row
    _, nearest = kmeans.kmeans(rows, 3, np.random.default_rng(0))
    assert len(set(nearest.tolist())) == 3
    assert np.bincount(nearest)[nearest[3]] == 1


@pytest.mark.parametrize("k", [3, 20])
def test_the_inertia_is_about_that_of_scikit_learn(k: int) -> None:
    rows = cloud(1, 600, dims=8)

    def inertia(seed: int) -> float:
        centres, nearest = kmeans.kmeans(rows, k, np.random.default_rng(seed))
        return float(np.square(rows - centres[nearest]).sum())

    theirs = [KMeans(k, n_init=1, random_state=s).fit(rows).inertia_ for s in range(10)]
    assert np.mean([inertia(s) for s in range(10)]) < 1.02 * np.mean(theirs)

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


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(1, 6))
def test_centres_are_the_weighted_means_of_their_members(seed: int, size: int, k: int) -> None:
    rows, rng = cloud(seed, size), np.random.default_rng(seed)
    weights = rng.exponential(size=size) * (rng.random(size) < 0.7)
    weights[0] = 2.0
    centres, nearest = kmeans.kmeans(rows, k, np.random.default_rng(seed), weights)
    offsets = cdist(rows, centres)
    assert len(centres) == min(k, np.count_nonzero(weights))
    assert np.allclose(offsets[np.arange(size), nearest], offsets.min(axis=1), atol=1e-5)
    inertia = float(weights @ np.square(offsets.min(axis=1)))
    best = [np.average(rows[nearest == j], axis=0, weights=weights[nearest == j]) for j in set(nearest[weights > 0])]
    moved = float(weights @ np.square(cdist(rows, best).min(axis=1)))
    assert moved >= (1 - kmeans.PAYS) * inertia - 1e-6  # the next iteration would not have paid


def test_a_weight_counts_like_so_many_equal_rows() -> None:
    rows, times = cloud(0, 40, dims=2), 1 + np.arange(40) % 4
    many = np.repeat(rows, times, axis=0)

    def inertia(weighted: bool, seed: int) -> float:
        rng = np.random.default_rng(seed)
        centres, _ = kmeans.kmeans(rows, 4, rng, times.astype(np.float64)) if weighted else kmeans.kmeans(many, 4, rng)
        return float(np.square(cdist(many, centres).min(axis=1)).sum())

    assert np.mean([inertia(True, s) for s in range(40)]) == pytest.approx(
        np.mean([inertia(False, s) for s in range(40)]), rel=0.03
    )


def test_central_rows_are_the_nearest_members_in_turns() -> None:
    rows = np.array([[0.0], [1], [2.5], [10], [10.5]], np.float32)
    picks = kmeans.central(
        rows, np.array([[0.9], [10]], np.float32), np.array([0, 0, 0, 1, 1]), 5, np.random.default_rng(0)
    )
    assert (set(picks[:2].tolist()), set(picks[2:4].tolist()), picks[4]) == ({1, 3}, {0, 4}, 2)

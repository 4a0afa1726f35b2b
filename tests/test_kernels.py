import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from albench.strategies import _kernels as kernels


def points(seed: int, size: int = 40, dims: int = 3) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=(size, dims)).astype(np.float32)


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3) | st.just(-np.inf), min_size=1, max_size=30), st.integers(0, 99))
def test_top_returns_the_largest(scores: list[float], seed: int) -> None:
    values = np.array(scores, dtype=np.float64)
    n = 1 + seed % len(values)
    picks = kernels.top(values, n, np.random.default_rng(seed))
    assert len(set(picks.tolist())) == n
    assert values[picks].tolist() == sorted(scores, reverse=True)[:n]


def test_top_puts_nan_last_and_breaks_ties_evenly() -> None:
    scores = np.array([np.nan, 1.0, 1.0, 1.0, 1.0, 0.0])
    assert kernels.top(scores, 6, np.random.default_rng(0))[-1] == 0
    firsts = [int(kernels.top(scores, 1, np.random.default_rng(s))[0]) for s in range(400)]
    assert np.bincount(firsts, minlength=6)[[0, 5]].tolist() == [0, 0]
    assert np.bincount(firsts)[1:5].min() > 60


def test_argmax_breaks_ties_evenly() -> None:
    values = np.array([2, 5, 5, 1])
    assert {kernels.argmax(values, np.random.default_rng(s)) for s in range(30)} == {1, 2}


def test_fill_adds_only_what_is_missing() -> None:
    filled = kernels.fill(np.array([3, 1]), 5, 5, np.random.default_rng(0))
    assert filled[:2].tolist() == [3, 1]
    assert sorted(filled.tolist()) == [0, 1, 2, 3, 4]
    assert kernels.fill(np.array([3, 1]), 2, 5, np.random.default_rng(0)).tolist() == [3, 1]


def test_unit_rows_have_length_one_and_zero_stays_zero() -> None:
    rows = points(0)
    rows[7] = 0
    units = kernels.unit_rows(rows)
    lengths = np.linalg.norm(units, axis=1)
    assert np.allclose(np.delete(lengths, 7), 1)
    assert lengths[7] == 0
    assert units.dtype == np.float32


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 1000.0]))
def test_distances_to_one_row_equal_direct_ones(seed: int, offset: float) -> None:
    rows = points(seed) + np.float32(offset)
    rows[5] = rows[9]
    squares = kernels.SquaredDistances(rows)(9)
    direct = cdist(rows, rows[9:10], "sqeuclidean")[:, 0]
    assert np.allclose(squares, direct, rtol=1e-3, atol=1e-4)
    assert squares[5] == squares[9] == 0


def test_distances_in_blocks_equal_direct_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "BLOCK", 7)
    rows, centres = points(1), points(2, size=17)
    direct = cdist(rows, centres, "sqeuclidean")
    assert np.allclose(kernels.squared_distances(rows, centres), direct, atol=1e-5)
    assert np.allclose(kernels.squared_to_nearest(rows, centres), direct.min(axis=1), atol=1e-5)
    classes = np.arange(40) % 3
    other = np.where(classes[:, None] == classes, np.inf, cdist(rows, rows))
    assert np.allclose(kernels.distance_to_other(rows, classes), other.min(axis=1), atol=1e-5)
    assert np.isinf(kernels.distance_to_other(rows, np.zeros(40, dtype=np.int64))).all()


@pytest.mark.parametrize("block", [7, 40, 2048])
@pytest.mark.parametrize("radius", [1e-9, 0.5, 1.3, np.inf])
def test_the_ball_graph_is_every_pair_below_the_radius(
    monkeypatch: pytest.MonkeyPatch, block: int, radius: float
) -> None:
    monkeypatch.setattr(kernels, "BLOCK", block)
    rows = points(3)
    graph = kernels.ball_graph(rows, radius)
    dense = (cdist(rows, rows) < radius) | np.eye(len(rows), dtype=bool)
    assert np.array_equal(graph.toarray(), dense)
    assert graph.nnz == dense.sum()


def test_an_edge_at_exactly_the_radius_is_left_out() -> None:
    rows = np.array([[0, 0], [3, 4], [0, 1]], dtype=np.float32)
    assert kernels.ball_graph(rows, 5.0).toarray().tolist() == [[1, 0, 1], [0, 1, 1], [1, 1, 1]]


def test_spread_draws_in_proportion_to_the_squared_distance() -> None:
    rows = np.array([[0], [1], [3]], dtype=np.float64)  # squared distances to the first: 0, 1, 9
    distances = kernels.SquaredDistances(rows)
    seconds = [int(kernels.spread(distances, 0, 2, np.random.default_rng(s))[1]) for s in range(2000)]
    assert seconds.count(0) == 0
    assert abs(seconds.count(2) / 2000 - 0.9) < 0.03


def test_spread_stops_when_every_row_coincides_with_a_picked_one() -> None:
    rows = points(4, size=3)[np.arange(30) % 3]
    picks = kernels.spread(kernels.SquaredDistances(rows), 4, 10, np.random.default_rng(0))
    assert picks[0] == 4
    assert sorted((picks % 3).tolist()) == [0, 1, 2]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 40))
def test_kmeans_has_a_centre_for_each_distinct_row_up_to_k(seed: int, size: int, k: int) -> None:
    rows = points(seed, size)[np.arange(size) % (1 + size // 2)]  # with duplicates
    distinct = len(np.unique(rows, axis=0))
    centres, assigned = kernels.kmeans(rows, k, np.random.default_rng(seed))
    assert len(centres) == min(k, distinct)
    offsets = cdist(rows, centres)
    assert np.allclose(offsets[np.arange(size), assigned], offsets.min(axis=1), atol=1e-3)


def test_kmeans_finds_the_clouds_and_is_fixed_by_the_generator() -> None:
    truth = np.arange(90) % 3
    rows = (10 * np.eye(3)[truth] + np.random.default_rng(0).normal(size=(90, 3))).astype(np.float32)
    rows.setflags(write=False)
    centres, assigned = kernels.kmeans(rows, 3, np.random.default_rng(5))
    assert len({(int(a), int(b)) for a, b in zip(assigned, truth, strict=True)}) == 3
    for j in range(3):
        assert np.allclose(centres[j], rows[assigned == j].mean(axis=0), atol=1e-4)
    again = kernels.kmeans(rows, 3, np.random.default_rng(5))
    assert np.array_equal(centres, again[0])
    assert np.array_equal(assigned, again[1])

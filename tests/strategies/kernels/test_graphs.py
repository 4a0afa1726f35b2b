from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from albench.strategies.kernels import distances, graphs
from albench.strategies.kernels.scores import argmax, fill, top


def points(seed: int, size: int = 40, dims: int = 3) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=(size, dims)).astype(np.float32)


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3) | st.just(-np.inf), min_size=1, max_size=30), st.integers(0, 99))
def test_top_returns_the_largest(scores: list[float], seed: int) -> None:
    values = np.array(scores, dtype=np.float64)
    n = 1 + seed % len(values)
    picks = top(values, n, np.random.default_rng(seed))
    assert len(set(picks.tolist())) == n
    assert values[picks].tolist() == sorted(scores, reverse=True)[:n]


def test_top_puts_nan_last_and_breaks_ties_evenly() -> None:
    scores = np.array([np.nan, 1.0, 1.0, 1.0, 1.0, 0.0])
    assert top(scores, 6, np.random.default_rng(0))[-1] == 0
    firsts = [int(top(scores, 1, np.random.default_rng(s))[0]) for s in range(400)]
    assert np.bincount(firsts, minlength=6)[[0, 5]].tolist() == [0, 0]
    assert np.bincount(firsts)[1:5].min() > 60


def test_argmax_breaks_ties_evenly() -> None:
    values = np.array([2, 5, 5, 1])
    assert {argmax(values, np.random.default_rng(s)) for s in range(30)} == {1, 2}


def test_fill_adds_only_what_is_missing() -> None:
    filled = fill(np.array([3, 1]), 5, 5, np.random.default_rng(0))
    assert filled[:2].tolist() == [3, 1]
    assert sorted(filled.tolist()) == [0, 1, 2, 3, 4]
    assert fill(np.array([3, 1]), 2, 5, np.random.default_rng(0)).tolist() == [3, 1]


def test_unit_rows_have_length_one_and_zero_stays_zero() -> None:
    rows = points(0)
    rows[7] = 0
    units = distances.unit_rows(rows)
    lengths = np.linalg.norm(units, axis=1)
    assert np.allclose(np.delete(lengths, 7), 1)
    assert lengths[7] == 0
    assert units.dtype == np.float32


# Graphs

Clouds = np.ndarray[tuple[int, int], np.dtype[np.float32]]


@pytest.fixture(params=[(2048, 4096), (7, 4096), (16, 20)], ids=["whole", "tiles", "leading coordinates"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small pools go the way of large ones."""
    for name, value in zip(("TILE", "SMALL"), request.param, strict=True):
        monkeypatch.setattr(graphs, name, value)
    monkeypatch.setattr(graphs, "STRIP", 9)
    monkeypatch.setattr(graphs, "FIRST", (2, 4))


def awkward(seed: int, size: int = 90) -> Clouds:
    """Rows in clouds, some equal, some zero, most of the variance in a few directions; perhaps far from the origin."""
    rng = np.random.default_rng(seed)
    rows = 0.2 * rng.normal(size=(size, 12)) / np.arange(1, 13) + rng.normal(size=(4, 12))[rng.integers(4, size=size)]
    rows[5], rows[6:9] = rows[11], 0
    return np.asarray(rows + rng.choice([0, 1000]), dtype=np.float32)


def direct(rows: Clouds) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.asarray(np.sqrt(np.square(rows[:, None].astype(np.float64) - rows).sum(axis=2)))


def dense(graph: graphs.Graph) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    size = len(graph.indptr) - 1
    edges = np.zeros((size, size), dtype=bool)
    for row in range(size):
        assert (np.diff(graph.around(row)) > 0).all()
        edges[row, graph.around(row)] = True
    assert graph.indptr[-1] == len(graph.indices) == edges.sum()
    return edges


@pytest.mark.parametrize("radius", [1e-9, 0.1, 0.4, 3.0, np.inf])
@pytest.mark.parametrize("seed", range(4))
def test_the_ball_graph_is_every_pair_below_the_radius(sizes: None, seed: int, radius: float) -> None:
    rows = awkward(seed)
    expected = (direct(rows) < radius) | np.eye(len(rows), dtype=bool)
    assert np.array_equal(dense(graphs.ball_graph(rows, radius)), expected)


def test_an_edge_at_exactly_the_radius_is_left_out(sizes: None) -> None:
    rows = np.array([[0, 0], [3, 4], [0, 1]], dtype=np.float32)
    assert dense(graphs.ball_graph(rows, 5.0)).tolist() == [[1, 0, 1], [0, 1, 1], [1, 1, 1]]
    rows = awkward(1)
    for radius in np.quantile(direct(rows), [0.01, 0.1, 0.5]):  # about at a distance that occurs
        near = float(direct(rows).flat[np.abs(direct(rows) - radius).argmin()])
        assert np.array_equal(dense(graphs.ball_graph(rows, near)), (direct(rows) < near) | np.eye(90, dtype=bool))


@pytest.mark.parametrize("seed", range(6))
def test_the_distance_to_another_class_is_the_least_of_all(sizes: None, seed: int) -> None:
    rows, classes = awkward(seed), np.random.default_rng(seed).integers(1 + seed % 4, size=90)
    expected = np.where(classes[:, None] == classes, np.inf, direct(rows)).min(axis=1)
    assert np.allclose(graphs.distance_to_other(rows, classes), expected, rtol=1e-12)
    assert np.isinf(graphs.distance_to_other(rows, np.zeros(90, dtype=np.int64))).all()


@pytest.mark.parametrize("size", [1, 2, 9, 90])
@pytest.mark.parametrize("spare", [0, 16])
def test_neighbours_are_the_nearest_with_ties_by_row(
    sizes: None, monkeypatch: pytest.MonkeyPatch, spare: int, size: int
) -> None:
    monkeypatch.setattr(graphs, "SPARE", spare)
    grid = np.random.default_rng(0).integers(3, size=(90, 12)).astype(np.float32)  # many ties
    for rows in (awkward(2)[-size:], grid[:size], np.ones((size, 3), dtype=np.float32)):
        ids, far = graphs.nearest_neighbours(rows, 10)
        expected = direct(rows)
        np.fill_diagonal(expected, np.inf)
        order = np.argsort(expected, axis=1, kind="stable")[:, : min(10, size - 1)]
        assert np.array_equal(ids, order)
        assert np.allclose(far, np.take_along_axis(expected, order, axis=1), rtol=1e-12)


def test_faiss_finds_the_same_neighbours() -> None:
    import faiss

    rows = awkward(3)
    products = graphs._Products((rows - rows.mean(axis=0)).astype(np.float32))
    found, last = graphs._search_by_faiss(faiss.IndexFlatL2(12), products, 20)(np.arange(90))
    ids, far = graphs._ranked(rows, np.arange(90), found, 10)
    ours, their_far = graphs.nearest_neighbours(rows, 10)
    certain = np.square(far[:, -1]) / 2 < last - products.error
    assert certain.sum() > 60
    assert np.array_equal(ids[certain], ours[certain])
    assert np.array_equal(far[certain], their_far[certain])


def test_counts_of_neighbours(sizes: None) -> None:
    graph = graphs.ball_graph(awkward(0), 0.4)
    for rows in (np.arange(0), np.array([3]), np.array([80, 5, 5, 11])):
        assert np.array_equal(graph.counts(rows), dense(graph)[rows].sum(axis=0))


def test_neighbours_are_the_same_however_many_rows_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = awkward(0)
    ids, far = graphs.nearest_neighbours(rows, 5)
    monkeypatch.setattr(graphs, "STRIP_BYTES", 4 * 7 * len(rows))
    held, search = list[int](), graphs._search_by_products

    def counted(products: graphs._Products, k: int, own: NDArray[np.int64]) -> Any:
        held.append(len(own))
        return search(products, k, own)

    monkeypatch.setattr(graphs, "_search_by_products", counted)
    fewer = graphs.nearest_neighbours(rows, 5)
    assert np.array_equal(fewer[0], ids)
    assert np.array_equal(fewer[1], far)
    assert max(held) == 7

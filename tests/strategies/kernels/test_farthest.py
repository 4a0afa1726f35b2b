"""Distances, and farthest first against the plain loop on exact distances, ties and duplicates included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from albench.benchmark.types import Features
from albench.strategies.kernels import distances, farthest
from albench.strategies.kernels.distances import Distances, Euclidean, Positions

SEEDS = st.integers(0, 10**6)


@pytest.fixture(params=[1024, 3], ids=["at once", "in races"], autouse=True)
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small pools go the way of large ones."""
    monkeypatch.setattr(farthest, "RACE", request.param)
    if request.param < 1024:
        monkeypatch.setattr(distances, "BLOCK", 7)
        monkeypatch.setattr(farthest, "SPAN", 2)
        monkeypatch.setattr(farthest, "CHUNK", 3)


def cloud(seed: int, size: int, dims: int = 3) -> Features:
    return np.random.default_rng(seed).normal(size=(size, dims)).astype(np.float32)


def grid(seed: int, size: int) -> Features:
    """Rows with many equal distances, and many that are equal."""
    return np.random.default_rng(seed).integers(3, size=(size, 3)).astype(np.float32)


def plain(things: Distances, n: int, rng: np.random.Generator, chosen: list[int]) -> list[int]:
    rank, everything, picks = rng.permutation(len(things)), np.arange(len(things)), list(chosen)
    nearest = np.full(len(things), np.inf)
    for pick in picks:
        nearest = np.minimum(nearest, things.exact(everything, np.array([pick]))[:, 0])
    while len(picks) < n + len(chosen):
        nearest[picks] = -1
        picks.append(int(np.lexsort((rank, -nearest))[0]))
        nearest = np.minimum(nearest, things.exact(everything, np.array(picks[-1:]))[:, 0])
    return picks[len(chosen) :]


@settings(deadline=None)
@given(SEEDS, st.sampled_from([cloud, grid]), st.sampled_from([0.0, 1000.0]))
def test_distances_quick_and_exact(seed: int, make: type, offset: float) -> None:
    rows: Features = make(seed, 40) + np.float32(offset)
    rows[5] = rows[9]
    things, everything = Euclidean(rows), np.arange(40)
    exact = things.exact(everything, everything)
    assert np.allclose(exact, cdist(rows, rows, "sqeuclidean"), rtol=1e-5, atol=1e-5)
    assert np.array_equal(exact[3:30], np.concatenate([things.exact(i[None], everything) for i in everything[3:30]]))
    quick = things.to(slice(3, 30), everything)
    assert np.abs(quick - exact[3:30]).max() <= things.error
    assert np.array_equal(quick == 0, exact[3:30] == 0)
    assert np.array_equal(exact == 0, (rows[:, None] == rows).all(axis=2))


@settings(deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(0, 5), st.sampled_from([cloud, grid]))
def test_the_picks_are_those_of_the_plain_loop(seed: int, size: int, n_chosen: int, make: type) -> None:
    rng = np.random.default_rng(seed)
    things, chosen = Euclidean(make(seed, size)), rng.permutation(size)[: min(n_chosen, size - 1)]
    n = size - len(chosen) if seed % 3 == 0 else 1 + seed % (size - len(chosen))
    picks = farthest.farthest(things, n, np.random.default_rng(seed), chosen)
    assert picks.dtype == np.int64
    assert picks.tolist() == plain(things, n, np.random.default_rng(seed), chosen.tolist())


def test_where_all_rows_coincide_each_comes_once_in_random_order() -> None:
    things = Euclidean(np.ones((30, 4), np.float32))
    orders = [farthest.farthest(things, 29, np.random.default_rng(s), np.array([7])).tolist() for s in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == np.delete(np.arange(30), 7).tolist()
    assert orders[0] != orders[1]


def test_among_equals_any_may_come_first() -> None:
    things = Euclidean(np.array([[0], [1], [-1], [0.5]], np.float32))
    seconds = [farthest.farthest(things, 1, np.random.default_rng(s), np.array([0]))[0] for s in range(200)]
    assert np.bincount(seconds, minlength=4)[[0, 3]].tolist() == [0, 0]
    assert np.bincount(seconds)[1:3].min() > 60


def test_picks_do_not_depend_on_how_far_the_origin_is() -> None:
    rows = cloud(3, 50)
    near, far = (farthest.farthest(Euclidean(r), 20, np.random.default_rng(0)) for r in (rows, rows + np.float32(64)))
    assert near.tolist() == far.tolist()


class Counted:
    """Distances that count how many were asked for."""

    def __init__(self, rows: Features) -> None:
        self.inner = Euclidean(rows)
        self.error, self.asked = self.inner.error, 0

    def __len__(self) -> int:
        return len(self.inner)

    def to(self, rows: Positions | slice, picks: Positions) -> NDArray[np.float32]:
        found = self.inner.to(rows, picks)
        self.asked += found.size
        return found

    def exact(self, rows: Positions, picks: Positions) -> NDArray[np.float64]:
        self.asked += len(rows) * len(picks)
        return self.inner.exact(rows, picks)


def test_most_distances_are_never_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farthest, "RACE", 32)
    monkeypatch.setattr(farthest, "SPAN", 8)
    things = Counted(cloud(0, 2000, dims=8))
    farthest.farthest(things, 200, np.random.default_rng(0))
    assert things.asked < 0.7 * 2000 * 200

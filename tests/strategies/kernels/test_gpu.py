"""The GPU's halves of the kernels, run by torch on the CPU: the picks of the CPU's halves, ties included."""

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

from albench.benchmark import device
from albench.benchmark.learners.linear import Linear
from albench.benchmark.types import Features, Floats, Lesson
from albench.strategies.kernels.distances import Euclidean, euclidean
from albench.strategies.kernels.farthest import farthest
from albench.strategies.kernels.gpu import logistic as logistic_gpu
from albench.strategies.kernels.graphs import ball_graph, distance_to_other, nearest_neighbours
from albench.strategies.kernels.head import logistic
from albench.strategies.kernels.head.gradients import Gradients, gradients
from albench.strategies.kernels.herding import covers, gaussian, herd
from albench.strategies.kernels.kmeans import kmeans
from albench.strategies.kernels.sampling import spread

SEEDS = st.integers(0, 10**6)


def points(seed: int, size: int = 60, dims: int = 5) -> Features:
    """Return rows of which some are equal, and some lie on a grid, so that ties are many."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(size, dims)).astype(np.float32)
    rows[size // 2 :] = np.round(rows[size // 2 :])
    rows[::7] = rows[0]
    return rows


T = TypeVar("T")


def both(compute: Callable[[], T]) -> tuple[T, T]:
    """Return what the CPU's half gives, and the GPU's."""
    host = compute()
    with device.on("torch"):
        return host, compute()


@settings(deadline=None)
@given(seed=SEEDS, n=st.integers(1, 40), chosen=st.integers(0, 10))
def test_farthest_first_picks_the_same(seed: int, n: int, chosen: int) -> None:
    rows, own = points(seed), np.random.default_rng(seed).permutation(60)[:chosen]
    closed = np.zeros(60, dtype=bool)
    closed[own] = True
    closed[np.random.default_rng(seed + 1).permutation(60)[:5]] = True

    def picks() -> NDArray[np.int64]:
        return farthest(euclidean(rows), n, np.random.default_rng(seed), own, closed)

    host, there = both(picks)
    assert np.array_equal(host, there)
    assert not closed[host].any()


@settings(deadline=None)
@given(seed=SEEDS, n=st.integers(1, 40))
def test_sampling_draws_the_same(seed: int, n: int) -> None:
    rows = points(seed)
    host, there = both(lambda: spread(euclidean(rows), 3, n, np.random.default_rng(seed)))
    assert np.array_equal(host, there)


@settings(deadline=None)
@given(SEEDS)
def test_distances_between_gradients_are_the_same(seed: int) -> None:
    rows, rng = points(seed), np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(4), size=60).astype(np.float32)
    everything = np.arange(60)
    host, there = both(lambda: gradients(probs, rows).exact(everything, everything))
    assert np.allclose(host, there, rtol=1e-6, atol=1e-7)
    lengths = both(lambda: gradients(probs, rows).squared_norms)
    assert np.allclose(*lengths)


@pytest.mark.parametrize("k", [1, 5, 40, 60])
@pytest.mark.parametrize("weights", [None, np.arange(60.0)], ids=["equal", "weighted"])
def test_clusters_are_the_same(k: int, weights: Floats | None) -> None:
    rows = points(0)
    (centres, nearest), (there, found) = both(lambda: kmeans(rows, k, np.random.default_rng(0), weights))
    assert np.array_equal(nearest, found)
    assert np.allclose(centres, there, atol=1e-5)


def test_graphs_are_the_same() -> None:
    rows, classes = points(3, size=300), np.arange(300) % 3
    graph, graph_there = both(lambda: ball_graph(rows, 1.5))
    assert np.array_equal(graph.indices, graph_there.indices)
    far, far_there = both(lambda: distance_to_other(rows, classes))
    assert np.array_equal(far, far_there)
    (ids, _), (found, _) = both(lambda: nearest_neighbours(rows, 7))
    assert np.array_equal(ids, found)


def test_each_trial_gets_the_half_of_its_device() -> None:
    rows, probs = points(0), np.full((60, 2), 0.5, np.float32)
    assert isinstance(euclidean(rows), Euclidean)
    assert isinstance(gradients(probs, rows), Gradients)
    with device.on("torch"):
        assert not isinstance(euclidean(rows), Euclidean)
        assert not isinstance(gradients(probs, rows), Gradients)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize(("size", "offset"), [(9, 0.0), (60, 0.0), (300, 1e3)])
def test_the_optimum_is_the_same(classes: int, size: int, offset: float) -> None:
    rows, labels = points(1, size, dims=12) + np.float32(offset), np.arange(size) % classes

    def optimum() -> Floats:
        there = device.put(rows)
        half = logistic.optimum if isinstance(there, np.ndarray) else logistic_gpu.optimum
        return half(there, labels, classes, 1.0)

    host, there = both(optimum)
    probs = [softmax(rows.astype(np.float64) @ w[:-1] + w[-1], axis=1) for w in (host, there)]
    assert np.abs(probs[0] - probs[1]).max() < 1e-5


@pytest.mark.parametrize("passes", ["none", "laplace", "bootstrap", "dropout"])
def test_the_linear_learner_says_the_same(passes: Literal["none", "laplace", "bootstrap", "dropout"]) -> None:
    rows, labels = points(2, 80), np.array([0, 1, 3])[np.arange(80) % 3]  # of five classes, of which two have no label

    def said() -> Features:
        model = Linear(passes=passes).fit(Lesson.of(rows[:50], labels[:50], 5, np.random.default_rng(0)))
        drawn = model.draws(2, np.random.default_rng(1)) if passes != "none" else []
        asked = device.put(rows)
        assert model.predict(asked).tolist() == model.scores(asked).argmax(axis=1).tolist()
        return np.stack([device.fetch(answer(asked)) for answer in (model.scores, *drawn)])

    host, there = both(said)
    assert host.dtype == there.dtype == np.float32
    assert np.abs(host - there).max() < 1e-5
    assert not there[..., [2, 4]].any()


@settings(deadline=None)
@given(seed=SEEDS, n=st.integers(1, 30), labelled=st.integers(0, 5))
def test_herding_picks_what_is_as_good(seed: int, n: int, labelled: int) -> None:
    """Gains are sums in single precision: candidates whose gains agree to six digits may change places."""
    rows = points(seed)
    own, rest = np.arange(labelled), np.arange(labelled, 60)

    def picks() -> NDArray[np.int64]:
        cover = covers(gaussian(rows[own], rows, 1.0), labelled, 60)
        return herd(gaussian(rows[rest], rows, 1.0), len(rest), cover, n, np.random.default_rng(seed))

    one, other = (
        covers(gaussian(rows[[*own, *rest[found]]], rows, 1.0), labelled + n, 60).sum() for found in both(picks)
    )
    assert np.isclose(one, other, rtol=1e-4)

"""The graph network against torch's autograd on the dense graph in double precision, and what is picked on it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from support.graph_nets import by_autograd, dense
from support.queries import cloud, query, random_probs

from albench.benchmark import device
from albench.strategies.kernels.distances import unit_rows
from albench.strategies.kernels.nets.gcn import Graph, Training, hidden_features
from albench.strategies.learned.core_gcn import CoreGCN

PAPER = Training(hidden=128, dropout=0.3, weight=1.2, rate=1e-3, decay=5e-4, epochs=200)


@pytest.mark.parametrize("seed", range(3))
def test_the_hidden_features_are_those_of_autograd_on_the_dense_graph(seed: int) -> None:
    units = unit_rows(cloud(seed, 50, dims=6).astype(np.float32))
    units[7] = 0
    oracle, _ = by_autograd(units.astype(np.float64), 5, PAPER, np.random.default_rng(seed))
    for place in ("cpu", "torch"):
        with device.on(place):
            ours = hidden_features(units, 5, PAPER, np.random.default_rng(seed))
        assert ours.dtype == np.float32
        assert np.allclose(ours, oracle, rtol=1e-6, atol=1e-7)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 30))
def test_the_graph_is_applied_as_the_dense_matrix(seed: int, size: int) -> None:
    units = np.asarray(unit_rows(cloud(seed, size).astype(np.float32)), dtype=np.float64)
    units[: size // 4] = 0
    columns = cloud(seed + 1, size, dims=4)
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-300)
    assert np.allclose(Graph(units)(columns), dense(units) @ columns, atol=1e-9)
    assert np.allclose(Graph(units).transposed(columns), dense(units).T @ columns, atol=1e-9)


def test_without_negative_similarities_the_normalisation_is_that_of_the_authors() -> None:
    units = np.asarray(unit_rows(np.abs(cloud(0, 20)).astype(np.float32)), dtype=np.float64)
    similar = units @ units.T - np.eye(20)
    assert np.allclose(Graph(units)(np.eye(20)), similar / similar.sum(axis=0) + np.eye(20), atol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_core_gcn_is_farthest_first_on_the_hidden_features(seed: int) -> None:
    labelled = [3, 40, 11]
    asked = query(cloud(seed, 60, dims=6), 8, labelled, random_probs(seed, 60), seed=seed)
    picks = CoreGCN(candidates=30).select(asked).tolist()
    rng = np.random.default_rng(seed)
    nodes = np.concatenate([asked.labelled, rng.choice(asked.unlabelled, 30, replace=False)])
    units = unit_rows(asked.features[nodes]).astype(np.float64)
    hidden, _ = by_autograd(units, 3, PAPER, rng)
    far, chosen = cdist(hidden, hidden), [0, 1, 2]
    for _ in range(8):
        chosen.append(int(far[:, chosen].min(axis=1).argmax()))
    assert picks == nodes[chosen[3:]].tolist()


def test_a_batch_larger_than_the_candidates_is_chosen_among_as_many() -> None:
    asked = query(cloud(0, 40), 25, [1, 2], random_probs(0, 40))
    assert len(set(CoreGCN(candidates=5, epochs=2).select(asked).tolist())) == 25


def test_what_is_like_the_labelled_rows_does_not_come_first() -> None:
    points = np.repeat(np.eye(3), 20, axis=0) + 0.05 * np.random.default_rng(0).normal(size=(60, 3))
    picks = CoreGCN().select(query(points, 8, range(5), random_probs(0, 60)))
    assert sorted(picks[:2] // 20) == [1, 2]  # the labelled rows are of cluster 0


@pytest.mark.parametrize("parameters", [{"candidates": 0}, {"hidden": 0}, {"dropout": 1.0}])
def test_impossible_parameters_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="core-gcn: candidates and hidden must be at least 1"):
        CoreGCN(**parameters)  # type: ignore[arg-type]  # a grid may say anything

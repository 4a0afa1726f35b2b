"""CLUE on its weights, and on what weighted clusters are for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from support.queries import cloud, query, random_probs

from albench.strategies.hybrid.clue import Clue
from albench.strategies.kernels.kmeans import kmeans


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.5, 1.0, 3.0]))
def test_weights_are_the_entropies_of_tempered_logits(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).normal(scale=3, size=(20, 4))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    odds = np.exp(logits / temperature)
    p = odds / odds.sum(axis=1, keepdims=True)
    assert np.allclose(Clue(temperature).uncertainty(probs), -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1))


def test_a_certain_row_weighs_nothing() -> None:
    certain = np.array([[1.0, 0.0], [0.5, 0.5]], np.float32)
    assert Clue(0.1).uncertainty(certain).tolist() == [0, pytest.approx(np.log(2))]


def test_it_takes_the_member_nearest_each_weighted_centre() -> None:
    points, probs = cloud(1, 60), random_probs(1, 60).astype(np.float32).astype(np.float64)
    picks = Clue().select(query(points, 5, labelled=[0, 7], scores=probs, seed=4))
    rows = np.delete(np.arange(60), [0, 7])
    weights = -(probs * np.log(probs)).sum(axis=1)[rows].astype(np.float32)
    _, cluster = kmeans(points[rows].astype(np.float32), 5, np.random.default_rng(4), weights)
    expected = []
    for j in range(5):
        own = cluster == j
        centre = np.average(points[rows[own]], axis=0, weights=weights[own])
        expected.append(int(rows[own][cdist(points[rows[own]], centre[None])[:, 0].argmin()]))
    assert sorted(picks.tolist()) == sorted(expected)


def test_centres_lie_among_the_uncertain() -> None:
    points = np.concatenate([cloud(0, 100, 2), cloud(1, 20, 2) + 8])
    p = np.concatenate([np.full(100, 1.0), np.linspace(0.5, 0.6, 20)])
    probs = np.column_stack([p, 1 - p])
    assert (Clue().select(query(points, 6, scores=probs)) >= 100).all()  # 6 of 6 in a sixth of the pool
    sure = query(points, 6, scores=np.tile([1.0, 0.0], (120, 1)))
    assert (Clue().select(sure) < 100).any()  # where nobody is uncertain all weigh the same


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="clue: temperature is 0; it must be above 0"):
        Clue(0)

"""D² sampling against its distribution, over plain rows and over BADGE's gradients."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import chisquare

from albench.benchmark.types import Features, Floats
from albench.strategies.kernels import distances, sampling
from albench.strategies.kernels.distances import Distances, Euclidean
from albench.strategies.kernels.head.gradients import Gradients, errors

SEEDS = st.integers(0, 10**6)


@pytest.fixture(params=[(64, 1024), (64, 0.02), (2, 1), (1, 1e9)], ids=["default", "stale", "small", "fresh"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few proposals or many, distances never brought up to date or at every chance."""
    for name, value in zip(("DRAWS", "PRICE"), request.param, strict=True):
        monkeypatch.setattr(sampling, name, value)
    monkeypatch.setattr(distances, "CHUNK", 2)
    monkeypatch.setattr(distances, "BLOCK", 3)


def cloud(seed: int, size: int, dims: int = 3) -> Features:
    return np.random.default_rng(seed).normal(size=(size, dims)).astype(np.float32)


def gradients(seed: int, size: int) -> tuple[Gradients, Floats]:
    """Return the factorised gradients and the explicit ones, two of which are equal."""
    features, probs = cloud(seed, size), np.random.default_rng(seed).dirichlet(np.full(4, 0.5), size=size)
    features[1], probs[1] = features[2], probs[2]
    q = probs - np.eye(4)[probs.argmax(axis=1)]
    h = np.column_stack([features, np.ones(size)])
    return Gradients(errors(probs, probs.argmax(axis=1), np.float32), features), np.einsum("uc,ud->ucd", q, h).reshape(
        size, -1
    )


@settings(deadline=None)
@given(SEEDS)
def test_distances_of_gradients_equal_those_of_explicit_ones(seed: int) -> None:
    factorised, explicit = gradients(seed, 25)
    everything = np.arange(25)
    squares, exact = cdist(explicit, explicit, "sqeuclidean"), factorised.exact(everything, everything)
    quick = factorised.to(slice(None), everything)
    assert np.allclose(exact, squares, rtol=1e-4, atol=1e-5)
    assert np.abs(quick - exact).max() <= factorised.error < 0.01 * squares.max()
    assert exact[1, 2] == quick[1, 2] == quick[2, 1] == quick[2, 2] == 0
    assert np.allclose(factorised.Q * factorised.H, (explicit**2).sum(axis=1))


def chance(squares: Floats, weights: Floats, first: int, rest: tuple[int, ...]) -> float:
    """Return the probability that the plain algorithm draws ``rest`` after ``first``."""
    drawn, nearest, p = [first], squares[first], 1.0
    for pick in rest:
        nearest = np.minimum(nearest, squares[drawn[-1]])
        p *= weights[pick] * nearest[pick] / (weights @ nearest)
        drawn.append(pick)
    return p


def check_frequencies(things: Distances, squares: Floats, weights: Floats | None = None, times: int = 2000) -> None:
    rngs = np.random.default_rng(7).spawn(times)
    drawn = [tuple(sampling.spread(things, 0, 4, rng, weights)[1:].tolist()) for rng in rngs]
    weight = np.ones(len(squares)) if weights is None else weights
    expected = {rest: times * chance(squares, weight, 0, rest) for rest in permutations(range(1, len(squares)), 3)}
    assert math.isclose(sum(expected.values()), times)
    assert set(drawn) <= {rest for rest, often in expected.items() if often}
    often = {rest: count for rest, count in expected.items() if count >= 5}
    observed = [drawn.count(rest) for rest in often]
    other = [times - sum(observed)], [times - sum(often.values())]
    assert chisquare([*observed, *other[0]], [*often.values(), *other[1]]).pvalue > 0.001


def test_sequences_of_rows_are_as_frequent_as_by_the_plain_algorithm(sizes: None) -> None:
    rows = np.array([[0, 0], [1, 0], [1, 0], [3, 1], [0, 4], [-2, -2]], dtype=np.float32)
    check_frequencies(Euclidean(rows), cdist(rows, rows, "sqeuclidean"))


def test_weights_are_odds(sizes: None) -> None:
    rows = np.array([[0, 0], [1, 0], [1, 0], [3, 1], [0, 4], [-2, -2]], dtype=np.float32)
    check_frequencies(Euclidean(rows), cdist(rows, rows, "sqeuclidean"), np.array([0.5, 1, 3, 2, 0.2, 1]))


def test_sequences_of_gradients_are_as_frequent_as_by_the_plain_algorithm(sizes: None) -> None:
    factorised, explicit = gradients(5, 6)
    check_frequencies(factorised, cdist(explicit, explicit, "sqeuclidean"))


def test_it_stops_when_every_row_coincides_with_a_picked_one(sizes: None) -> None:
    rows = cloud(4, 3)[np.arange(30) % 3] + np.float32(100)
    picks = sampling.spread(Euclidean(rows), 4, 10, np.random.default_rng(0))
    assert picks[0] == 4
    assert picks.dtype == np.int64
    assert sorted((picks % 3).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("size", [1, 2, 50])
def test_all_rows_can_be_drawn(sizes: None, size: int) -> None:
    picks = sampling.spread(Euclidean(cloud(0, size)), size - 1, size, np.random.default_rng(0))
    assert sorted(picks.tolist()) == list(range(size))

"""Density on its formula: every pair of rows looked at."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from support.queries import cloud, query, random_probs

from albench.benchmark.registry import needs_of
from albench.benchmark.types import Floats
from albench.strategies.diversity.density import Density

SEEDS = st.integers(0, 10**6)


def by_formula(points: Floats, unlabelled: list[int], beta: float) -> Floats:
    similar = 1 - cdist(points[unlabelled], points[unlabelled], "cosine") / 2
    return np.asarray(similar.mean(axis=1) ** beta)


@settings(deadline=None)
@given(SEEDS, st.integers(4, 40), st.integers(0, 3), st.sampled_from([0.5, 1.0, 3.0]))
def test_the_rows_most_like_the_unlabelled_pool(seed: int, size: int, n_labelled: int, beta: float) -> None:
    points = cloud(seed, size)
    labelled = np.random.default_rng(seed).permutation(size)[:n_labelled].tolist()
    asked = query(points, 1, labelled, scores=random_probs(seed, size))
    expected = by_formula(points, asked.unlabelled.tolist(), beta)
    assert np.allclose(Density(beta=beta).score(asked), expected, atol=1e-6)
    p = random_probs(seed, size)[asked.unlabelled].astype(np.float32).astype(np.float64)
    expected *= -(p * np.log(p)).sum(axis=1)
    assert np.allclose(Density("entropy", beta).score(asked), expected, atol=1e-6)
    best = Density("entropy", beta).select(asked)[0]
    assert expected[asked.unlabelled == best] >= expected.max() - 1e-6


def test_the_batch_is_the_best_rows_in_order() -> None:
    points = cloud(5, 30)
    expected = np.argsort(-by_formula(points, list(range(30)), 1.0))[:6]
    assert Density().select(query(points, 6)).tolist() == expected.tolist()


def test_equal_rows_tie_wherever_they_stand() -> None:
    points = cloud(2, 7, dims=5)[np.arange(70) % 7]
    scores = Density().score(query(points, 1))
    assert all(len(set(scores[i::7])) == 1 for i in range(7))
    best = int(scores[:7].argmax())
    picked = {int(row) for seed in range(80) for row in Density().select(query(points, 1, seed=seed))}
    assert picked == set(range(best, 70, 7))


def test_rows_as_like_the_pool_as_others_tie_in_whatever_order_their_sums_were_made() -> None:
    """All orders of the same numbers: each row is to the others what any other is, and only rounding tells them."""
    points = np.array(list(permutations([1.0, 2.0, 4.0, 5.0, 7.0])))
    assert len(set(Density().score(query(points, 1)))) == 1


def test_only_an_uncertainty_needs_a_model() -> None:
    assert needs_of(Density()) == frozenset()
    assert needs_of(Density("margin")) == {"probabilities"}
    with pytest.raises(ValueError, match="density: beta is 0; it must be above 0"):
        Density(beta=0)

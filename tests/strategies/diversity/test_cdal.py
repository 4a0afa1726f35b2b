"""CDAL against farthest first on the divergence as it is written down."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queries import query, random_probs

from albench.benchmark.types import Floats
from albench.strategies.diversity.cdal import CDAL, Divergence

SEEDS = st.integers(0, 10**6)


def divergences(probs: Floats, floor: float = 1e-7) -> Floats:
    p = np.maximum(probs.astype(np.float32).astype(np.float64), floor)
    kl = (p[:, None] * np.log(p[:, None] / p)).sum(axis=2)
    return np.asarray((kl + kl.T) / 2)


def some_probs(seed: int, size: int, classes: int) -> Floats:
    probs = random_probs(seed, size, classes)
    probs[0] = np.eye(classes)[0]
    probs[size // 2] = probs[1]
    return probs


@settings(deadline=None)
@given(SEEDS, st.integers(5, 40), st.integers(2, 12), st.integers(0, 4))
def test_every_pick_differs_most_from_all_that_are_bought(seed: int, size: int, classes: int, n_labelled: int) -> None:
    probs = some_probs(seed, size, classes)
    apart = divergences(probs)
    labelled = np.random.default_rng(seed).permutation(size)[:n_labelled].tolist()
    bought = list(labelled)
    for pick in CDAL().select(query(np.zeros((size, 1)), (size - n_labelled) // 2, labelled, scores=probs, seed=seed)):
        if bought:  # the first of an empty set is a draw
            nearest = apart[:, bought].min(axis=1)
            nearest[bought] = -1
            assert nearest[pick] >= nearest.max() - 1e-4
        bought.append(int(pick))
    assert len(set(bought)) == n_labelled + (size - n_labelled) // 2


@settings(deadline=None)
@given(SEEDS, st.integers(2, 30), st.sampled_from([1e-7, 1e-3]))
def test_the_divergence_against_its_formula(seed: int, classes: int, floor: float) -> None:
    probs = some_probs(seed, 20, classes)
    found = Divergence(probs.astype(np.float32), floor)
    everyone = np.arange(20)
    exact = found.exact(everyone, everyone)
    assert np.allclose(exact, divergences(probs, floor), atol=1e-4)
    assert np.abs(found.to(slice(None), everyone) - exact).max() <= found.error
    assert exact[10, 1] == 0
    assert np.array_equal(exact[10], exact[1])


def test_rows_that_are_predicted_alike_come_last() -> None:
    probs = np.repeat([[0.98, 0.01, 0.01], [0.3, 0.4, 0.3]], [8, 4], axis=0)
    assert CDAL().select(query(np.zeros((12, 1)), 1, labelled=[0], scores=probs))[0] >= 8
    firsts = {int(CDAL().select(query(np.zeros((12, 1)), 1, [0], scores=probs, seed=s))[0]) for s in range(60)}
    assert firsts == {8, 9, 10, 11}


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="cdal: floor is 1; it must be above 0 and below 1"):
        CDAL(1)

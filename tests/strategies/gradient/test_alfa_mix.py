"""ALFA-Mix: the closed form of its closed form against mixes that are made one by one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import softmax
from support.queries import cloud, linear_query

from albench.benchmark.types import Floats, Query
from albench.strategies.gradient.alfa_mix import AlfaMix
from albench.strategies.kernels.kmeans import kmeans

SEEDS = st.integers(0, 10**6)


def asked(seed: int, size: int, n: int, classes: int, labelled: int, sharpness: float = 1.0, dims: int = 4) -> Query:
    rng = np.random.default_rng(seed)
    bought, truth = rng.permutation(size)[:labelled].tolist(), rng.integers(classes, size=size).tolist()
    bias = rng.normal(size=classes)
    bias[np.setdiff1d(np.arange(classes), [truth[row] for row in bought])] = -math.inf
    weights = sharpness * rng.normal(size=(dims, classes))
    return linear_query(cloud(seed, size, dims), n, weights, bias, bought, seed, truth)


def anchors(query: Query) -> list[Floats]:
    known = query.features[query.labelled].astype(np.float64)
    of_class = [known[query.labels == c] for c in range(query.n_classes)]
    return [(rows if len(rows) else known).mean(axis=0) for rows in of_class]


def changed(query: Query, cap: float) -> list[int]:
    """Return the positions of the rows that change class in some mix, each mix made as the paper writes it."""
    weights, bias = query.head
    seen = np.isfinite(bias)
    W, b, found = weights[:, seen].astype(np.float64), bias[seen].astype(np.float64), list[int]()
    for i, h in enumerate(query.hidden.astype(np.float64)):
        best = int((h @ W + b).argmax())
        slope = W @ (softmax(h @ W + b) - np.eye(len(b))[best])
        for a in anchors(query):
            alpha = cap / math.sqrt(len(h)) * np.linalg.norm(a - h) / np.linalg.norm(slope) * slope / (a - h)
            mix = alpha * a + (1 - alpha) * h
            if (mix @ W + b).argmax() != best:
                found.append(i)
                break
    return found


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    classes=st.integers(2, 5),
    labelled=st.integers(2, 8),
    n=st.integers(1, 8),
    cap=st.sampled_from([0.03125, 0.2, 0.3, 1.0]),
)
def test_candidates_are_the_rows_that_some_mix_changes(
    seed: int, classes: int, labelled: int, n: int, cap: float
) -> None:
    one = asked(seed, 30, n, classes, labelled)
    if np.isfinite(one.head[1]).sum() < 2:
        assert not len(AlfaMix(cap).candidates(one))
        return
    tried, found = 0.0, list[int]()
    while tried < 1 and len(found) <= n:
        tried = min(tried + cap, 1.0)
        found = changed(one, tried)
    assert AlfaMix(cap).candidates(one).tolist() == found


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, n=st.integers(1, 6))
def test_the_candidates_nearest_the_centres_of_unit_rows_are_bought(seed: int, n: int) -> None:
    one = asked(seed, 40, n, 4, 6)
    rows, found = one.unlabelled, AlfaMix().candidates(one)
    picks = set(AlfaMix().select(one).tolist())
    assert len(picks) == n
    if len(found) <= n:
        assert set(rows[found].tolist()) <= picks
        return
    units = one.features[rows[found]] / np.linalg.norm(one.features[rows[found]], axis=1, keepdims=True)
    centres, cluster = kmeans(units, n, np.random.default_rng(seed))
    offsets = cdist(units, centres)
    for j in range(n):
        members = np.flatnonzero(cluster == j)
        [bought] = [i for i in members if rows[found[i]] in picks]
        assert offsets[bought, j] == pytest.approx(offsets[members, j].min(), abs=1e-6)


def test_too_few_candidates_are_all_bought_and_the_rest_is_drawn() -> None:
    far = np.array([[50.0, 0, 0, 0]] * 8 + [[0.01, 0, 0, 0]] * 2) + cloud(1, 10, 4) / 100
    weights = np.zeros((4, 2))
    weights[0] = [1, -1]
    batches = set()
    for seed in range(60):
        one = linear_query(far, 4, weights, np.zeros(2), [0, 1], seed, [0, 1] * 5)
        assert AlfaMix().candidates(one).tolist() == [6, 7]
        batches.add(frozenset(AlfaMix().select(one).tolist()))
    assert all({8, 9} < batch for batch in batches)
    assert len(batches) == 15


def test_certain_predictions_change_as_far_away_as_others() -> None:
    """The gradient is a way only, so weights that are a thousand times as large change nothing where p is 0 or 1."""
    one = asked(4, 40, 5, 3, 6, sharpness=1e3)
    assert softmax(one.hidden @ one.head[0] + one.head[1], axis=1).max(axis=1).mean() > 0.99
    assert len(AlfaMix().candidates(one)) > 5


@pytest.mark.parametrize("cap", [0.0, 1.5])
def test_impossible_parameters_are_refused(cap: float) -> None:
    with pytest.raises(ValueError, match=f"alfa-mix: cap is {cap}; it must be above 0 and at most 1"):
        AlfaMix(cap)

"""FASS against the plain greedy on the candidates, and what the greedy guarantees."""

from itertools import combinations
from math import ceil, e

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity
from support.queries import cloud, query, random_probs

from albench.benchmark.types import Floats
from albench.strategies.hybrid.fass import Fass


def least_sure(probs: Floats, among: list[int], m: int) -> list[int]:
    certainty = (probs * np.log(probs)).sum(axis=1)
    return sorted(among, key=lambda row: certainty[row])[:m]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 60), st.sampled_from([1.0, 2.0, 5.0]))
def test_each_pick_adds_most_to_the_facility_location(seed: int, size: int, candidates: float) -> None:
    points, probs = cloud(seed, size, 5), random_probs(seed, size).astype(np.float32).astype(np.float64)
    points[size // 2] = points[0]
    labelled = np.random.default_rng(seed).permutation(size)[: size // 3].tolist()
    n = 1 + seed % (size - len(labelled))
    picks = Fass(candidates).select(query(points, n, labelled, probs, seed)).tolist()
    rest = sorted(set(range(size)) - set(labelled))
    ground = least_sure(probs, rest, ceil(candidates * n))
    similar = np.maximum(cosine_similarity(points[ground]), 0)
    assert len(set(picks)) == n
    assert set(picks) <= set(ground)
    cover, open_ = np.zeros(len(ground)), set(ground)
    for pick in picks:
        gains = {row: np.maximum(similar[i] - cover, 0).sum() for i, row in enumerate(ground) if row in open_}
        assert gains[pick] >= max(gains.values()) - 1e-4 * max(1, *gains.values())
        cover = np.maximum(cover, similar[ground.index(pick)])
        open_.remove(pick)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_it_is_within_one_minus_one_over_e_of_the_best(seed: int) -> None:
    points, probs = cloud(seed, 16, 4), random_probs(seed, 16).astype(np.float32).astype(np.float64)
    picks = Fass(candidates=4).select(query(points, 3, scores=probs, seed=seed)).tolist()
    ground = least_sure(probs, list(range(16)), 12)
    similar = np.maximum(cosine_similarity(points), 0)[:, ground]
    best = max(similar[list(some)].max(axis=0).sum() for some in combinations(ground, 3))
    assert similar[picks].max(axis=0).sum() >= (1 - 1 / e) * best


def test_certain_rows_are_filtered_out() -> None:
    points = np.concatenate([np.eye(4).repeat(5, axis=0), np.tile([1.0, 1, 1, 1], (20, 1))])
    p = np.concatenate([np.linspace(0.5, 0.6, 20), np.full(20, 0.9)])  # the last 20 represent all, and are certain
    picks = Fass(candidates=5).select(query(points, 4, scores=np.column_stack([p, 1 - p])))
    assert sorted((picks // 5).tolist()) == [0, 1, 2, 3]


def test_equal_candidates_come_in_random_order() -> None:
    probs = np.full((12, 2), 0.5)
    firsts = {int(Fass().select(query(np.ones((12, 2)), 1, scores=probs, seed=s))[0]) for s in range(120)}
    assert firsts == set(range(12))


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"fass: candidates is 0.5; it must be at least 1"):
        Fass(0.5)

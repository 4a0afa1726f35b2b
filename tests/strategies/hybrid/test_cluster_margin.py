"""Cluster-Margin against its round as one would say it aloud."""

from math import ceil
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queries import cloud, query, random_probs

from albench.strategies.hybrid.cluster_margin import ClusterMargin
from albench.strategies.kernels.distances import unit_rows
from albench.strategies.kernels.linkage import average_linkage


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(4, 60),
    within=st.sampled_from(["random", "margin"]),
    candidates=st.sampled_from([1.0, 1.25, 3.0]),
    cluster_size=st.sampled_from([1.0, 2.0, 10.0]),
)
def test_it_goes_round_the_clusters_of_the_candidates(
    seed: int, size: int, within: Literal["random", "margin"], candidates: float, cluster_size: float
) -> None:
    points, probs = cloud(seed, size, 5), random_probs(seed, size).astype(np.float32).astype(np.float64)
    labelled = np.random.default_rng(seed).permutation(size)[: size // 4].tolist()
    n = 1 + seed % (size - len(labelled))
    rule, asked = ClusterMargin(candidates, cluster_size, within), query(points, n, labelled, probs, seed)
    picks = rule.select(asked).tolist()
    cluster = rule.clusters(asked)
    best = np.sort(probs, axis=1)
    margin = best[:, -1] - best[:, -2]
    lowest = sorted(asked.unlabelled.tolist(), key=lambda row: margin[row])[: ceil(candidates * n)]
    left = {c: [row for row in lowest if cluster[row] == c] for c in {int(cluster[row]) for row in lowest}}
    size_of = {c: len(rows) for c, rows in left.items()}
    assert len(picks) == len(set(picks)) == n
    at = 0
    while at < n:  # a whole round: one of each cluster that is left, by size
        turn = [int(cluster[row]) for row in picks[at : at + len(left)]]
        assert len(set(turn)) == len(turn) == min(len(left), n - at)
        assert [size_of[c] for c in turn] == sorted(size_of[c] for c in left)[: len(turn)]
        for row, c in zip(picks[at:], turn, strict=False):
            assert row == left[c][0] or (within == "random" and row in left[c])
            left[c].remove(row)
        at, left = at + len(turn), {c: rows for c, rows in left.items() if rows}


def test_the_clusters_are_those_of_unit_rows_once_per_pool() -> None:
    points = cloud(1, 40, 4)
    asked, scaled = query(points, 3), query(points * (1 + np.arange(40) % 3)[:, None], 3)
    rule = ClusterMargin(cluster_size=4)
    expected = average_linkage(unit_rows(points.astype(np.float32)), 10, np.random.default_rng(0))
    for q in (asked, scaled):
        same = rule.clusters(q)[:, None] == rule.clusters(q)
        assert np.array_equal(same, expected[:, None] == expected)
    assert rule.clusters(asked) is rule.clusters(asked)
    assert rule.clusters(asked) is not ClusterMargin(cluster_size=5).clusters(asked)
    assert len(np.unique(rule.clusters(asked))) == 10


def test_within_a_cluster_any_candidate_is_drawn() -> None:
    points = np.repeat(np.eye(2), [6, 2], axis=0)
    probs = np.column_stack([np.linspace(0.5, 0.6, 8), np.linspace(0.5, 0.4, 8)])
    firsts = [ClusterMargin(candidates=8).select(query(points, 2, scores=probs, seed=s)).tolist() for s in range(300)]
    assert {small for small, _ in firsts} == {6, 7}  # the smaller cluster is first
    assert min(np.bincount([large for _, large in firsts], minlength=6)) > 25


def test_the_paper_s_reason_a_batch_of_the_least_sure_is_spread() -> None:
    """The least sure rows lie in one cloud; the batch has the other clouds too."""
    points = np.repeat(np.eye(4), 10, axis=0) + 0.01 * cloud(0, 40, 4)
    p = np.concatenate([np.full(10, 0.5), np.linspace(0.55, 0.6, 30)])
    picks = ClusterMargin(candidates=10, cluster_size=10).select(query(points, 4, scores=np.column_stack([p, 1 - p])))
    assert sorted((picks // 10).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(("field", "value"), [("candidates", 0.5), ("cluster_size", 0.9)])
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"cluster-margin: {field} is {value}; it must be at least 1"):
        ClusterMargin(**{field: value})  # type: ignore[arg-type]  # either field

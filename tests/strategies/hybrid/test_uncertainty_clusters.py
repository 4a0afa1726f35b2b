"""Clusters of the uncertain against a plain walk round them."""

from math import ceil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.queries import cloud, query, random_probs

from albench.strategies.hybrid.uncertainty_clusters import UncertaintyClusters
from albench.strategies.kernels.kmeans import kmeans


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(4, 60), st.sampled_from([1.0, 2.5, 5.0]), st.sampled_from([None, 1, 3]))
def test_it_takes_the_most_uncertain_of_each_cluster_in_turns(
    seed: int, size: int, candidates: float, clusters: int | None
) -> None:
    points, probs = cloud(seed, size, 5), random_probs(seed, size).astype(np.float32).astype(np.float64)
    labelled = np.random.default_rng(seed).permutation(size)[: size // 4].tolist()
    n = 1 + seed % (size - len(labelled))
    picks = UncertaintyClusters(candidates, clusters).select(query(points, n, labelled, probs, seed)).tolist()
    certainty = (probs * np.log(probs)).sum(axis=1)
    assume(np.diff(np.sort(certainty)).min() > 1e-5)  # nearer ones are in another order in single precision
    rest = sorted(set(range(size)) - set(labelled), key=lambda row: certainty[row])
    ground = rest[: ceil(candidates * n)]
    rng = np.random.default_rng(seed)
    rng.permutation(len(rest))  # the order of ties
    _, cluster = kmeans(points[ground].astype(np.float32), min(clusters or n, len(ground)), rng)
    left = {c: [row for row, own in zip(ground, cluster, strict=True) if own == c] for c in set(cluster.tolist())}
    expected: list[int] = []
    while any(left.values()):
        turn = sorted((rows.pop(0) for rows in left.values() if rows), key=lambda row: certainty[row])
        expected += turn
    assert picks == expected[:n]


def test_or_the_most_central() -> None:
    points = np.concatenate([0.1 * cloud(0, 9, 2), 0.1 * cloud(1, 9, 2) + 5, cloud(2, 30, 2) - 20])
    points[[4, 13]] = points[:9].mean(axis=0), points[9:18].mean(axis=0)
    p = np.concatenate([np.linspace(0.5, 0.6, 18), np.full(30, 0.9)])
    asked = query(points, 2, scores=np.column_stack([p, 1 - p]))
    assert set(UncertaintyClusters(9, rank="central").select(asked).tolist()) == {4, 13}
    assert set(UncertaintyClusters(9).select(asked).tolist()) == {0, 9}


@pytest.mark.parametrize(("field", "value"), [("candidates", 0.5), ("clusters", 0)])
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"uncertainty-clusters: {field} is {value}; it must be at least 1"):
        UncertaintyClusters(**{field: value})  # type: ignore[arg-type]  # either field

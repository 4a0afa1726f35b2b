"""TypiClust over SCAN: the head on its loss, the walk over its clusters as one would say it aloud."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.spatial.distance import cdist
from support.queries import cloud, query

from albench.benchmark.types import Floats
from albench.strategies.coverage.typiclust_dc import TypiClustDC
from albench.strategies.kernels.distances import unit_rows
from albench.strategies.kernels.nets import scan
from albench.strategies.kernels.nets.dense import softmax

SEEDS = st.integers(0, 10**6)


def loss(logits: Floats, weight: float) -> float:
    """Of rows (b, k) and, below them, one neighbour of each."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows, others = np.split(p, 2)
    mean = rows.mean(axis=0)
    return float(-np.log((rows * others).sum(axis=1)).mean() + weight * (mean * np.log(mean)).sum())


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(1, 5), st.integers(2, 5), st.sampled_from([0.0, 1.0, 5.0]))
def test_the_gradient_is_that_of_the_loss(seed: int, b: int, k: int, weight: float) -> None:
    logits = np.random.default_rng(seed).normal(size=(2 * b, k))
    expected = approx_fprime(logits.ravel(), lambda x: loss(x.reshape(2 * b, k), weight)).reshape(2 * b, k)
    assert np.allclose(scan._back(softmax(logits), weight), expected, atol=1e-4)


def three_clouds(seed: int) -> Floats:
    centres = 6 * np.eye(5)[np.arange(120) % 3]
    return np.asarray(centres + np.random.default_rng(seed).normal(size=(120, 5)))


def test_a_head_learns_what_belongs_together() -> None:
    found = TypiClustDC().clusters(query(three_clouds(0), 3), 3)
    pairs = {(c, cloud) for c, cloud in zip(found.tolist(), (np.arange(120) % 3).tolist(), strict=True)}
    assert len(pairs) == 3


def test_a_head_is_trained_once_per_pool_and_number_of_clusters() -> None:
    asked, rule = query(three_clouds(1), 3), TypiClustDC(steps=5)
    assert rule.clusters(asked, 3) is rule.clusters(asked, 3)
    assert rule.clusters(asked, 3) is not rule.clusters(asked, 4)
    assert TypiClustDC(steps=6).clusters(asked, 3) is not rule.clusters(asked, 3)


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(30, 80), st.integers(0, 3), st.integers(1, 8))
def test_the_walk_takes_the_most_typical_row_of_each_cluster(seed: int, size: int, n_labelled: int, n: int) -> None:
    points, rule = cloud(seed, size, dims=6), TypiClustDC(steps=20, neighbours=4)
    labelled = np.random.default_rng(seed).permutation(size)[:n_labelled].tolist()
    asked = query(points, n, labelled, seed=seed)
    cluster = rule.clusters(asked, n_labelled + n)
    units = unit_rows(points.astype(np.float32)).astype(np.float64)
    apart, picks = cdist(units, units), rule.select(asked).tolist()
    members = {c: np.flatnonzero(cluster == c).tolist() for c in set(cluster.tolist())}
    asides = [len(members[cluster[row]]) <= 5 for row in picks]
    assert asides == sorted(asides)  # small clusters come last
    visited = [int(cluster[row]) for row, aside in zip(picks, asides, strict=True) if not aside]
    large = [c for c in members if len(members[c]) > 5 and set(members[c]) - set(labelled)]
    keys = [(len(set(members[c]) & set(labelled)), -len(members[c])) for c in visited[: len(large)]]
    assert keys == sorted((len(set(members[c]) & set(labelled)), -len(members[c])) for c in large)[: len(visited)]
    for i, row in enumerate(picks):
        all_in = members[cluster[row]]
        K = max(1, min(4, len(all_in) // 2))
        far = {r: np.sort(apart[r, all_in])[1 : K + 1].mean() for r in all_in if len(all_in) > 1}
        open_ = [far[r] for r in far if r not in labelled + picks[:i]]
        assert not far or far[row] <= min(open_) * (1 + 1e-3)


@pytest.mark.parametrize(("field", "value"), [("neighbours", 0), ("steps", -1), ("rate", 0.0)])
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"typiclust-dc: {field} is {value}; it must be"):
        TypiClustDC(**{field: value})  # type: ignore[arg-type]  # any field

"""Average linkage against scipy's whole dendrogram, cut where ours is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from support.queries import cloud

from albench.benchmark.types import Features
from albench.strategies.kernels import linkage as ours
from albench.strategies.kernels.distances import Positions


def grouped(cluster: Positions) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(cluster == c).tolist()) for c in np.unique(cluster)}


def dendrogram(rows: Features, n: int) -> set[frozenset[int]]:
    """Return scipy's clusters at the least height that leaves at most ``n``."""
    merges = linkage(rows.astype(np.float64), "average", metric="sqeuclidean")
    height = merges[len(rows) - n - 1, 2] if n < len(rows) else 0.0
    return grouped(fcluster(merges, height * (1 + 1e-6) + 1e-9, "distance"))


@pytest.mark.parametrize("tile", [3, 1024])
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 80), st.integers(1, 6), st.booleans(), st.data())
def test_it_is_scipys_tree_cut(tile: int, seed: int, size: int, dims: int, twins: bool, data: st.DataObject) -> None:
    rows = cloud(seed, size, dims).astype(np.float32)
    if twins:  # duplicates: merges at height 0
        rows = rows[np.random.default_rng(seed).integers(size, size=size)]
    n = data.draw(st.integers(1, size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "TILE", tile)
        assert grouped(ours.average_linkage(rows, n, np.random.default_rng(seed))) == dendrogram(rows, n)


def test_far_from_the_origin_it_is_the_same() -> None:
    rows = np.round(64 * cloud(5, 50)).astype(np.float32)
    there = ours.average_linkage(rows + np.float32(8192), 12, np.random.default_rng(0))
    assert grouped(there) == dendrogram(rows, 12)


def test_equal_rows_are_together_even_where_more_clusters_are_allowed() -> None:
    rows = np.repeat(cloud(0, 4), 5, axis=0).astype(np.float32)
    cluster = ours.average_linkage(rows, 15, np.random.default_rng(0))
    assert grouped(cluster) == {frozenset(range(start, start + 5)) for start in range(0, 20, 5)}
    assert ours.average_linkage(rows[:1], 1, np.random.default_rng(0)).tolist() == [0]


def test_of_equally_near_pairs_any_is_merged() -> None:
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    found = {frozenset(grouped(ours.average_linkage(square, 2, np.random.default_rng(seed)))) for seed in range(40)}
    assert len(found) == 2  # both ways to halve it

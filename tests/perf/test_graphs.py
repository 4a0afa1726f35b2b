"""Graphs over 50,000 x 512 unit rows on one core, beside what one would write in a few lines of torch or faiss.

Two pools: isotropic rows, where nothing can be ruled out early (the worst case), and the principal components of
CIFAR-10's images, where they are given. Seconds are CPU time of one thread, since machines are shared.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from albench.benchmark.types import Features
from albench.datasets.embeddings.cache.store import embed
from albench.datasets.embeddings.pca import Pca
from albench.datasets.folder import Folder
from albench.strategies.coverage.probcover import pure_radius
from albench.strategies.kernels.distances import unit_rows
from albench.strategies.kernels.graphs import Graph, ball_graph, distance_to_other, nearest_neighbours
from albench.strategies.kernels.kmeans import kmeans

ROWS, DIMS, CLASSES, K, BLOCK, SAMPLE = 50_000, 512, 10, 50, 500, 20
REPEATS = int(os.environ.get("ALBENCH_PERF_REPEATS", "3"))
CIFAR10 = Path(__file__).parents[3] / "shared" / "data" / "cifar10-images.zip"

T = TypeVar("T")

pytestmark = [pytest.mark.perf, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module", params=["isotropic", "images"])
def units(request: pytest.FixtureRequest) -> Features:
    if request.param == "isotropic":
        return unit_rows(np.random.default_rng(0).standard_normal((ROWS, DIMS), dtype=np.float32))
    if not CIFAR10.exists():
        pytest.skip("CIFAR-10's images are not here")
    return unit_rows(embed(Folder(str(CIFAR10)), Pca(DIMS)).features)


def seconds(compute: Callable[[], T]) -> tuple[float, T]:
    began = time.process_time()
    answer = compute()
    return time.process_time() - began, answer


def plain_graph(units: Features, radius: float) -> int:
    """Return the number of edges of the plain loop: all pairs, in blocks of rows."""
    import torch

    rows, edges = torch.from_numpy(np.array(units)), []
    for start in range(0, len(rows), BLOCK):
        edges.append(torch.nonzero(torch.cdist(rows[start : start + BLOCK], rows) < radius))
    return sum(len(found) for found in edges)


def check_sample(units: Features, graph: Graph, radius: float) -> None:
    for row in np.random.default_rng(1).choice(len(units), SAMPLE, replace=False):
        direct = np.sqrt(np.square(units.astype(np.float64) - units[row]).sum(axis=1))
        assert np.array_equal(graph.around(row), np.flatnonzero(direct < radius))


def test_graph_of_balls(units: Features) -> None:
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(limits=1):
        _, classes = kmeans(units, CLASSES, np.random.default_rng(0))
        estimate_s, to_other = seconds(lambda: distance_to_other(units, classes))
        radius = pure_radius(to_other, 0.95)
        pairs = []
        for _ in range(REPEATS):
            plain_s, edges = seconds(lambda: plain_graph(units, radius))
            ours_s, graph = seconds(lambda: ball_graph(units, radius))
            pairs.append((plain_s, ours_s))
    ratio = median(plain / ours for plain, ours in pairs)
    plain_s, ours_s = np.median(pairs, axis=0)
    print(f"\n{len(units)} x {units.shape[1]}, delta {radius:.4f}, {len(graph.indices) / len(units):.1f} edges per row")
    print(f"torch.cdist in blocks of {BLOCK}: {plain_s:.1f} s ({edges} edges, itself included or not by rounding)")
    print(f"ball_graph: {ours_s:.1f} s ({len(graph.indices)} edges); ratio {ratio:.1f} (goal at least 4)")
    print(f"distances to another pseudo-class, from which delta follows: {estimate_s:.1f} s")
    check_sample(units, graph, radius)
    assert ratio > 2


def test_nearest_neighbours(units: Features) -> None:
    import faiss

    faiss.omp_set_num_threads(1)
    with threadpool_limits(limits=1):
        index = faiss.IndexFlatL2(units.shape[1])
        index.add(units)
        few = units[: len(units) // 10]  # faiss takes minutes for all
        theirs_s, (_, theirs) = seconds(lambda: index.search(few, K + 1))
        ours_s, (ids, _) = seconds(lambda: nearest_neighbours(units, K))
    theirs_s *= 10
    print(f"\nk = {K}: faiss IndexFlatL2 {theirs_s:.1f} s (ten times a tenth), ours {ours_s:.1f} s")
    print(f"ratio {theirs_s / ours_s:.1f}; faiss has {np.mean(ids[: len(few)] == theirs[:, 1:]):.5f} of the ids")
    for row in np.random.default_rng(1).choice(len(units), SAMPLE, replace=False):
        direct = np.square(units.astype(np.float64) - units[row]).sum(axis=1)
        direct[row] = np.inf
        assert np.array_equal(ids[row], np.lexsort((np.arange(len(units)), direct))[:K])
    assert theirs_s / ours_s > 1

"""The nearest rows of others: a brute force says who they are."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from albench.benchmark.types import Features
from albench.strategies.kernels.neighbours import nearest_rows


def brute(rows: Features, asked: Features, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    squares = np.square(asked[:, None].astype(float) - rows[None]).sum(axis=2)
    order = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(squares, order, axis=1)


@pytest.mark.parametrize("offset", [0, 1e4, 1e7])
@pytest.mark.parametrize(
    ("M", "R", "D", "k"), [(50, 300, 3, 5), (5000, 40, 4, 7), (9000, 30, 2, 1), (10, 5, 3, 20), (9000, 4, 1, 5000)]
)
def test_neighbours_are_exact_and_ties_go_to_the_lower_number(M: int, R: int, D: int, k: int, offset: float) -> None:
    """Whole numbers: most distances occur many times, and a far origin takes nothing from them."""
    rng = np.random.default_rng(0)
    rows, asked = ((rng.integers(0, 9, (n, D)) + offset).astype(np.float32) for n in (M, R))
    found, expected = nearest_rows(rows, asked, k), brute(rows, asked, k)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


def test_equal_rows_and_outliers_far_away() -> None:
    rows = np.zeros((5000, 2), np.float32)
    rows[4000] = 1e12
    asked = np.array([[0, 0], [1e12, 1e12], [3e11, 0]], np.float32)
    assert nearest_rows(rows, asked, 2)[0].tolist() == [[0, 1], [4000, 0], [0, 1]]


@pytest.mark.parametrize(("M", "R"), [(60_000, 300), (8, 300_000)])
def test_memory_is_bounded_whatever_the_number_of_rows(M: int, R: int) -> None:
    """All distances at once would be 144 MB, and 19 MB."""
    rng = np.random.default_rng(0)
    rows, asked = (rng.normal(size=(n, 8)).astype(np.float32) for n in (M, R))
    nearest_rows(rows[:8], asked[:8], 3)
    tracemalloc.start()
    nearest_rows(rows, asked, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 70e6 + 60 * R

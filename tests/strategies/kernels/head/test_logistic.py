"""The logistic kernel against the slow optimum of `support.newton`."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.datasets import load_digits, load_wine
from support.newton import optimal_probs

from albench.strategies.kernels.head import logistic

Floats = NDArray[np.float64]
Features = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]


def ours(x: Features, y: Labels, queries: Features, C: float) -> Floats:
    weights = logistic.optimum(x, y, int(y.max()) + 1, C)
    return np.asarray(softmax(queries @ weights[:-1] + weights[-1], axis=1))


def scaled(name: str) -> tuple[Features, Labels]:
    x, y = (load_wine if name == "wine" else load_digits)(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[:180]
    x = x[order, :13]
    return ((x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)).astype(np.float32), y[order].astype(np.int64)


def tables() -> dict[str, tuple[Features, Labels]]:
    """Two tables as they are, and made as unpleasant as tables get."""
    wine, digits = scaled("wine"), scaled("digits")
    x, y = wine
    rng = np.random.default_rng(1)
    wild = (10.0 ** rng.uniform(-4, 4, x.shape[1])).astype(np.float32)
    offset, unix = np.zeros(13, np.float32), np.zeros(13, np.float32)
    offset[2], unix[0] = 1e6, 1.7e9
    return {
        "wine": wine,
        "digits": digits,
        "scales from 1e-4 to 1e4": (x * wild, y),
        "collinear and large": (np.hstack([x * 1e3, x * 1e3 + 1]), y),
        "offset of 1e6": (x + offset, y),
        "unix time": (x * np.where(unix, np.float32(1e7), np.float32(1)) + unix, y),
        "all rows alike": (np.ones_like(x), y),
        "all zero": (np.zeros_like(x), np.arange(len(x)) % 3),
    }


TABLES = tables()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("n", [12, 40, 120])
@pytest.mark.parametrize("C", [0.01, 1.0, 10.0])
def test_any_table_reaches_the_optimum(name: str, n: int, C: float) -> None:
    x, y = TABLES[name]
    y = np.unique(y[:n], return_inverse=True)[1].astype(np.int64)
    queries = x.astype(np.float64)  # what float32 makes of an offset is the model's business
    np.testing.assert_allclose(ours(x[:n], y, queries, C), optimal_probs(x[:n], y, queries, C), atol=2e-5)


@settings(max_examples=25, deadline=None)
@given(
    M=st.integers(2, 80),
    D=st.integers(1, 12),
    P=st.integers(2, 6),
    C=st.floats(1e-3, 1e3),
    size=st.floats(1e-3, 1e3),
    seed=st.integers(0, 999),
)
def test_made_tables_reach_the_optimum(M: int, D: int, P: int, C: float, size: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = (size * rng.normal(size=(M, D)) + rng.normal()).astype(np.float32)
    y = np.unique(np.append(rng.integers(P, size=M - 2), [0, 1]), return_inverse=True)[1].astype(np.int64)
    np.testing.assert_allclose(ours(x, y, x, C), optimal_probs(x, y, x, C), atol=2e-5)


def test_few_rows_of_many_features_and_rows_that_repeat() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 60)).astype(np.float32)
    x[6:9] = x[:3]
    y = np.arange(12) % 3
    np.testing.assert_allclose(ours(x, y, x, 1.0), optimal_probs(x, y, x, 1.0), atol=2e-5)


def test_many_rare_classes_reach_the_optimum() -> None:
    rng = np.random.default_rng(0)
    y = np.append(np.arange(40), rng.integers(40, size=40))
    x = (3 * rng.normal(size=(40, 5))[y] + rng.normal(size=(80, 5))).astype(np.float32)
    np.testing.assert_allclose(ours(x, y, x, 1.0), optimal_probs(x, y, x, 1.0), atol=2e-5)


def test_the_order_of_rows_and_a_shift_do_not_matter() -> None:
    x, y = TABLES["digits"]
    order = np.random.default_rng(3).permutation(len(x))
    first = ours(x, y, x, 1.0)
    np.testing.assert_allclose(ours(x[order], y[order], x, 1.0), first, atol=2e-5)
    np.testing.assert_allclose(ours(x + 8, y, x + 8, 1.0), first, atol=2e-5)
    np.testing.assert_array_equal(ours(x, y, x, 1.0), first)


def test_products_are_float32_only_where_its_rounding_is_harmless() -> None:
    rows = np.ones((1, logistic.BLOCK, 3))
    assert logistic._rounded(rows, 1.0).dtype == np.float32
    assert logistic._rounded(rows * 1e4, 1.0).dtype == np.float64


def test_the_last_gradients_are_float64() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=400)
    x = (20 * (0.4 * rng.normal(size=(4, 20))[y] + rng.normal(size=(400, 20)))).astype(np.float32)
    x[:, 1] = x[:, 0] + np.float32(0.2) * x[:, 1]
    assert logistic._rounded(logistic._blocks(x, 0.0), 0.1 / 4).dtype == np.float32
    np.testing.assert_allclose(ours(x, y, x, 0.1), optimal_probs(x, y, x, 0.1), rtol=0, atol=3e-8)

"""ActiveFT: the gradient against its loss, and the rows that centroids take against looking at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.spatial.distance import cdist
from support.queries import cloud, query

from albench.benchmark.types import Floats
from albench.strategies.diversity.activeft import ActiveFT, gradient, nearest_free
from albench.strategies.kernels.distances import unit_rows

SEEDS = st.integers(0, 10**6)


def loss(centroids: Floats, at: Floats, rows: Floats, fixed: Floats, T: float) -> float:
    """The loss where the centroids are moved and what they are pushed from stays ``at``."""
    c = centroids / np.linalg.norm(centroids, axis=1, keepdims=True)
    others = np.concatenate([at / np.linalg.norm(at, axis=1, keepdims=True), fixed])
    total = 0.0
    for x in rows:
        like = [float(x @ one) for one in (*c, *fixed)]
        k = int(np.argmax(like))
        own = c[k] if k < len(c) else fixed[k - len(c)]
        near = np.exp(like[k] / T)
        total -= np.log(near / (near + sum(np.exp(other @ own / T) for other in others)))
    return float(total / len(rows))


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 4), st.integers(0, 3), st.sampled_from([0.07, 0.5]))
def test_the_gradient_is_that_of_the_loss(seed: int, n: int, n_fixed: int, temperature: float) -> None:
    rows = unit_rows(cloud(seed, 12, dims=4).astype(np.float32))
    at, fixed = cloud(seed + 1, n, dims=4), unit_rows(cloud(seed + 2, 3, dims=4).astype(np.float32))[:n_fixed]

    def of(flat: Floats) -> float:
        return loss(flat.reshape(n, 4), at, rows.astype(np.float64), fixed.astype(np.float64), temperature)

    expected = approx_fprime(at.ravel(), of, 1e-7).reshape(n, 4)
    assert np.allclose(gradient(rows, at, fixed, temperature), expected, atol=2e-4 / temperature)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(1, 40), st.integers(1, 30))
def test_each_centroid_takes_the_nearest_row_that_is_free(seed: int, size: int, n: int) -> None:
    rows, centroids = cloud(seed, size), cloud(seed + 1, min(n, size))
    centroids[len(centroids) // 2 :] = centroids[0]
    distances, free = cdist(centroids, rows), list(range(size))
    for i, row in enumerate(nearest_free(rows.astype(np.float32), centroids.astype(np.float32)).tolist()):
        assert distances[i, row] <= distances[i, free].min() + 1e-6
        free.remove(row)


def test_without_steps_the_batch_is_the_rows_drawn() -> None:
    points = cloud(0, 40)
    picks = ActiveFT(iterations=0).select(query(points, 5, [3], seed=4)).tolist()
    rows = np.delete(np.arange(40), 3)
    assert picks == np.random.default_rng(4).permutation(rows)[:5].tolist()


def test_centroids_go_where_no_label_is() -> None:
    """Three clouds, one of them labelled: two centroids end in the other two."""
    centres = 5 * np.eye(3)[np.arange(90) % 3]
    points = centres + np.random.default_rng(2).normal(scale=0.3, size=(90, 3))

    def often(rule: ActiveFT) -> int:
        found = [rule.select(query(points, 2, [0, 3], seed=seed)) % 3 for seed in range(12)]
        return sum(sorted(clouds.tolist()) == [1, 2] for clouds in found)

    assert often(ActiveFT(iterations=0)) < 6 < min(often(ActiveFT(rate=0.02)), often(ActiveFT(rate=0.02, batch=20)))


@pytest.mark.parametrize(("field", "value"), [("rate", 0.0), ("temperature", -1.0), ("iterations", -1), ("batch", 0)])
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"activeft: {field} is {value}; it must be"):
        ActiveFT(**{field: value})  # type: ignore[arg-type]  # any field

"""ZCore on its formula: the same draws, every row looked at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queries import cloud, query

from albench.benchmark.seeds import generator
from albench.benchmark.types import Floats
from albench.strategies.diversity.zcore import ZCore

SEEDS = st.integers(0, 10**6)


def aloud(points: Floats, rule: ZCore, rng: np.random.Generator) -> Floats:
    N, D = points.shape
    rng.permutation(N)
    scores, left = np.zeros(N), min(rule.samples, 10 * N)
    while left:
        dims = rng.choice(D, min(rule.dims, D), replace=False)
        size = min(left, 100)
        left -= size
        low, middle, high = points[:, dims].min(0), np.median(points[:, dims], axis=0), points[:, dims].max(0)
        for sample in rng.triangular(low, middle, high, (size, len(dims))):
            nearest = int(np.abs(points[:, dims] - sample).sum(axis=1).argmin())
            scores[nearest] += 1
            far = {i: np.abs(points[i, dims] - points[nearest, dims]).sum() for i in range(N) if i != nearest}
            others = sorted(far, key=lambda i: far[i])[: rule.neighbours]
            weights = np.array([far[i] ** -rule.power for i in others])
            scores[others] -= weights / weights.sum()
    return scores


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.integers(2, 30), st.integers(1, 4), st.integers(1, 3))
def test_scores_against_every_row_looked_at(seed: int, size: int, D: int, dims: int) -> None:
    points, rule = cloud(seed, size, dims=D), ZCore(dims=dims, neighbours=3, samples=150)
    found = rule.scores(query(points, 1))
    expected = aloud(points, rule, generator("test", f"zcore/1/150/{dims}/3/4.0"))
    assert np.allclose(found, expected, atol=1e-6)
    assert found.sum() == pytest.approx(0, abs=1e-6)  # what is gained is lost


def test_the_best_scores_are_bought_and_a_draw_decides_between_near_ones() -> None:
    points, rule = cloud(3, 60, dims=4), ZCore()
    scores = rule.scores(query(points, 1))
    picks = rule.select(query(points, 10, [0, 1, 2], seed=5))
    left = np.setdiff1d(np.arange(3, 60), picks)
    assert scores[left].max() < scores[picks].min() + 1
    draw = np.zeros(60)
    draw[3:] = np.random.default_rng(5).random(57)
    assert set(picks.tolist()) == set((np.argsort(-(scores + draw)[3:])[:10] + 3).tolist())


def test_of_equal_rows_one_gains_and_the_others_lose() -> None:
    points = np.concatenate([np.zeros((4, 2)), cloud(0, 30, dims=2)])
    scores = ZCore().scores(query(points, 1))
    assert scores[:4].sum() < 0
    alone = ZCore().scores(query(np.ones((5, 2)), 1))
    assert alone.sum() == pytest.approx(0, abs=1e-9)


def test_scores_are_computed_once_per_pool() -> None:
    asked = query(cloud(1, 20), 2)
    assert ZCore().scores(asked) is ZCore().scores(asked)
    assert ZCore().scores(asked) is not ZCore(power=1.0).scores(asked)


@pytest.mark.parametrize(("field", "value"), [("samples", 0), ("dims", 0), ("neighbours", 0), ("power", -1.0)])
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"zcore: {field} is {value}; it must be"):
        ZCore(**{field: value})  # type: ignore[arg-type]  # any field

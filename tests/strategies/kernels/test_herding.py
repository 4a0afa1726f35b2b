"""Herding against the plain greedy on a dense matrix, and MaxHerding on its formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from support.queries import cloud, query

from albench.benchmark.types import Floats
from albench.strategies.coverage.max_herding import MaxHerding
from albench.strategies.kernels import herding
from albench.strategies.kernels.distances import unit_rows

SEEDS = st.integers(0, 10**6)


@pytest.fixture(params=[False, True], ids=["kept", "again in tiles"], autouse=True)
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small pools go the way of large ones."""
    if request.param:
        for name, value in (("BATCH", 3), ("TILE", (5, 7)), ("TABLE", 0)):
            monkeypatch.setattr(herding, name, value)


def similarities(points: Floats, width: float) -> Floats:
    units = unit_rows(points.astype(np.float32)).astype(np.float64)
    return np.asarray(np.exp(-cdist(units, units, "sqeuclidean") / width**2))


def gains(similar: Floats, bought: list[int]) -> Floats:
    cover = similar[bought].max(axis=0, initial=0)
    return np.asarray(np.maximum(similar - cover, 0).sum(axis=1))


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(1, 60), st.integers(0, 4), st.sampled_from([0.3, 1.0, 3.0]))
def test_every_pick_gains_most(seed: int, size: int, n_labelled: int, width: float) -> None:
    points = cloud(seed, size, dims=5)
    points[size // 2] = points[0]
    labelled = np.random.default_rng(seed).permutation(size)[: min(n_labelled, size - 1)].tolist()
    n = size - len(labelled) if seed % 3 == 0 else 1 + seed % (size - len(labelled))
    bought: list[int] = list(labelled)
    similar = similarities(points, width)
    for pick in MaxHerding(width=width).select(query(points, n, labelled, seed=seed)):
        assert pick not in bought
        gain = gains(similar, bought)
        gain[bought] = -1
        assert gain[pick] >= (1 - 1e-4) * gain.max() - 1e-5 * len(points)
        bought.append(int(pick))
    assert len(bought) == n + len(labelled)


def test_few_targets_stand_for_the_pool() -> None:
    points = cloud(3, 150, dims=5)
    similar = similarities(points, 1.0)

    def coverage(rule: MaxHerding, seed: int = 0) -> float:
        return float(similar[rule.select(query(points, 10, seed=seed))].max(axis=0).mean())

    exact, about = coverage(MaxHerding()), [coverage(MaxHerding(targets=60), seed) for seed in range(5)]
    assert exact == coverage(MaxHerding(targets=150))
    assert max(about) < exact < 1.1 * min(about)
    assert len(set(about)) > 1


def test_equal_rows_come_in_random_order() -> None:
    points = np.repeat([[1.0, 0.0], [0.0, 1.0]], [6, 3], axis=0)
    firsts = {int(MaxHerding().select(query(points, 1, seed=s))[0]) for s in range(80)}
    assert firsts == set(range(6))


def test_labelled_rows_and_those_not_for_sale_are_never_picked() -> None:
    asked = query(cloud(0, 30), 20, labelled=[1, 2, 3], validation=([7, 8], [0, 1]))
    assert not set(MaxHerding().select(asked).tolist()) & {1, 2, 3, 7, 8}


@pytest.mark.parametrize(("field", "value"), [("width", 0.0), ("targets", 0)])
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"max-herding: {field} is {value}; it must be"):
        MaxHerding(**{field: value})  # type: ignore[arg-type]  # either field

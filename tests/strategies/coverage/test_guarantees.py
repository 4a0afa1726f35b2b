"""What is proven of the greedy rules, on pools so small that the best batch can be found by looking at all."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from support.queries import cloud, query, random_probs

from albench.benchmark.types import Floats, Strategy
from albench.strategies.coverage.max_herding import MaxHerding
from albench.strategies.coverage.probcover import ProbCover
from albench.strategies.coverage.uncertainty_herding import UncertaintyHerding
from albench.strategies.diversity.coreset import CoreSet
from albench.strategies.kernels.distances import unit_rows

SEEDS = st.integers(0, 10**6)
SHARE = 1 - 1 / math.e


def apart(points: Floats) -> Floats:
    units = unit_rows(points.astype(np.float32)).astype(np.float64)
    return np.asarray(cdist(units, units))


def herded(points: Floats, probs: Floats) -> Floats:
    return np.asarray(np.exp(-np.square(apart(points))))


def in_balls(points: Floats, probs: Floats) -> Floats:
    return (apart(points) < 0.8).astype(np.float64)


def weighted(points: Floats, probs: Floats) -> Floats:
    best = np.sort(probs.astype(np.float32).astype(np.float64), axis=1)
    u = 1 - best[:, -1] + best[:, -2]
    return np.asarray(herded(points, probs) * (u / u.max()))


CASES: dict[str, tuple[Strategy, Callable[[Floats, Floats], Floats]]] = {
    "max-herding": (MaxHerding(), herded),
    "probcover": (ProbCover(delta=0.8), in_balls),
    "uncertainty-herding": (UncertaintyHerding(calibration="none", width=1.0), weighted),
}
"""The rule, and how much each row of a pool covers of each other row."""


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, size=st.integers(4, 11), n=st.integers(1, 4))
def test_greedy_covers_a_good_share_of_what_the_best_batch_does(name: str, seed: int, size: int, n: int) -> None:
    rule, covers = CASES[name]
    points, probs = cloud(seed, size), random_probs(seed, size, 3)
    covered = covers(points, probs)
    picks = rule.select(query(points, n, scores=probs, seed=seed))
    best = max(covered[list(batch)].max(axis=0).sum() for batch in combinations(range(size), n))
    gains = np.diff([0, *(covered[picks[: i + 1]].max(axis=0).sum() for i in range(n))])
    assert gains.sum() >= SHARE * best - 1e-6
    first_level = gains > 0  # probcover begins again when everything is covered
    assert (np.diff(gains[first_level]) <= 1e-6).all()
    assert gains[0] == pytest.approx(covered.sum(axis=1).max(), abs=1e-5)


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, size=st.integers(4, 11), n=st.integers(1, 4), n_labelled=st.integers(0, 2))
def test_the_radius_of_farthest_first_is_at_most_twice_the_least(seed: int, size: int, n: int, n_labelled: int) -> None:
    points = cloud(seed, size)
    distances, labelled = cdist(points, points), list(range(n_labelled))
    picks = CoreSet("embedding").select(query(points, min(n, size - n_labelled), labelled, seed=seed)).tolist()
    rest = range(n_labelled, size)

    def radius(batch: list[int]) -> float:
        return float(distances[:, labelled + batch].min(axis=1).max())

    least = min(radius(list(batch)) for batch in combinations(rest, len(picks)))
    assert radius(picks) <= 2 * least + 1e-6

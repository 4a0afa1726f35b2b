"""DCoM as one would say it aloud: every distance measured, every count made anew."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from support.queries import cloud, query, random_probs

from albench.benchmark.types import Floats
from albench.strategies.coverage.dcom import DCoM
from albench.strategies.kernels.distances import euclidean, pool_units, unit_rows

SEEDS = st.integers(0, 10**6)


def radius(distances: Floats, right: list[bool], least: float) -> float:
    """Bisection of [0, 1.1] until it is no wider than 0.05."""
    low, high = 0.0, 1.1
    while high - low > 0.05:
        middle = (low + high) / 2
        ball = [i for i, d in enumerate(distances) if d < middle]
        pure = sum(right[i] for i in ball) >= least * len(ball)
        low, high = (middle, high) if pure else (low, middle)
    return (low + high) / 2


def scaled(values: Floats) -> Floats:
    spread = values.max() - values.min()
    return np.asarray((values - values.min()) / spread if spread > 1e-6 else 0 * values)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(8, 40), st.integers(1, 6))
def test_every_pick_has_the_largest_score(seed: int, size: int, n_labelled: int) -> None:
    points = cloud(seed, size, dims=6)
    truth = points[:, :3].argmax(axis=1)
    probs = np.exp(3 * points[:, :3] + cloud(seed + 1, size))
    probs /= probs.sum(axis=1, keepdims=True)
    labelled = np.random.default_rng(seed).permutation(size)[:n_labelled].tolist()
    units = unit_rows(points.astype(np.float32)).astype(np.float64)
    distances = cdist(units, units)
    predicted = probs.argmax(axis=1)
    covered = {j for i in labelled for j in range(size) if distances[i, j] < 0.6}
    least = 0.2 * len(covered) / size + 0.4
    radii = [radius(distances[i], (predicted == truth[i]).tolist(), least) for i in labelled]
    covered = {j for i, r in zip(labelled, radii, strict=True) for j in range(size) if distances[i, j] < r}
    c, mean = len(covered) / size, float(np.mean(radii))
    S = (1 + math.exp(-50 * 0.2)) / (1 + math.exp(-50 * (c - 0.8)))
    rest = [i for i in range(size) if i not in labelled]
    ordered = np.sort(probs.astype(np.float32).astype(np.float64), axis=1)
    unsure = dict(zip(rest, scaled((1 - ordered[:, -1] + ordered[:, -2])[rest]), strict=True))
    for pick in DCoM().select(
        query(points, 1 + len(rest) // 2, labelled, scores=probs, seed=seed, truth=truth.tolist())
    ):
        count = {i: sum(distances[i, j] < mean for j in range(size) if j not in covered) for i in rest}
        most, least_sure = max(count.values()) or 1, max(unsure[i] for i in rest) or 1
        score = {i: S * unsure[i] / least_sure + (1 - S) * count[i] / most for i in rest}
        assert score[pick] >= max(score.values()) - 1e-5
        covered |= {j for j in range(size) if distances[pick, j] < mean}
        rest.remove(pick)


def test_batches_of_labels_follow_each_other() -> None:
    """The threshold of a batch counts what the earlier ones cover with radii of their own."""
    points, probs = cloud(9, 60), random_probs(9, 60, 3)
    asked = query(points, 5, [3, 1, 4, 15, 9, 2], scores=probs)
    units = unit_rows(points.astype(np.float32)).astype(np.float64)
    distances, predicted, truth = cdist(units, units), probs.argmax(axis=1), np.arange(60) % 3
    covered: set[int] = set()
    expected: list[float] = []
    for batch in ([3, 1], [4, 15, 9], [2]):
        at_first = covered | {j for i in batch for j in range(60) if distances[i, j] < 0.6}
        least = 0.2 * len(at_first) / 60 + 0.4
        found = [radius(distances[i], (predicted == truth[i]).tolist(), least) for i in batch]
        covered |= {j for i, r in zip(batch, found, strict=True) for j in range(60) if distances[i, j] < r}
        expected += found
    rows = np.concatenate([asked.labelled, asked.unlabelled])
    later = replace(asked, purchases=(2, 3, 1))
    radii, inside = DCoM().radii(later, euclidean(pool_units(asked)[rows]), predicted[rows])
    assert np.allclose(radii, expected)
    assert set(rows[inside].tolist()) == covered


def test_competence_grows_from_coverage_to_margin() -> None:
    rule = DCoM()
    assert rule.competence(0) < 1e-12
    assert rule.competence(0.8) == pytest.approx(0.5, abs=1e-4)
    assert rule.competence(1) == pytest.approx(1)
    assert DCoM(steepness=1e6).competence(0) == 0


@pytest.mark.parametrize(("field", "value"), [("delta", 0.0), ("resolution", -1.0), ("centre", 1.0)])
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"dcom: {field} is {value}; it must be above 0"):
        DCoM(**{field: value})

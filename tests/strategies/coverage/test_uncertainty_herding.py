"""Uncertainty herding on its formula: every candidate against every row, the temperature by looking at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from support.queries import cloud, query, random_probs

from albench.benchmark.registry import needs_of
from albench.benchmark.types import Floats
from albench.strategies.coverage.uncertainty_herding import UncertaintyHerding, least_distance
from albench.strategies.kernels.calibration import calibrated
from albench.strategies.kernels.distances import unit_rows

SEEDS = st.integers(0, 10**6)


def margins(probs: Floats, T: float = 1.0) -> Floats:
    p = np.sort(probs.astype(np.float32).astype(np.float64) ** (1 / T), axis=1)
    p /= p.sum(axis=1, keepdims=True)
    return np.asarray(1 - p[:, -1] + p[:, -2])


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(5, 40), st.integers(1, 4), st.sampled_from([None, 0.3, 1.0]))
def test_every_pick_gains_most(seed: int, size: int, n_labelled: int, width: float | None) -> None:
    points, probs = cloud(seed, size, dims=5), random_probs(seed, size)
    labelled = np.random.default_rng(seed).permutation(size)[:n_labelled].tolist()
    units = unit_rows(points.astype(np.float32)).astype(np.float64)
    apart = cdist(units, units)
    among = apart[np.ix_(labelled, labelled)][np.triu_indices(n_labelled, 1)]
    h = width or (float(among.min()) if len(among) else 1.0)
    similar, weight = np.exp(-np.square(apart / h)), margins(probs)
    weight[labelled] = 0
    n = 1 + (size - n_labelled) // 3
    bought = list(labelled)
    rule = UncertaintyHerding(calibration="none", width=width)
    for pick in rule.select(query(points, n, labelled, scores=probs, seed=seed)):
        gain = (weight * np.maximum(similar - similar[bought].max(axis=0), 0)).sum(axis=1)
        gain[bought] = -1
        assert gain[pick] >= (1 - 1e-4) * gain.max() - 1e-5 * size
        bought.append(int(pick))
    assert len(set(bought)) == n + n_labelled


def calibration_error(probs: Floats, labels: list[int], T: float) -> float:
    """As one would say it aloud: bins of confidence, how often right in each, how sure."""
    p = probs ** (1 / T)
    p /= p.sum(axis=1, keepdims=True)
    error = 0.0
    for b in range(15):
        rows = [i for i in range(len(p)) if b / 15 <= p[i].max() < (b + 1) / 15 or (b == 14 and p[i].max() == 1)]
        if rows:
            right = np.mean([p[i].argmax() == labels[i] for i in rows])
            error += len(rows) / len(p) * abs(right - np.mean([p[i].max() for i in rows]))
    return error


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 40))
def test_the_temperature_is_the_one_that_errs_least(seed: int, size: int) -> None:
    probs = random_probs(seed, size).astype(np.float32)
    labels = np.random.default_rng(seed).integers(0, 4, size)
    parts = [(probs[::2], labels[::2]), (probs[1::2], labels[1::2])]
    T = calibrated(parts)
    errors = {t / 10: calibration_error(probs.astype(np.float64), labels.tolist(), t / 10) for t in range(10, 200)}
    assert errors[T] <= min(errors.values()) + 1e-9


def test_a_model_that_is_too_sure_is_cooled_down() -> None:
    rng = np.random.default_rng(0)
    sure = np.full((400, 2), 0.0005)
    sure[:, 0] = 0.9995
    wrong = (rng.random(400) < 0.3).astype(np.int64)
    assert calibrated([(sure.astype(np.float32), 0 * wrong)]) == 1.0
    T = calibrated([(sure.astype(np.float32), wrong)])
    p = np.array([0.9995, 0.0005]) ** (1 / T)
    assert p[0] / p.sum() == pytest.approx(1 - wrong.mean(), abs=0.02)
    assert calibrated([]) == 1.0


def test_where_labels_are_held_out_from() -> None:
    points = cloud(1, 60, dims=4)
    truth = (points[:, 0] > 0).astype(int).tolist()
    probs = random_probs(1, 60, 3)
    asked = query(points, 5, list(range(20)), scores=probs, truth=truth, validation=(range(50, 60), truth[50:]))
    rules = {kind: UncertaintyHerding(calibration=kind) for kind in ("labelled", "validation", "none")}
    assert {kind: needs_of(rule) - {"probabilities"} for kind, rule in rules.items()} == {
        "labelled": {"learner"},
        "validation": {"validation"},
        "none": frozenset(),
    }
    T = calibrated([(asked.of(np.arange(50, 60)).probs, np.array(truth[50:]))])
    expected = margins(probs, T)[asked.unlabelled]
    assert np.allclose(rules["validation"].weights(asked), expected / expected.max(), atol=1e-5)
    assert len(rules["labelled"].select(asked)) == 5


def test_rows_the_model_is_sure_of_count_for_nothing_unless_it_is_sure_of_all() -> None:
    points = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1], [0, 1.01], [-1, 0.0]])
    probs = np.eye(3)[[0, 0, 0, 1, 1, 1]]
    assert UncertaintyHerding(calibration="none").select(query(points, 1, [5], scores=probs))[0] in {0, 1, 2}
    probs[3:5] = [0.5, 0.5, 0]
    assert UncertaintyHerding(calibration="none").select(query(points, 1, [5], scores=probs))[0] in {3, 4}


def test_the_least_distance_is_that_of_labelled_rows_that_differ() -> None:
    units = unit_rows(np.array([[1, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float32))
    assert least_distance(units) == pytest.approx(np.sqrt(2 - np.sqrt(2)))
    assert least_distance(units[:2]) == least_distance(units[:1]) == 1.0
    assert least_distance(unit_rows(np.array([[1, 0], [1, 1e-5]], dtype=np.float32))) == 0.02


@pytest.mark.parametrize(("field", "value"), [("width", 0.0), ("targets", 0), ("folds", 1)])
def test_impossible_parameters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"uncertainty-herding: {field} is {value}; it must be"):
        UncertaintyHerding(**{field: value})  # type: ignore[arg-type]  # any field

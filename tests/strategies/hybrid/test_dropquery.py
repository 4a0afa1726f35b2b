"""DropQuery: how often dropout changes a prediction against all masks there are, and what is made of it."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binom, chisquare
from support.queries import cloud, linear_query

from albench.benchmark.types import Query
from albench.strategies.hybrid import dropquery
from albench.strategies.hybrid.dropquery import DropQuery
from albench.strategies.kernels.kmeans import kmeans


def asked(seed: int, size: int, n: int, dims: int = 4, classes: int = 3) -> Query:
    rng = np.random.default_rng(seed)
    bias = np.append(rng.normal(size=classes - 1), -math.inf)  # one class has no label
    return linear_query(cloud(seed, size, dims), n, rng.normal(size=(dims, classes)), bias, [0, 3], seed)


def chance(query: Query, position: int, rate: float) -> float:
    """Return how likely one pass changes a row's prediction: over all masks."""
    weights, bias = query.head
    h = query.hidden[position].astype(np.float64)
    best, total = (h @ weights + bias).argmax(), 0.0
    for mask in product([0, 1], repeat=len(h)):
        kept = h * np.array(mask) / (1 - rate)
        p = math.prod(1 - rate if one else rate for one in mask)
        total += p * ((kept @ weights + bias).argmax() != best)
    return total


@pytest.mark.parametrize(("passes", "rate"), [(3, 0.75), (5, 0.3), (1, 0.5)])
def test_predictions_change_as_often_as_over_all_masks(passes: int, rate: float) -> None:
    one, times = asked(2, 8, 1), 1500
    counts = np.array([DropQuery(passes, rate)._disagreements(one.hidden, one) for _ in range(times)])
    assert len(counts[0]) == len(one.unlabelled) == 6
    for position in range(6):
        expected = times * binom.pmf(np.arange(passes + 1), passes, chance(one, position, rate))
        observed = np.bincount(counts[:, position], minlength=passes + 1)
        often = expected >= 5
        assert (observed[expected < 1e-9] == 0).all()
        if often.sum() > 1:
            merged = [np.append(table[often], table[~often].sum()) for table in (observed, expected)]
            kept = merged[1] > 1
            observed_, expected_ = merged[0][kept], merged[1][kept]
            assert chisquare(observed_, expected_ * observed_.sum() / expected_.sum()).pvalue > 0.001


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, [0, 2]), (2, [0, 1, 2, 4]), (3, [0, 1, 2, 4])],
    ids=["more than half disagree", "some disagree", "never all of them"],
)
def test_one_pass_less_is_asked_for_while_candidates_are_few(
    monkeypatch: pytest.MonkeyPatch, n: int, expected: list[int]
) -> None:
    monkeypatch.setattr(dropquery, "ENOUGH", 2)
    monkeypatch.setattr(DropQuery, "_disagreements", lambda *_: np.array([2, 1, 3, 0, 1, 0, 0]))
    assert DropQuery().candidates(asked(1, 9, n)).tolist() == expected


def test_candidates_nearest_the_centres_are_bought_and_the_rest_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    differ = np.random.default_rng(0).integers(4, size=98)
    monkeypatch.setattr(dropquery, "ENOUGH", 1)
    monkeypatch.setattr(DropQuery, "_disagreements", lambda *_: differ)
    one, found = asked(3, 100, 6), np.flatnonzero(differ > 1)
    rows = one.unlabelled[found]
    units = one.features[rows] / np.linalg.norm(one.features[rows], axis=1, keepdims=True)
    centres, cluster = kmeans(units, 6, np.random.default_rng(3))
    offsets = cdist(units, centres)
    expected = [rows[cluster == j][offsets[cluster == j, j].argmin()] for j in range(6)]
    assert sorted(DropQuery().select(one).tolist()) == sorted(expected)
    many = len(np.flatnonzero(differ > 0)) + 5
    picks = set(DropQuery().select(asked(3, 100, many)).tolist())
    assert set(one.unlabelled[differ > 0].tolist()) < picks
    assert len(picks) == many


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"passes": 0}, "dropquery: passes is 0; it must be at least 1"),
        ({"rate": 1.0}, "dropquery: rate is 1.0; it must be above 0 and below 1"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DropQuery(**parameters)  # type: ignore[arg-type]  # a grid may say anything

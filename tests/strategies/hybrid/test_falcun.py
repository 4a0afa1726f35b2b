"""FALCUN's draws against their odds, sequence by sequence."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from support.queries import query, random_probs

from albench.benchmark.types import Floats, Query
from albench.strategies.hybrid.falcun import Falcun

SEEDS = st.integers(0, 10**6)
KINDS = ("sum", "distance", "uncertainty")


def asked(probs: Floats, n: int, seed: int) -> Query:
    return query(np.zeros((len(probs), 2)), n, labelled=[0, 4], scores=probs, seed=seed)


def uncertainty(p: Floats) -> float:
    best, second, *_ = sorted(p.tolist(), reverse=True)
    return float(1 - best + second)


def odds(rule: Falcun, probs: Floats, rows: list[int], picked: list[int]) -> dict[int, float]:
    """Return the odds of each of the rows that are left, from probabilities (N, C)."""
    left = [row for row in rows if row not in picked]
    u = {row: uncertainty(probs[row]) for row in left}
    d = {row: min([u[row], *(float(np.abs(probs[row] - probs[pick]).sum()) for pick in picked)]) for row in left}
    low, high = min(d.values()), max(d.values())
    scaled = {row: (d[row] - low) / (high - low) if high > low else 0.0 for row in left}
    relevance = {"sum": {row: scaled[row] + u[row] for row in left}, "distance": d, "uncertainty": u}[rule.relevance]
    weights = {row: relevance[row] ** rule.gamma for row in left}
    return weights if sum(weights.values()) > 0 else dict.fromkeys(left, 1.0)


def chance(rule: Falcun, probs: Floats, rows: list[int], batch: tuple[int, ...]) -> float:
    p = 1.0
    for i, pick in enumerate(batch):
        weights = odds(rule, probs, rows, list(batch[:i]))
        p *= weights[pick] / sum(weights.values())
    return p


@pytest.mark.parametrize(("kind", "gamma"), [("sum", 1.0), ("sum", 3.0), ("distance", 2.0), ("uncertainty", 4.0)])
def test_batches_are_as_frequent_as_their_odds(kind: str, gamma: float) -> None:
    probs, times, rows = random_probs(3, 7, 3).astype(np.float32).astype(np.float64), 2000, [1, 2, 3, 5, 6]
    probs[2] = probs[1]  # equal rows: once one is drawn the other is at distance 0
    rule, one = Falcun(gamma, kind), asked(probs, 3, 0)  # type: ignore[arg-type]  # one of three texts
    expected = {batch: times * chance(rule, probs, rows, batch) for batch in permutations(rows, 3)}
    assert math.isclose(sum(expected.values()), times)
    drawn = [tuple(rule.select(one).tolist()) for _ in range(times)]  # one generator, that goes on
    assert set(drawn) <= {batch for batch, count in expected.items() if count}
    often = {batch: count for batch, count in expected.items() if count >= 5}
    others = times - len([batch for batch in drawn if batch in often]), times - sum(often.values())
    observed, counts = [drawn.count(batch) for batch in often] + [others[0]], [*often.values(), others[1]]
    assert others[1] > 5
    assert chisquare(observed, counts).pvalue > 0.001


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, kind=st.sampled_from(KINDS))
def test_with_a_large_gamma_the_most_relevant_rows_are_bought(seed: int, kind: str) -> None:
    probs = random_probs(seed, 20).astype(np.float32).astype(np.float64)
    rule, rows = Falcun(1e6, kind), [row for row in range(20) if row not in (0, 4)]  # type: ignore[arg-type]  # see above
    one, picks = Falcun(1.0, kind), list[int]()  # type: ignore[arg-type]  # see above
    for pick in rule.select(asked(probs, 6, seed)).tolist():
        weights = odds(one, probs, rows, picks)
        assert weights[pick] >= max(weights.values()) * (1 - 1e-4)
        picks.append(pick)


def test_certain_rows_are_drawn_evenly_when_nothing_else_is_left() -> None:
    probs = np.eye(3)[[0, 1, 2, 0, 1, 2, 0]]
    probs[1] = [0.5, 0.4, 0.1]
    batches = {tuple(Falcun(relevance="uncertainty").select(asked(probs, 2, seed)).tolist()) for seed in range(100)}
    assert batches == {(1, other) for other in (2, 3, 5, 6)}
    alike = {Falcun().select(asked(np.tile(probs[0], (7, 1)), 5, seed))[0] for seed in range(60)}
    assert alike == {1, 2, 3, 5, 6}


def test_a_gamma_of_0_draws_evenly() -> None:
    probs = random_probs(1, 7)
    one = asked(probs, 1, 0)
    firsts = [int(Falcun(0.0).select(one)[0]) for _ in range(1000)]
    assert chisquare([firsts.count(row) for row in (1, 2, 3, 5, 6)]).pvalue > 0.001


@pytest.mark.parametrize("gamma", [-1.0, math.inf, math.nan])
def test_impossible_parameters_are_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match=f"falcun: gamma is {gamma}; it must be at least 0, and finite"):
        Falcun(gamma)

"""BAIT on binary Fisher information against greedy search by direct inversion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.information import asked, greedy, objective
from support.queries import cloud, query

from albench.benchmark.types import Floats, Query
from albench.strategies.gradient.bait_binary import BaitBinary

SEEDS = st.integers(0, 10**6)


def fishers(asked: Query) -> Floats:
    """The Fisher information of every row of the pool, (N, H, H)."""
    answers = asked.of(np.arange(len(asked.features)))
    p, h = answers.probs.max(axis=1), answers.hidden.astype(np.float64)
    variance = (p * (1 - p)).astype(np.float64)  # in single precision, as the probabilities are
    return np.asarray(variance[:, None, None] * h[:, :, None] * h[:, None, :])


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    size=st.integers(12, 30),
    n=st.integers(1, 6),
    labelled=st.integers(1, 5),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    rule=st.sampled_from([BaitBinary(), BaitBinary(ridge=0.01), BaitBinary(oversample=1), BaitBinary(oversample=4)]),
)
def test_bait_binary_is_greedy_search_forward_and_backward(
    seed: int, size: int, n: int, labelled: int, scale: float, rule: BaitBinary
) -> None:
    one = asked(seed, size, n, labelled, scale, dims=5)
    assert rule.select(one).tolist() == greedy(fishers(one), one, rule)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_the_trace_is_that_of_direct_inversion_at_every_step(seed: int) -> None:
    one = asked(seed, 25, 6, 3, dims=5)
    information, trace = fishers(one), BaitBinary().trace(one)

    def direct(positions: list[int]) -> float:
        return objective(information, one, 0.01, one.unlabelled[positions].tolist())

    inside: list[int] = []
    for position in np.random.default_rng(seed).permutation(len(one.unlabelled))[:12].tolist():
        fall = trace.falls()[position]
        assert fall == pytest.approx(direct(inside) - direct([*inside, position]), rel=1e-5, abs=1e-9)
        assert fall >= 0  # the objective only falls while rows enter
        inside.append(position)
        trace.move(position, +1)
        assert np.trace(trace.inverse @ trace.fisher) == pytest.approx(direct(inside), rel=1e-6)
    for position in inside[::-1]:
        rest = [other for other in inside if other != position]
        assert trace.rises()[position] == pytest.approx(direct(rest) - direct(inside), rel=1e-5, abs=1e-9)
        trace.move(position, -1)
        inside = rest


def test_rows_that_are_certain_tell_nothing() -> None:
    probs = np.tile([[0.5, 0.3, 0.2]], (12, 1))
    probs[4:] = [1, 0, 0]
    picks = BaitBinary().select(query(cloud(1, 12), 2, labelled=[0, 5], scores=probs))
    assert set(picks.tolist()) < {1, 2, 3}


def test_equal_rows_are_drawn_among() -> None:
    points = np.ones((9, 2))
    sets = {
        frozenset(BaitBinary().select(query(points, 2, [0], np.full((9, 3), 1 / 3), seed=s)).tolist())
        for s in range(200)
    }
    assert len(sets) == 28


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ridge": 0.0}, "bait-binary: ridge is 0.0; it must be above 0"),
        ({"oversample": 0}, "bait-binary: oversample is 0; it must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BaitBinary(**parameters)  # type: ignore[arg-type]  # a grid may say anything

"""BAIT on the whole Fisher information against greedy search by direct inversion of explicit matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.information import asked, greedy, objective
from support.queries import cloud, query, random_probs

from albench.benchmark.types import Floats, Query
from albench.strategies.gradient.bait import Bait
from albench.strategies.kernels.head.factors import Softmax, projected, roots

SEEDS = st.integers(0, 10**6)


def fisher(p: Floats, h: Floats, classes: int) -> Floats:
    """What one row tells of all weights, (C H, C H), once its label is known to be one of its likeliest classes."""
    likeliest = np.argsort(-p)[:classes]
    mass = p[likeliest].sum()
    information = np.zeros((len(p) * len(h), len(p) * len(h)))
    shares = np.zeros(len(p))
    shares[likeliest] = p[likeliest] / mass
    for y in likeliest:
        gradient = np.kron(shares - np.eye(len(p))[y], h)
        information += p[y] * np.outer(gradient, gradient)
    return information


def fishers(asked: Query, classes: int = 9) -> Floats:
    said = asked.of(np.arange(len(asked.features)))
    rows = zip(said.probs.astype(np.float64), said.hidden.astype(np.float64), strict=True)
    return np.array([fisher(p, h, classes) for p, h in rows])


@settings(deadline=None, max_examples=20)
@given(
    seed=SEEDS,
    size=st.integers(8, 20),
    n=st.integers(1, 4),
    scale=st.sampled_from([0.3, 1.0, 10.0]),
    rule=st.sampled_from([Bait(), Bait(classes=3), Bait(classes=4, ridge=1.0), Bait(classes=9, oversample=3)]),
)
def test_bait_is_greedy_search_forward_and_backward(seed: int, size: int, n: int, scale: float, rule: Bait) -> None:
    one = asked(seed, size, n, 3, scale)
    assert rule.select(one).tolist() == greedy(fishers(one, rule.classes), one, rule)


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, classes=st.integers(2, 4))
def test_woodbury_is_direct_inversion_and_the_trace_falls_with_every_row(seed: int, classes: int) -> None:
    one = asked(seed, 14, 5, 3)
    information, trace = fishers(one, classes), Bait(ridge=1.0, classes=classes).trace(one)

    def direct(positions: list[int]) -> float:
        return objective(information, one, 1.0, one.unlabelled[positions].tolist())

    inside: list[int] = []
    for position in np.random.default_rng(seed).permutation(len(one.unlabelled))[:8].tolist():
        fall = trace.falls()[position]
        assert fall == pytest.approx(direct(inside) - direct([*inside, position]), rel=1e-6, abs=1e-10)
        assert (trace.falls() >= 0).all()
        best = trace.enterer(inside, np.random.default_rng(0))
        assert trace.falls()[best] == np.delete(trace.falls(), inside).max()
        inside.append(position)
        trace.move(position, +1)
        assert np.trace(trace.inverse @ trace.fisher) == pytest.approx(direct(inside), rel=1e-8)
    for position in inside[::-1]:
        rest = [other for other in inside if other != position]
        assert trace.rises()[position] == pytest.approx(direct(rest) - direct(inside), rel=1e-6, abs=1e-10)
        trace.move(position, -1)
        inside = rest


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, classes=st.integers(1, 5))
def test_factors_are_explicit_matrices_and_never_say_more_than_all(seed: int, classes: int) -> None:
    one = asked(seed, 9, 1, 2)
    probs, hidden = one.probs.copy(), one.hidden
    probs[0], probs[1, 2:] = [0, 1, 0, 0], 0
    factors, everything = Softmax(probs, hidden, classes), Softmax(probs, hidden, 4)
    explicit = [fisher(p, h, classes) for p, h in zip(probs.astype(np.float64), hidden.astype(np.float64), strict=True)]
    some = np.random.default_rng(seed).normal(size=(12, 12))
    for row, whole in enumerate(explicit):
        support, values = factors.one(row)
        V = np.zeros((12, values.shape[1]))
        V[support] = values
        assert np.allclose(V @ V.T, whole, atol=1e-12)
        assert np.allclose(factors.against(some)[..., row], V.T @ some)
        assert np.allclose(factors.forms(some + some.T)[..., row], V.T @ (some + some.T) @ V)
        left_out = everything.at(np.array([row])).information() - whole
        assert np.linalg.eigvalsh(left_out).min() > -1e-9
    assert np.allclose(factors.information(), sum(explicit))


def test_roots_of_certain_rows_are_nothing() -> None:
    assert not roots(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])).any()
    assert roots(np.array([[0.5, 0.5]])) == pytest.approx(np.array([[[0.5], [-0.5]]]))


def test_rows_are_projected_on_the_axes_that_hold_most() -> None:
    points = cloud(4, 40, 6) * [5, 0.1, 4, 0.1, 3, 0.1]
    one = query(points, 3, [0, 1], scores=random_probs(4, 40))
    pool, known = projected(one, 3)
    strongest = np.linalg.svd(one.hidden.astype(np.float64))[2][:3]
    assert np.allclose(np.linalg.norm(pool, axis=1), np.linalg.norm(one.hidden @ strongest.T, axis=1), rtol=1e-5)
    assert pool.shape == (38, 3)
    assert np.allclose(known @ known.T, (points[:2] @ strongest.T) @ (points[:2] @ strongest.T).T, rtol=1e-4)
    assert np.array_equal(projected(one, 6)[0], one.hidden)


def test_equal_rows_are_drawn_among() -> None:
    points = np.ones((7, 2))
    sets = {
        frozenset(Bait().select(query(points, 2, [0], np.full((7, 3), 1 / 3), seed=s)).tolist()) for s in range(120)
    }
    assert len(sets) == 15


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ridge": 0.0}, "bait: ridge is 0.0; it must be above 0"),
        ({"oversample": 0}, "bait: oversample is 0; it must be at least 1"),
        ({"dims": 0}, "bait: dims is 0; it must be at least 1"),
        ({"classes": 1}, "bait: classes is 1; it must be at least 2"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bait(**parameters)  # type: ignore[arg-type]  # a grid may say anything

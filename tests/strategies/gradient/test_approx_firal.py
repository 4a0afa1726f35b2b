"""Approx-FIRAL against explicit block-diagonal matrices: the relaxed weights, and the regret-minimising picks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag, sqrtm
from support.information import asked
from support.queries import query

from albench.benchmark.types import Floats, Query
from albench.strategies.gradient.approx_firal import ApproxFIRAL
from albench.strategies.kernels.head.design import Blocks, leader, relaxed, rounded

SEEDS = st.integers(0, 10**6)
C, D = 4, 3


def informations(asked: Query, classes: int = C) -> Floats:
    """The block-diagonal information of every row of the pool, (N, C D, C D)."""
    said, found = asked.of(np.arange(len(asked.features))), []
    for p, h in zip(said.probs.astype(np.float64), said.hidden.astype(np.float64), strict=True):
        likeliest = np.isin(np.arange(C), np.argsort(-p)[:classes])
        found.append(block_diag(*(here * x * (1 - x) * np.outer(h, h) for here, x in zip(likeliest, p, strict=True))))
    return np.array(found)


def given_blocks(asked: Query, classes: int = C) -> tuple[Blocks, Floats, Floats, Floats]:
    """Return the pool's blocks, what is known (C, D, D), and both as explicit matrices."""
    explicit = informations(asked, classes)
    known = explicit[asked.labelled].sum(axis=0) + np.eye(C * D)
    parts = np.array([known[k * D : (k + 1) * D, k * D : (k + 1) * D] for k in range(C)])
    return Blocks(asked.probs, asked.hidden.astype(np.float64), classes), parts, explicit[asked.unlabelled], known


def ratio(known: Floats, rows: Floats, z: Floats) -> float:
    return float(np.trace(np.linalg.inv(known + np.einsum("u,uij->ij", z, rows)) @ rows.mean(axis=0)))


def by_description(known: Floats, rows: Floats, z: Floats, n: int, eta: float) -> list[int]:
    metric = np.linalg.inv(np.real(sqrtm(known + np.einsum("u,uij->ij", z, rows))))
    whole, each = metric @ known @ metric, [metric @ row @ metric for row in rows]
    picks: list[int] = []
    while len(picks) < n:
        spectrum = eta * np.linalg.eigvalsh(whole)
        low, high = -spectrum.min() + 0.5, -spectrum.min() + 2 * np.sqrt(len(spectrum))
        for _ in range(200):  # bisection
            middle = (low + high) / 2
            low, high = (middle, high) if ((middle + spectrum) ** -2).sum() > 1 else (low, middle)
        B = low * np.eye(len(whole)) + eta * whole
        left = {i: np.trace(np.linalg.inv(B + eta * each[i])) for i in range(len(rows)) if i not in picks}
        picks.append(min(left, key=lambda i: left[i]))
        whole = whole + each[picks[-1]]
    return picks


@settings(deadline=None, max_examples=20)
@given(
    seed=SEEDS,
    size=st.integers(10, 25),
    n=st.integers(1, 5),
    classes=st.integers(1, 4),
    eta=st.sampled_from([1.0, 30.0]),
)
def test_rounding_is_its_description_on_explicit_matrices(
    seed: int, size: int, n: int, classes: int, eta: float
) -> None:
    one = asked(seed, size, n, 3)
    pool, parts, rows, known = given_blocks(one, classes)
    z = n * np.random.default_rng(seed).dirichlet(np.ones(len(rows)))
    assert rounded(pool, parts, z, n, eta, one.rng).tolist() == by_description(known, rows, z, n, eta)


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, n=st.integers(1, 5))
def test_relaxed_weights_are_nearly_the_best_there_are(seed: int, n: int) -> None:
    one = asked(seed, 15, n, 3)
    pool, parts, rows, known = given_blocks(one)
    z = relaxed(pool, parts, n, 500)
    assert (z >= 0).all()
    assert z.sum() == pytest.approx(n)
    assert ratio(known, rows, z) <= ratio(known, rows, np.full(len(rows), n / len(rows))) + 1e-12
    inverse = np.linalg.inv(known + np.einsum("u,uij->ij", z, rows))
    falls = np.einsum("uij,ji->u", rows, inverse @ rows.mean(axis=0) @ inverse)
    short = n * falls.max() - z @ falls  # by convexity no weights of this sum are better by more
    assert short <= 0.05 * ratio(known, rows, z)


@settings(deadline=None)
@given(spectrum=st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_the_leader_has_a_trace_of_one(spectrum: list[float]) -> None:
    values = np.array(spectrum)
    nu = leader(values)
    assert (nu + values > 0).all()
    assert np.sum((nu + values) ** -2.0) == pytest.approx(1, rel=1e-6)


def test_what_is_known_counts_from_the_first_pick() -> None:
    """Two directions, one of them labelled often: the other is bought."""
    points = np.array([[1.0, 0]] * 12 + [[0, 1.0]] * 4)
    picks = ApproxFIRAL().select(query(points, 2, list(range(9)), np.full((16, 3), 1 / 3)))
    assert set(picks.tolist()) < set(range(12, 16))


def test_equal_rows_are_drawn_among() -> None:
    points, probs = np.ones((7, 2)), np.full((7, 3), 1 / 3)
    firsts = {int(ApproxFIRAL().select(query(points, 1, [0], probs, seed=s))[0]) for s in range(50)}
    assert firsts == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ridge": 0.0}, "approx-firal: ridge is 0.0; it must be above 0"),
        ({"eta": -1.0}, "approx-firal: eta is -1.0; it must be above 0"),
        ({"steps": 0}, "approx-firal: steps is 0; it must be at least 1"),
        ({"dims": 0}, "approx-firal: dims is 0; it must be at least 1"),
        ({"classes": 0}, "approx-firal: classes is 0; it must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ApproxFIRAL(**parameters)  # type: ignore[arg-type]  # a grid may say anything

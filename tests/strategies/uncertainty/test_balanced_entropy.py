"""Balanced entropy against its definition: every integral of a Beta density is summed up."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from support.queries import query, random_passes

from albench.strategies.uncertainty.balanced_entropy import BalancedEntropy, _posterior_entropy, balance

NOWHERE = np.zeros((12, 2))
T = np.linspace(-400, 400, 40_001)  # x = 1 / (1 + exp(-t)) is summed over t: both ends of [0, 1] are far away
LOG_X, LOG_REST = -np.logaddexp(0, -T), -np.logaddexp(0, T)
LOG_DX = LOG_X + LOG_REST + math.log(T[1] - T[0])


def differential_entropy(mean: float, variance: float) -> float:
    """Of the density x · Beta(x; a, b) over its mean: what the probability may be when the label is this class."""
    both = mean * (1 - mean) / variance - 1
    a, b = mean * both, (1 - mean) * both
    log_f = a * LOG_X + (b - 1) * LOG_REST
    log_f -= float(logsumexp(log_f + LOG_DX))
    return float(-np.sum(np.exp(log_f + LOG_DX) * log_f))


def by_quadrature(passes: list[list[float]]) -> float:
    columns = [*zip(*passes, strict=True)]
    means = [math.fsum(c) / len(c) for c in columns]
    variances = [math.fsum((x - m) ** 2 for x in c) / len(c) for c, m in zip(columns, means, strict=True)]
    label = -math.fsum(m * math.log(m) for m in means)
    joint = math.fsum(m * differential_entropy(m, v) for m, v in zip(means, variances, strict=True)) + label
    ratio = joint / (label + math.log(2))
    return 1 / ratio if ratio >= 0 else ratio


@settings(deadline=None, max_examples=40)
@given(mean=st.floats(0.05, 0.95), share=st.floats(0.02, 0.6))
def test_the_entropy_of_a_beta_is_its_integral(mean: float, share: float) -> None:
    variance = share * mean * (1 - mean)
    found = _posterior_entropy(np.array([[mean]]), np.array([[variance]])).item()
    assert found == pytest.approx(differential_entropy(mean, variance), abs=1e-5)
    assert found <= 0


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_it_takes_the_rows_of_largest_score(seed: int) -> None:
    passes = random_passes(seed, 6, 12)
    direct = np.array([by_quadrature(passes[:, i].tolist()) for i in range(12)])
    asked = query(NOWHERE, 4, labelled=[0, 7], passes=passes, seed=seed)
    rest = np.delete(np.arange(12), [0, 7])
    assert BalancedEntropy(6).select(asked).tolist() == rest[np.argsort(-direct[rest])[:4]].tolist()


def test_the_ratio_is_turned_over_where_it_is_positive() -> None:
    means, variances = np.full((3, 2), 0.5), np.array([[0.05] * 2, [0.01] * 2, [1e-4] * 2])
    h = [differential_entropy(0.5, float(v)) for v in variances[:, 0]]
    joint = np.array(h) + math.log(2)
    assert joint[0] > 0 > joint[2]
    whole = 2 * math.log(2)
    expected = [1 / (j / whole) if j >= 0 else j / whole for j in joint.tolist()]
    np.testing.assert_allclose(balance(means, variances), expected, rtol=1e-4)


def test_what_all_passes_are_sure_of_and_sure_disagreement_come_last() -> None:
    passes = random_passes(1, 6, 12)
    passes[:, 2] = np.eye(3)[1]
    passes[:, 5] = np.eye(3)[np.arange(6) % 3]
    passes[:, 6] = 1 / 3  # no variance, and far from sure
    scores = BalancedEntropy(6).score(query(NOWHERE, 1, passes=passes.astype(np.float32).astype(np.float64)))
    assert np.isfinite(scores).all()
    order = np.argsort(scores).tolist()
    assert set(order[:2]) == {2, 5}
    assert order[2] == 6


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = query(NOWHERE, 1, passes=random_passes(1, 6, 12))
    whole = BalancedEntropy(6).score(asked)
    monkeypatch.setattr("albench.strategies.uncertainty.balanced_entropy.BLOCK", 15)
    assert np.array_equal(BalancedEntropy(6).score(asked), whole)

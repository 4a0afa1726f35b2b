"""ISAL against explicit gradients and the explicit Hessian."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queries import cloud, query, random_probs
from support.references import asked, labels_of

from albench.benchmark.registry import needs_of
from albench.benchmark.types import Floats, Query
from albench.strategies.gradient.isal import ISAL
from albench.strategies.kernels.head.influence import Reference

SEEDS = st.integers(0, 10**6)


def explicit(p: Floats, h: Floats, label: int) -> Floats:
    return np.asarray(np.kron(p - np.eye(len(p))[label], np.append(h, 1)))


def influences(asked: Query, rule: ISAL) -> dict[int, float]:
    said = asked.of(np.arange(len(asked.features)))
    p, h = said.probs.astype(np.float64), said.hidden.astype(np.float64)
    damped = rule.damping * np.eye(4 * (h.shape[1] + 1))
    for row in asked.labelled:
        one = np.append(h[row], 1)
        damped += np.kron(np.diag(p[row]) - np.outer(p[row], p[row]), np.outer(one, one))
    labels = labels_of(asked, rule.reference)
    falls = np.linalg.inv(damped) @ np.mean([explicit(p[row], h[row], y) for row, y in labels.items()], axis=0)

    def gradient(row: int) -> Floats:
        if rule.labels == 1:
            return explicit(p[row], h[row], int(p[row].argmax()))
        likeliest = np.argsort(-p[row])[: rule.labels]
        return np.asarray(np.sum([p[row, y] * explicit(p[row], h[row], y) for y in likeliest], axis=0))

    return {row: -float(gradient(row) @ falls) for row in asked.unlabelled.tolist()}


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    size=st.integers(14, 40),
    n=st.integers(1, 5),
    damping=st.sampled_from([0.05, 1.0, 20.0]),
    labels=st.integers(1, 3),
    reference=st.sampled_from(["labelled", "pool", "validation"]),
)
def test_isal_buys_the_lowest_influences(
    seed: int, size: int, n: int, damping: float, labels: int, reference: Reference
) -> None:
    one, rule = asked(seed, size, n), ISAL(damping, labels, reference)
    expected = influences(one, rule)
    lowest = sorted(expected, key=lambda row: expected[row])
    assert rule.select(one).tolist() == lowest[:n]
    scores = rule.score(one)
    assert np.allclose(
        scores / np.abs(scores).max(), [-x / max(map(abs, expected.values())) for x in expected.values()], atol=1e-6
    )


def test_the_expectation_over_all_labels_is_nothing_and_the_rule_draws() -> None:
    sets = {
        frozenset(ISAL(labels=4).select(query(cloud(1, 8), 2, [0, 3], random_probs(1, 8), seed=s)).tolist())
        for s in range(200)
    }
    assert len(sets) == 15


def test_equal_rows_are_drawn_among() -> None:
    points, probs = np.repeat(cloud(5, 6), 7, axis=0), np.repeat(random_probs(5, 6), 7, axis=0)
    firsts = {int(ISAL().select(query(points, 1, [0, 8, 20], scores=probs, seed=s))[0]) for s in range(120)}
    (point,) = {row // 7 for row in firsts}
    assert firsts == set(range(7 * point, 7 * point + 7)) - {0, 8, 20}


def test_a_set_apart_is_needed_only_where_it_is_the_reference() -> None:
    assert "validation" in needs_of(ISAL(reference="validation"))
    assert "validation" not in needs_of(ISAL())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"damping": 0.0}, "isal: damping is 0.0; it must be above 0"),
        ({"labels": 0}, "isal: labels is 0; it must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ISAL(**parameters)  # type: ignore[arg-type]  # a grid may say anything

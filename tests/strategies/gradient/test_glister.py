"""GLISTER against its greedy steps on explicit gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from support.queries import cloud, query, random_probs
from support.references import asked, labels_of

from albench.benchmark.registry import needs_of
from albench.benchmark.types import Floats, Query
from albench.strategies.gradient import glister
from albench.strategies.gradient.glister import Glister
from albench.strategies.kernels.head.influence import Reference

SEEDS = st.integers(0, 10**6)


def by_description(asked: Query, rule: Glister) -> list[int]:
    """All weights are there, as a matrix that moves; gradients are made anew from them."""
    said = asked.of(np.arange(len(asked.features)))
    p, h = said.probs.astype(np.float64), np.column_stack([said.hidden.astype(np.float64), np.ones(len(said.probs))])
    labels = labels_of(asked, rule.reference)
    moved = np.zeros((4, h.shape[1]))

    def gradient(q: Floats, row: int) -> Floats:
        return np.outer(q, h[row])

    own = {row: gradient(p[row] - np.eye(4)[p[row].argmax()], row) for row in asked.unlabelled.tolist()}
    batch: list[int] = []
    while len(batch) < asked.n:
        now = {row: softmax(np.log(p[row]) + moved @ h[row]) for row in labels}
        whole = np.mean([gradient(now[row] - np.eye(4)[y], row) for row, y in labels.items()], axis=0)
        rest = [row for row in own if row not in batch]
        batch.append(max(rest, key=lambda row: float((own[row] * whole).sum())))
        moved -= rule.eta * own[batch[-1]]
    return batch


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    size=st.integers(14, 40),
    n=st.integers(1, 5),
    eta=st.sampled_from([0.01, 0.05, 1.0]),
    reference=st.sampled_from(["labelled", "pool", "validation"]),
    crowd=st.sampled_from([1, 8, 1000]),
)
def test_glister_is_its_description_on_explicit_gradients(
    seed: int, size: int, n: int, eta: float, reference: Reference, crowd: int
) -> None:
    one, rule = asked(seed, size, n), Glister(eta=eta, reference=reference)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glister, "CROWD", crowd)
        assert rule.select(one).tolist() == by_description(one, rule)


def test_as_many_targets_as_there_are_or_more_are_all() -> None:
    picks = [Glister(targets=targets).select(asked(3, 30, 6)).tolist() for targets in (26, 1000, None)]
    assert picks[0] == picks[1] == picks[2] == by_description(asked(3, 30, 6), Glister())
    drawn = {
        tuple(Glister(targets=3).select(query(cloud(3, 30), 6, [0, 4], random_probs(3, 30), seed=s))) for s in range(9)
    }
    assert len(drawn) > 1


def test_equal_rows_are_drawn_among() -> None:
    points = np.ones((7, 2))
    sets = {
        frozenset(Glister().select(query(points, 2, [0], np.full((7, 3), 1 / 3), seed=s)).tolist()) for s in range(120)
    }
    assert len(sets) == 15


def test_a_set_apart_is_needed_only_where_it_is_the_reference() -> None:
    assert "validation" in needs_of(Glister(reference="validation"))
    assert "validation" not in needs_of(Glister())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eta": 0.0}, "glister: eta is 0.0; it must be above 0"),
        ({"targets": 0}, "glister: targets is 0; it must be at least 1, or null for all rows"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Glister(**parameters)  # type: ignore[arg-type]  # a grid may say anything

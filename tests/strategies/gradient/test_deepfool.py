"""Smallest perturbations of a linear head: the closed form against direct search, the steps against plain ones."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from support.queries import cloud, linear_query

from albench.benchmark.types import Floats, Query
from albench.strategies.gradient.adversarial_bim import AdversarialBIM
from albench.strategies.gradient.deepfool import DeepFool

SEEDS = st.integers(0, 10**6)


def asked(seed: int, size: int, classes: int, n: int = 4, dims: int = 3, unseen: int = 0, scale: float = 1.0) -> Query:
    rng = np.random.default_rng(seed)
    weights, bias = rng.normal(size=(dims, classes)) * scale, rng.normal(size=classes)
    bias[classes - unseen :] = -math.inf
    return linear_query(cloud(seed, size, dims), n, weights, bias, labelled=[0, 3], seed=seed)


def logits(query: Query, h: NDArray[np.floating]) -> Floats:
    weights, bias = query.head
    return np.asarray(h.astype(np.float64) @ weights.astype(np.float64) + bias)


def by_projection(query: Query, h: NDArray[np.floating]) -> float:
    """Return the smallest step after which some other class is level: one by one, by projection on its boundary."""
    weights, bias = query.head
    f = logits(query, h)
    best, sizes = int(f.argmax()), [math.inf]
    for k in np.flatnonzero(np.isfinite(bias)):
        w = weights[:, k].astype(np.float64) - weights[:, best]
        if k != best and w.any():
            step = (f[best] - f[k]) / (w @ w) * w
            moved = logits(query, h + step)
            assert moved[k] == pytest.approx(moved[best], abs=1e-9)
            sizes.append(float(np.linalg.norm(step)))
    return min(sizes)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, classes=st.integers(2, 6), unseen=st.integers(0, 3))
def test_deepfool_finds_the_smallest_step_to_a_boundary(seed: int, classes: int, unseen: int) -> None:
    one = asked(seed, 20, classes, unseen=min(unseen, classes - 1))
    sizes = [by_projection(one, h) for h in one.hidden]
    assert np.allclose(-DeepFool().score(one), sizes, rtol=1e-5)
    if math.isfinite(min(sizes)):
        assert DeepFool().select(one).tolist() == one.unlabelled[np.argsort(sizes)[:4]].tolist()


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, classes=st.integers(2, 5))
def test_no_smaller_step_changes_a_prediction(seed: int, classes: int) -> None:
    one = asked(seed, 12, classes)
    size, best = -DeepFool().score(one), logits(one, one.hidden).argmax(axis=1)
    ways = np.random.default_rng(seed).normal(size=(500, 1, 3))
    ways /= np.linalg.norm(ways, axis=2, keepdims=True)
    assert (logits(one, one.hidden + 0.999 * size[:, None] * ways).argmax(axis=2) == best).all()


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS)
def test_two_classes_are_ranked_as_by_their_margin(seed: int) -> None:
    one = asked(seed, 20, 2)
    f = logits(one, one.hidden)
    assert DeepFool().select(one).tolist() == one.unlabelled[np.argsort(np.abs(f[:, 0] - f[:, 1]))[:4]].tolist()


RULES = [DeepFool(), AdversarialBIM()]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_without_a_boundary_the_batch_is_drawn(rule: DeepFool | AdversarialBIM) -> None:
    for weights, bias in ((np.ones((3, 2)), [0.0, -math.inf]), (np.ones((3, 3)), [0.0, 1.0, 2.0])):
        made = (linear_query(cloud(0, 9), 2, weights, np.array(bias), [0, 3], seed=s) for s in range(150))
        drawn = {frozenset(rule.select(one).tolist()) for one in made}
        assert drawn == {frozenset(pair) for pair in combinations([1, 2, 4, 5, 6, 7, 8], 2)}


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_equal_rows_tie_wherever_they_stand(rule: DeepFool | AdversarialBIM) -> None:
    rng = np.random.default_rng(1)
    points = np.tile(cloud(2, 50, 40) + 30, (100, 1))[rng.permutation(5000)]
    one = linear_query(points, 4, rng.normal(size=(40, 7)), rng.normal(size=7), [0])
    score = rule.score(one)
    assert len(np.unique(np.column_stack([score, one.hidden]), axis=0)) == 50


# The basic iterative method


def step_by_step(rule: AdversarialBIM, query: Query) -> Floats:
    weights, bias = query.head
    seen = np.isfinite(bias)
    W, rows = weights[:, seen].astype(np.float64), query.hidden.astype(np.float64)
    step, sizes = rule.eps * math.sqrt(rows.var(axis=0).mean()), []
    for h in rows:
        x, best = h.copy(), int((h @ W + bias[seen]).argmax())
        for _ in range(rule.steps):
            p = softmax(x @ W + bias[seen])
            x = x + step * np.sign(W @ (p - np.eye(len(p))[best]))
            if (x @ W + bias[seen]).argmax() != best:
                sizes.append(float(np.linalg.norm(x - h)) / step)
                break
        else:
            sizes.append(math.inf)
    return np.array(sizes)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, classes=st.integers(2, 6), eps=st.sampled_from([0.05, 0.3]), unseen=st.integers(0, 2))
def test_bim_takes_signed_steps_until_the_prediction_changes(seed: int, classes: int, eps: float, unseen: int) -> None:
    one = asked(seed, 20, classes, unseen=min(unseen, classes - 2))
    assert np.allclose(-AdversarialBIM(eps).score(one), step_by_step(AdversarialBIM(eps), one))


def test_bim_is_bounded_and_what_has_not_changed_comes_last() -> None:
    one, rule = asked(3, 40, 4, n=20), AdversarialBIM(steps=3)
    sizes = -rule.score(one)
    assert np.array_equal(np.isfinite(sizes), np.isfinite(step_by_step(rule, one)))
    assert 0 < np.isfinite(sizes).sum() < 20
    changed = set(one.unlabelled[np.isfinite(sizes)].tolist())
    assert changed < set(rule.select(one).tolist())
    assert (np.diff(np.sort(sizes[np.isfinite(sizes)])) >= 0).all()


def test_bim_sees_past_certainty() -> None:
    """Predictions that round to 1 have no gradient in single or double precision."""
    one = asked(5, 30, 3, scale=1e4)
    assert softmax(logits(one, one.hidden), axis=1).max(axis=1).min() == 1
    assert np.isfinite(AdversarialBIM().score(one)).all()


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, classes=st.integers(2, 5))
def test_bim_is_never_below_the_smallest_perturbation(seed: int, classes: int) -> None:
    one = asked(seed, 20, classes)
    step = 0.03 * math.sqrt(one.hidden.astype(np.float64).var(axis=0).mean())
    assert (-AdversarialBIM(0.03, 1000).score(one) * step >= -DeepFool().score(one) * (1 - 1e-5)).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eps": 0.0}, "adversarial-bim: eps is 0.0; it must be above 0"),
        ({"steps": 0}, "adversarial-bim: steps is 0; it must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdversarialBIM(**parameters)  # type: ignore[arg-type]  # a grid may say anything

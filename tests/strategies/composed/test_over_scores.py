"""Rules composed over one score a row: what they do to the scores, step by step and draw by draw."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare
from support.queries import cloud, query, random_passes

from albench.benchmark.conformance.checks import check_strategy
from albench.benchmark.registry import needs_of
from albench.benchmark.types import Floats, Query, Rows, Scored
from albench.strategies.composed.cluster_quota import ClusterQuota, shares
from albench.strategies.composed.iterative_proximity import IterativeProximity
from albench.strategies.composed.power import Power
from albench.strategies.kernels.kmeans import kmeans
from albench.strategies.kernels.scores import top
from albench.strategies.uncertainty.bald import BALD
from albench.strategies.uncertainty.entropy import Entropy
from albench.strategies.uncertainty.margin import Margin

SEEDS = st.integers(0, 10**6)
KINDS = ("power", "softmax", "softrank")


@dataclass(frozen=True, eq=False)
class Given:
    """A rule whose scores (N,) are given."""

    scores: Floats

    def score(self, query: Query) -> Floats:
        return self.scores[query.unlabelled]

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]


def odds(kind: str, scores: Floats, beta: float) -> Floats:
    rank = (-scores).argsort().argsort() + 1.0
    return np.asarray({"power": scores**beta, "softmax": np.exp(beta * scores), "softrank": rank**-beta}[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_drawn_without_replacement_by_its_odds(kind: str) -> None:
    scores, times, beta = np.array([0.2, 0.5, 0.9, 1.6]), 4000, 1.5
    weights = odds(kind, scores, beta)
    rng = np.random.default_rng(8)
    rule = Power(Given(scores), kind, beta)  # type: ignore[arg-type]  # one of three texts
    asked = [query(np.zeros((4, 2)), 2, seed=int(seed)) for seed in rng.integers(2**32, size=times)]
    found = [tuple(rule.select(one).tolist()) for one in asked]
    pairs = list(permutations(range(4), 2))
    expected = [weights[i] * weights[j] / weights.sum() / (weights.sum() - weights[i]) for i, j in pairs]
    assert chisquare([found.count(pair) for pair in pairs], times * np.array(expected)).pvalue > 0.001


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(seed=SEEDS)
def test_without_noise_the_best_are_bought(kind: str, seed: int) -> None:
    scores = np.random.default_rng(seed).random(12)
    asked = query(np.zeros((12, 2)), 4, labelled=[3], seed=seed)
    best = Given(scores).select(asked)
    assert Power(Given(scores), kind, math.inf).select(asked).tolist() == best.tolist()  # type: ignore[arg-type]  # see above


def test_rows_of_score_zero_come_last() -> None:
    scores = np.array([0, 0.1, 0, 1e-9, 0])
    picks = {tuple(Power(Given(scores)).select(query(np.zeros((5, 2)), 3, seed=s)).tolist()) for s in range(40)}
    assert {frozenset(p[:2]) for p in picks} == {frozenset({1, 3})}
    assert {p[2] for p in picks} == {0, 2, 4}


def test_power_refuses_scores_below_zero_and_the_others_do_not() -> None:
    asked = query(np.zeros((4, 2)), 2, scores=np.array([[3.0, -1.0], [0.0, 0.5], [9.0, 1.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="power needs scores of at least 0, got -7; kind: softmax takes any"):
        Power(Margin()).select(asked)
    for kind in KINDS[1:]:
        assert len(Power(Margin(), kind).select(asked)) == 2  # type: ignore[arg-type]  # see above


def test_power_takes_the_margins_of_probabilities() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    assert len(Power(Margin()).select(query(np.zeros((20, 2)), 5, scores=p))) == 5


def test_power_over_bald_is_powerbald() -> None:
    passes = random_passes(4, 6, 20)
    asked, same = (query(np.zeros((20, 2)), 5, passes=passes, seed=9) for _ in range(2))
    noise = same.rng.gumbel(size=20)
    expected = (np.log(BALD(6).score(same).astype(np.float64)) + noise).argsort()[::-1][:5]
    assert Power(BALD(6)).select(asked).tolist() == expected.tolist()


# Iterative proximity


def proximity(points: NDArray[np.float64], scores: Floats, n: int, step: int, weight: float) -> list[int]:
    z, picks = (scores - scores.mean()) / scores.std(), list[int]()
    bonus = np.zeros(len(z))
    while len(picks) < n:
        order = [i for i in np.argsort(-(z + bonus)).tolist() if i not in picks]
        picks += order[: min(step, n - len(picks))]
        far = np.linalg.norm(points - points[picks].mean(axis=0), axis=1)
        bonus = weight * (2 * (far - far.min()) / (far.max() - far.min()) - 1)
    return picks


@settings(deadline=None)
@given(SEEDS, st.integers(1, 20), st.integers(1, 10))
def test_proximity_favours_what_lies_far_from_the_picks(seed: int, n: int, step: int) -> None:
    points, scores = cloud(seed, 40), np.random.default_rng(seed).random(40)
    expected = proximity(points, scores, n, step, 0.8)
    picks = IterativeProximity(Given(scores), step=step, weight=0.8).select(query(points, n, seed=seed))
    assert picks.tolist() == expected


def test_proximity_looks_at_unlabelled_rows_only_and_ten_at_a_time() -> None:
    points, scores = cloud(1, 60), np.random.default_rng(1).random(60)
    asked = query(points, 25, labelled=[0, 7, 59])
    rest = asked.unlabelled
    expected = rest[proximity(points[rest], scores[rest], 25, 10, 0.3)]
    assert IterativeProximity(Given(scores)).select(asked).tolist() == expected.tolist()


def test_proximity_without_any_difference_draws() -> None:
    for features, scores in ((np.ones((30, 2)), np.zeros(30)), (np.ones((30, 2)), np.full(30, -np.inf))):
        rule = IterativeProximity(Given(scores))
        sets = {tuple(rule.select(query(features, 12, seed=s)).tolist()) for s in range(10)}
        assert len(sets) == 10


# Cluster quotas


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), SEEDS)
def test_shares_add_up_and_are_never_more_than_there_are(sizes: list[int], seed: int) -> None:
    n = 1 + seed % sum(sizes)
    quotas = shares(np.array(sizes), n, np.random.default_rng(seed))
    assert quotas.sum() == n
    assert (quotas <= sizes).all()
    assert (np.abs(quotas - np.array(sizes) * n / sum(sizes)) < 1).all()


def test_missing_rows_go_to_the_largest_remainders() -> None:
    assert shares(np.array([10, 6, 4]), 7, np.random.default_rng(0)).tolist() == [4, 2, 1]  # of 3.5, 2.1, 1.4
    evenly = {tuple(shares(np.array([5, 5]), 1, np.random.default_rng(s)).tolist()) for s in range(20)}
    assert evenly == {(0, 1), (1, 0)}


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(1, 30), st.integers(1, 5))
def test_each_cluster_sells_its_best(seed: int, n: int, clusters: int) -> None:
    points, scores = cloud(seed, 40), np.random.default_rng(seed).random(40)
    picks = ClusterQuota(Given(scores), clusters).select(query(points, n, labelled=[0, 7], seed=seed))
    rest = np.delete(np.arange(40), [0, 7])
    _, cluster = kmeans(points[rest].astype(np.float32), clusters, np.random.default_rng(seed))
    assert len(set(picks.tolist())) == n
    for j in range(clusters):
        members = rest[cluster == j]
        bought = np.intersect1d(members, picks)
        assert abs(len(bought) - len(members) * n / 38) < 1
        assert set(bought) == set(members[np.argsort(-scores[members])[: len(bought)]])


# All three


@pytest.mark.parametrize("make", [Power, IterativeProximity, ClusterQuota])
def test_needs_are_those_of_the_rule_below(make: Callable[[Scored], object]) -> None:
    assert needs_of(make(Entropy())) == {"probabilities"}
    assert needs_of(make(BALD())) == {"passes"}


def test_power_over_margin_needs_that_scores_are_probabilities() -> None:
    assert needs_of(Power(Margin())) == {"scores", "probabilities"}
    assert needs_of(Power(Margin(), "softmax")) == needs_of(IterativeProximity()) == {"scores"}


OTHERS = [Power(Entropy(), "softmax", 3.0), Power(Margin(), "softrank"), IterativeProximity(Entropy(), step=2)]


@pytest.mark.parametrize("rule", [*OTHERS, ClusterQuota(BALD(3), clusters=7)], ids=str)
def test_they_conform_with_other_parameters(rule: Power | IterativeProximity | ClusterQuota) -> None:
    assert [r.message for r in check_strategy(rule, needs_of(rule)) if not r.passed] == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Power(beta=0.0), "beta is 0.0; it must be above 0"),
        (lambda: IterativeProximity(step=0), "step is 0; it must be at least 1"),
        (lambda: ClusterQuota(clusters=0), "clusters is 0; it must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()

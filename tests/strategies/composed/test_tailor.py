"""TAILOR: what it remembers of who bought what, how often each rule wins, and that each buys what it has won."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare
from support.queries import cloud, query, random_probs
from support.trials import make_pool, make_trial

from albench.benchmark import loop
from albench.benchmark.learners.linear import Linear
from albench.benchmark.registry import needs_of
from albench.benchmark.types import Query, Rows, Strategy
from albench.strategies.composed.tailor import Tailor, values
from albench.strategies.composed.tcm import TCM
from albench.strategies.diversity.coreset import CoreSet
from albench.strategies.diversity.kmeans import KMeans
from albench.strategies.random import Random
from albench.strategies.uncertainty.margin import Margin

RULES: tuple[Strategy, ...] = (Random(), Margin(), CoreSet("embedding"))
NAMES = ["random", "margin", "coreset(space=embedding)"]


def asked(labels: list[int], purchases: list[int], by: list[str], n: int = 6, seed: int = 0, C: int = 3) -> Query:
    """Return a query of 60 rows whose first are labelled, bought by these; classes may have no label."""
    L = len(labels)
    truth = [*labels, *([0] * (60 - L))]
    found = query(cloud(seed, 60), n, list(range(L)), random_probs(seed, 60, C), seed, truth=truth)
    return replace(found, purchases=tuple(purchases), chosen_by=tuple(by))


# What it remembers


@settings(deadline=None, max_examples=60)
@given(data=st.data(), memory=st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_counts_are_those_of_a_replay_row_by_row(data: st.DataObject, memory: float) -> None:
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    labels = data.draw(st.lists(st.integers(0, 2), min_size=sum(sizes), max_size=sum(sizes)))
    names = st.sampled_from([*NAMES, "badge"])
    by = [""] * sizes[0] + [data.draw(names) for _ in range(sum(sizes[1:]))]
    expected = np.ones((3, 3))
    for i, (name, label) in enumerate(zip(by, labels, strict=True)):
        if i and i in np.cumsum(sizes):
            expected = memory * expected
        if name in NAMES:
            expected[NAMES.index(name), label] += 1
    found = Tailor(RULES, memory).counts(asked(labels, sizes, by))
    assert found == pytest.approx(expected)


def test_a_rare_class_is_worth_more_and_a_class_of_more_than_half_costs() -> None:
    assert values(asked([0, 0, 0, 1, 2], [5], [""] * 5)).tolist() == [-1 / 3, 1, 1]
    assert values(asked([0, 0, 1, 1], [4], [""] * 4)).tolist() == [1 / 2, 1 / 2, 1]


# Who wins


def shares(counted: NDArray[np.float64], value: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """How often each rule wins, by gammas: a Dirichlet draw is gammas over their sum."""
    rng = np.random.default_rng(5)
    gammas = rng.gamma(counted + 1, size=(draws, *counted.shape))
    earned = (gammas / gammas.sum(axis=2, keepdims=True)) @ value
    return np.bincount(earned.argmax(axis=1), minlength=len(counted)) / draws


def test_each_rule_wins_as_often_as_its_posterior_says() -> None:
    labels = [0, 1, 2, 0, 0, 1, 2, 2, 1, 0]
    by = ["", "", "", "random", "random", "margin", "margin", "margin", NAMES[2], NAMES[2]]
    rule = Tailor(RULES)
    won = np.zeros(3)
    for seed in range(40):
        offered = asked(labels, [3, 4, 3], by, n=50, seed=seed)
        won += np.bincount(rule.winners(offered), minlength=3)
    expected = shares(rule.counts(offered), values(offered), 200_000)
    assert chisquare(won, expected * won.sum()).pvalue > 0.001
    assert chisquare(won, np.full(3, won.sum() / 3)).pvalue < 1e-6  # they are not all alike


def test_it_comes_to_prefer_the_rule_that_finds_the_rare_class() -> None:
    labels = [0] * 9 + [1] + [0] * 10 + [1] * 10
    by = [""] * 10 + ["random"] * 10 + ["margin"] * 10
    won = np.bincount(Tailor((Random(), Margin())).winners(asked(labels, [10, 20], by, n=30, C=2)), minlength=2)
    assert won[1] > 25


# What is bought


@dataclass(frozen=True)
class Bought:
    """Buys at random, and remembers of what."""

    offered: list[Rows] = field(default_factory=list)

    def select(self, query: Query) -> Rows:
        self.offered.append(query.unlabelled)
        return query.rng.choice(query.unlabelled, query.n, replace=False)


@pytest.mark.parametrize("n", [1, 7, 55])
def test_each_rule_buys_at_the_positions_it_has_won_what_the_others_have_left(n: int) -> None:
    rules = (Bought(), KMeans(), Margin())
    rule, offered = Tailor(rules), asked([0, 1, 2, 0, 1], [5], [""] * 5, n=n, seed=n)
    winners = rule.winners(replace(offered, rng=np.random.default_rng(n)))
    batch = rule.choose(replace(offered, rng=np.random.default_rng(n)))
    assert [["Bought", "kmeans", "margin"].index(by) for by in batch.chosen_by] == winners.tolist()
    assert len(set(batch.rows.tolist())) == n
    for there in rules[0].offered:
        earlier = list(dict.fromkeys(winners.tolist()))
        before = earlier[: earlier.index(0)]
        assert set(offered.unlabelled.tolist()) - set(there.tolist()) == {
            row for row, won in zip(batch.rows.tolist(), winners.tolist(), strict=True) if won in before
        }
    assert np.isin(batch.rows, offered.unlabelled).all()


def test_in_a_trial_it_learns_and_goes_on_where_it_stopped() -> None:
    trial, pool = make_trial("tailor", rounds=4), make_pool()
    whole = list(loop.run_trial(trial, pool, Tailor(RULES), Linear()))
    assert {by for r in whole[1:] for by in r.chosen_by} == set(NAMES)
    for done in range(len(whole)):
        rest = list(loop.run_trial(trial, pool, Tailor(RULES), Linear(), [r.batch for r in whole[:done]]))
        assert [(r.selected.tolist(), r.chosen_by) for r in rest] == [
            (r.selected.tolist(), r.chosen_by) for r in whole[done:]
        ]
    forgotten = [replace(r, chosen_by=()).batch for r in whole[:3]]
    rest = list(loop.run_trial(trial, pool, Tailor(RULES), Linear(), forgotten))
    assert [r.chosen_by for r in rest] != [r.chosen_by for r in whole[3:]]


def test_it_needs_what_its_rules_need() -> None:
    assert needs_of(Tailor(RULES)) == {"labels", "scores"}
    for wrong, message in (
        ({"memory": 1.5}, "tailor: memory is 1.5; it must be from 0 to 1"),
        ({"rules": (Random(), TCM())}, "tailor: rules has tcm, which leaves its rows to others; name those others"),
    ):
        with pytest.raises(ValueError, match=message):
            Tailor(**wrong)

"""SelectAL: what it takes out, what it fits and tests, and whom it then lets buy."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from support.queries import Table, query

from albench.benchmark.query import Answers
from albench.benchmark.registry import needs_of
from albench.benchmark.types import Features, Labels, Query, Rows, View
from albench.strategies.composed.selectal import SelectAL, Take, atypical, drawn, typical, without
from albench.strategies.diversity.coreset import CoreSet
from albench.strategies.gradient.badge import Badge
from albench.strategies.kernels.distances import unit_rows
from albench.strategies.kernels.kmeans import kmeans
from albench.strategies.random import Random
from albench.strategies.uncertainty.margin import Margin


def directions(seed: int, size: int) -> Features:
    return unit_rows(np.random.default_rng(seed).normal(size=(size, 3)).astype(np.float32))


# What is taken out


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), size=st.integers(8, 60), count=st.integers(1, 4))
def test_the_most_and_the_least_typical_of_each_cluster_are_taken(seed: int, size: int, count: int) -> None:
    units = directions(seed, size)
    _, cluster = kmeans(units, count, np.random.default_rng(seed))
    for take, best in ((typical, min), (atypical, max)):
        taken = take(units, count, np.random.default_rng(seed))
        for c in range(count):
            members = np.flatnonzero(cluster == c)
            K = min(20, max(len(members) // 2, 1))
            far = {row: np.sort(cdist(units[[row]], units[members])[0])[1 : K + 1].sum() for row in members.tolist()}
            [row] = set(taken.tolist()) & set(far)
            assert far[row] == pytest.approx(best(far.values()), rel=1e-3, abs=1e-3)


def test_with_fewer_clusters_than_are_taken_the_next_of_each_follow() -> None:
    for take in (typical, atypical):
        assert len(set(take(np.ones((9, 2), np.float32), 5, np.random.default_rng(0)).tolist())) == 5


@pytest.mark.parametrize("take", [typical, drawn, atypical])
def test_each_class_gives_its_share_and_keeps_a_row(take: Take) -> None:
    labels = np.array([0] * 40 + [1] * 9 + [2] * 2 + [3])
    stays = without(take, directions(0, 52), labels, 0.1, np.random.default_rng(0))
    assert np.bincount(labels[stays]).tolist() == [36, 8, 1, 1]


# Whom it lets buy

CENTRE, EDGE = 0, 1
"""Of each class of twenty rows, the one amid the others and the one far from them."""


def three_classes() -> tuple[Features, list[int]]:
    """Return rows (60, 2) on the circle: in each class one amid eighteen that lie symmetrically, and one far away."""
    offsets = np.concatenate([[0.0, 0.9], np.repeat(np.linspace(0.02, 0.2, 9), 2) * np.tile([1, -1], 9)])
    angle = np.concatenate([offsets + 2 * c for c in range(3)])
    return np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32), [c for c in range(3) for _ in range(20)]


@dataclass(frozen=True)
class Bought:
    """Buys at random, and remembers that it did."""

    name: str
    times: list[int] = field(default_factory=list)

    def select(self, query: Query) -> Rows:
        self.times.append(len(query.labelled))
        return query.rng.choice(query.unlabelled, query.n, replace=False)


def asked(right: Callable[[Rows], bool], seed: int = 0, each: int = 20) -> tuple[Query, list[tuple[Rows, Labels]]]:
    """Return a query with all of three classes labelled, and what is fitted: right everywhere or nowhere."""
    features, truth = three_classes()
    features, truth = np.vstack([features, -features]), truth * 2
    labelled = [20 * c + i for c in range(3) for i in range(each)]
    plain, fitted = query(features, 5, labelled, np.full((120, 3), 1 / 3), seed, truth=truth), []

    def fit(rows: Rows, labels: Labels) -> Answers:
        fitted.append((rows, labels))
        said = np.array(truth) if right(rows) else (np.array(truth) + 1) % 3
        model = Table(np.eye(3)[said], features, np.empty((0, 120, 0)))
        return Answers(model, View(np.arange(120)), plain.unlabelled, plain.desk.needs, lambda: plain.rng)

    return replace(plain, desk=replace(plain.desk, fit=fit)), fitted


def centres(rows: Rows) -> int:
    return int(np.isin([0, 20, 40], rows).sum())


def edges(rows: Rows) -> int:
    return int(np.isin([1, 21, 41], rows).sum())


@pytest.mark.parametrize(
    ("right", "who"),
    [
        (lambda rows: centres(rows) > 0, "low"),
        (lambda rows: edges(rows) > 0, "high"),
        (lambda rows: centres(rows) == 0 or edges(rows) == 0, "middle"),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_whose_removal_hurts_the_most_buys(right: Callable[[Rows], bool], who: str, seed: int) -> None:
    rules = {name: Bought(name) for name in ("low", "middle", "high")}
    rule = SelectAL(rules["low"], rules["middle"], rules["high"])
    offered, _ = asked(right, seed)
    rows = rule.select(offered)
    assert len(rows) == 5
    assert {name: len(bought.times) for name, bought in rules.items()} == {"low": 0, "middle": 0, "high": 0, who: 1}


def test_every_split_is_fitted_without_typical_rows_without_drawn_ones_and_without_atypical_ones() -> None:
    offered, fitted = asked(lambda _: True)
    SelectAL(draws=4, splits=3).suited(offered)
    assert len(fitted) == 3 * (4 + 2)
    for split in range(3):
        sets = [set(rows.tolist()) for rows, _ in fitted[6 * split : 6 * split + 6]]
        tested = set(offered.labelled.tolist()) - set.union(*sets)
        assert len(tested) >= 3  # a twentieth of sixty, and what all six took out
        assert {len(kept) for kept in sets} == {54}  # a twentieth of each class, at least one row of each
    for rows, labels in fitted:
        assert labels.tolist() == np.array(three_classes()[1] * 2)[rows].tolist()


def test_equals_are_drawn_among() -> None:
    rule = SelectAL(Bought("low"), Bought("middle"), Bought("high"))
    chosen = [rule.suited(asked(lambda _: True, seed)[0]) for seed in range(20)]
    assert {bought.name for bought in chosen if isinstance(bought, Bought)} == {"low", "middle", "high"}


def test_with_too_few_labels_to_test_the_rule_for_low_budgets_buys() -> None:
    offered, fitted = asked(lambda _: True, each=2)
    assert SelectAL(low=Margin()).suited(offered) == Margin()
    assert fitted == []


def test_it_needs_what_its_rules_need() -> None:
    assert needs_of(SelectAL()) == {"learner"} | needs_of(Badge())
    assert needs_of(SelectAL(CoreSet(), Random(), Margin())) == {"learner", "scores"} | needs_of(CoreSet())


@pytest.mark.parametrize("wrong", [{"removed": 0.0}, {"held_out": 1.0}, {"splits": 0}, {"draws": 0}])
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    [name] = wrong
    with pytest.raises(ValueError, match=f"{name} is {wrong[name]}; it must be"):
        SelectAL(**wrong)  # type: ignore[arg-type]  # a whole number is a float here

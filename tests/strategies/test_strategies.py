"""Every rule against a brute-force oracle or its formula, and its picks on one small pool against golden lists."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import chisquare
from support.queries import cloud, query, random_passes, random_probs

from albench.benchmark.registry import needs_of, strategies
from albench.benchmark.seeds import generator
from albench.benchmark.types import Features, Floats, Query, Strategy
from albench.strategies.coverage.probcover import ProbCover, pure_radius
from albench.strategies.coverage.typiclust import TypiClust
from albench.strategies.diversity.coreset import CoreSet
from albench.strategies.diversity.kmeans import KMeans
from albench.strategies.gradient.badge import Badge
from albench.strategies.kernels.distances import pool_units, unit_rows
from albench.strategies.kernels.graphs import pool_neighbours
from albench.strategies.kernels.kmeans import kmeans
from albench.strategies.kernels.typicality import typicality
from albench.strategies.uncertainty.entropy import Entropy
from albench.strategies.uncertainty.least_confidence import LeastConfidence
from albench.strategies.uncertainty.margin import Margin

SEEDS = st.integers(0, 10**6)


# Scores


def by_formula(name: str, p: Floats) -> float:
    best, second, *_ = values = sorted(map(float, p), reverse=True)
    if name == "margin":
        return second - best
    if name == "least-confidence":
        return -best
    return -sum(x * math.log(x) for x in values if x > 0)


@pytest.mark.parametrize("rule", [Margin(), LeastConfidence(), Entropy()], ids=str)
@settings(deadline=None)
@given(seed=SEEDS, classes=st.integers(2, 6))
def test_scores_against_the_formulas(rule: Strategy, seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.3), size=20)
    p[3], p[4] = np.eye(classes)[0], np.full(classes, 1 / classes)  # the surest and the least sure
    plugin = strategies.of(type(rule))
    assert plugin is not None
    uncertainty = np.array([by_formula(plugin.name, row) for row in p])
    picks = rule.select(query(np.zeros((20, 2)), 7, labelled=[0, 5], scores=p, seed=seed))
    expected = np.sort(np.delete(uncertainty, [0, 5]))[::-1][:7]
    assert np.allclose(uncertainty[picks], expected, atol=1e-12)
    assert 4 in picks.tolist()
    assert 3 not in picks.tolist()


def test_margin_takes_decision_values_with_unseen_classes() -> None:
    scores = np.array([[1.0, 3.0, -np.inf], [-2.0, -1.5, -np.inf], [0.0, 9.0, -np.inf], [4.0, 4.1, -np.inf]])
    assert Margin().select(query(np.zeros((4, 2)), 3, scores=scores)).tolist() == [3, 1, 0]
    one_class = np.array([[1.0, -np.inf], [2.0, -np.inf], [3.0, -np.inf]])
    assert len(Margin().select(query(np.zeros((3, 2)), 2, scores=one_class))) == 2


@settings(deadline=None)
@given(st.lists(st.integers(0, 500), min_size=4, max_size=40, unique=True), SEEDS)
def test_with_two_classes_the_three_scores_are_one_rule(thousandths: list[int], seed: int) -> None:
    p = np.array(thousandths) / 1000
    flip = np.random.default_rng(seed).random(len(p)) < 0.5
    scores = np.column_stack([np.where(flip, p, 1 - p), np.where(flip, 1 - p, p)])
    ask = [
        rule.select(query(np.zeros((len(p), 2)), 3, scores=scores)) for rule in (Margin(), LeastConfidence(), Entropy())
    ]
    assert ask[0].tolist() == ask[1].tolist() == ask[2].tolist()


# Diversity


def farthest_first(distances: Floats, chosen: list[int], n: int) -> list[int]:
    picks: list[int] = []
    for _ in range(n):
        picks.append(int(distances[:, chosen + picks].min(axis=1).argmax()))
    return picks


@settings(deadline=None)
@given(seed=SEEDS, size=st.integers(6, 40), n_labelled=st.integers(0, 4))
def test_coreset_is_farthest_first(seed: int, size: int, n_labelled: int) -> None:
    points = cloud(seed, size)
    labelled = np.random.default_rng(seed).permutation(size)[:n_labelled].tolist()
    n = size // 3
    picks = CoreSet("embedding").select(query(points, n, labelled, seed=seed)).tolist()
    distances = cdist(points, points)
    if labelled:
        assert picks == farthest_first(distances, labelled, n)
    else:  # the first row is a draw
        assert picks[1:] == farthest_first(distances, picks[:1], n - 1)


def test_coreset_draws_its_first_row_from_an_empty_set() -> None:
    firsts = {int(CoreSet("embedding").select(query(cloud(0, 6), 1, seed=s))[0]) for s in range(60)}
    assert firsts == set(range(6))


def test_kmeans_takes_the_member_nearest_each_centre() -> None:
    points = cloud(1, 60)
    picks = KMeans().select(query(points, 5, labelled=[0, 7], seed=4))
    rows = np.delete(np.arange(60), [0, 7])
    centres, cluster = kmeans(points[rows].astype(np.float32), 5, np.random.default_rng(4))
    offsets = cdist(points[rows], centres)
    expected = [rows[cluster == j][offsets[cluster == j, j].argmin()] for j in range(5)]
    assert sorted(picks.tolist()) == sorted(expected)


def test_kmeans_goes_round_again_when_rows_coincide() -> None:
    points = np.eye(3)[np.arange(12) % 3]
    picks = KMeans().select(query(points, 7))
    assert sorted(np.bincount(picks % 3).tolist()) == [2, 2, 3]


# BADGE


def explicit_gradients(probs: Floats, features: Floats) -> Floats:
    q = probs - np.eye(probs.shape[1])[probs.argmax(axis=1)]
    h = np.column_stack([features, np.ones(len(features))])
    return np.asarray(np.einsum("uc,ud->ucd", q, h).reshape(len(q), -1))


def test_badge_begins_with_the_longest_gradient_and_goes_on_by_squared_distance() -> None:
    points, probs = cloud(2, 9), random_probs(2, 9)
    gradients = explicit_gradients(probs, points)[[0, 1, 3, 4, 5, 7, 8]]  # how they are drawn: test_sampling
    first = int(np.square(gradients).sum(axis=1).argmax())
    squares = cdist(gradients, gradients[first : first + 1], "sqeuclidean")[:, 0]
    rows = np.array([0, 1, 3, 4, 5, 7, 8])
    picks = [Badge().select(query(points, 2, labelled=[2, 6], scores=probs, seed=s)).tolist() for s in range(1000)]
    assert {pick for pick, _ in picks} == {rows[first]}
    often = np.bincount([second for _, second in picks], minlength=9)[rows]
    others = np.arange(len(rows)) != first
    assert chisquare(often[others], 1000 * squares[others] / squares.sum()).pvalue > 0.001


def test_badge_on_certain_predictions_draws() -> None:
    probs = np.eye(4)[np.arange(20) % 4]
    sets = {frozenset(Badge().select(query(cloud(0, 20), 5, scores=probs, seed=s)).tolist()) for s in range(20)}
    assert {len(picks) for picks in sets} == {5}
    assert len(sets) > 10


# TypiClust


def direct_typicality(members: Floats, neighbours: int) -> list[float]:
    K = max(1, min(neighbours, len(members) // 2))
    return [1 / float(np.mean(sorted(np.delete(row, i))[:K])) for i, row in enumerate(cdist(members, members))]


@settings(deadline=None)
@given(SEEDS, st.integers(2, 60), st.integers(1, 25))
def test_typicality_against_its_formula(seed: int, size: int, neighbours: int) -> None:
    members = unit_rows(cloud(seed, size, dims=6).astype(np.float32))
    expected = direct_typicality(members.astype(np.float64), neighbours)
    assume(max(expected) < 100)  # nearer than 0.01 single precision shows
    assert np.allclose(typicality(members, neighbours), expected, rtol=1e-3)


def test_typicality_of_rows_without_distance_is_infinite() -> None:
    assert typicality(np.ones((1, 3), dtype=np.float32), 20).tolist() == [np.inf]
    assert typicality(np.ones((4, 3), dtype=np.float32), 20).tolist() == [np.inf] * 4


def walk(units: Features, labelled: list[int], n: int, rng: np.random.Generator) -> list[int]:
    """TypiClust as one would say it aloud."""
    centres, cluster = kmeans(units, min(len(labelled) + n, 500), rng)
    members = {j: np.flatnonzero(cluster == j).tolist() for j in range(len(centres))}
    draw = rng.random(len(centres))
    order = sorted(members, key=lambda j: (len(set(members[j]) & set(labelled)), -len(members[j]), draw[j]))
    score: dict[int, float] = {}
    for rows in members.values():
        if len(rows) > 1:
            score |= dict(zip(rows, direct_typicality(units[rows].astype(np.float64), 20), strict=True))
    picks: list[int] = []
    for group in ([j for j in order if len(members[j]) > 5], [j for j in order if len(members[j]) <= 5]):
        left = {j: [i for i in members[j] if i not in labelled] for j in group}
        while any(left.values()):
            for rows in filter(None, left.values()):
                picks.append(max(rows, key=lambda i: score.get(i, np.inf)))
                rows.remove(picks[-1])
    return picks[:n]


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, size=st.integers(30, 120), n_labelled=st.integers(0, 3), n=st.integers(1, 6))
def test_typiclust_walks_the_clusters(seed: int, size: int, n_labelled: int, n: int) -> None:
    points = cloud(seed, size, dims=6)
    labelled = np.random.default_rng(seed).permutation(size)[:n_labelled].tolist()
    picks = TypiClust().select(query(points, n, labelled, seed=seed))
    units = unit_rows(points.astype(np.float32))
    assert picks.tolist() == walk(units, labelled, n, np.random.default_rng(seed))


def test_typiclust_takes_small_clusters_when_the_large_ones_are_exhausted() -> None:
    angle = np.concatenate([np.linspace(0, 0.1, 12), np.linspace(2, 2.1, 3)])
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    picks = TypiClust(max_clusters=2).select(query(points, 13, labelled=[0], seed=1)).tolist()
    assert set(picks[:11]) == set(range(1, 12))
    assert set(picks[11:]) < {12, 13, 14}


# ProbCover


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, size=st.integers(5, 40), n_labelled=st.integers(0, 3), delta=st.sampled_from([0.2, 0.6, 1.2, 2.5]))
def test_probcover_always_takes_the_ball_with_the_most_uncovered_rows(
    seed: int, size: int, n_labelled: int, delta: float
) -> None:
    points = cloud(seed, size)
    labelled = np.random.default_rng(seed).permutation(size)[:n_labelled].tolist()
    n = (size - n_labelled) if seed % 2 else (size - n_labelled + 1) // 2
    picks = ProbCover(delta=delta).select(query(points, n, labelled, seed=seed)).tolist()
    units = unit_rows(points.astype(np.float32)).astype(np.float64)
    ball = (cdist(units, units) < delta) | np.eye(size, dtype=bool)
    assert len(set(picks)) == n
    for i, pick in enumerate(picks):  # recount everything at every step
        bought = labelled + picks[:i]
        is_open = ~np.isin(np.arange(size), bought)
        covers = ball[:, bought].sum(axis=1)
        target = is_open & (covers == covers[is_open].min())
        gain = ball[:, target].sum(axis=1)
        assert gain[pick] == gain[is_open].max()


def test_probcover_on_an_uncovered_pool_takes_the_densest_row_of_each_cloud() -> None:
    angle = np.concatenate([1 + 0.05 * np.arange(-3, 4), 4 + 0.075 * np.arange(-2, 3)])  # clouds of 7 and of 5 rows
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    assert ProbCover(delta=0.16).select(query(points, 2)).tolist() == [3, 9]


@settings(deadline=None)
@given(seed=SEEDS, purity=st.sampled_from([0.1, 0.5, 0.8, 0.95, 1.0]), size=st.integers(6, 40))
def test_the_radius_is_the_largest_that_is_pure_enough(seed: int, purity: float, size: int) -> None:
    points = cloud(seed, size)
    classes = np.arange(size) % 3
    distances = cdist(points, points)
    to_other = np.where(classes[:, None] == classes, np.inf, distances).min(axis=1)

    def share_of_pure_balls(radius: float) -> float:
        return float(np.mean([len(set(classes[row < radius])) <= 1 for row in distances]))

    radius = pure_radius(to_other, purity)
    assert share_of_pure_balls(radius) >= purity
    assert share_of_pure_balls(np.nextafter(radius, np.inf)) < purity


def test_probcover_estimates_its_radius_once_per_pool() -> None:
    asked = query(cloud(3, 60), 4)
    rule = ProbCover()
    delta = rule.radius(asked)
    units = unit_rows(asked.features)
    _, classes = kmeans(units, 3, generator("test", "pseudo-classes/2/3"))
    to_other = np.where(classes[:, None] == classes, np.inf, cdist(units, units)).min(axis=1)
    assert delta == pytest.approx(pure_radius(to_other, 0.95), rel=1e-4)
    assert rule.graph(asked).indices is rule.graph(asked).indices
    assert rule.graph(asked).indices is not ProbCover(delta=0.1).graph(asked).indices


def test_neighbours_are_those_of_unit_rows_once_per_pool() -> None:
    asked = query(cloud(3, 60), 4)
    ids, far = pool_neighbours(asked, 5)
    expected = cdist(pool_units(asked), pool_units(asked))
    assert np.array_equal(ids, expected.argsort(axis=1)[:, 1:6])
    assert np.allclose(far, np.sort(expected, axis=1)[:, 1:6])
    assert pool_neighbours(asked, 5)[0] is ids
    assert pool_neighbours(asked, 6)[0].shape == (60, 6)


# Parameters and golden picks


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ProbCover(delta=0), "probcover: delta is 0; it must be above 0"),
        (lambda: ProbCover(purity=1.5), "probcover: purity is 1.5; it must be above 0 and at most 1"),
        (lambda: TypiClust(neighbours=0), "typiclust: neighbours is 0; it must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()


GOLDEN: dict[str, list[int]] = yaml.safe_load((Path(__file__).parent / "golden.yaml").read_text(encoding="utf-8"))


def golden_query(validation: bool) -> Query:
    rng = np.random.default_rng(7)
    truth = np.arange(30) % 3
    points = 4 * np.eye(3)[truth] + rng.normal(size=(30, 3))
    scores = rng.dirichlet(np.ones(3), size=30)
    kept = ([1, 2, 5, 7, 9, 12], [1, 2, 2, 1, 0, 0]) if validation else None
    return query(
        points, 4, labelled=[3, 4, 11], scores=scores, seed=11, validation=kept, passes=random_passes(7, 10, 30)
    )


def test_every_rule_has_golden_picks() -> None:
    assert set(GOLDEN) == {name for name in strategies.names() if strategies.get(name).origin.startswith("albench.")}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden_picks(name: str) -> None:
    rule: Strategy = strategies.get(name).cls()
    assert rule.select(golden_query(validation="validation" in needs_of(rule))).tolist() == GOLDEN[name]


def test_a_rule_measures_where_it_is_told() -> None:
    """The model's space is twice the embedding, mirrored: the same order, other rows where the two differ."""
    points, probs = cloud(0, 30), random_probs(0, 30)
    asked = query(points, 5, [0, 4], scores=probs)
    assert CoreSet().needs == {"hidden"}
    assert CoreSet("embedding").needs == Badge("embedding").needs == frozenset()
    for rule in (CoreSet, Badge):
        same = [rule(space).select(query(points, 5, [0, 4], scores=probs)).tolist() for space in ("model", "embedding")]
        assert same[0] == same[1]
    away = replace(asked, features=np.roll(asked.features, 1, axis=0))
    assert CoreSet("embedding").select(away).tolist() != CoreSet().select(away).tolist()

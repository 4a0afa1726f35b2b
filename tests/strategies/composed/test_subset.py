"""A rule that is asked about a part of the rows, and Active-Labeler's grid, which is made by composition alone."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare
from support.queries import cloud, query, random_probs

from albench.benchmark.conformance.checks import check_strategy
from albench.benchmark.grid import grid
from albench.benchmark.registry import needs_of
from albench.strategies.composed.cluster_quota import ClusterQuota
from albench.strategies.composed.iterative_proximity import IterativeProximity
from albench.strategies.composed.subset import Subset
from albench.strategies.diversity.kmeans import KMeans
from albench.strategies.random import Random
from albench.strategies.uncertainty.entropy import Entropy
from albench.strategies.uncertainty.margin import Margin

STUDY = Path(__file__).resolve().parents[3] / "configs" / "studies" / "active-labeler.yaml"


def test_the_rule_chooses_among_the_rows_that_are_drawn() -> None:
    probs, drawn = random_probs(1, 40), list[set[int]]()
    for seed in range(20):
        one, same = (query(cloud(1, 40), 5, [0, 9], scores=probs, seed=seed) for _ in range(2))
        rows = np.sort(same.rng.choice(same.unlabelled, 12, replace=False))
        ordered = rows[np.argsort(np.diff(np.sort(probs[rows])[:, -2:])[:, 0])]
        assert Subset(Margin(), 12).select(one).tolist() == ordered[:5].tolist()
        drawn.append(set(rows.tolist()))
    assert len({frozenset(rows) for rows in drawn}) == 20


def test_every_row_takes_part_as_often() -> None:
    one = query(cloud(2, 12), 1, [0, 5], scores=random_probs(2, 12))
    counts = np.bincount(np.concatenate([Subset(Random(), 3).select(one) for _ in range(1000)]), minlength=12)
    assert chisquare(counts[one.unlabelled]).pvalue > 0.001


@pytest.mark.parametrize(("size", "n"), [(28, 5), (1000, 5), (3, 28)])
def test_nothing_is_drawn_where_all_take_part(size: int, n: int) -> None:
    asked = [query(cloud(3, 30), n, [0, 9], scores=random_probs(3, 30)) for _ in range(2)]
    assert Subset(Entropy(), size).select(asked[0]).tolist() == Entropy().select(asked[1]).tolist()


def test_a_batch_larger_than_the_part_is_chosen_among_as_many() -> None:
    picks = Subset(Margin(), 2).select(query(cloud(3, 30), 9, [0], scores=random_probs(3, 30)))
    assert len(set(picks.tolist())) == 9


OTHERS = [Subset(IterativeProximity(Entropy()), 20), Subset(ClusterQuota(Entropy()), 20), Subset(KMeans(), 5)]


@pytest.mark.parametrize("rule", OTHERS, ids=str)
def test_it_conforms_over_others(rule: Subset) -> None:
    assert needs_of(rule) == needs_of(rule.over)
    assert [r.message for r in check_strategy(rule, needs_of(rule)) if not r.passed] == []


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="subset: size is 0; it must be at least 1"):
        Subset(size=0)


def test_the_study_holds_all_of_active_labelers_grid() -> None:
    """Twelve combinations: the scores do not matter to random, and the best by a score are that score's rule."""
    scores, ways = ("least-confidence", "margin", "entropy"), ("iterative-proximity", "cluster-quota")
    parts = [choice.part for choice in grid.load(STUDY).strategies]
    made = [(part.name, json.loads(part.params).get("over", [""])[0]) for part in parts]
    assert sorted(made) == sorted([("random", ""), *((score, "") for score in scores), *product(ways, scores)])

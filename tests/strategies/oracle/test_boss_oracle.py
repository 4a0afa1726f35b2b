"""BoSS: the batch it takes is the best of those proposed, each proposed from a part of the pool, and it is a bound."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from support.queries import cloud, query, random_probs
from support.trials import make_pool, make_trial

from albench.benchmark import loop, registry
from albench.benchmark.learners.linear import Linear
from albench.benchmark.types import Lesson, Query, Rows, Strategy
from albench.strategies.hybrid.galaxy import Galaxy
from albench.strategies.oracle.boss_oracle import BossOracle
from albench.strategies.random import Random
from albench.strategies.uncertainty.margin import Margin


@dataclass(frozen=True)
class Proposes:
    """Random draws; it remembers of what, and which."""

    asked: list[tuple[Rows, Rows]] = field(default_factory=list)

    def select(self, query: Query) -> Rows:
        rows = query.rng.choice(query.unlabelled, query.n, replace=False)
        self.asked.append((query.unlabelled, rows))
        return rows


TRUTH = np.random.default_rng(1).integers(4, size=60).tolist()


def asked(n: int, seed: int) -> Query:
    points = cloud(seed, 60) + 1.5 * np.array([[0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]])[TRUTH]
    return query(points, n, [0, 8, 30, 41], random_probs(seed, 60), seed, truth=TRUTH)


@pytest.mark.parametrize("seed", range(12))
def test_the_batch_with_the_fewest_errors_is_bought(seed: int) -> None:
    proposes = Proposes()
    rule, offered = BossOracle((proposes,), candidates=15), asked(5, seed)
    picks = rule.select(offered)
    right = {}
    for _, rows in proposes.asked:
        known = np.concatenate([offered.labelled, rows])
        labels = np.array(TRUTH)[known]
        model = Linear().fit(Lesson.of(offered.features[known], labels, 4, np.random.default_rng(0)))
        right[tuple(rows)] = int((model.predict(offered.features) == TRUTH).sum())
    assert len(right) == 15
    assert right[tuple(picks)] == max(right.values())
    assert max(right.values()) > min(right.values())


def test_equal_batches_are_drawn_among() -> None:
    taken = set()
    for seed in range(60):
        proposes = Proposes()
        rule = BossOracle((proposes,), candidates=3)
        nothing_to_learn = query(np.zeros((30, 2)), 3, [0, 1, 2], np.full((30, 3), 1 / 3), seed, truth=[0] * 30)
        picks = rule.select(nothing_to_learn)
        taken.add([rows.tolist() for _, rows in proposes.asked].index(picks.tolist()))
    assert taken == {0, 1, 2}


def test_each_rule_chooses_from_a_part_of_the_pool() -> None:
    proposes = Proposes()
    BossOracle((proposes,), candidates=200, largest=40).select(asked(5, 0))
    sizes = [len(part) for part, _ in proposes.asked]
    assert (min(sizes), max(sizes)) == (20, 40)
    for part, rows in proposes.asked:
        assert np.isin(rows, part).all()
        assert (np.diff(part) > 0).all()
    assert set(np.concatenate([part for part, _ in proposes.asked]).tolist()) == set(range(60)) - {0, 8, 30, 41}
    everything = Proposes()
    BossOracle((everything,), candidates=3).select(asked(56, 0))
    assert [len(part) for part, _ in everything.asked] == [56] * 3


def test_all_rules_propose() -> None:
    some: list[Strategy] = [Proposes(), Proposes(), Proposes()]
    BossOracle(tuple(some), candidates=30).select(asked(5, 0))
    assert all(len(rule.asked) > 3 for rule in some if isinstance(rule, Proposes))


def test_it_needs_what_its_rules_need_and_is_marked() -> None:
    assert registry.needs_of(BossOracle((Random(), Margin()))) == {"oracle", "learner", "scores"}
    assert registry.marks_of(BossOracle()) == ("oracle",)


def test_a_rule_that_has_labels_revealed_cannot_propose() -> None:
    with pytest.raises(ValueError, match="a rule that has labels revealed cannot propose a batch"):
        BossOracle((Random(), Galaxy()))
    with pytest.raises(ValueError, match="candidates is 0; it must be at least 1"):
        BossOracle(candidates=0)


def test_it_is_a_bound_for_the_rules_that_propose() -> None:
    def mean_accuracy(rule: Strategy) -> float:
        pools = [make_pool(seed=seed, classes=4, spread=2.5) for seed in range(4)]
        rounds = [list(loop.run_trial(make_trial(seed=s), pool, rule, Linear())) for s, pool in enumerate(pools)]
        return float(np.mean([round_.scores.accuracy for trial in rounds for round_ in trial[1:]]))

    rules = (Random(), Margin())
    bound = mean_accuracy(BossOracle(rules, candidates=10))
    assert bound > max(mean_accuracy(rule) for rule in rules) + 0.02

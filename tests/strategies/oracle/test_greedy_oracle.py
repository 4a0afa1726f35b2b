"""The greedy oracle: each row is the best of some drawn, judged by fits of the trial's learner; it is a bound."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from support.queries import cloud, query, random_probs
from support.trials import make_pool, make_trial

from albench.benchmark import loop, registry
from albench.benchmark.learners.linear import Linear
from albench.benchmark.query import Answers
from albench.benchmark.types import Floats, Labels, Lesson, Query, Rows, Strategy
from albench.strategies.oracle.greedy_oracle import GreedyOracle
from albench.strategies.random import Random
from albench.strategies.uncertainty.margin import Margin

SIZE = 30
TRUTH = np.random.default_rng(1).integers(4, size=SIZE)
LABELLED = [0, 8, 13, 21]


def asked(n: int, seed: int) -> Query:
    points = cloud(seed, SIZE) + 1.5 * np.array([[0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]])[TRUTH]
    return query(points, n, LABELLED, random_probs(seed, SIZE), seed, truth=TRUTH.tolist())


def model_of(offered: Query, rows: list[int]) -> tuple[int, Floats]:
    """Return how many of all rows a model of these is right about, and its probabilities (N, C)."""
    model = Linear().fit(Lesson.of(offered.features[rows], TRUTH[rows], 4, np.random.default_rng(0)))
    return int((model.predict(offered.features) == TRUTH).sum()), np.asarray(model.scores(offered.features))


def unsure(probs: Floats) -> Floats:
    second, first = np.sort(probs, axis=1)[:, -2:].T
    return np.asarray(second - first)


@pytest.mark.parametrize("seed", range(4))
def test_each_row_is_the_best_of_all_or_the_least_sure_where_none_helps(seed: int) -> None:
    offered = asked(3, seed)
    picks = GreedyOracle(candidates=100).select(offered).tolist()
    had, helped = list(LABELLED), 0
    for pick in picks:
        now, probs = model_of(offered, had)
        free = [row for row in range(SIZE) if row not in had]
        right = {row: model_of(offered, [*had, row])[0] for row in free}
        if max(right.values()) > now:
            assert right[pick] == max(right.values())
            helped += 1
        else:
            assert unsure(probs)[pick] == unsure(probs)[free].max()
        had.append(pick)
    assert helped


def test_where_nothing_helps_the_least_sure_row_is_bought() -> None:
    points = np.column_stack([np.linspace(-3, 3, 30), np.zeros(30)])
    truth = [0] * 15 + [1] * 15
    offered = query(points, 1, [0, 29], np.full((30, 2), 0.5), 0, truth=truth)
    (pick,) = GreedyOracle(candidates=100).select(offered)  # the two ends tell all others
    assert pick in (14, 15)


@pytest.mark.parametrize("step", [1, 3])
def test_so_many_are_drawn_and_so_many_taken_at_once(step: int) -> None:
    offered, fitted = asked(7, 3), list[int]()
    fit: Callable[[Rows, Labels], Answers] | None = offered.desk.fit
    assert fit is not None

    def counting(rows: Rows, labels: Labels) -> Answers:
        fitted.append(len(rows))
        assert labels.tolist() == TRUTH[rows].tolist()
        return fit(rows, labels)

    rows = GreedyOracle(candidates=5, step=step).select(replace(offered, desk=replace(offered.desk, fit=counting)))
    assert len(set(rows.tolist())) == 7
    taken = range(4, 11, step)
    assert fitted == [size for before in taken for size in (before, *[before + 1] * 5)]


def test_equals_are_drawn_among() -> None:
    offered = [query(np.ones((12, 2)), 1, [0, 1], np.full((12, 2), 0.5), seed, truth=[0, 1] * 6) for seed in range(40)]
    assert len({int(GreedyOracle(4).select(each)[0]) for each in offered}) == 10


def test_it_is_marked_and_refuses_what_cannot_be() -> None:
    assert registry.marks_of(GreedyOracle()) == ("oracle",)
    for wrong, message in (
        ({"candidates": 0}, "greedy-oracle: candidates is 0; it must be at least 1"),
        ({"step": 0}, "greedy-oracle: step is 0; it must be at least 1"),
        ({"candidates": 3, "step": 4}, "greedy-oracle: step is 4; it must be at most candidates, 3"),
    ):
        with pytest.raises(ValueError, match=message):
            GreedyOracle(**wrong)


def test_it_is_a_bound_for_plain_rules() -> None:
    def mean_accuracy(rule: Strategy) -> float:
        pools = [make_pool(seed=seed, classes=4, spread=2.5) for seed in range(2)]
        rounds = [
            list(loop.run_trial(make_trial(seed=s, query=3), pool, rule, Linear())) for s, pool in enumerate(pools)
        ]
        return float(np.mean([round_.scores.accuracy for trial in rounds for round_ in trial[1:]]))

    assert mean_accuracy(GreedyOracle(candidates=6)) > max(mean_accuracy(Random()), mean_accuracy(Margin())) + 0.02

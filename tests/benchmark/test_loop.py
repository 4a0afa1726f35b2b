"""One trial: pairing, exact budgets, no leak, and going on where it stopped."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.trials import make_pool, make_trial

from albench.benchmark import loop, registry
from albench.benchmark.bench import initial_rows
from albench.benchmark.engine import worker
from albench.benchmark.learners.knn import KNN
from albench.benchmark.learners.linear import Linear
from albench.benchmark.purchase import InvalidSelectionError
from albench.benchmark.types import (
    FULL_DATA,
    Batch,
    Budget,
    Count,
    Pool,
    Query,
    Resources,
    Round,
    Rows,
    Segment,
    Strategy,
    Trial,
)


def strategy_of(trial: Trial) -> Strategy:
    built: Strategy = registry.strategies.get(trial.strategy.name).cls()
    return built


def rounds_of(trial: Trial, pool: Pool | None = None, history: tuple[Batch, ...] = ()) -> list[Round]:
    """Run a trial with a learner that gives all that a rule may need."""
    return list(loop.run_trial(trial, pool or make_pool(), strategy_of(trial), Linear(passes="dropout"), history))


def answer(round_: Round) -> tuple[object, ...]:
    return (round_.index, round_.selected.tolist(), round_.n_labelled, round_.class_counts.tolist(), round_.scores)


def test_a_trial_buys_its_budget_exactly() -> None:
    rounds = rounds_of(make_trial())
    assert [r.index for r in rounds] == [0, 1, 2, 3, 4]
    assert [r.n_labelled for r in rounds] == [6, 11, 16, 21, 26]
    bought = np.concatenate([r.selected for r in rounds])
    assert len(np.unique(bought)) == len(bought) == 26
    assert [r.bought_by for r in rounds] == ["initial"] + ["strategy"] * 4
    assert [int(r.class_counts.sum()) for r in rounds] == [6, 11, 16, 21, 26]


def test_round_zero_is_the_same_for_every_strategy() -> None:
    trials = [make_trial(name, rounds=1, validation=10) for name in registry.strategies.names()]
    first = {answer(rounds_of(trial)[0])[1:3].__repr__() for trial in trials}
    assert len(first) == 1


def test_without_initial_labels_rules_that_need_a_model_begin_as_random_does() -> None:
    random = rounds_of(make_trial("random", initial="0"))
    margin = rounds_of(make_trial("margin", initial="0"))
    assert random[0].index == margin[0].index == 1
    assert margin[0].bought_by == "random"
    assert random[0].bought_by == "strategy"
    assert answer(random[0]) == answer(margin[0])
    assert margin[1].bought_by == "strategy"
    assert random[1].selected.tolist() != margin[1].selected.tolist()


def test_seeds_differ_and_initial_sets_are_nested() -> None:
    small, large = (initial_rows(make_trial(initial=n), make_pool()) for n in ("6", "20"))
    assert small.tolist() == large[:6].tolist()
    assert small.tolist() != initial_rows(make_trial(seed=1), make_pool()).tolist()


def test_stratified_initial_labels_are_spread_over_the_classes() -> None:
    trial, pool = make_trial(initial="3/class"), make_pool()
    stratified = replace(trial, budget=replace(trial.budget, initial_by="stratified"))
    assert np.bincount(pool.labels[initial_rows(stratified, pool)]).tolist() == [3, 3, 3]


@pytest.mark.parametrize("name", registry.strategies.names())
@pytest.mark.parametrize("initial", ["0", "6"])
def test_a_trial_goes_on_from_any_round_with_the_same_answer(name: str, initial: str) -> None:
    trial = make_trial(name, initial=initial, rounds=3, validation=10)
    whole = rounds_of(trial)
    for done in range(len(whole) + 1):
        rest = rounds_of(trial, make_pool(), tuple(r.batch for r in whole[:done]))
        assert [answer(r) for r in rest] == [answer(r) for r in whole[done:]]


def test_a_shared_start_gives_the_same_answer_as_an_own_one() -> None:
    trial, pool = make_trial("badge"), make_pool()
    begin = loop.start(trial, pool, Linear())
    shared = list(loop.run_trial(trial, pool, strategy_of(trial), Linear(), begin=begin))
    assert [answer(r) for r in shared] == [answer(r) for r in rounds_of(trial)]


def test_the_full_data_bound_is_one_fit_on_the_whole_pool() -> None:
    trial = replace(make_trial(), budget=Budget(FULL_DATA, Count(60), ()))
    (only,) = rounds_of(trial)
    assert (only.index, only.n_labelled) == (0, 60)


def test_rounds_all_empties_the_pool() -> None:
    trial = make_trial()
    trial = replace(trial, budget=Budget("all", Count(7), (Segment(Count(10), None),)))
    assert [r.n_labelled for r in rounds_of(trial)] == [7, 17, 27, 37, 47, 57, 60]


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 500), initial=st.integers(0, 50), query=st.integers(1, 60), rounds=st.integers(1, 12))
def test_a_budget_never_buys_more_than_the_pool(size: int, initial: int, query: int, rounds: int) -> None:
    fixed = Budget("b", Count(initial), (Segment(Count(query), rounds),))
    if initial + query * rounds > size:
        with pytest.raises(ValueError, match=f"asks for {initial + query * rounds} labels, the pool holds {size}"):
            fixed.purchases(size, 3)
    else:
        assert fixed.purchases(size, 3) == [query] * rounds
    if initial <= size:
        assert sum(Budget("b", Count(initial), (Segment(Count(query), None),)).purchases(size, 3)) == size - initial


def test_a_strategy_sees_no_hidden_label() -> None:
    seen: list[Query] = []

    @dataclass(frozen=True)
    class Spy:
        def select(self, query: Query) -> Rows:
            seen.append(query)
            return query.unlabelled[: query.n]

    pool = make_pool()
    list(loop.run_trial(make_trial(), pool, Spy(), Linear()))
    for query in seen:
        assert query.labels.tolist() == pool.labels[query.labelled].tolist()
        arrays = [value for value in vars(query).values() if isinstance(value, np.ndarray)]
        assert not any(np.shares_memory(array, pool.labels) for array in arrays)
        assert not any(array.shape == pool.labels.shape and (array == pool.labels).all() for array in arrays)
        assert not query.features.flags.writeable


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (lambda q: q.unlabelled[: q.n - 1], "returned 4 rows, 5 were asked for"),
        (lambda q: np.repeat(q.unlabelled[:1], q.n), "only 1 are distinct"),
        (lambda q: q.labelled[: q.n], "labelled already or not in the pool"),
        (lambda q: np.arange(60, 60 + q.n), "labelled already or not in the pool"),
        (lambda q: -q.unlabelled[: q.n] - 1, "labelled already or not in the pool"),
        (lambda q: q.unlabelled[: q.n].astype(np.int32), "int64"),
        (lambda q: q.unlabelled[: q.n].tolist(), "int64"),
    ],
)
def test_a_wrong_selection_fails_loudly(select: Callable[[Query], Rows], message: str) -> None:
    @dataclass(frozen=True)
    class Wrong:
        def select(self, query: Query) -> Rows:
            return select(query)

    with pytest.raises(InvalidSelectionError, match=message):
        list(loop.run_trial(make_trial(), make_pool(), Wrong(), Linear()))


def test_a_learner_without_probabilities_has_neither_nll_nor_ece() -> None:
    trial = make_trial()
    rounds = list(loop.run_trial(trial, make_pool(), strategy_of(trial), KNN()))
    assert {(r.scores.nll, r.scores.ece) for r in rounds} == {(None, None)}


def test_golden_trial() -> None:
    """Numbers that may only change with a line under "Numbers" in the changelog and a version bump."""
    rounds = rounds_of(make_trial("margin", seed=3))
    assert [r.selected.tolist() for r in rounds[:3]] == GOLDEN_ROWS
    assert [round(r.scores.accuracy, 3) for r in rounds] == GOLDEN_ACCURACY


GOLDEN_ROWS = [[14, 21, 31, 43, 2, 46], [24, 52, 51, 10, 26], [44, 4, 37, 19, 7]]
GOLDEN_ACCURACY = [1.0, 1.0, 1.0, 1.0, 1.0]


class Hungry:
    """Buys as random does, and takes 300 MB for a moment."""

    def select(self, query: Query) -> Rows:
        assert np.ones(40_000_000).all()
        return query.rng.permutation(query.unlabelled)[: query.n]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is that of the whole process")
def test_a_trial_is_not_billed_for_the_memory_of_those_before_it() -> None:
    trials = [make_trial(seed=seed, initial="0") for seed in range(3)]
    strategies: list[Strategy] = [strategy_of(trials[0]), Hungry(), strategy_of(trials[0])]
    jobs = [
        loop.Job(trial, strategy, Linear(), Resources()) for trial, strategy in zip(trials, strategies, strict=True)
    ]
    peaks: dict[str, float] = {}
    for events in worker.execute(jobs, {}, frozenset(), lambda _: make_pool()):
        for event in events:
            if isinstance(event, worker.RoundDone):
                peaks[event.trial_id] = event.round.peak_rss_mb
    before, hungry, after = (peaks[trial.trial_id] for trial in trials)
    assert hungry > before + 200
    assert after < hungry - 200

"""Settings that labels choose: against a plain loop over the same folds, without a look at what is hidden."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import PredefinedSplit
from support.trials import make_pool, make_trial, rounds_of

from albench.benchmark import loop, registry
from albench.benchmark.conformance.checks import check_learner
from albench.benchmark.grid.tuned import Tuned, dealt
from albench.benchmark.learners.flexmatch_head import FlexMatchHead
from albench.benchmark.learners.knn import KNN
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.learners.svm import SVM
from albench.benchmark.lesson import needed_views
from albench.benchmark.purchase import Purchase, Recorded
from albench.benchmark.types import Features, Labels, Learner, Lesson, Model, Query, Round, Rows

TUNED = Tuned((KNN(1), KNN(3), KNN(7)), ("k",))
PENALTIES = tuple(Linear(C=C, passes="dropout") for C in (1e-3, 0.1, 10.0))


def made(size: int, classes: int, seed: int) -> tuple[Features, Labels]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=size)
    return (rng.normal(size=(size, 2)) + labels[:, None]).astype(np.float32), labels


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 8), st.integers(0, 9))
def test_folds_are_dealt_evenly_class_by_class(labels: list[int], n: int, seed: int) -> None:
    given = np.array(labels)
    fold = dealt(given, n, np.random.default_rng(seed))
    for rows in (np.ones(len(given), bool), *(given == c for c in range(5))):
        sizes = np.bincount(fold[rows], minlength=n)
        assert len(sizes) == n
        assert sizes.max() - sizes.min() <= 1


def test_folds_are_drawn() -> None:
    labels = np.repeat(np.arange(3), 10)
    folds = {tuple(dealt(labels, 5, np.random.default_rng(seed))) for seed in range(20)}
    assert len(folds) == 20


@given(st.integers(6, 40), st.integers(1, 3), st.integers(2, 6), st.integers(0, 99))
def test_cross_validation_is_that_of_a_plain_loop_over_the_same_folds(size: int, C: int, folds: int, seed: int) -> None:
    features, labels = made(size, C, seed)
    learner = replace(TUNED, folds=folds)
    settled = learner.settle(Lesson.of(features, labels, C, np.random.default_rng(seed)))
    n = min(folds, np.unique(labels, return_counts=True)[1].max())
    split = PredefinedSplit(dealt(labels, n, np.random.default_rng(seed)))
    accuracy = []
    for k in (1, 3, 7):
        hits = []
        for train, test in split.split():
            part = Lesson.of(features[train], labels[train], C, np.random.default_rng(0))
            hits.extend(KNN(k).fit(part).predict(features[test]) == labels[test])
        accuracy.append(round(float(np.mean(hits)), 12))
    assert settled.learner == KNN((1, 3, 7)[accuracy.index(max(accuracy))])
    assert settled.settings == {"by": "cross-validation", "folds": n, "setting": {"k": settled.learner.k}}


@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 99))
def test_validation_fits_on_all_labels_and_counts_on_that_set(size: int, C: int, seed: int) -> None:
    features, labels = made(size + 15, C, seed)
    rows, held = np.arange(size), np.arange(size, size + 15)
    whole = Lesson.of(features, labels, C, np.random.default_rng(seed))
    lesson = replace(whole, rows=rows, labels=labels[:size], validation=(held, labels[size:]))
    settled = replace(TUNED, by="validation").settle(lesson)
    right = [int((KNN(k).fit(lesson).predict(features[size:]) == labels[size:]).sum()) for k in (1, 3, 7)]
    assert settled.learner == KNN((1, 3, 7)[right.index(max(right))])
    assert settled.settings == {"by": "validation", "setting": {"k": settled.learner.k}}


def test_with_fewer_than_two_labels_a_class_the_first_listed_is_taken() -> None:
    features, labels = made(7, 4, 0)
    settled = TUNED.settle(Lesson.of(features, labels, 4, np.random.default_rng(0)))
    assert settled == (KNN(1), {"by": "first listed", "setting": {"k": 1}})
    features, labels = made(8, 4, 0)
    assert TUNED.settle(Lesson.of(features, labels, 4, np.random.default_rng(0))).settings["by"] == "cross-validation"


def test_of_equal_ones_the_first_listed_is_taken() -> None:
    features, _ = made(30, 3, 0)
    lesson = Lesson.of(features, np.ones(30, np.int64), 3, np.random.default_rng(0))
    for candidates in (PENALTIES, PENALTIES[::-1]):
        assert Tuned(candidates, ("C",)).settle(lesson).learner == candidates[0]


@pytest.mark.parametrize("learner", [Tuned((Linear(0.1), Linear(1.0)), ("C",)), TUNED])
def test_it_is_held_to_what_every_learner_promises(learner: Tuned) -> None:
    assert [str(result) for result in check_learner(learner) if not result.passed] == []


def test_it_promises_what_all_of_them_promise() -> None:
    assert Tuned((KNN(1), KNN(3)), ("k",)).gives == frozenset()
    assert Tuned((Linear(), Linear(passes="laplace")), ("passes",)).gives == Linear().gives
    assert Tuned((MLP(sees="images"), MLP(sees="images", width=8)), ("width",)).sees == "images"
    assert needed_views(Tuned((FlexMatchHead(views=2), FlexMatchHead(views=3)), ("views",))) == 3


# In a trial


@dataclass(frozen=True)
class Watched:
    """A linear learner that notes what it was taught and what it drew."""

    C: float = 1.0
    lessons: list[Lesson] = field(default_factory=list, compare=False)
    drawn: list[int] = field(default_factory=list, compare=False)
    begun: list[int] = field(default_factory=list, compare=False)

    @property
    def gives(self) -> frozenset[str]:
        return Linear().gives

    def fit(self, lesson: Lesson) -> Model:
        self.lessons.append(lesson)
        self.drawn.append(int(lesson.rng.integers(2**40)))
        self.begun.append(int(lesson.weights.integers(2**40)))
        return Linear(self.C).fit(lesson)


def answer(round_: Round) -> tuple[object, ...]:
    return (round_.index, round_.selected.tolist(), round_.n_labelled, round_.scores, round_.settings)


@pytest.mark.parametrize("learner", [Linear(0.1, passes="dropout"), MLP(width=4, steps=5), KNN(3)])
def test_one_candidate_is_the_learner_itself_bit_for_bit(learner: Learner) -> None:
    trial = make_trial("margin", rounds=2)
    tuned, bare = rounds_of(trial, Tuned((learner,), ())), rounds_of(trial, learner)
    assert [replace(r, settings={}).scores for r in tuned] == [r.scores for r in bare]
    assert [r.selected.tolist() for r in tuned] == [r.selected.tolist() for r in bare]
    assert not any(r.settings for r in bare)


@pytest.mark.parametrize("by", ["cross-validation", "validation"])
def test_nobody_trains_on_validation_or_test_rows_or_hidden_labels(by: str) -> None:
    candidates = (Watched(0.01), Watched(1.0))
    pool = make_pool(spread=3.0)
    learner = Tuned(candidates, ("C",), by=by)  # type: ignore[arg-type]  # one of the two that there are
    trial = make_trial("margin", validation=10)
    rounds = rounds_of(trial, learner, pool=pool)
    held = candidates[0].lessons[0].validation
    assert held is not None
    for lesson in (*candidates[0].lessons, *candidates[1].lessons):
        assert not np.isin(held[0], lesson.rows).any()
        assert lesson.view.array is pool.features
        assert lesson.labels.tolist() == pool.labels[lesson.rows].tolist()
        assert not np.isin(lesson.rows, lesson.unlabelled).any()
        assert lesson.previous is None
    bought = np.concatenate([round_.selected for round_ in rounds])
    known = np.isin(np.arange(len(pool)), np.concatenate([bought, held[0]]))
    poisoned = replace(pool, labels=np.where(known, pool.labels, (pool.labels + 1) % 3))
    record = Recorded(tuple(Purchase(r.batch, r.bought_by, 0.0) for r in rounds))
    again = list(loop.run_trial(trial, poisoned, record, learner))
    assert [answer(round_) for round_ in again] == [answer(round_) for round_ in rounds]


def test_candidates_draw_the_same_and_hold_out_each_row_once() -> None:
    candidates = (Watched(0.01), Watched(1.0))
    features, labels = made(20, 2, 0)
    Tuned(candidates, ("C",)).settle(Lesson.of(features, labels, 2, np.random.default_rng(0)))
    assert candidates[0].drawn == candidates[1].drawn
    assert len(set(candidates[0].drawn)) == 5
    held = np.concatenate([np.setdiff1d(np.arange(20), lesson.rows) for lesson in candidates[0].lessons])
    assert sorted(held.tolist()) == list(range(20))


def test_every_fit_of_a_trial_starts_from_the_same_weights() -> None:
    one, other = Watched(1.0), Watched(0.1)
    rounds_of(make_trial("random", rounds=2), Tuned((one, other), ("C",)))
    assert len(one.begun) + len(other.begun) > 3
    assert len({*one.begun, *other.begun}) == 1


def test_the_draws_are_the_same_for_all_strategies() -> None:
    """The same rows bought by another name give the same settings and scores."""
    learner, pool = Tuned(PENALTIES, ("C",)), make_pool(spread=3.0)
    rounds = rounds_of(make_trial("margin"), learner, pool=pool)
    record = Recorded(tuple(Purchase(r.batch, r.bought_by, 0.0) for r in rounds))
    again = list(loop.run_trial(make_trial("coreset"), pool, record, learner))
    assert [answer(round_) for round_ in again] == [answer(round_) for round_ in rounds]


def test_a_rule_that_fits_the_learner_has_it_with_the_settings_of_the_round() -> None:
    same: list[bool] = []

    @dataclass(frozen=True)
    class Refits:
        needs = frozenset({"learner", "probabilities"})

        def select(self, query: Query) -> Rows:
            again = query.fit(query.labelled, query.labels)
            same.append(np.array_equal(again.probs, query.probs))
            return query.unlabelled[: query.n]

    pool = make_pool(spread=3.0)
    for learners in ((Tuned(PENALTIES, ("C",)), None), (KNN(3), Tuned(PENALTIES, ("C",)))):
        rounds = list(loop.run_trial(make_trial(), pool, Refits(), learners[0], selector=learners[1]))
        chosen = {str(each) for r in rounds for each in r.settings.values()}
        assert len(chosen) > 1
    assert same == [True] * 8


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("by", ["cross-validation", "validation"])
@pytest.mark.parametrize("initial", ["0", "6"])
@pytest.mark.parametrize("apart", [False, True])
def test_a_trial_goes_on_from_any_round_with_the_same_settings(initial: str, by: str, once: bool, apart: bool) -> None:
    tuned = Tuned(PENALTIES, ("C",), by=by, once=once)  # type: ignore[arg-type]  # as above
    learner, selector = (replace(TUNED, once=once), tuned) if apart else (tuned, None)
    trial, pool = make_trial("margin", initial, rounds=3, query=6, validation=8), make_pool(spread=3.0)
    whole = rounds_of(trial, learner, selector, pool)
    assert all("learner" in round_.settings for round_ in whole)
    assert ["selector" in round_.settings for round_ in whole] == [apart and bool(i) for i in range(len(whole))]
    for done in range(len(whole) + 1):
        history = tuple(round_.batch for round_ in whole[:done])
        rest = rounds_of(trial, learner, selector, pool, history)
        assert [answer(round_) for round_ in rest] == [answer(round_) for round_ in whole[done:]]
    if once:
        assert len({str(round_.settings["learner"]) for round_ in whole}) == 1
        changing = rounds_of(trial, replace(learner, once=False), selector, pool)
        assert answer(changing[0]) == answer(whole[0])


def test_settings_are_chosen_anew_in_every_round_else() -> None:
    rounds = rounds_of(make_trial(rounds=6), Tuned(PENALTIES, ("C",)), pool=make_pool(spread=3.0))
    assert len({str(round_.settings) for round_ in rounds}) > 1


def test_a_shared_start_knows_what_was_chosen() -> None:
    trial, pool, learner = make_trial("margin"), make_pool(spread=3.0), Tuned(PENALTIES, ("C",), once=True)
    begin = loop.start(trial, pool, learner)
    rule = registry.strategies.get("margin").cls()
    shared = list(loop.run_trial(trial, pool, rule, learner, begin=begin))
    assert [answer(round_) for round_ in shared] == [answer(round_) for round_ in rounds_of(trial, learner, pool=pool)]


def test_a_learner_without_probabilities_is_tuned_too() -> None:
    rounds = rounds_of(make_trial(), Tuned((SVM(0.01), SVM(10.0)), ("C",)))
    assert all(round_.scores.nll is None for round_ in rounds)
    assert rounds[-1].settings["learner"]["setting"]["C"] in (0.01, 10.0)

"""CEAL: what it guesses, and that the trial's training takes it in, in that round alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.queries import cloud, query
from support.trials import Listening, make_pool, make_trial

from albench.benchmark import loop, registry
from albench.benchmark.learners.linear import Linear
from albench.benchmark.purchase import InvalidSelectionError
from albench.benchmark.types import Batch, Round, Scored
from albench.strategies.composed.ceal import Ceal
from albench.strategies.uncertainty.entropy import Entropy
from albench.strategies.uncertainty.margin import Margin


@given(seed=st.integers(0, 10**6), bought=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_the_guesses_are_the_rows_below_the_threshold(seed: int, bought: list[int]) -> None:
    rule = Ceal(Margin(), delta=0.5, decay=0.1)
    probs = np.random.default_rng(seed).dirichlet(np.full(3, 0.3), size=40)
    asked = replace(query(cloud(seed, 40), 4, [3, 17], probs, seed), purchases=tuple(bought))
    rows = rule.select(asked)
    guessed, labels = rule.pseudo_labels(asked, rows)
    sure = {}
    for row in set(range(40)) - {3, 17} - set(rows.tolist()):
        p = probs[row].astype(np.float32).astype(np.float64)
        if -sum(x * np.log(x) for x in p if x > 0) < 0.5 - 0.1 * (len(bought) - 1):
            sure[row] = int(p.argmax())
    assert dict(zip(guessed.tolist(), labels.tolist(), strict=True)) == sure


@pytest.mark.parametrize("over", [Entropy(), Margin()], ids=str)
def test_it_buys_what_the_rule_below_buys(over: Scored) -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(3), size=40)
    ours, theirs = (query(cloud(0, 40), 6, [3, 17], probs, seed=5) for _ in range(2))
    assert Ceal(over).select(ours).tolist() == over.select(theirs).tolist()


def test_certain_rows_are_guessed_until_the_threshold_is_used_up() -> None:
    certain = np.eye(3)[np.arange(30) % 3]
    for purchases, guesses in ((1, 25), (152, 25), (153, 0)):
        asked = replace(query(cloud(0, 30), 4, [2], certain), purchases=(1,) * purchases)
        rule = Ceal()
        assert len(rule.pseudo_labels(asked, rule.select(asked))[0]) == guesses


def test_it_is_marked_chained_and_needs_what_it_stands_on() -> None:
    assert registry.needs_of(Ceal(Margin())) == {"probabilities", "scores"}
    assert registry.marks_of(Ceal()) == ("trains",)
    assert loop.chained(Ceal(), Linear())


def test_thresholds_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="delta is -1; it must be at least 0"):
        Ceal(delta=-1)


# In a trial

GENEROUS = Ceal(delta=0.4, decay=0.02)


def rounds_of(
    rule: Ceal | Entropy, history: Sequence[Batch] = (), initial: str = "6", learner: Listening | None = None
) -> list[Round]:
    trial, pool = make_trial("ceal", initial), make_pool(seed=4)
    return list(loop.run_trial(trial, pool, rule, learner or Listening(), history))


def test_the_guesses_are_trained_on_and_not_bought() -> None:
    learner = Listening()
    rounds = rounds_of(GENEROUS, learner=learner)
    assert [r.n_labelled for r in rounds] == [6, 11, 16, 21, 26]
    assert len(learner.lessons[0].rows) == 6  # no rule has been asked yet
    for number, lesson in enumerate(learner.lessons[1:], start=1):
        bought = np.concatenate([r.selected for r in rounds[: number + 1]])
        assert lesson.rows[: len(bought)].tolist() == bought.tolist()
        assert len(lesson.rows) > len(bought)
        assert len(np.unique(lesson.rows)) == len(lesson.rows)
        assert np.array_equal(np.sort(np.concatenate([lesson.rows, lesson.unlabelled])), np.arange(60))
        guesses = lesson.labels[len(bought) :]
        assert (guesses == make_pool(seed=4).labels[lesson.rows[len(bought) :]]).mean() > 0.7


def test_training_changes_with_them_and_not_without() -> None:
    plain, none, some = rounds_of(Entropy()), rounds_of(Ceal(delta=0)), rounds_of(GENEROUS)
    assert [(r.selected.tolist(), r.scores) for r in none] == [(r.selected.tolist(), r.scores) for r in plain]
    assert some[1].selected.tolist() == plain[1].selected.tolist()  # asked of the same model
    assert some[1].scores.nll != plain[1].scores.nll


@pytest.mark.parametrize("initial", ["0", "6"])
def test_a_trial_that_was_interrupted_goes_on_as_if_it_had_not_been(initial: str) -> None:
    whole = rounds_of(GENEROUS, initial=initial)
    for done in range(len(whole) + 1):
        rest = rounds_of(GENEROUS, [r.batch for r in whole[:done]], initial)
        assert [(r.index, r.selected.tolist(), r.scores) for r in rest] == [
            (r.index, r.selected.tolist(), r.scores) for r in whole[done:]
        ]


def test_a_trial_on_record_that_does_not_come_out_again_fails() -> None:
    whole = rounds_of(GENEROUS)
    other = [*(r.batch for r in whole[:2]), Batch(whole[2].selected[::-1].copy())]
    with pytest.raises(InvalidSelectionError, match="run again, round 2 bought other rows than are on record"):
        rounds_of(GENEROUS, other)

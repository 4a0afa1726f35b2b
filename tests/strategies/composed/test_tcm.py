"""TCM: whose turn it is, and who buys while nothing is labelled."""

import pytest
from support.trials import make_pool, make_trial

from albench.benchmark import loop
from albench.benchmark.learners.linear import Linear
from albench.benchmark.registry import needs_of
from albench.benchmark.types import Round, Strategy
from albench.strategies.composed.tcm import TCM
from albench.strategies.coverage.typiclust import TypiClust
from albench.strategies.diversity.coreset import CoreSet
from albench.strategies.uncertainty.margin import Margin


def rounds_of(rule: Strategy, initial: str, done: int = 0) -> list[Round]:
    trial, pool = make_trial("tcm", initial=initial, rounds=6), make_pool()
    begun = list(loop.run_trial(trial, pool, rule, Linear()))[:done] if done else []
    return begun + list(loop.run_trial(trial, pool, rule, Linear(), [r.batch for r in begun]))


def turns(rounds: list[Round]) -> list[str]:
    found = []
    for round_ in rounds:
        (by,) = set(round_.chosen_by) or {""}
        found.append(by)
    return found


@pytest.mark.parametrize("steps", [0, 1, 3, 9])
@pytest.mark.parametrize("initial", ["0", "6"])
@pytest.mark.parametrize("done", [0, 2, 4])
def test_typical_rows_for_so_many_purchases_after_the_initial_labels(steps: int, initial: str, done: int) -> None:
    later = (["typiclust"] * steps + ["margin"] * 6)[: 6 if initial == "6" else 5]
    assert turns(rounds_of(TCM(steps=steps), initial, done)) == ["" if initial == "6" else "typiclust", *later]


def test_the_rows_are_those_of_the_rule_whose_turn_it_is() -> None:
    mixed = rounds_of(TCM(steps=2), "0")
    typical = rounds_of(TypiClust(), "0")
    assert [r.selected.tolist() for r in mixed[:3]] == [r.selected.tolist() for r in typical[:3]]
    trial, pool = make_trial("tcm", initial="0", rounds=6), make_pool()
    uncertain = list(loop.run_trial(trial, pool, Margin(), Linear(), [r.batch for r in mixed[:3]]))
    assert [r.selected.tolist() for r in mixed[3:]] == [r.selected.tolist() for r in uncertain]
    assert {r.bought_by for r in mixed} == {"strategy"}


def test_a_first_rule_that_needs_a_model_begins_as_random() -> None:
    first, *_ = rounds_of(TCM(first=Margin()), "0")
    assert (first.bought_by, set(first.chosen_by)) == ("random", {"random"})


def test_it_needs_what_both_need() -> None:
    assert needs_of(TCM()) == {"scores"}
    assert needs_of(TCM(then=CoreSet())) == {"hidden"}
    with pytest.raises(ValueError, match="tcm: steps is -1; it must be at least 0"):
        TCM(steps=-1)
    assert TCM().beginning == TypiClust()

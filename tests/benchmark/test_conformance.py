"""The suite over every registered rule, and over rules that are broken on purpose: each must be caught, by name."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from support.cheaper import CHEAPER

from albench.benchmark.conformance.checks import CHECKS, check_named, check_strategy
from albench.benchmark.registry import PluginError, UnknownNameError, needs_of, strategies
from albench.benchmark.types import Batch, Features, Query, Rows, Strategy
from albench.strategies.coverage.probcover import ProbCover
from albench.strategies.coverage.typiclust import TypiClust

NONE: frozenset[str] = frozenset()
PROBABILITIES = frozenset({"probabilities"})


@pytest.mark.parametrize("name", strategies.names())
def test_every_registered_rule_conforms(name: str) -> None:
    rule: Strategy = strategies.get(name).cls(**CHEAPER.get(name, {}))
    results = check_strategy(rule, needs_of(rule))
    assert len(results) == len(CHECKS)
    assert [f"{r.name}: {r.message}" for r in results if not r.passed] == []


@pytest.mark.parametrize("rule", [TypiClust(max_clusters=2, min_size=0, neighbours=1), ProbCover(delta=5.0)], ids=str)
def test_rules_conform_with_other_parameters(rule: Strategy) -> None:
    assert [r.message for r in check_strategy(rule) if not r.passed] == []


# Rules with one fault each


@dataclass(frozen=True)
class Rule:
    """A rule made of one function."""

    answer: Callable[[Query], object]

    def select(self, query: Query) -> Rows:
        return self.answer(query)  # type: ignore[return-value]  # a broken rule may return anything


def with_replacement(query: Query) -> Rows:
    return query.rng.choice(query.unlabelled, query.n)


def labelled_too(query: Query) -> Rows:
    return query.rng.choice(len(query.features), query.n, replace=False)


def positions(query: Query) -> Rows:
    return query.rng.choice(len(query.unlabelled), query.n, replace=False)


def numpy_global(query: Query) -> Rows:
    return np.random.choice(query.unlabelled, query.n, replace=False)  # noqa: NPY002 - the fault


def numpy_reseeded(query: Query) -> Rows:
    np.random.seed(0)  # noqa: NPY002 - the fault
    return numpy_global(query)


def random_global(query: Query) -> Rows:
    return np.array(random.sample(query.unlabelled.tolist(), query.n))


def unseeded(query: Query) -> Rows:
    return np.random.default_rng().choice(query.unlabelled, query.n, replace=False)


def index_order(query: Query) -> Rows:
    return query.unlabelled[: query.n]


def index_order_among_draws(query: Query) -> Rows:
    half = query.unlabelled[: max(query.n, len(query.unlabelled) // 2)]
    return query.rng.choice(half, query.n, replace=False)


def positions_into_features(query: Query) -> Rows:
    positions = np.argsort(query.features[: len(query.unlabelled), 0])  # of the wrong rows
    return query.unlabelled[positions[: query.n]]


def writes(query: Query) -> Rows:
    query.features[0] = 0
    return query.unlabelled[: query.n]


def writes_by_force(query: Query) -> Rows:
    query.features.setflags(write=True)
    query.features[0] += 1
    return query.unlabelled[: query.n]


def int32(query: Query) -> object:
    return query.unlabelled[: query.n].astype(np.int32)


def a_list(query: Query) -> object:
    return query.unlabelled[: query.n].tolist()


def too_few(query: Query) -> Rows:
    return query.unlabelled[: max(query.n - 1, 1)]


def first_of_each_value(query: Query) -> Rows:
    _, first = np.unique(query.features[query.unlabelled], axis=0, return_index=True)
    return query.unlabelled[first[: query.n]]


def needs_a_label(query: Query) -> Rows:
    distances = np.linalg.norm(query.features[query.unlabelled] - query.features[query.labelled[0]], axis=1)
    return query.unlabelled[np.argsort(-distances)[: query.n]]


def takes_what_is_not_labelled_for_unlabelled(query: Query) -> Rows:
    return query.rng.permutation(np.setdiff1d(np.arange(len(query.features)), query.labelled))[: query.n]


def reads_the_model(query: Query) -> Rows:
    return query.unlabelled[np.argsort(query.probs[:, 0])[: query.n]]


def naive_entropy(probs: Features) -> Features:
    result: Features = -(probs * np.log(probs)).sum(axis=1)
    return result


def nan_entropy(query: Query) -> Rows:
    return query.unlabelled[np.argsort(naive_entropy(query.probs))[::-1][: query.n]]


def quiet_nan_entropy(query: Query) -> Rows:
    with np.errstate(all="ignore"):
        return nan_entropy(query)


def spoils_an_artefact(query: Query) -> Rows:
    order = query.derived.get("order/1", lambda features, rng: {"order": rng.permutation(len(features))})["order"]
    order[:] = order[::-1].copy()
    return order[np.isin(order, query.unlabelled)][: query.n]


def spoils_an_artefact_by_force(query: Query) -> Rows:
    order: Rows = query.derived.get("order/1", lambda features, rng: {"order": rng.permutation(len(features))})["order"]
    order.setflags(write=True)
    picks = order[np.isin(order, query.unlabelled)][: query.n]
    order[:] = order[::-1].copy()
    return picks


FAULTS = [
    (with_replacement, NONE, "exact_batches", "distinct rows of"),
    (labelled_too, NONE, "exact_batches", "not in query.unlabelled: "),
    (positions, NONE, "exact_batches", "not in query.unlabelled: "),
    (numpy_global, NONE, "fixed_by_the_generator", "again with the same generator gives other rows"),
    (numpy_global, NONE, "global_generators_untouched", "global generator of numpy.random"),
    (numpy_reseeded, NONE, "global_generators_untouched", "global generator of numpy.random"),
    (random_global, NONE, "global_generators_untouched", "global generator of random"),
    (unseeded, NONE, "fixed_by_the_generator", "gives other rows"),
    (index_order, NONE, "renumbering", "picks points"),
    (index_order_among_draws, NONE, "renumbering", "times in 200 instead of"),
    (positions_into_features, NONE, "renumbering", "picks points"),
    (writes, NONE, "exact_batches", "raised ValueError: assignment destination is read-only"),
    (writes_by_force, NONE, "inputs_unchanged", "changed query.features"),
    (int32, NONE, "exact_batches", "returned int32 of shape (1,) instead of an int64 array of shape (1,)"),
    (a_list, NONE, "exact_batches", "returned list instead"),
    (too_few, NONE, "exact_batches", "no labels (N=7, 0 labelled, n=3): returned 2 rows instead of 3"),
    (first_of_each_value, NONE, "exact_batches", "constant features (N=60, 6 labelled, n=7): returned 1 rows"),
    (needs_a_label, NONE, "exact_batches", "no labels (N=1, 0 labelled, n=1): select() raised IndexError"),
    (takes_what_is_not_labelled_for_unlabelled, NONE, "exact_batches", "rows set apart (N=60, 6 labelled, n=48)"),
    (reads_the_model, NONE, "exact_batches", "query.probs asks for probabilities"),
    (nan_entropy, PROBABILITIES, "exact_batches", "raised RuntimeWarning: divide by zero"),
    (quiet_nan_entropy, PROBABILITIES, "renumbering", "picks points"),
    (spoils_an_artefact, NONE, "exact_batches", "raised ValueError: assignment destination is read-only"),
    (spoils_an_artefact_by_force, NONE, "fixed_by_the_generator", "artefacts that the first call left"),
]


@pytest.mark.parametrize(("answer", "needs", "check", "message"), FAULTS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_broken_rule_is_caught(
    answer: Callable[[Query], object], needs: frozenset[str], check: str, message: str
) -> None:
    [result] = [r for r in check_strategy(Rule(answer), needs) if r.name == check]
    assert not result.passed
    assert message in result.message
    assert "\n" not in result.message


def test_a_rule_with_a_memory_is_caught() -> None:
    @dataclass(frozen=True)
    class Remembers:
        def select(self, query: Query) -> Rows:
            calls = self.__dict__.setdefault("calls", [])
            calls.append(None)
            return np.roll(query.unlabelled, len(calls))[: query.n]

    [result] = [r for r in check_strategy(Remembers()) if r.name == "fixed_by_the_generator"]
    assert "gives other rows" in result.message


def drawn(query: Query) -> Rows:
    return query.rng.permutation(query.unlabelled)[: query.n]


@dataclass(frozen=True)
class Chooses(Rule):
    """A rule that says of each of its rows that somebody else chose it."""

    by: str
    turns: Iterator[str] = field(default_factory=lambda: cycle(["margin", "badge"]))

    def choose(self, query: Query) -> Batch:
        rows = drawn(query)
        by = {"any": query.rng.choice(["margin", "badge"]), "unsteady": next(self.turns)}.get(self.by, self.by)
        return Batch(rows, (str(by),) * (query.n if self.by else 1))


@pytest.mark.parametrize(
    ("select", "by", "message"),
    [
        (drawn, "random", ""),
        (drawn, "any", ""),
        (index_order, "random", "select() and choose() give other rows"),
        (drawn, "rnadom", "choose() names 'rnadom', which is no registered rule"),
        (drawn, "unsteady", "choose() names other rules when it is asked again"),
        (drawn, "", "choose() must name the rule that chose each of"),
    ],
)
def test_a_rule_that_leaves_its_rows_to_others_must_say_to_whom(
    select: Callable[[Query], object], by: str, message: str
) -> None:
    result = check_strategy(Chooses(select, by))[0]
    assert (result.name, result.passed) == ("exact_batches", not message)
    assert message in result.message


def test_a_rule_for_any_scores_meets_decision_values() -> None:
    def expects_probabilities(query: Query) -> Rows:
        assert query.scores.min() >= 0, "not a probability"
        return query.unlabelled[: query.n]

    result, *_ = check_strategy(Rule(expects_probabilities), frozenset({"scores"}))
    assert "decision values): select() raised AssertionError: not a probability" in result.message


def test_checks_that_a_broken_rule_obeys_still_pass() -> None:
    passed = {r.name for r in check_strategy(Rule(index_order)) if r.passed}
    assert passed == {check.__name__ for check in CHECKS} - {"renumbering"}


def test_a_rule_is_found_by_name_or_in_a_module_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
from dataclasses import dataclass
from pathlib import Path
from albench.benchmark.registry import strategy

@strategy("first-rows", cite="none")
@dataclass(frozen=True)
class FirstRows:
    def select(self, query):
        return query.unlabelled[: query.n]

class Undeclared: ...
"""
    (tmp_path / "my_rules.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    assert [r.name for r in check_named("my_rules:FirstRows") if not r.passed] == ["renumbering"]
    assert all(r.passed for r in check_named("random"))
    with pytest.raises(ValueError, match="my_rules:Undeclared has no @strategy or @learner"):
        check_named("my_rules:Undeclared")
    with pytest.raises(PluginError, match="'my_rules' has no class 'FirstRow'; did you mean 'FirstRows'"):
        check_named("my_rules:FirstRow")
    with pytest.raises(UnknownNameError, match="did you mean 'margin'"):
        check_named("margni")

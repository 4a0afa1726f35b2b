"""What the loop puts behind a query, on real trials: only what is declared, and nothing that spoils the record."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import refused, run, write_grid
from support.trials import Listening, make_pool, make_trial

from albench.benchmark import loop, registry
from albench.benchmark.learners.linear import Linear
from albench.benchmark.purchase import InvalidSelectionError
from albench.benchmark.query import UndeclaredError
from albench.benchmark.types import Batch, Count, Labels, Query, Round, Rows, Strategy, Trial
from albench.results.measures.tables import finished_rounds
from albench.results.record.store import RunStore
from albench.strategies.diversity.coreset import CoreSet

Select = Callable[[Query], Rows]


@dataclass(frozen=True)
class Rule:
    """A rule made of one function, with what it says it needs."""

    answer: Select
    needs: frozenset[str] = frozenset()

    def select(self, query: Query) -> Rows:
        return self.answer(query)


def first_rows(query: Query) -> Rows:
    return query.unlabelled[: query.n]


def buy(answer: Select, needs: Iterable[str] = (), trial: Trial | None = None) -> list[Round]:
    """Run a trial of the rule from six labels: four purchases of five."""
    return list(loop.run_trial(trial or make_trial(), make_pool(), Rule(answer, frozenset(needs)), Linear()))


def bought(rounds: Iterable[Round]) -> list[list[int]]:
    return [round_.selected.tolist() for round_ in rounds]


# What is not declared


@pytest.mark.parametrize(
    ("read", "need"),
    [
        (lambda q: q.scores, "scores"),
        (lambda q: q.probs, "probabilities"),
        (lambda q: q.rowwise(lambda p: p[:, 0]), "probabilities"),
        (lambda q: q.passes(2), "passes"),
        (lambda q: q.hidden, "hidden"),
        (lambda q: q.head, "head"),
        (lambda q: q.of(q.labelled), "scores"),
        (lambda q: q.fit(q.labelled, q.labels), "learner"),
        (lambda q: q.validation, "validation"),
        (lambda q: q.reveal(int(q.unlabelled[0])), "reveal"),
        (lambda q: q.images(q.labelled), "images"),
        (lambda q: q.oracle, "oracle"),
    ],
)
def test_what_a_rule_has_not_declared_is_refused_by_name(read: Callable[[Query], object], need: str) -> None:
    def reads(query: Query) -> Rows:
        read(query)
        return first_rows(query)

    with pytest.raises(UndeclaredError, match=f"asks for {need}.* declares nothing; add needs="):
        buy(reads)


def test_what_it_has_declared_is_answered() -> None:
    def asks(query: Query) -> Rows:
        assert query.probs.shape == (len(query.unlabelled), 3)
        assert query.oracle.labels.tolist() == make_pool().labels.tolist()
        again = query.fit(query.labelled, query.labels)  # the same labels and draws: the same model
        assert np.array_equal(again.predicted, query.predicted)
        return first_rows(query)

    assert len(buy(asks, {"probabilities", "learner", "oracle"})) == 5


def test_a_first_batch_without_labels_asks_nobody() -> None:
    def fails(query: Query) -> Rows:
        assert len(query.labelled)
        return first_rows(query)

    rounds = buy(fails, {"probabilities"}, make_trial(initial="0"))
    assert [round_.bought_by for round_ in rounds] == ["random", "strategy", "strategy", "strategy"]


# Labels that are revealed


def test_a_revealed_label_is_the_true_one_and_costs_the_row_it_is_of() -> None:
    seen: dict[int, int] = {}

    def reveals(query: Query) -> Rows:
        seen.update({int(row): query.reveal(row) for row in first_rows(query)})
        return first_rows(query)

    rows = np.concatenate([round_.selected for round_ in buy(reveals, {"reveal"})[1:]])
    assert sorted(seen) == sorted(rows.tolist())
    assert [seen[row] for row in rows] == make_pool().labels[rows].tolist()


def test_a_row_that_was_revealed_must_be_bought() -> None:
    def peeks(query: Query) -> Rows:
        query.reveal(int(query.unlabelled[-1]))
        return first_rows(query)

    with pytest.raises(InvalidSelectionError, match="had the label of row 59 revealed and did not buy it"):
        buy(peeks, {"reveal"})


def test_no_more_labels_are_revealed_than_are_bought() -> None:
    def looks_around(query: Query) -> Rows:
        rows = query.unlabelled[: query.n + 1]
        return rows[np.argsort([query.reveal(row) for row in rows])][: query.n]

    def asks_twice(query: Query) -> Rows:
        assert [query.reveal(row) for row in first_rows(query)] == [query.reveal(row) for row in first_rows(query)]
        return first_rows(query)

    with pytest.raises(InvalidSelectionError, match="5 rows are bought, and a label was to be revealed for one more"):
        buy(looks_around, {"reveal"})
    assert len(buy(asks_twice, {"reveal"})) == 5


def test_only_rows_that_are_for_sale_can_be_revealed() -> None:
    def asks_for_another(query: Query) -> Rows:
        others = np.setdiff1d(np.arange(len(query.features)), np.concatenate([query.unlabelled, query.labelled]))
        query.reveal(int(others[0]))
        return first_rows(query)

    with pytest.raises(InvalidSelectionError, match="is no unlabelled row"):
        buy(asks_for_another, {"reveal"}, with_validation(8))


# The validation set


def with_validation(number: int, initial: str = "6") -> Trial:
    trial = make_trial(initial=initial)
    return replace(trial, budget=replace(trial.budget, validation=Count(number)))


@pytest.mark.parametrize("initial", ["0", "6"])
def test_validation_rows_are_neither_for_sale_nor_trained_on_and_count_in_every_round(initial: str) -> None:
    seen: list[tuple[Rows, Labels]] = []

    def looks(query: Query) -> Rows:
        rows, labels = query.validation
        assert not np.isin(rows, np.concatenate([query.unlabelled, query.labelled])).any()
        assert len(rows) + len(query.unlabelled) + len(query.labelled) == len(query.features)
        assert labels.tolist() == make_pool().labels[rows].tolist()
        seen.append((rows, labels))
        return first_rows(query)

    learner = Listening()
    trial, rule = with_validation(8, initial), Rule(looks, frozenset({"validation"}))
    rounds = list(loop.run_trial(trial, make_pool(), rule, learner))
    assert [round_.n_labelled for round_ in rounds] == [int(initial) + 8 + 5 * round_.index for round_ in rounds]
    assert {tuple(rows) for rows, _ in seen} == {tuple(seen[0][0])}
    for lesson in learner.lessons:
        assert lesson.validation is not None
        assert lesson.validation[0].tolist() == seen[0][0].tolist()
        assert not np.isin(seen[0][0], np.concatenate([lesson.rows, lesson.unlabelled])).any()


def test_the_validation_set_is_the_same_for_every_rule() -> None:
    learner = Listening()
    for name in ("random", "margin", "coreset", "typiclust", "galaxy"):
        rule = registry.strategies.get(name).cls()
        list(loop.run_trial(with_validation(8), make_pool(), rule, learner))
    assert len({tuple(lesson.validation[0]) for lesson in learner.lessons if lesson.validation is not None}) == 1


def test_a_validation_set_moves_no_initial_label() -> None:
    assert bought(buy(first_rows))[0] == bought(buy(first_rows, trial=with_validation(8)))[0]


def test_a_trial_with_a_validation_set_goes_on_where_it_stopped() -> None:
    whole = list(loop.run_trial(with_validation(8), make_pool(), Rule(first_rows), Linear()))
    for done in range(len(whole)):
        history = [round_.batch for round_ in whole[:done]]
        rest = list(loop.run_trial(with_validation(8), make_pool(), Rule(first_rows), Linear(), history))
        assert [(r.n_labelled, r.selected.tolist(), r.scores) for r in rest] == [
            (r.n_labelled, r.selected.tolist(), r.scores) for r in whole[done:]
        ]


def test_a_validation_set_larger_than_the_pool_is_one_line(own_folder: Path) -> None:
    write_grid(Path("grid.yaml"), budgets={"b": {"initial": 6, "validation": 200, "query": 1, "rounds": 1}})
    assert refused() == ["budgets.b: budget 'b' asks for 207 labels, the pool holds 124 (dataset 'wine')"]


def test_a_rule_that_needs_a_validation_set_says_so_before_the_run(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry.strategies.names()  # all are loaded: what is loaded below is forgotten
    monkeypatch.setattr(registry.strategies, "_plugins", dict(registry.strategies._plugins))

    @registry.strategy("validated", cite="none", needs={"validation"})
    @dataclass(frozen=True)
    class Validated:
        def select(self, query: Query) -> Rows:
            return first_rows(query)

    budget = {"initial": 6, "query": 1, "rounds": 1}
    budgets = {"without": budget, "with": budget | {"validation": 5}}
    said = run(write_grid(Path("grid.yaml"), strategies=["validated"], budgets=budgets), "out", "--dry-run")
    assert said.status == 0
    reasons = [line for line in said.out.splitlines() if line.startswith("unsupported")]
    assert len(reasons) == 1
    assert "validated needs a validation set; budget without has none (validation: 20, say)" in reasons[0]


# The record


@pytest.mark.parametrize("name", ["features", "labelled", "labels", "unlabelled"])
def test_a_rule_cannot_write_into_its_query(name: str) -> None:
    def sorts(query: Query) -> Rows:
        getattr(query, name).sort(axis=0)
        return first_rows(query)

    with pytest.raises(ValueError, match="read-only"):
        buy(sorts)


def test_a_rule_that_writes_by_force_spoils_its_own_copy_only() -> None:
    def forces(query: Query) -> Rows:
        for array in (query.labelled, query.labels, query.unlabelled):
            array.setflags(write=True)
        rows = first_rows(query).copy()
        query.labelled.sort()
        query.labels[:] = 0
        query.unlabelled[:] = 0
        return rows

    assert bought(buy(forces)) == bought(buy(first_rows))
    assert [r.class_counts.tolist() for r in buy(forces)] == [r.class_counts.tolist() for r in buy(first_rows)]


def test_what_a_rule_does_to_its_answer_later_is_not_recorded() -> None:
    kept: list[Rows] = []

    def comes_back(query: Query) -> Rows:
        for rows in kept:
            rows[:] = 0
        kept.append(first_rows(query).copy())
        return kept[-1]

    assert bought(buy(comes_back)) == bought(buy(first_rows))


# What a rule adds to the training of a round


@pytest.mark.parametrize(
    ("guess", "legal"),
    [
        (lambda q, _: (q.unlabelled[-2:], np.array([0, 2])), True),
        (lambda q, _: (q.unlabelled[-2:], np.array([0, 3])), False),
        (lambda q, _: (q.unlabelled[-2:], np.array([0, -1])), False),
        (lambda q, _: (q.unlabelled[-2:], np.array([0])), False),
        (lambda q, _: (np.repeat(q.unlabelled[-1:], 2), np.array([0, 0])), False),
        (lambda q, _: (q.labelled[:1], np.array([0])), False),
        (lambda _, bought: (bought[:1], np.array([0])), False),
    ],
)
def test_only_labels_of_unlabelled_rows_can_be_guessed(
    guess: Callable[[Query, Rows], tuple[Rows, Labels]], legal: bool
) -> None:
    @dataclass(frozen=True)
    class Guesses:
        def select(self, query: Query) -> Rows:
            return first_rows(query)

        def pseudo_labels(self, query: Query, rows: Rows) -> tuple[Rows, Labels]:
            return guess(query, rows)

    trial = loop.run_trial(make_trial(), make_pool(), Guesses(), Linear())
    if legal:
        assert len(list(trial)) == 5
    else:
        with pytest.raises(InvalidSelectionError, match="guessed labels for rows that are not distinct unlabelled"):
            list(trial)


def test_of_a_run_with_a_validation_set_all_rounds_are_on_record_and_whole(own_folder: Path) -> None:
    budget = {"initial": "2/class", "query": 6, "rounds": 3, "validation": 5}
    rules = ["random", {"name": "ceal", "delta": 0.3}]
    write_grid(Path("grid.yaml"), budgets={"b": budget}, strategies=rules)
    assert run(Path("grid.yaml"), "whole").status == 0
    whole = RunStore.open(Path("whole"))
    assert {len(rows) for rows in whole.purchases().values()} == {1, 4}  # one: the full-data bound
    finished = finished_rounds(whole.rounds(), whole.trials())
    assert sorted(set(finished["n_labelled"])) == [11, 17, 23, 29, 124]
    assert finished["trial_id"].nunique() == 3


# A rule that leaves its rows to others


@dataclass(frozen=True)
class Leaves:
    """Leaves its rows to a rule, and remembers what it is told of who chose before."""

    to: Strategy
    told: list[tuple[str, ...]] = field(default_factory=list)
    needs: frozenset[str] = frozenset()
    beginning: Strategy | None = None

    def select(self, query: Query) -> Rows:
        return self.choose(query).rows

    def choose(self, query: Query) -> Batch:
        self.told.append(query.chosen_by)
        return registry.ask(self.to, query)


def test_who_chose_is_kept_and_told_again_also_after_an_interruption() -> None:
    whole, told = list[Round](), list[tuple[str, ...]]()
    for done in (0, 1, 3):
        rule = Leaves(Leaves(CoreSet("embedding")), told)
        history = [round_.batch for round_ in whole[:done]]
        rounds = list(loop.run_trial(make_trial(), make_pool(), rule, Linear(), history))
        whole = whole or rounds
        assert [r.chosen_by for r in rounds] == [r.chosen_by for r in whole[done:]]
    assert [r.chosen_by for r in whole] == [(), *[("coreset(space=embedding)",) * 5] * 4]
    expected = [("",) * 6 + ("coreset(space=embedding)",) * (5 * i) for i in range(4)]
    assert told == [*expected, *expected, *expected[2:]]


def test_a_rule_that_chooses_itself_names_nobody() -> None:
    assert {round_.chosen_by for round_ in buy(first_rows)} == {()}


def begun(beginning: Strategy | None) -> list[Round]:
    rule = Leaves(Rule(first_rows), needs=frozenset({"scores"}), beginning=beginning)
    return list(loop.run_trial(make_trial(initial="0", rounds=2), make_pool(), rule, Linear()))


def test_a_rule_may_say_what_buys_while_nothing_is_labelled() -> None:
    first, then = begun(registry.strategies.get("typiclust").cls())
    assert (first.bought_by, set(first.chosen_by)) == ("strategy", {"typiclust"})
    assert (then.bought_by, set(then.chosen_by)) == ("strategy", {"Rule"})
    for other in (None, registry.strategies.get("margin").cls()):
        first, then = begun(other)
        assert (first.bought_by, set(first.chosen_by)) == ("random", {"random"})


@pytest.mark.parametrize("said", [(), ("a",), ("a", "a", "a", "a", ""), ["a"] * 5, ("a", "a", "a", "a", 1)])
def test_who_chose_is_one_name_a_row(said: Any) -> None:
    class Says(Leaves):
        def choose(self, query: Query) -> Batch:
            return Batch(first_rows(query), said)

    with pytest.raises(InvalidSelectionError, match="random must name the rule that chose each of 5 rows, got"):
        list(loop.run_trial(make_trial(), make_pool(), Says(Rule(first_rows)), Linear()))

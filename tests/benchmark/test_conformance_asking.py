"""Rules that are broken in what they ask, hold on to, write to or never end: each is caught, and told how."""

import functools
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from albench.benchmark.conformance import contract
from albench.benchmark.conformance.calls import NonConformanceError
from albench.benchmark.conformance.checks import CHECKS
from albench.benchmark.conformance.state import states
from albench.benchmark.query import FROM_THE_MODEL, FROM_THE_TRIAL
from albench.benchmark.types import Query, Rows, Strategy

ALL = frozenset({*FROM_THE_MODEL, *FROM_THE_TRIAL})


def needing(*needs: str) -> frozenset[str]:
    return frozenset({"labels", *needs})


@dataclass(frozen=True)
class Rule:
    """A random rule that does something besides."""

    deed: Callable[[Query, Rows], object]

    def select(self, query: Query) -> Rows:
        rows = query.rng.choice(query.unlabelled, query.n, replace=False)
        picks = self.deed(query, rows)
        return picks if isinstance(picks, np.ndarray) else rows


def fault(check: contract.Check, rule: Strategy, *needs: str) -> str:
    """Return what a check says of a rule that it catches."""
    with pytest.raises(NonConformanceError) as caught:
        check(rule, needing(*needs))
    return str(caught.value)


# Asking


def test_a_rule_that_asks_all_there_is_conforms() -> None:
    def asks(query: Query, rows: Rows) -> None:
        two, five = query.passes(2), query.passes(5)
        assert np.array_equal(five[:2], two)
        assert query.rowwise_passes(3, lambda p: p.mean(axis=0)).shape == query.probs.shape
        assert query.rowwise(lambda p: p.max(axis=1)).shape == query.scores.shape[:1]
        labelled = query.of(query.labelled)
        assert labelled.passes(1).shape == (1, *labelled.probs.shape)
        weights, bias = query.head
        assert (query.hidden.shape[1], len(bias)) == weights.shape
        assert query.images(rows).shape[0] == query.n
        assert len(np.intersect1d(query.validation[0], query.unlabelled)) == 0
        assert len(query.oracle.labels) == len(query.features)
        query.fit(rows, np.array([query.reveal(row) for row in rows]))

    for check in CHECKS:
        if check is not contract.renumbering:  # hundreds of calls: the next test
            check(Rule(asks), ALL)


def test_what_a_rule_is_told_is_the_same_of_a_pool_that_is_renumbered() -> None:
    def nearest(query: Query, rows: Rows) -> Rows:
        told = (
            query.features[query.validation[0][query.validation[1] == 0]],
            query.oracle.test.array[query.oracle.test_labels == 1],
            query.images(np.flatnonzero(query.oracle.labels == 1)).reshape(-1, query.features.shape[1]),
            query.fit(query.labelled, query.oracle.labels[query.labelled]).head[0].T,
        )
        centre = sum(np.sort(part, axis=0).mean(axis=0, dtype=np.float64) for part in told)
        distances = np.linalg.norm(query.features[query.unlabelled] - centre, axis=1)
        shuffled = query.rng.permutation(len(distances))
        return query.unlabelled[shuffled[np.argsort(distances[shuffled])[: query.n]]]

    contract.renumbering(Rule(nearest), ALL)


def test_another_lesson_gives_another_model_and_the_same_lesson_the_same() -> None:
    def fits(query: Query, _: Rows) -> None:
        again = query.fit(query.labelled[::-1], query.labels[::-1])
        assert np.array_equal(again.probs, query.probs)
        changed = query.fit(query.labelled, (query.labels + 1) % query.n_classes)
        if len(np.unique(query.labels)) == query.n_classes and np.ptp(query.probs):
            differ.append(not np.allclose(changed.probs, query.probs))

    differ: list[bool] = []
    contract.exact_batches(Rule(fits), needing("learner", "probabilities"))
    assert sum(differ) > len(differ) / 2


ASKED: dict[str, tuple[str, Callable[[Query], object]]] = {
    "scores": ("scores", lambda q: q.scores),
    "probs": ("probabilities", lambda q: q.probs),
    "predicted": ("scores", lambda q: q.predicted),
    "rowwise": ("probabilities", lambda q: q.rowwise(np.max)),
    "passes": ("passes", lambda q: q.passes(2)),
    "rowwise_passes": ("passes", lambda q: q.rowwise_passes(2, np.max)),
    "hidden": ("hidden", lambda q: q.hidden),
    "head": ("head", lambda q: q.head),
    "of": ("scores", lambda q: q.of(q.labelled)),
    "fit": ("learner", lambda q: q.fit(q.labelled, q.labels)),
    "validation": ("validation", lambda q: q.validation),
    "reveal": ("reveal", lambda q: q.reveal(1)),
    "images": ("images", lambda q: q.images(q.labelled)),
    "oracle": ("oracle", lambda q: q.oracle),
}


@pytest.mark.parametrize("question", ASKED)
def test_what_is_not_declared_is_named_with_the_remedy(question: str) -> None:
    need, ask = ASKED[question]
    said = fault(contract.exact_batches, Rule(lambda query, _: ask(query)))
    assert f"query.{question} asks for {need}" in said
    assert f"the rule declares labels; add needs={{'{need}'}}" in said


def test_what_is_fitted_says_what_is_declared_and_no_more() -> None:
    said = fault(contract.exact_batches, Rule(lambda q, _: q.fit(q.labelled, q.labels).probs), "learner")
    assert "query.probs asks for probabilities, and the rule declares labels, learner" in said


# Labels that nobody gave


def test_only_rows_that_are_bought_are_revealed_and_no_more() -> None:
    another = Rule(lambda q, rows: q.reveal(np.setdiff1d(q.unlabelled, rows)[0]) if q.n < len(q.unlabelled) else None)
    assert "revealed and did not buy it" in fault(contract.exact_batches, another, "reveal")
    one_more = Rule(lambda q, rows: [q.reveal(row) for row in (*rows, *np.setdiff1d(q.unlabelled, rows)[:1])])
    assert "a label was to be revealed for one more" in fault(contract.exact_batches, one_more, "reveal")
    bought = Rule(lambda q, _: q.reveal(q.labelled[0]))
    assert "is no unlabelled row" in fault(contract.exact_batches, bought, "reveal")


def test_hidden_labels_change_nothing() -> None:
    def digs(query: Query, _: Rows) -> Rows:
        fit: Any = query.desk.fit
        [case] = [cell.cell_contents for cell in fit.__closure__ if hasattr(cell.cell_contents, "hidden")]
        return query.unlabelled[np.argsort(case.hidden[query.unlabelled], kind="stable")[: query.n]]

    assert "depends on labels that are hidden" in fault(contract.blind_to_hidden_labels, Rule(digs), "learner")


MEMORY: dict[int, int] = {}


def in_its_module(query: Query, rows: Rows) -> None:
    MEMORY.update({int(row): query.reveal(row) for row in rows})


def in_a_default(query: Query, rows: Rows, memory: list[int] = []) -> None:  # noqa: B006 - the fault
    memory.extend(query.reveal(row) for row in rows)


def in_derived(query: Query, rows: Rows) -> None:
    query.derived.get("labels/1", lambda *_: {"labels": np.array([query.reveal(row) for row in rows])})


def in_the_environment(query: Query, rows: Rows) -> Rows:
    seen = len(os.environ.get("ALBENCH_TEST_SEEN", ""))
    picks = np.roll(query.unlabelled, seen)[: query.n] if seen else rows
    os.environ["ALBENCH_TEST_SEEN"] = "x" * (seen + sum(query.reveal(row) for row in picks))
    return picks


KEPT = [
    (in_its_module, f"left something on its module {__name__}"),
    (in_a_default, "left something on itself (Rule)"),
    (in_derived, "artefact 'labels/1' of query.derived depends on labels"),
]


@pytest.mark.parametrize(("deed", "message"), KEPT, ids=lambda x: getattr(x, "__name__", ""))
def test_a_label_that_is_kept_is_found(deed: Callable[[Query, Rows], None], message: str) -> None:
    assert message in fault(contract.nothing_kept, Rule(deed), "reveal")


def test_a_label_that_is_kept_where_nobody_looks_shows_in_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALBENCH_TEST_SEEN", "")
    rule = Rule(lambda q, rows: in_the_environment(q, rows) if len(q.features) == 503 else None)
    assert "asked again after another query" in fault(contract.nothing_kept, rule, "reveal")


def test_a_label_that_is_kept_on_the_rule_or_its_class_is_found() -> None:
    @dataclass(frozen=True)
    class Keeps:
        on_the_class: bool
        over: Strategy = field(default_factory=lambda: Rule(lambda *_: None))
        seen: ClassVar[list[int]] = []

        def select(self, query: Query) -> Rows:
            rows = self.over.select(query)
            memory = self.seen if self.on_the_class else self.__dict__.setdefault("own", [])
            memory.extend(query.oracle.labels[rows])
            return rows

    assert "on its class Keeps" in fault(contract.nothing_kept, Keeps(on_the_class=True), "oracle")
    assert "on itself (Keeps)" in fault(contract.nothing_kept, Keeps(on_the_class=False), "oracle")

    @dataclass(frozen=True)
    class Composed:
        over: Strategy

        def select(self, query: Query) -> Rows:
            return self.over.select(query)

    assert "on its class Keeps" in fault(contract.nothing_kept, Composed(Keeps(on_the_class=True)), "oracle")


def test_what_follows_from_the_fields_of_a_rule_may_stay_on_it() -> None:
    @dataclass(frozen=True)
    class Doubles:
        k: int = 2

        @functools.cached_property
        def twice(self) -> int:
            return 2 * self.k

        def select(self, query: Query) -> Rows:
            assert self.twice == 4
            return query.rng.choice(query.unlabelled, query.n, replace=False)

    contract.nothing_kept(Doubles(), needing())


def test_guesses_are_held_to_the_contract_too() -> None:
    @dataclass(frozen=True)
    class Guesses:
        guess: Callable[[Query, Rows], Rows]

        def select(self, query: Query) -> Rows:
            return query.rng.choice(query.unlabelled, query.n, replace=False)

        def pseudo_labels(self, query: Query, rows: Rows) -> tuple[Rows, Rows]:
            found = self.guess(query, rows)
            return found, np.zeros(len(found), np.int64)

    contract.exact_batches(Guesses(lambda q, rows: np.setdiff1d(q.unlabelled, rows)), needing())
    bought = Guesses(lambda _, rows: rows)
    assert "pseudo_labels() guessed labels for rows" in fault(contract.exact_batches, bought)
    drawn = Guesses(lambda q, rows: np.setdiff1d(q.unlabelled, rows)[: np.random.default_rng().integers(1, 9)])
    assert "gives other rows" in fault(contract.fixed_by_the_generator, drawn)


# Writing

ARRAYS: dict[str, tuple[str, Callable[[Query], np.ndarray[Any, Any]]]] = {
    "features": ("", lambda q: q.features),
    "labelled": ("", lambda q: q.labelled),
    "labels": ("", lambda q: q.labels),
    "unlabelled": ("", lambda q: q.unlabelled),
    "scores": ("probabilities", lambda q: q.probs),
    "hidden": ("hidden", lambda q: q.hidden),
    "predicted": ("scores", lambda q: q.predicted),
    "head[0]": ("head", lambda q: q.head[0]),
    "validation[0]": ("validation", lambda q: q.validation[0]),
    "validation[1]": ("validation", lambda q: q.validation[1]),
    "oracle.labels": ("oracle", lambda q: q.oracle.labels),
    "oracle.test": ("oracle", lambda q: q.oracle.test.array),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_no_array_is_written_to_not_even_by_force(name: str) -> None:
    need, array_of = ARRAYS[name]
    plainly = Rule(lambda query, _: array_of(query).fill(0))
    assert "read-only" in fault(contract.exact_batches, plainly, need)

    def by_force(query: Query, _: Rows) -> None:
        array = array_of(query)
        array.setflags(write=True)
        array[:] = array[::-1].copy()

    assert f"select() changed query.{name}" in fault(contract.inputs_unchanged, Rule(by_force), need)


@pytest.mark.parametrize("need", ["passes", "images"])
def test_what_is_made_for_each_question_is_read_only(need: str) -> None:
    rule = Rule(lambda q, rows: (q.passes(2) if need == "passes" else q.images(rows)).fill(0))
    assert "read-only" in fault(contract.exact_batches, rule, need)


# Generators, ties, time


@pytest.mark.parametrize("library", ["random", "numpy.random", "torch"])
def test_a_rule_that_seeds_the_generators_of_all_is_caught(library: str) -> None:
    module = importlib.import_module(library)
    seed: Callable[[int], object] = module.manual_seed if library == "torch" else module.seed
    before = states()[library]
    seeds = Rule(lambda *_: seed(0))
    assert f"global generator of {library}; draw" in fault(contract.global_generators_untouched, seeds)
    assert before == states()[library]


@pytest.mark.parametrize("need", ["features", "probabilities"])
def test_a_rule_whose_ties_go_to_the_lowest_row_is_caught(need: str) -> None:
    def first_of_equals(query: Query, _: Rows) -> Rows:
        scores = np.sort(query.probs, axis=1)[:, -1] if need == "probabilities" else query.features[query.unlabelled, 0]
        return query.unlabelled[np.argsort(scores, kind="stable")[: query.n]]

    said = fault(contract.renumbering, Rule(first_of_equals), need)
    assert said.startswith("many ties, sorted by class, renumbered (N=60, 4 labelled, n=7): picks points")
    assert "do ties go to the lowest row number?" in said

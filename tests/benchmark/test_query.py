"""What a rule may ask: answered when asked, block by block, for any rows, and refused by name where not declared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from albench.benchmark import lesson
from albench.benchmark.query import FROM_THE_MODEL, Answers, Desk, SamePassesError, UndeclaredError
from albench.benchmark.seeds import generator
from albench.benchmark.types import Array, Derived, Draw, Features, Labels, Oracle, Query, Rows, View

N, C = 40, 3


@dataclass(eq=False)
class Counting:
    """A model that counts what it is asked; its probabilities follow from the first feature."""

    asked: list[int] = field(default_factory=list)
    drawn: list[int] = field(default_factory=list)

    def scores(self, inputs: Features) -> Features:
        self.asked.append(len(inputs))
        odds: Features = np.exp(np.outer(inputs[:, 0], np.arange(C))).astype(np.float32)
        probs: Features = odds / odds.sum(axis=1, keepdims=True)
        return probs

    def predict(self, inputs: Features) -> Labels:
        return np.asarray(self.scores(inputs).argmax(axis=1), dtype=np.int64)

    def hidden(self, inputs: Array) -> Array:
        return inputs[:, :1]

    def head(self) -> tuple[Features, Features]:
        return np.arange(C, dtype=np.float32)[None], np.zeros(C, np.float32)

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        self.drawn.append(K)
        return [partial(self._times, np.float32(rng.random())) for _ in range(K)]

    def _times(self, factor: np.float32, inputs: Features) -> Features:
        return self.scores(inputs * factor)


def query(needs: set[str], model: Counting | None = None, n: int = 3) -> Query:
    features = generator("query").normal(size=(N, 2)).astype(np.float32)
    labelled = np.array([7, 0, 21])
    rest = np.setdiff1d(np.arange(N), labelled)
    declared = frozenset(needs)
    answers = Answers(model, View(features), rest, declared, lambda: generator("passes")) if model else None
    rng, derived = generator("rule"), Derived(features, generator)
    return Query(features, labelled, labelled % C, rest, n, C, rng, derived, (3,), Desk(declared, answers))


QUESTIONS: dict[str, Callable[[Query], Any]] = {
    "scores or probabilities": lambda q: q.scores,
    "probabilities": lambda q: (q.probs, q.rowwise(np.max)),
    "passes": lambda q: (q.passes(2), q.rowwise_passes(2, np.max)),
    "hidden": lambda q: q.hidden,
    "head": lambda q: q.head,
    "learner": lambda q: q.fit(q.labelled, q.labels),
    "validation": lambda q: q.validation,
    "reveal": lambda q: q.reveal(1),
    "images": lambda q: q.images(q.labelled),
    "oracle": lambda q: q.oracle,
}


@pytest.mark.parametrize("asked", QUESTIONS)
def test_what_is_not_declared_is_refused_by_name(asked: str) -> None:
    need = asked.split(" or ", maxsplit=1)[0]
    said = rf"query\.\w+ asks for {asked}, and the rule declares labels; add needs={{'{need}'}}"
    with pytest.raises(UndeclaredError, match=said):
        QUESTIONS[asked](query({"labels"}, Counting()))


@pytest.mark.parametrize("need", FROM_THE_MODEL)
def test_of_and_predicted_come_with_any_need_of_the_model(need: str) -> None:
    asked = query({need}, Counting())
    assert np.array_equal(asked.predicted, asked.of(asked.unlabelled).predicted)


def test_one_need_does_not_open_another() -> None:
    asked = query({"hidden"}, Counting())
    with pytest.raises(UndeclaredError, match="asks for probabilities"):
        _ = asked.of(asked.labelled).probs


def test_what_is_declared_and_not_there_says_so() -> None:
    with pytest.raises(ValueError, match="no model yet"):
        _ = query({"probabilities"}).probs
    with pytest.raises(ValueError, match="has no validation"):
        _ = query({"validation"}).validation


def test_nothing_is_computed_before_it_is_asked_and_scores_only_once() -> None:
    model = Counting()
    asked = query({"probabilities"}, model)
    assert model.asked == []
    assert asked.probs is asked.scores
    assert len(model.asked) == 1


def test_arrays_are_read_only_float32_and_aligned_with_unlabelled() -> None:
    asked = query({"probabilities", "hidden", "passes", "head"}, Counting())
    whole = Counting().scores(asked.features)
    assert np.allclose(asked.probs, whole[asked.unlabelled])
    assert np.array_equal(asked.hidden, asked.features[asked.unlabelled, :1])
    shapes = {asked.probs.shape: asked.probs, asked.hidden.shape: asked.hidden, (2, N - 3, C): asked.passes(2)}
    for shape, array in shapes.items():
        assert (array.shape, str(array.dtype), array.flags.writeable) == (shape, "float32", False)
    own_arrays: list[np.ndarray[Any, Any]] = [asked.features, asked.labelled, asked.labels, asked.unlabelled]
    for own in own_arrays:
        with pytest.raises(ValueError, match="read-only"):
            own[0] = 0


@given(rows=st.lists(st.integers(0, N - 1), min_size=1, max_size=60), size=st.integers(1, 50))
def test_blocks_change_nothing(rows: list[int], size: int) -> None:
    """Whatever the rows, in whatever order and however often, and however many make a block."""
    asked, wanted = query({"probabilities", "passes"}, Counting()), np.array(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesson, "BLOCK_BYTES", size * asked.features[:1].nbytes)
        said = asked.of(wanted)
        assert np.allclose(said.probs, Counting().scores(asked.features)[wanted])
        assert np.allclose(said.rowwise(lambda p: p.max(axis=1)), said.probs.max(axis=1))
        assert np.allclose(said.rowwise_passes(2, lambda p: p.mean(axis=0)), said.passes(2).mean(axis=0))


def test_rows_that_lie_together_are_read_as_one_slice() -> None:
    view = View(np.arange(100.0).reshape(50, 2))
    (block,) = view.blocks(np.setdiff1d(np.arange(50), [3, 9]))
    assert np.shares_memory(block[1], view.array)
    (apart,) = view.blocks(np.arange(0, 50, 5))
    assert not np.shares_memory(apart[1], view.array)


def test_a_model_is_drawn_from_once_a_query() -> None:
    model = Counting()
    asked = query({"passes"}, model)
    asked.passes(3)
    asked.rowwise_passes(3, lambda p: p.mean(axis=0))
    asked.of(asked.labelled).of(asked.unlabelled).passes(3)
    assert model.drawn == [3]


class OfOneMind(Counting):
    """A model whose draws are all itself; with ``tell`` one of them is another from the 20th on."""

    tell = False

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        self.drawn.append(K)
        factors = [2.0 if self.tell and k == 20 else 1.0 for k in range(K)]
        return [partial(self._times, np.float32(factor)) for factor in factors]


def test_passes_that_do_not_differ_end_the_trial_with_the_reason() -> None:
    for ask in ("passes", "rowwise_passes"):
        with pytest.raises(SamePassesError, match=f"32 passes .* same of every row: {ask} has nothing to go by"):
            getattr(query({"passes"}, OfOneMind()), ask)(*([5] if ask == "passes" else [5, np.max]))


def test_passes_that_only_seem_not_to_differ_do_not() -> None:
    by_chance = OfOneMind()
    by_chance.tell = True  # as two bootstrap samples of few labels may be one
    assert query({"passes"}, by_chance).passes(5).shape == (5, N - 3, C)
    asked = query({"passes"}, OfOneMind())
    constant = Answers(OfOneMind(), View(np.ones((N, 2), np.float32)), asked.unlabelled, asked.desk.needs, generator)
    assert constant.passes(3).shape == (3, N - 3, C)  # all rows are alike, in every pass
    sure = Answers(
        OfOneMind(), View(-1e3 * (1 + np.abs(asked.features))), asked.unlabelled, asked.desk.needs, generator
    )
    assert constant.of(asked.unlabelled[:1]).passes(3).shape == (3, 1, C)
    assert np.isin(sure.passes(3), [0, 1]).all()


def test_passes_are_the_same_whenever_asked_and_the_first_of_more() -> None:
    asked = query({"passes"}, Counting())
    assert np.array_equal(asked.passes(3), asked.passes(3))
    assert np.array_equal(asked.passes(3), asked.passes(5)[:3])
    assert not np.array_equal(asked.passes(2)[0], asked.passes(2)[1])


def test_one_pass_is_one_function_of_all_rows() -> None:
    asked = query({"passes"}, Counting())
    everybody = np.arange(N)
    assert np.array_equal(asked.of(everybody).passes(2)[:, asked.unlabelled], asked.passes(2))


def test_rowwise_holds_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, seen = query({"probabilities"}, Counting()), []
    monkeypatch.setattr(lesson, "BLOCK_BYTES", 5 * asked.features[:1].nbytes)

    def widest(probs: Array) -> Array:
        seen.append(len(probs))
        return probs.max(axis=1)

    asked.rowwise(widest)
    assert max(seen) <= 5 * lesson.CLOSE


def test_lesson_gives_the_inputs_of_the_labelled_rows() -> None:
    rows: Rows = np.array([4, 2])
    features = np.arange(12, dtype=np.float32).reshape(6, 2)
    derived = Derived(features, generator)
    one = lesson.Lesson(View(features), rows, np.array([0, 1]), np.array([0, 1, 3, 5]), 2, generator("x"), derived)
    assert np.array_equal(one.inputs, features[rows])


def test_a_rule_that_asks_another_can_offer_it_a_part_of_the_rows() -> None:
    whole = query({"probabilities", "hidden", "learner"}, Counting())
    answers = whole.of(np.arange(N))
    fitted = replace(whole, desk=replace(whole.desk, fit=lambda rows, labels: answers))
    few = fitted.among(np.array([9, 2, 30]))
    assert few.unlabelled.tolist() == [2, 9, 30]
    assert not few.unlabelled.flags.writeable
    assert np.array_equal(few.probs, answers.probs[[2, 9, 30]])
    assert np.array_equal(few.hidden, answers.hidden[[2, 9, 30]])
    assert np.array_equal(few.fit(few.labelled, few.labels).probs, answers.probs[[2, 9, 30]])
    assert few.rng is whole.rng
    assert few.labelled is whole.labelled
    with pytest.raises(UndeclaredError, match="passes"):
        few.passes(2)


def test_a_rule_can_be_asked_as_if_the_pool_were_smaller() -> None:
    whole = query(
        {"probabilities", "hidden", "passes", "learner", "validation", "reveal", "images", "oracle"}, Counting()
    )
    labels, fitted = np.arange(N) % C, list[list[int]]()

    def fit(rows: Rows, given: Labels) -> Answers:
        fitted.append(rows.tolist())
        return whole.of(whole.unlabelled)

    desk = replace(
        whole.desk,
        fit=fit,
        validation=(np.array([5, 30]), np.array([2, 0])),
        reveal=lambda row: 100 + row,
        images=np.arange(N, dtype=np.uint8)[:, None, None, None],
        oracle=Oracle(labels, View(whole.features), labels),
    )
    few, kept = replace(whole, desk=desk).within(np.array([9, 2, 33]))
    assert kept.tolist() == [0, 2, 5, 7, 9, 21, 30, 33]
    assert kept[few.unlabelled].tolist() == [2, 9, 33]
    assert kept[few.labelled].tolist() == [7, 0, 21]
    assert (few.labels is whole.labels, few.rng is whole.rng, few.n) == (True, True, 3)
    assert np.array_equal(few.features, whole.features[kept])
    assert not few.features.flags.writeable
    there = whole.of(np.array([2, 9, 33]))
    assert np.array_equal(few.probs, there.probs)
    assert np.array_equal(few.hidden, there.hidden)
    assert np.array_equal(few.passes(3), there.passes(3))
    assert np.array_equal(few.of(few.labelled).probs, whole.of(whole.labelled).probs)
    assert np.array_equal(few.fit(few.labelled, few.labels).probs, there.probs)
    assert fitted == [[7, 0, 21]]
    assert [kept[few.validation[0]].tolist(), few.validation[1].tolist()] == [[5, 30], [2, 0]]
    assert few.reveal(few.unlabelled[1]) == 109
    assert few.images(few.unlabelled).ravel().tolist() == [2, 9, 33]
    assert few.oracle.labels.tolist() == labels[kept].tolist()
    assert len(few.oracle.test) == N
    seen = few.derived.get("a", lambda features, rng: {"features": features, "drawn": rng.random(2)})
    of_all = whole.derived.get("a", lambda features, rng: {"drawn": rng.random(2)})
    assert np.array_equal(seen["features"], few.features)
    assert np.array_equal(seen["drawn"], of_all["drawn"])


def test_a_model_answers_on_another_view_too() -> None:
    asked = query({"probabilities"}, Counting())
    test = View(np.linspace(-1, 1, 10, dtype=np.float32).reshape(5, 2))
    said = asked.of(asked.labelled).on(test)
    assert np.array_equal(said.probs, Counting().scores(test.array))
    assert said.predicted.shape == (5,)
    with pytest.raises(UndeclaredError, match="hidden"):
        _ = said.hidden

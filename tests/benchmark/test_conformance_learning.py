"""The suite over learners that are broken on purpose: each must be caught. `test_promises` runs it over our own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from albench.benchmark.conformance import calls
from albench.benchmark.conformance.checks import OF_LEARNERS, check_learner, check_named
from albench.benchmark.lesson import Draw, Lesson
from albench.benchmark.registry import UnknownNameError, learners
from albench.benchmark.types import Array, Features, Floats, Labels

GIVES = frozenset({"probabilities", "scores", "hidden", "head", "passes"})


@dataclass(eq=False)
class Honest:
    """Weights (D, C) and a bias (C,) of a softmax over the classes that are there."""

    weights: Floats
    bias: Floats

    def logits(self, inputs: Array) -> Floats:
        logits: Floats = inputs.astype(np.float64) @ self.weights + self.bias
        return logits

    def scores(self, inputs: Array) -> Features:
        logits = self.logits(inputs)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)

    def predict(self, inputs: Array) -> Labels:
        return np.asarray(self.scores(inputs).argmax(axis=1), np.int64)

    def hidden(self, inputs: Array) -> Array:
        return inputs

    def head(self) -> tuple[Features, Features]:
        return self.weights.astype(np.float32), self.bias.astype(np.float32)

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        noise = (rng.normal(scale=0.05, size=self.weights.shape) for _ in range(K))
        return [replace(self, weights=self.weights + each).scores for each in noise]


@dataclass(frozen=True)
class Learner:
    """Fits in a few steps of gradient descent; ``deed`` is its fault."""

    deed: Callable[[Learner, Lesson], object] = lambda *_: None
    model: type[Honest] = Honest
    gives: frozenset[str] = GIVES
    kept: dict[str, Any] = field(default_factory=dict)

    def fit(self, lesson: Lesson) -> Any:
        found = self.deed(self, lesson)
        return found if found is not None else trained(self, lesson, self.begin(lesson))

    def begin(self, lesson: Lesson) -> Floats:
        return 0.1 * lesson.rng.normal(size=(lesson.view.array.shape[1], lesson.n_classes))


def trained(learner: Learner, lesson: Lesson, weights: Floats) -> Honest:
    """Train these very weights, in place."""
    bias = np.where(np.isin(np.arange(lesson.n_classes), lesson.labels), 0.0, -np.inf)
    model, inputs = learner.model(weights, bias), lesson.inputs / max(1.0, np.abs(lesson.inputs).max())
    for _ in range(5):
        slope = Honest.scores(model, inputs) - np.eye(lesson.n_classes)[lesson.labels]
        weights -= inputs.T @ slope / len(inputs)
    return model


# Faults of a fit


def starts_from_a_reference(learner: Learner, lesson: Lesson) -> Honest:
    """As two public harnesses: the initial weights are kept, and are those that the training changes."""
    key = str((lesson.view.array.shape, lesson.n_classes))
    model = trained(learner, lesson, learner.kept.setdefault(key, learner.begin(lesson)))
    return replace(model, weights=model.weights.copy())


def trains_one_network(learner: Learner, lesson: Lesson) -> Honest:
    """The initial weights are right, and copied into the one network that every model shares."""
    weights = learner.begin(lesson)
    network = learner.kept.setdefault(str(weights.shape), weights.copy())
    network[...] = weights
    return trained(learner, lesson, network)


def goes_on_from_the_lesson_before(learner: Learner, lesson: Lesson) -> Honest:
    """A warm start that nobody declared; fitted twice on one lesson it is the same."""
    weights = learner.begin(lesson)
    before, mark = learner.kept.get("before"), float(lesson.inputs.sum())
    if before is not None and before[0] != mark and before[1].shape == weights.shape:
        weights = before[1].copy()
    model = trained(learner, lesson, weights)
    learner.kept["before"] = (mark, weights.copy())
    return model


def draws_from_numpy(_: Learner, __: Lesson) -> None:
    np.random.rand()  # noqa: NPY002 - the fault


def seeds_torch(_: Learner, lesson: Lesson) -> None:
    import torch

    torch.manual_seed(int(lesson.rng.integers(9)))


def takes_threads(_: Learner, __: Lesson) -> None:
    import torch

    torch.set_num_threads(torch.get_num_threads() + 1)


def unseeded(learner: Learner, lesson: Lesson) -> Honest:
    return trained(learner, lesson, learner.begin(replace(lesson, rng=np.random.default_rng())))


def writes_to_the_labels(_: Learner, lesson: Lesson) -> None:
    lesson.labels.sort()


def writes_to_the_pool(_: Learner, lesson: Lesson) -> None:
    lesson.view.array[0] += 1


def wants_two_classes(_: Learner, lesson: Lesson) -> None:
    if len(np.unique(lesson.labels)) < 2:
        raise ValueError("y has one class")


def wants_unlabelled_rows(_: Learner, lesson: Lesson) -> None:
    lesson.view.take(lesson.unlabelled).max()


def divides_by_a_scale(_: Learner, lesson: Lesson) -> None:
    lesson.inputs / lesson.inputs.std()


def reads_what_is_hidden(learner: Learner, lesson: Lesson) -> Honest | None:
    bench = sys._getframe(2).f_locals.get("self")
    return None if bench is None else trained(learner, lesson, learner.begin(lesson) + bench.pool.labels.mean())


def cannot_travel(learner: Learner, lesson: Lesson) -> Honest:
    model = trained(learner, lesson, learner.begin(lesson))
    model.__dict__["why"] = lambda: 0
    return model


# Faults of a model


class KeepsLabels(Honest):
    labels: Labels

    def predict(self, inputs: Array) -> Labels:
        return np.full(len(inputs), self.labels[0])


def keeps_the_labels(learner: Learner, lesson: Lesson) -> Honest:
    model = KeepsLabels(learner.begin(lesson), np.zeros(lesson.n_classes))
    model.labels = lesson.labels
    return model


class Believes(Honest):
    """A class without labels may be."""

    def logits(self, inputs: Array) -> Floats:
        return np.maximum(super().logits(inputs), -9)


class Doubles(Honest):
    def scores(self, inputs: Array) -> Features:
        return np.asarray(super().scores(inputs), np.float64)


class Nans(Honest):
    def scores(self, inputs: Array) -> Features:
        return super().scores(inputs) * np.float32(np.nan)


class Logits(Honest):
    def scores(self, inputs: Array) -> Features:
        return np.asarray(self.logits(inputs), np.float32)


class Decides(Honest):
    """Decision values, of classes without labels too."""

    def scores(self, inputs: Array) -> Features:
        return np.maximum(np.asarray(self.logits(inputs), np.float32), -9)


class Normalises(Honest):
    """Batch normalisation that was left in training mode."""

    def logits(self, inputs: Array) -> Floats:
        return super().logits((inputs - inputs.mean(axis=0)).astype(np.float32))


class Tempered(Honest):
    def head(self) -> tuple[Features, Features]:
        weights, bias = super().head()
        return weights / np.float32(2), bias


class Unbiased(Honest):
    def head(self) -> tuple[Features, Features]:
        return super().head()[0], np.zeros(len(self.bias), np.float32)


class Sure(Honest):
    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        return [self.scores] * K


class Elsewhere(Honest):
    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        return Honest(-9 * self.weights, self.bias).draws(K, rng)


class Backwards(Honest):
    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        return super().draws(K, rng)[::-1]


FAULTS: list[tuple[Learner, str, str]] = [
    (Learner(starts_from_a_reference), "fixed_by_the_generator", "fitted again with the same generator: other"),
    (Learner(starts_from_a_reference), "cold", "a reference to those in training?): other"),
    (Learner(trains_one_network), "cold", "fitting it changed the model that was fitted before"),
    (Learner(goes_on_from_the_lesson_before), "cold", "fitted again after another lesson"),
    (Learner(unseeded), "fixed_by_the_generator", "fitted again with the same generator: other"),
    (Learner(draws_from_numpy), "global_generators_untouched", "global generator of numpy.random"),
    (Learner(seeds_torch), "global_generators_untouched", "global generator of torch"),
    (Learner(takes_threads), "global_generators_untouched", "how many threads torch computes with"),
    (Learner(writes_to_the_labels), "lesson_unchanged", "fit() changed lesson.labels"),
    (Learner(writes_to_the_pool), "every_lesson", "fit() raised ValueError: "),
    (Learner(keeps_the_labels), "lesson_unchanged", "keep a copy: other predicted"),
    (Learner(wants_two_classes), "every_lesson", "one label (N=60, 1 labelled): fit() raised ValueError: y has one"),
    (Learner(wants_unlabelled_rows), "every_lesson", "all labelled (N=60, 60 labelled): fit() raised ValueError"),
    (Learner(divides_by_a_scale), "every_lesson", "constant inputs (N=60, 12 labelled): fit() raised RuntimeWarning"),
    (Learner(reads_what_is_hidden), "blind_to_hidden_labels", "with other hidden labels and another test set: other"),
    (Learner(cannot_travel), "travels", "pickle raised"),
    (Learner(model=Believes), "every_lesson", "gives a class without labels a probability other than 0"),
    (Learner(model=Doubles), "every_lesson", "scores() gives float64 of shape (60, 3) instead of float32"),
    (Learner(model=Nans), "every_lesson", "scores() gives NaN"),
    (Learner(model=Logits), "every_lesson", "probabilities that do not add up to 1"),
    (Learner(model=Decides, gives=frozenset({"scores"})), "every_lesson", "another value than -inf"),
    (Learner(model=Normalises), "row_by_row", "asked about some of the rows alone the model says other scores"),
    (Learner(model=Tempered), "head_gives_the_probabilities", "the head on what is hidden gives other probabilities"),
    (Learner(model=Unbiased), "head_gives_the_probabilities", "the bias must be -inf for classes without labels"),
    (Learner(model=Sure), "passes_around_the_probabilities", "of 12 passes 1 are distinct"),
    (Learner(model=Elsewhere), "passes_around_the_probabilities", "from the probabilities"),
    (Learner(model=Backwards), "passes_around_the_probabilities", "the first two of 12 passes are not the two of 2"),
    (Learner(gives=frozenset({"probabilties"})), "every_lesson", "gives names 'probabilties'; legal: scores"),
]


def named(value: object) -> str:
    return f"{value.deed.__name__}-{value.model.__name__}" if isinstance(value, Learner) else ""


def test_an_honest_learner_passes() -> None:
    assert [f"{r.name}: {r.message}" for r in check_learner(Learner()) if not r.passed] == []


@pytest.mark.parametrize(("learner", "check", "message"), FAULTS, ids=named)
def test_a_broken_learner_is_caught(learner: Learner, check: str, message: str) -> None:
    import torch

    threads = torch.get_num_threads()
    [result] = [r for r in check_learner(learner) if r.name == check]
    torch.set_num_threads(threads)
    assert not result.passed
    assert message in result.message
    assert "\n" not in result.message


SOURCE = """
import time
from dataclasses import dataclass
from albench.benchmark.learners.knn import KNN
from albench.benchmark.registry import learner

@learner("mine", cite="none")
@dataclass(frozen=True)
class Mine(KNN): ...

@learner("slow", cite="none")
@dataclass(frozen=True)
class Slow(KNN):
    def fit(self, lesson):
        time.sleep(60)

@learner("lacking", cite="none")
@dataclass(frozen=True)
class Lacking:
    model: str
"""


def test_a_learner_is_found_by_name_or_in_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_learners.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert learners.names()  # all are loaded: what is loaded below is forgotten
    monkeypatch.setattr(learners, "_plugins", dict(learners._plugins))
    for name in ("knn", "my_learners:Mine"):
        assert [(r.name, r.message) for r in check_named(name)] == [(check.__name__, "") for check in OF_LEARNERS]
    with pytest.raises(
        ValueError, match=r"Lacking has no default for model; say it: '\{name: my_learners:Lacking, model"
    ):
        check_named("my_learners:Lacking")
    with pytest.raises(UnknownNameError, match="unknown strategy or learner 'liner'; did you mean 'linear'"):
        check_named("liner")
    monkeypatch.setattr(calls, "LIMIT_S", 0.1)
    assert "fit() did not end within 0.1 s" in check_named("my_learners:Slow")[0].message

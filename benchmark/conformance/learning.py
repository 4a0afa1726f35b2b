"""The contract of a learner, check by check; each raises a `NonConformanceError`."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ..bench import Bench
from ..lesson import Headed, Hidden, Lesson, Model, Sees, Stochastic, needed_views, sees
from ..query import FROM_THE_MODEL
from ..seeds import generator
from ..types import Learner
from .calls import NonConformanceError, asked
from .lessons import NONSENSE, Case, cases, ordinary, other
from .state import shared_generators, states

ROUNDED = 1e-4
"""So far may answers be apart that differ by the order of sums in float32, and a sum of probabilities from 1."""
PASSES, DISTINCT = 12, 4
"""Of so many passes so many must be distinct: of four features dropout draws one of 16 masks."""
NEAR = 0.1
"""So far, on average over rows and classes, may the mean of the passes be from the probabilities."""

Check = Callable[[Learner], None]
Said = dict[str, NDArray[Any]]


def every_lesson(learner: Learner) -> None:
    """It fits one label, one class only, all labels, and other awkward lessons; what has no label is never predicted.

    Probabilities are 0 there, decision values -inf. Answers are (b,) int64 and (b, C) float32 without NaN.
    """
    if sees(learner) not in get_args(Sees):
        raise NonConformanceError(f"sees is {sees(learner)!r}; legal: {', '.join(get_args(Sees))}")
    if strange := sorted(frozenset(learner.gives) - {*FROM_THE_MODEL}):
        raise NonConformanceError(f"gives names {strange[0]!r}; legal: {', '.join(FROM_THE_MODEL)}")
    for case in cases(sees(learner)):
        _check_answers(_answers(_fit(learner, case), learner, case), learner, case)


def lesson_unchanged(learner: Learner) -> None:
    """Nothing is written to the lesson's arrays, and of those that are its own the model keeps none."""
    for case in _few(learner):
        lesson = case.lesson(0, needed_views(learner))
        before = {name: array.copy() for name, array in _arrays(lesson)}
        model = _fit(learner, case, lesson)
        for name, array in _arrays(lesson):
            if not np.array_equal(before[name], array):
                raise NonConformanceError(f"{case}: fit() changed lesson.{name}; copy an array before writing to it")
        said = _answers(model, learner, case)
        for _, array in _arrays(lesson):
            if array.flags.writeable:
                array[...] = NONSENSE
        found = "the model says something else when the lesson's arrays are written to; keep a copy"
        _same(said, _answers(model, learner, case), f"{case}: {found}")


def fixed_by_the_generator(learner: Learner) -> None:
    """The same generator gives the same bits: again, and from a fresh object."""
    fresh = copy.deepcopy(learner)
    for case in _few(learner):
        first, again = (_answers(_fit(learner, case), learner, case) for _ in range(2))
        _same(first, again, f"{case}: fitted again with the same generator")
        _same(first, _answers(_fit(fresh, case), fresh, case), f"{case}: a fresh object with the same generator")


def cold(learner: Learner) -> None:
    """A fit starts from weights that no other fit has changed, and changes no model that is there.

    Initial weights that are kept as a reference, not as a copy, are those of the training before.
    """
    case, between = ordinary(sees(learner)), other(sees(learner))
    model = _fit(learner, case)
    first = _answers(model, learner, case)
    _fit(learner, between)
    _same(first, _answers(model, learner, case), f"{between}: fitting it changed the model that was fitted before")
    _same(
        first,
        _answers(_fit(learner, case), learner, case),
        f"{case}: fitted again after another lesson (are the initial weights a reference to those in training?)",
    )


def global_generators_untouched(learner: Learner) -> None:
    """No draw from, and no seeding of, the generators that everybody shares; torch's threads are as many as before."""
    case = ordinary(sees(learner))
    _answers(_fit(learner, case), learner, case)  # what a first call loads may draw
    with shared_generators() as before:
        threads = _threads()
        _answers(_fit(learner, case), learner, case)
        used = [name for name, state in states().items() if state != before.get(name, state)]
        if _threads() != threads:
            raise NonConformanceError(f"{case}: fit() changed how many threads torch computes with")
    if used:
        raise NonConformanceError(
            f"{case}: fit() used the global generator of {used[0]}; draw from lesson.rng only, seed nothing"
        )


def blind_to_hidden_labels(learner: Learner) -> None:
    """Hidden labels and the test set change nothing: the same model where both are nonsense."""
    case = ordinary(sees(learner))

    def said(bench: Bench) -> Said:
        labels, unlabelled = bench.pool.labels[case.labelled], bench.unlabelled(case.labelled)
        with asked("fit()", str(case)):
            model = bench.fit(("conformance",), case.labelled, labels, unlabelled)
        return _answers(model, learner, case)

    clean, poisoned = (said(case.bench(learner, poisoned=poisoned)) for poisoned in (False, True))
    _same(clean, poisoned, f"{case}: with other hidden labels and another test set")


def row_by_row(learner: Learner) -> None:
    """What a model says of a row depends on no other row that it is asked about; it may be asked about none."""
    case = ordinary(sees(learner))
    model = _fit(learner, case)
    whole, part = _answers(model, learner, case), slice(7, 20)
    for name, array in _answers(model, learner, case, part).items():
        _near(
            _of(part, name, whole[name]),
            array,
            f"{case}: asked about some of the rows alone the model says other {name}",
        )
    if "hidden" in learner.gives:  # asked so, a model tells whether what it hides is the embedding itself
        with asked("hidden() of no rows", str(case)):
            cast(Hidden, model).hidden(case.inputs[:0])


def head_gives_the_probabilities(learner: Learner) -> None:
    """softmax(hidden @ weights + bias) are the probabilities; -inf is the bias of a class without labels."""
    if not {"hidden", "head"} <= learner.gives:
        return
    for case in _few(learner):
        said = _answers(_fit(learner, case), learner, case)
        weights, bias = said["head weights"], said["head bias"]
        for name in ("hidden", "head weights", "head bias"):
            if said[name].dtype != np.float32:
                raise NonConformanceError(f"{case}: {name} are {said[name].dtype} instead of float32")
        if np.flatnonzero(bias == -np.inf).tolist() != case.absent.tolist():
            raise NonConformanceError(f"{case}: the bias must be -inf for classes without labels, and for them alone")
        if "probabilities" in learner.gives:
            probs = softmax(said["hidden"].astype(np.float64) @ weights + bias, axis=1)
            _near(said["scores"], probs, f"{case}: the head on what is hidden gives other probabilities")


def passes_around_the_probabilities(learner: Learner) -> None:
    """Passes differ from each other and average to the probabilities; the first of K + 1 are those of K.

    Each is probabilities (b, C) float32, 0 for a class without labels, and sure where only one class has any.
    """
    if "passes" not in learner.gives:
        return
    for case in _few(learner):
        said = _answers(_fit(learner, case), learner, case)["passes"]
        _check_probabilities(said, case, "a pass")
        if len(case.absent) == case.n_classes - 1 and not (said.max(axis=2) == 1).all():
            raise NonConformanceError(f"{case}: a pass doubts the only class that has labels")
    case = ordinary(sees(learner))
    model = _fit(learner, case)
    probs, said = model.scores(case.inputs), _drawn(model, case, PASSES)
    if not np.array_equal(said[:2], _drawn(model, case, 2)):
        raise NonConformanceError(f"{case}: the first two of {PASSES} passes are not the two of 2")
    if (found := len(np.unique(said.reshape(PASSES, -1), axis=0))) < DISTINCT:
        raise NonConformanceError(f"{case}: of {PASSES} passes {found} are distinct; each is a draw of its own")
    error = said.std(axis=0, ddof=1).mean() / np.sqrt(PASSES)
    if (off := float(np.abs(said.mean(axis=0) - probs).mean())) > NEAR + 2 * error:
        raise NonConformanceError(f"{case}: the mean of {PASSES} passes is {off:.2f} from the probabilities")


def travels(learner: Learner) -> None:
    """A model can be pickled, and says the same where it arrives: workers are processes."""
    case = ordinary(sees(learner))
    model = _fit(learner, case)
    with asked("pickle", str(case)):
        arrived = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
    _same(_answers(model, learner, case), _answers(arrived, learner, case), f"{case}: once pickled")


def _few(learner: Learner) -> Iterator[Case]:
    """Yield the lessons on which what does not depend on the lesson is looked at."""
    wanted = ("ordinary lesson", "one class only", "a validation set")
    return (case for case in cases(sees(learner)) if case.name in wanted)


def _fit(learner: Learner, case: Case, lesson: Lesson | None = None) -> Model:
    with asked("fit()", str(case)):
        return learner.fit(lesson or case.lesson(0, needed_views(learner)))


def _answers(model: Model, learner: Learner, case: Case, part: slice = slice(None)) -> Said:
    """Return, by name, all that a model says of (a part of) the inputs of a case; of the passes two."""
    inputs = case.inputs[part]
    with asked("the model", str(case)):
        said = {"predicted": model.predict(inputs)}
        if {"scores", "probabilities"} & learner.gives:
            said["scores"] = model.scores(inputs)
        if "hidden" in learner.gives:
            said["hidden"] = cast(Hidden, model).hidden(inputs)
        if "head" in learner.gives:
            said["head weights"], said["head bias"] = cast(Headed, model).head()
        if "passes" in learner.gives:
            said["passes"] = _drawn(model, case, 2, part)
    return {name: np.array(array) for name, array in said.items()}


def _drawn(model: Model, case: Case, K: int, part: slice = slice(None)) -> NDArray[Any]:
    """Return K passes over (a part of) the inputs, (K, b, C)."""
    with asked("draws()", str(case)):
        draws = cast(Stochastic, model).draws(K, generator("conformance", "passes"))
        return np.stack([draw(case.inputs[part]) for draw in draws])


def _check_answers(said: Mapping[str, NDArray[Any]], learner: Learner, case: Case) -> None:
    predicted, N = said["predicted"], len(case.inputs)
    if predicted.dtype != np.int64 or predicted.shape != (N,):
        raise NonConformanceError(f"{case}: predict() gives {_shape(predicted)} instead of int64 of shape ({N},)")
    if not np.isin(predicted, case.hidden[case.labelled]).all():
        raise NonConformanceError(f"{case}: predict() gives a class that has no label")
    if "scores" not in said:
        return
    scores = said["scores"]
    if scores.dtype != np.float32 or scores.shape != (N, case.n_classes):
        expected = f"float32 of shape ({N}, {case.n_classes})"
        raise NonConformanceError(f"{case}: scores() gives {_shape(scores)} instead of {expected}")
    if np.isnan(scores).any():
        raise NonConformanceError(f"{case}: scores() gives NaN")
    if "probabilities" in learner.gives:
        _check_probabilities(scores, case, "scores()")
    elif not (scores[:, case.absent] == -np.inf).all():
        raise NonConformanceError(f"{case}: scores() gives a class without labels another value than -inf")


def _check_probabilities(probs: NDArray[Any], case: Case, what: str) -> None:
    if probs.dtype != np.float32:
        raise NonConformanceError(f"{case}: {what} gives {probs.dtype} instead of float32")
    if not (np.abs(probs.sum(axis=-1) - 1) <= ROUNDED).all():
        raise NonConformanceError(f"{case}: {what} gives probabilities that do not add up to 1")
    if probs[..., case.absent].any():
        raise NonConformanceError(f"{case}: {what} gives a class without labels a probability other than 0")


def _of(part: slice, name: str, said: NDArray[Any]) -> NDArray[Any]:
    """Return what was said of a part of the rows."""
    if name.startswith("head"):
        return said
    return said[:, part] if name == "passes" else said[part]


def _arrays(lesson: Lesson) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "view.array", lesson.view.array
    yield from ((name, getattr(lesson, name)) for name in ("rows", "labels", "unlabelled"))
    for kind in ("weak", "strong"):
        yield from ((f"{kind}[{v}].array", view.array) for v, view in enumerate(getattr(lesson, kind)))
    if lesson.validation is not None:
        yield from zip(("validation[0]", "validation[1]"), lesson.validation, strict=True)


def _same(mine: Said, theirs: Said, what: str) -> None:
    for name, array in mine.items():
        if not np.array_equal(array, theirs[name], equal_nan=array.dtype.kind == "f"):
            raise NonConformanceError(f"{what}: other {name}")


def _near(mine: NDArray[Any], theirs: NDArray[Any], what: str) -> None:
    if not np.allclose(mine, theirs, rtol=ROUNDED, atol=ROUNDED):
        raise NonConformanceError(what)


def _shape(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _threads() -> int | None:
    """Return with how many threads torch computes, where it is loaded."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else None

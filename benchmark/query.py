"""What a selection rule may ask: `Query`, version 2.

Each question beyond the pool itself is declared by the rule (``needs``), answered when it is first asked, and refused
by name where it was not declared. Arrays are numpy and read-only at this border, wherever they were computed. Hidden
labels are behind no question but ``reveal`` and ``oracle``, which every table marks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from . import device
from .lesson import Draw, Headed, Hidden, Model, Stochastic, View
from .values import Array, Derived, Features, Labels, Rows

FROM_THE_MODEL = ("scores", "probabilities", "passes", "snapshots", "hidden", "head")
"""What a learner may give (its ``gives``) and a rule may need of the current model.

``snapshots`` says of passes that they are the model at several times of one training.
"""

FROM_THE_TRIAL = ("labels", "learner", "validation", "reveal", "images", "oracle")
"""What a rule may need besides: a label to begin with, the trial's own learner, a set the budget paid for, ..."""

WITHOUT_LABELS = frozenset({"validation", "reveal", "images", "oracle"})
"""Needs that can be met while nothing is labelled; a rule with any other buys its first batch as ``random`` does."""

T = TypeVar("T")
RowWise = Callable[[Array], Array]
"""From probabilities (b, C), numpy or tensor, to one answer a row, (b, ...), in the same library."""


class UndeclaredError(RuntimeError):
    """A rule asked for what it has not declared."""


class SamePassesError(RuntimeError):
    """The passes of a model are all one."""


PROBE, ENOUGH = 256, 32
"""So many rows are looked at, and so many draws made, before it is said that the draws of a model do not differ."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of some ``rows`` of the pool, (U,); computed when first read, block by block where it lives."""

    model: Model
    view: View
    rows: Rows
    needs: frozenset[str]
    rng: Callable[[], np.random.Generator]
    drawn: dict[int, Sequence[Draw]] = field(default_factory=dict, repr=False)
    """The draws made so far, by how many: to make them may be K fits."""

    @cached_property
    def scores(self) -> Features:
        """Class scores (U, C) float32: the probabilities where the learner gives them, else decision values."""
        _declared("scores", self.needs, "scores", "probabilities")
        return self._by_block(self.model.scores)

    @property
    def probs(self) -> Features:
        """Class probabilities (U, C) float32."""
        _declared("probs", self.needs, "probabilities")
        return self.scores

    @cached_property
    def predicted(self) -> Labels:
        """The predicted class of each row, (U,)."""
        return self._by_block(self.model.predict)

    def rowwise(self, f: RowWise) -> NDArray[Any]:
        """Return ``f`` of the probabilities, (U, ...); only a block of them is held at once."""
        _declared("rowwise", self.needs, "probabilities")
        return self._by_block(lambda inputs: f(self.model.scores(inputs)))

    def passes(self, K: int) -> NDArray[np.float32]:
        """Return the probabilities of K draws of the model, (K, U, C) float32; one draw is one function of all rows.

        The same K draws whenever they are asked for in this query, and the first of K + 1 are those of K.
        """
        draws = self._draws("passes", K)
        return self._by_block(lambda inputs: _stacked(draws, inputs), axis=1)

    def rowwise_passes(self, K: int, f: RowWise) -> NDArray[Any]:
        """Return ``f`` of each block (K, b, C) of the passes, (U, ...), for what needs no two rows at once."""
        draws = self._draws("rowwise_passes", K)
        return self._by_block(lambda inputs: f(_stacked(draws, inputs)))

    @cached_property
    def hidden(self) -> Features:
        """What the model's last layer sees, (U, H) float32; for a linear head the embedding itself."""
        _declared("hidden", self.needs, "hidden")
        hidden, none = cast(Hidden, self.model).hidden, self.view.take(slice(0, 0))
        if hidden(none) is none:  # it sees what it is given: nothing to compute or to copy
            whole = len(self.rows) == len(self.view) and bool((np.diff(self.rows) == 1).all())
            seen: Features = self.view.array if whole else self.view.array[self.rows]
            seen.setflags(write=False)
            return seen
        return self._by_block(hidden)

    @property
    def head(self) -> tuple[Features, Features]:
        """Weights (H, C) and bias (C,): probs = softmax(hidden @ W + b)."""
        _declared("head", self.needs, "head")
        weights, bias = (device.fetch(array).view() for array in cast(Headed, self.model).head())
        weights.setflags(write=False)  # a view: the model may go on to write to its own
        bias.setflags(write=False)
        return weights, bias

    def of(self, rows: Rows) -> Answers:
        """Return what the same model says of other rows of the pool, the labelled ones too."""
        return Answers(self.model, self.view, rows, self.needs, self.rng, self.drawn)

    def within(self, kept: Rows) -> Answers:
        """Return what the same model says where these rows, ascending, are the pool, and numbered so."""
        view, rows = View(self.view.array[kept]), np.flatnonzero(np.isin(kept, self.rows))
        return Answers(self.model, view, rows, self.needs, self.rng, self.drawn)

    def on(self, view: View) -> Answers:
        """Return what the same model says of all rows of another view, an oracle's test set say."""
        return Answers(self.model, view, np.arange(len(view)), self.needs, self.rng)

    def _draws(self, question: str, K: int) -> Sequence[Draw]:
        _declared(question, self.needs, "passes")
        if K not in self.drawn:
            model = cast(Stochastic, self.model)
            self.drawn[K] = model.draws(K, self.rng())
            if self._are_one(self.drawn[K]) and self._are_one(model.draws(ENOUGH, self.rng())):
                raise SamePassesError(
                    f"{ENOUGH} passes of the model say the same of every row: {question} has nothing to go by; "
                    "the learner's draws must differ"
                )
        return self.drawn[K]

    def _are_one(self, draws: Sequence[Draw]) -> bool:
        """Return whether all draws say the same, and more than that all rows are alike or sure."""
        inputs = self.view.take(self.rows[:: max(1, len(self.rows) // PROBE)])
        first = device.fetch(draws[0](inputs))
        if any(not np.array_equal(first, device.fetch(draw(inputs))) for draw in draws[1:]):
            return False
        return bool((first != first[:1]).any() and ((first > 0) & (first < 1)).any())

    def _by_block(self, f: Callable[[Array], Array], axis: int = 0) -> NDArray[Any]:
        """Return ``f`` of the inputs of all rows, read-only; ``axis`` is that of the rows in its answers."""
        found: NDArray[Any] | None = None
        for positions, inputs, meant in self.view.blocks(self.rows):
            answer = device.fetch(f(inputs))
            answer = answer if meant is None else answer.take(meant, axis)
            if found is None:  # filled in place: never two copies of all answers
                shape = list(answer.shape)
                shape[axis] = len(self.rows)
                found = np.empty(shape, np.float32 if answer.dtype == np.float64 else answer.dtype)
            found[(slice(None),) * axis + (positions,)] = answer
        if found is None:
            raise ValueError("a model was asked about no rows")
        found.setflags(write=False)
        return found


@dataclass(frozen=True, eq=False)
class Oracle:
    """All that is hidden: labels (N,) of the pool, and the test set as a model sees it. For upper bounds only."""

    labels: Labels
    test: View
    test_labels: Labels

    def correct(self, model: Answers) -> int:
        """Return how many rows of the test set a model tells right."""
        return int(np.count_nonzero(model.on(self.test).predicted == self.test_labels))


@dataclass(frozen=True, eq=False)
class Desk:
    """What stands behind a query; only what the rule has declared is there."""

    needs: frozenset[str] = frozenset()
    model: Answers | None = None
    fit: Callable[[Rows, Labels], Answers] | None = None
    validation: tuple[Rows, Labels] | None = None
    reveal: Callable[[int], int] | None = None
    images: NDArray[np.uint8] | None = None
    oracle: Oracle | None = None


class Batch(NamedTuple):
    """Rows (n,) bought at once, in order; ``chosen_by`` are the rules that chose each, (n,), by their labels.

    It is empty where the rule that was asked chose itself, and for initial labels.
    """

    rows: Rows
    chosen_by: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Query:
    """All that a rule may know when it buys ``n`` rows.

    ``features`` (N, D) float32 are the pool's. ``labelled`` is in order of purchase and ``labels`` beside it;
    ``unlabelled`` (U,) is ascending; ``purchases`` are the sizes bought so far, the initial labels first. ``chosen_by``
    says of each labelled row which rule chose it (`Batch`), "" where the rule that was asked did. All arrays are
    read-only.
    """

    features: Features
    labelled: Rows
    labels: Labels
    unlabelled: Rows
    n: int
    n_classes: int
    rng: np.random.Generator
    derived: Derived
    purchases: tuple[int, ...] = ()
    desk: Desk = field(default=Desk(), repr=False)
    chosen_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for array in (self.features, self.labelled, self.labels, self.unlabelled, *(self.desk.validation or ())):
            array.setflags(write=False)

    @property
    def scores(self) -> Features:
        """Class scores (U, C) of the unlabelled rows; `Answers.scores`."""
        return self._model("scores", "scores", "probabilities").scores

    @property
    def probs(self) -> Features:
        """Class probabilities (U, C); `Answers.probs`."""
        return self._model("probs", "probabilities").probs

    @property
    def predicted(self) -> Labels:
        """The predicted class of each unlabelled row, (U,)."""
        return self._model("predicted", *FROM_THE_MODEL).predicted

    def rowwise(self, f: RowWise) -> NDArray[Any]:
        """Return ``f`` of the probabilities of the unlabelled rows; `Answers.rowwise`."""
        return self._model("rowwise", "probabilities").rowwise(f)

    def passes(self, K: int) -> NDArray[np.float32]:
        """Return the probabilities (K, U, C) of K draws of the model; `Answers.passes`."""
        return self._model("passes", "passes").passes(K)

    def rowwise_passes(self, K: int, f: RowWise) -> NDArray[Any]:
        """Return ``f`` of each block of the passes; `Answers.rowwise_passes`."""
        return self._model("rowwise_passes", "passes").rowwise_passes(K, f)

    @property
    def hidden(self) -> Features:
        """What the model's last layer sees of the unlabelled rows, (U, H); `Answers.hidden`."""
        return self._model("hidden", "hidden").hidden

    @property
    def head(self) -> tuple[Features, Features]:
        """Weights (H, C) and bias (C,) of the last layer; `Answers.head`."""
        return self._model("head", "head").head

    def of(self, rows: Rows) -> Answers:
        """Return what the current model says of other rows, the labelled ones too."""
        return self._model("of", *FROM_THE_MODEL).of(rows)

    def fit(self, rows: Rows, labels: Labels) -> Answers:
        """Fit the trial's own learner on other labels; its seconds count as those of the selection."""
        return self._given("fit", "learner", self.desk.fit)(rows, labels)

    @property
    def validation(self) -> tuple[Rows, Labels]:
        """Rows (V,) and labels (V,) of the set that the budget paid for; they are neither labelled nor unlabelled."""
        return self._given("validation", "validation", self.desk.validation)

    def reveal(self, row: int) -> int:
        """Return the label of a row of this batch at once: the row must then be among those bought."""
        return self._given("reveal", "reveal", self.desk.reveal)(int(row))

    def images(self, rows: Rows) -> NDArray[np.uint8]:
        """Return the images of rows, (b, height, width, channels) uint8."""
        taken = self._given("images", "images", self.desk.images)[rows]
        taken.setflags(write=False)
        return taken

    @property
    def oracle(self) -> Oracle:
        """What is hidden from everybody else."""
        return self._given("oracle", "oracle", self.desk.oracle)

    def among(self, rows: Rows) -> Query:
        """Return the same query with only these of the unlabelled rows to choose from, for a rule that asks another."""
        desk, rows = self.desk, np.sort(rows)
        fit, model = desk.fit, desk.model
        narrower = replace(
            desk,
            model=None if model is None else model.of(rows),
            fit=None if fit is None else lambda others, labels: fit(others, labels).of(rows),
        )
        return replace(self, unlabelled=rows, desk=narrower)

    def within(self, rows: Rows) -> tuple[Query, Rows]:
        """Return the same query as if there were no other unlabelled rows, and which rows of the pool are its rows."""
        desk = self.desk
        apart = () if desk.validation is None else desk.validation
        kept = np.sort(np.concatenate([self.labelled, rows, *apart[:1]]))
        fit, reveal = desk.fit, desk.reveal
        smaller = replace(
            desk,
            model=None if desk.model is None else desk.model.of(np.sort(rows)).within(kept),
            fit=None if fit is None else lambda some, labels: fit(kept[some], labels).of(np.sort(rows)).within(kept),
            validation=(np.searchsorted(kept, apart[0]), apart[1]) if apart else None,
            reveal=None if reveal is None else lambda row: reveal(int(kept[row])),
            images=None if desk.images is None else desk.images[kept],
            oracle=None if desk.oracle is None else replace(desk.oracle, labels=desk.oracle.labels[kept]),
        )
        there = replace(
            self,
            features=self.features[kept],
            labelled=np.searchsorted(kept, self.labelled),
            unlabelled=np.searchsorted(kept, np.sort(rows)),
            derived=self.derived.within(kept),
            desk=smaller,
        )
        return there, kept

    def _model(self, question: str, *needs: str) -> Answers:
        _declared(question, self.desk.needs, *needs)
        if self.desk.model is None:
            raise ValueError("there is no model yet: nothing is labelled")
        return self.desk.model

    def _given(self, question: str, need: str, there: T | None) -> T:
        _declared(question, self.desk.needs, need)
        if there is None:
            raise ValueError(f"this trial has no {need}")
        return there


class Strategy(Protocol):
    """A frozen dataclass whose fields are its parameters.

    A rule that is one score a row has ``score(query)`` besides, (U,), larger first, and others are composed over it.
    One that changes the training of its rounds has ``pseudo_labels(query, rows)``: rows and labels that are added to
    the training of this round, and not bought. One that needs a model may have a rule ``beginning``, which buys in its
    place while nothing is labelled; else that is `random`.
    """

    def select(self, query: Query) -> Rows:
        """Return exactly ``query.n`` distinct rows of ``query.unlabelled``, fixed by ``query.rng``."""


@runtime_checkable
class Scored(Strategy, Protocol):
    """A rule that is one score a row."""

    def score(self, query: Query) -> NDArray[Any]:
        """Return the score of each unlabelled row, (U,); the largest are bought first."""


@runtime_checkable
class Chooser(Strategy, Protocol):
    """A rule that leaves its rows to other rules; the record says which of them chose which row."""

    def choose(self, query: Query) -> Batch:
        """Return the rows that `select` returns, and the rule that chose each."""


def _declared(question: str, declared: frozenset[str], *needs: str) -> None:
    if not declared.intersection(needs):
        has = ", ".join(sorted(declared)) or "nothing"
        raise UndeclaredError(
            f"query.{question} asks for {' or '.join(needs)}, and the rule declares {has}; add needs={{{needs[0]!r}}}"
        )


def _stacked(draws: Sequence[Draw], inputs: Array) -> Array:
    """Return what each draw says of the inputs, (K, b, C), in the library of the answers."""
    said = [draw(inputs) for draw in draws]
    return array_namespace(*said).stack(said)

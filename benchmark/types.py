"""The nouns of albench: frozen values and protocols, on numpy alone.

Axes, by name: N rows of the pool, M rows of any matrix, D features, C classes, U unlabelled rows, n rows to buy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""Row numbers of the pool: the only index space. Positions inside ``unlabelled`` never leave a function."""
Features = NDArray[np.float32]
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

CAPABILITIES = ("probabilities", "scores", "head")
"""What a learner may give and a strategy may need.

``probabilities``: graded class probabilities. ``scores``: one number per class whose order is the prediction
(probabilities or decision values). ``head``: a differentiable linear head on the embedding, with probabilities.
"""


FULL_DATA = "full-data"
"""Reserved budget name: one fit on the whole pool, the upper anchor of every report (its strategy is ``random``)."""


class UserError(Exception):
    """What a user can mend: ``str()`` is one line per problem. The program ends with ``exit_status``, no traceback."""

    exit_status = 2


class Outcome(StrEnum):
    """How a trial ended. A closed set: values are added, never removed."""

    DONE = "done"
    FAILED = "failed"  # its own error, recorded once with its traceback
    TIMEOUT = "timeout"  # longer than the grid's resources allow
    OOM = "out-of-memory"
    UNSUPPORTED = "unsupported"  # known before the run; the reason says what is missing
    LOST = "lost"  # infrastructure (worker, node) died under it more often than the retries allow


def canonical_json(value: object) -> str:
    """Text that is equal exactly when the values are: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class Count:
    """A number of labels: absolute, or per class."""

    number: int
    per_class: bool = False

    def resolve(self, n_classes: int) -> int:
        return self.number * n_classes if self.per_class else self.number

    def __str__(self) -> str:
        return f"{self.number}/class" if self.per_class else str(self.number)


@dataclass(frozen=True)
class Segment:
    """``rounds`` purchases of ``query`` labels each; ``rounds=None`` goes on until the pool is empty."""

    query: Count
    rounds: int | None


@dataclass(frozen=True)
class Budget:
    """A named schedule: the initial labels, then purchases segment by segment.

    ``initial_by`` says who buys the initial labels: ``random`` (uniform) or ``stratified`` (equally per class, from
    the hidden labels, the same for every strategy).
    """

    name: str
    initial: Count
    segments: tuple[Segment, ...]
    initial_by: Literal["random", "stratified"] = "random"

    def purchases(self, pool_size: int, n_classes: int) -> list[int]:
        """Sizes of all purchases after the initial labels; the last of ``rounds: all`` takes what is left.

        Raises
        ------
        ValueError
            When the schedule asks for more labels than the pool holds.
        """
        left = pool_size - self.initial.resolve(n_classes)
        sizes: list[int] = []
        for segment in self.segments:
            query = segment.query.resolve(n_classes)
            rounds = -(-max(left, 0) // query) if segment.rounds is None else segment.rounds
            asked = min(query * rounds, left) if segment.rounds is None else query * rounds
            if asked <= left:
                sizes += [query] * (asked // query) + [asked % query] * (asked % query > 0)
            left -= asked
        if left < 0:
            asked = pool_size - left
            raise ValueError(f"budget {self.name!r} asks for {asked} labels, the pool holds {pool_size}")
        return sizes

    def identity(self) -> dict[str, Any]:
        """What the trial id covers: the schedule, not its name."""
        return {
            "initial": str(self.initial),
            "initial_by": self.initial_by,
            "segments": [[str(s.query), s.rounds] for s in self.segments],
        }


@dataclass(frozen=True)
class Resources:
    """What one trial may use. Threads of BLAS and torch follow ``num_cpus``; ``timeout`` is in seconds, per trial."""

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    timeout: float | None = None

    @property
    def threads(self) -> int:
        return max(1, int(self.num_cpus))


@dataclass(frozen=True)
class Part:
    """A plugin with its parameters, as a trial names it.

    ``params`` is the canonical JSON of every parameter, defaults included, paths of this machine left out.
    ``label`` is what tables print: the name with the parameters that are not at their default. Labels are
    presentation: they are not part of any identity.
    """

    name: str
    params: str = "{}"
    version: int = 1
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.name)

    def identity(self) -> list[Any]:
        return [self.name, json.loads(self.params), self.version]


@dataclass(frozen=True)
class Trial:
    """One cell of the grid for one seed. Nothing about the machine is in it.

    ``fingerprint`` is the content address of the embedded data (see ``datasets/embeddings/store.py``).
    """

    dataset: Part
    embedding: Part
    learner: Part
    strategy: Part
    budget: Budget
    seed: int
    fingerprint: str

    @cached_property
    def trial_id(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON of everything that decides the numbers."""
        identity = [*self._shared(), self.strategy.identity()]
        return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]

    @cached_property
    def start_id(self) -> str:
        """The id of the state that all strategies share: the same initial labels, split, learner and seed."""
        return hashlib.sha256(canonical_json(self._shared()).encode()).hexdigest()[:16]

    def _shared(self) -> list[Any]:
        return [
            self.dataset.identity(),
            self.embedding.identity(),
            self.fingerprint,
            self.learner.identity(),
            self.budget.identity(),
            self.seed,
        ]

    def names(self, purpose: str, round_: int) -> tuple[str | int, ...]:
        """The names a random draw of this trial derives its Generator from (``seeds.generator``).

        Strategy, learner and embedding are left out on purpose: draws are common to all of them (paired).
        """
        return (self.dataset.name, self.dataset.params, self.seed, purpose, round_)


Arrays = Mapping[str, NDArray[Any]]

Keep = Callable[[str, Callable[[], Arrays]], Arrays]
"""``keep(key, compute)`` returns what is kept under the key, or keeps what ``compute()`` gives."""


class Derived:
    """Artefacts of one pool's features, each computed once and then shared by all rounds, trials and strategies.

    ``keep`` is where they are kept for other processes; without it they live as long as this object.
    """

    def __init__(
        self, features: Features, generator: Callable[[str], np.random.Generator], keep: Keep | None = None
    ) -> None:
        self._features = features
        self._generator = generator
        self._keep = keep or (lambda _, compute: compute())
        self._artefacts: dict[str, Arrays] = {}

    def get(self, key: str, compute: Callable[[Features, np.random.Generator], Arrays]) -> Arrays:
        """Return the arrays ``compute(features, rng)``, read-only, remembered under ``key``.

        ``rng`` is derived from ``key`` alone. The key holds all else that decides the answer, and a version number of
        the algorithm (``unit-rows/1``): what an older one left on disk must not be taken for it.
        """
        if key not in self._artefacts:
            arrays = self._keep(key, lambda: compute(self._features, self._generator(key)))
            for array in arrays.values():
                array.setflags(write=False)
            self._artefacts[key] = MappingProxyType(arrays)
        return self._artefacts[key]


@dataclass(frozen=True, eq=False)
class Pool:
    """One embedded dataset: features (N, D), test features (M, D), and the hidden labels of both.

    All arrays are read-only. Only the oracle (the loop) reads ``labels``; only the scorer reads ``test_labels``.
    """

    features: Features
    labels: Labels
    test_features: Features
    test_labels: Labels
    class_names: tuple[str, ...]
    derived: Derived

    def __post_init__(self) -> None:
        for array in (self.features, self.labels, self.test_features, self.test_labels):
            array.setflags(write=False)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    def __len__(self) -> int:
        return len(self.features)


class Model(Protocol):
    """A fitted learner. Columns are all C classes; a class without a label gets probability 0 (decision value -inf)."""

    def predict(self, features: Features) -> Labels:
        """Return the predicted class of each row, (M,)."""

    def scores(self, features: Features) -> Floats:
        """Return class scores (M, C): the probabilities where the learner gives them, else decision values."""


class Learner(Protocol):
    """A frozen dataclass whose fields are its parameters."""

    @property
    def gives(self) -> frozenset[str]:
        """Some of ``CAPABILITIES``; may depend on the parameters."""

    def fit(self, features: Features, labels: Labels, n_classes: int, rng: np.random.Generator) -> Model:
        """Fit from scratch on features (M, D) and labels (M,) in [0, C); at least one row, perhaps one class only."""


@dataclass(frozen=True, eq=False)
class Query:
    """All that a strategy may know when it buys ``n`` rows. Hidden labels are not in it.

    ``labelled`` is in order of purchase and ``labels`` beside it; ``unlabelled`` is ascending. What needs the
    current model is computed when first read and costs nothing otherwise.
    """

    features: Features
    labelled: Rows
    labels: Labels
    unlabelled: Rows
    n: int
    n_classes: int
    rng: np.random.Generator
    derived: Derived
    model: Model | None = None

    @cached_property
    def scores(self) -> Floats:
        """Class scores (U, C) of the unlabelled rows under the current model, aligned with ``unlabelled``."""
        if self.model is None:
            raise ValueError("this query has no model: the labelled set is empty, or the strategy declared no need")
        return self.model.scores(self.features)[self.unlabelled]

    @property
    def probs(self) -> Floats:
        """Class probabilities (U, C); a strategy that reads them declares the need ``probabilities``."""
        return self.scores


class Strategy(Protocol):
    """A frozen dataclass whose fields are its parameters."""

    def select(self, query: Query) -> Rows:
        """Return exactly ``query.n`` distinct rows of ``query.unlabelled``, fixed by ``query.rng``."""


@dataclass(frozen=True)
class Scores:
    """What a fitted model is worth on the test set. None where the learner gives no probabilities."""

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    nll: float | None
    ece: float | None


@dataclass(frozen=True, eq=False)
class Round:
    """The state after the strategy's r-th purchase. Round 0 is the initial labelled set; when empty it has no row.

    ``selected`` are the rows bought in this round, in order; ``bought_by`` is ``initial``, ``strategy`` or
    ``random`` (a rule that needs labels met an empty labelled set and bought exactly as ``random`` does).
    Seconds are wall time; ``peak_rss_mb`` is the peak of the process so far, in MiB.
    """

    index: int
    selected: Rows
    n_labelled: int
    class_counts: NDArray[np.int32]
    bought_by: Literal["initial", "strategy", "random"]
    scores: Scores
    select_s: float
    fit_s: float
    eval_s: float
    peak_rss_mb: float


@dataclass(frozen=True)
class TrialEnd:
    """How one attempt at a trial ended."""

    trial_id: str
    outcome: Outcome
    reason: str = ""
    traceback: str = ""
    wall_s: float = 0.0
    attempts: int = 1
    host: str = ""
    device: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

"""The nouns of albench: frozen values and protocols, on numpy alone.

All of them can be imported from here; arrays are named in ``values``, what a rule may ask is in ``query``, what a
learner may know in ``lesson``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .device import Used
from .lesson import Draw, Learner, Lesson, Model, View
from .query import Answers, Batch, Chooser, Oracle, Query, Scored, Strategy
from .text import clean, spelled
from .values import Array, Arrays, Derived, Features, Floats, Keep, Labels, Predicted, Rows, UserError, canonical_json

__all__ = [
    "FULL_DATA",
    "Answers",
    "Array",
    "Arrays",
    "Batch",
    "Budget",
    "Chooser",
    "Count",
    "Derived",
    "Draw",
    "Features",
    "Floats",
    "Keep",
    "Labels",
    "Learner",
    "Lesson",
    "Model",
    "Oracle",
    "Outcome",
    "Part",
    "Pool",
    "Predicted",
    "Query",
    "Resources",
    "Round",
    "Rows",
    "Scored",
    "Scores",
    "Segment",
    "Strategy",
    "Trial",
    "TrialEnd",
    "Used",
    "UserError",
    "View",
    "canonical_json",
]

FULL_DATA = "full-data"
"""Reserved budget name: one fit on the whole pool, the upper anchor of every report (its strategy is ``random``)."""


class Outcome(StrEnum):
    """How a trial ended. A closed set: values are added, never removed."""

    DONE = "done"
    FAILED = "failed"  # its own error, recorded once with its traceback
    TIMEOUT = "timeout"  # longer than the grid's resources allow
    OOM = "out-of-memory"
    UNSUPPORTED = "unsupported"  # known before the run; the reason says what is missing
    LOST = "lost"  # infrastructure (worker, node) died under it more often than the retries allow


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
    the hidden labels, the same for every strategy). ``validation`` labels are bought at random besides, before all
    others and for every strategy alike: nobody trains on them, and they count on the x-axis.
    """

    name: str
    initial: Count
    segments: tuple[Segment, ...]
    initial_by: Literal["random", "stratified"] = "random"
    validation: Count = Count(0)

    def purchases(self, pool_size: int, n_classes: int) -> list[int]:
        """Sizes of all purchases after the initial labels; the last of ``rounds: all`` takes what is left.

        Raises
        ------
        ValueError
            When the schedule asks for more labels than the pool holds.
        """
        left = pool_size - self.initial.resolve(n_classes) - self.validation.resolve(n_classes)
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
        validation = {"validation": str(self.validation)} if self.validation.number else {}
        return {
            "initial": str(self.initial),
            "initial_by": self.initial_by,
            "segments": [[str(s.query), s.rounds] for s in self.segments],
            **validation,  # only where there is one: trials of before keep their id
        }


@dataclass(frozen=True)
class Resources:
    """What one trial may use. Threads of BLAS and torch follow ``num_cpus``; ``timeout`` is in seconds, per trial.

    With ``auto`` the number of GPUs is what trials like it were measured to need (`engine.costs.Cards`).
    """

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    timeout: float | None = None
    auto: bool = False

    @property
    def threads(self) -> int:
        return max(1, int(self.num_cpus))


@dataclass(frozen=True)
class Part:
    """A plugin with its parameters, as a trial names it.

    ``params`` is the canonical JSON of every parameter, defaults included, paths of this machine left out. ``source``
    is the digest of the code of a plugin that is the user's own: whoever changes it has another plugin.
    ``label`` is what tables print: the name with the parameters that are not at their default. Labels are
    presentation: they are not part of any identity. ``was`` is a former name, by which it is identified.
    """

    name: str
    params: str = "{}"
    version: int = 1
    label: str = ""
    source: str = ""
    was: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", spelled(self.label or self.name))

    def identity(self) -> list[Any]:
        return [self.was or self.name, json.loads(self.params), self.version, *([self.source] if self.source else [])]


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


@dataclass(frozen=True, eq=False)
class Pool:
    """One embedded dataset: features (N, D), test features (M, D), and the hidden labels of both.

    ``images`` and ``test_images`` are the same rows as images, where some learner or rule asks for them; ``views`` are
    features of their transformed images, weak and strong, (2, V, N, D). All arrays are read-only. Only the oracle (the
    loop) reads ``labels``; only the scorer reads ``test_labels``.
    """

    features: Features
    labels: Labels
    test_features: Features
    test_labels: Labels
    class_names: tuple[str, ...]
    derived: Derived
    images: NDArray[np.uint8] | None = None
    test_images: NDArray[np.uint8] | None = None
    views: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        own = (self.features, self.labels, self.test_features, self.test_labels)
        for array in (*own, self.images, self.test_images, self.views):
            if array is not None:
                array.setflags(write=False)

    def seen(self, sees: Literal["embedding", "images"]) -> NDArray[Any]:
        """Return the pool as a learner sees it: (N, D) or (N, height, width, channels)."""
        return self.features if sees == "embedding" else _there(self.images)

    def seen_in_test(self, sees: Literal["embedding", "images"]) -> NDArray[Any]:
        """Return the test set as a learner sees it."""
        return self.test_features if sees == "embedding" else _there(self.test_images)

    def transformed(self, V: int) -> tuple[list[NDArray[np.float16]], list[NDArray[np.float16]]]:
        """Return the first V of the weak and of the strong views, (N, D) each, the same objects whenever asked."""
        if any(len(views) < V for views in self._views):
            raise ValueError(f"this pool was made without {V} views")
        weak, strong = (views[:V] for views in self._views)
        return weak, strong

    @cached_property
    def _views(self) -> list[list[NDArray[np.float16]]]:
        return [[], []] if self.views is None else [list(those) for those in self.views]

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    def __len__(self) -> int:
        return len(self.features)


def _there(images: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    if images is None:
        raise ValueError("this pool was made without its images")
    return images


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
    ``random`` (a rule that needs labels met an empty labelled set and bought exactly as ``random`` does). ``chosen_by``
    names the rule that chose each of them (`Batch`), and is empty where the strategy itself did.
    Seconds are wall time; ``peak_rss_mb`` is the peak of the process so far, in MiB; ``card`` is what the round used
    of a GPU, None on the CPU. ``predicted`` is the class that the model gives each test row (M,); None where
    predictions are not kept. ``settings`` are those that were chosen, and by what, where they are tuned: of the
    ``learner``, and of the ``selector``, whose model chose the rows.
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
    predicted: Predicted | None = None
    chosen_by: tuple[str, ...] = ()
    card: Used | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def batch(self) -> Batch:
        return Batch(self.selected, self.chosen_by)


@dataclass(frozen=True)
class TrialEnd:
    """How one attempt at a trial ended. Whatever its texts were made of, they can be written, shown and held."""

    trial_id: str
    outcome: Outcome
    reason: str = ""
    traceback: str = ""
    wall_s: float = 0.0
    attempts: int = 1
    host: str = ""
    device: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, limit in (("reason", 1_000), ("traceback", 20_000), ("host", 300), ("device", 300)):
            object.__setattr__(self, name, clean(getattr(self, name), limit))

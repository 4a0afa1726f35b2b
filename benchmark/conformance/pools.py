"""The awkward pools that every rule must cope with, and a model that gives all that can be asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..lesson import View
from ..query import FROM_THE_MODEL, WITHOUT_LABELS, Answers, Desk, Oracle, Query
from ..seeds import generator
from ..types import Array, Derived, Draw, Features, Labels, Rows

VALIDATION = 6  # rows of the set that the budget paid for, at most
TEST = 20  # rows of the test set


@dataclass(frozen=True, eq=False)
class Case:
    """A pool of features (N, D) with hidden labels (N,), some rows labelled, and ``n`` rows to buy.

    ``sharpness`` scales the model's decision values: 0 makes all classes equal everywhere, a large value makes
    probabilities of exactly 0 and 1. With ``decisions`` the model gives decision values, no probabilities.
    """

    name: str
    features: Features
    hidden: Labels
    labelled: Rows
    n: int
    sharpness: float = 1.0
    decisions: bool = False

    n_classes: ClassVar[int] = 3

    def __str__(self) -> str:
        kind = ", decision values" if self.decisions else ""
        return f"{self.name} (N={len(self.features)}, {len(self.labelled)} labelled, n={self.n}{kind})"

    @property
    def spare(self) -> int:
        """How many rows are left when the batch is bought."""
        return len(self.features) - len(self.labelled) - self.n

    def query(self, needs: frozenset[str], seed: int, derived: Derived | None = None) -> Query:
        """Return the query of this case with generators that follow from ``seed``; its arrays are read-only."""
        unlabelled = np.setdiff1d(np.arange(len(self.features)), self.labelled)
        validation = np.empty(0, dtype=np.int64)
        if "validation" in needs:
            drawn = generator("conformance", "validation", len(unlabelled)).permutation(unlabelled)
            validation = drawn[: min(VALIDATION, self.spare)]
            unlabelled = np.setdiff1d(unlabelled, validation)
        labels = self.hidden[self.labelled]
        for array in (self.features, self.labelled, labels, unlabelled):
            array.setflags(write=False)
        return Query(
            features=self.features,
            labelled=self.labelled,
            labels=labels,
            unlabelled=unlabelled,
            n=self.n,
            n_classes=self.n_classes,
            rng=generator("conformance", seed),
            derived=derived or Derived(self.features, lambda key: generator("conformance", seed, key)),
            purchases=(len(self.labelled),) if len(self.labelled) else (),
            desk=self._desk(needs, unlabelled, validation, seed),
        )

    def _desk(self, needs: frozenset[str], unlabelled: Rows, validation: Rows, seed: int) -> Desk:
        view = View(self.features)

        def answers(rows: Rows, labels: Labels, needs: frozenset[str]) -> Answers:
            model = LinearModel(self, np.unique(labels))
            return Answers(model, view, unlabelled, needs, lambda: generator("conformance", "passes", seed))

        def fit(rows: Rows, labels: Labels) -> Answers:
            return answers(rows, labels, frozenset(FROM_THE_MODEL))

        of_model = needs.intersection(FROM_THE_MODEL) and len(self.labelled)
        return Desk(
            needs=needs,
            model=answers(self.labelled, self.hidden[self.labelled], needs) if of_model else None,
            fit=fit if "learner" in needs else None,
            validation=(validation, self.hidden[validation]) if "validation" in needs else None,
            reveal=(lambda row: int(self.hidden[row])) if "reveal" in needs else None,
            images=self.images if "images" in needs else None,
            oracle=self.oracle if "oracle" in needs else None,
        )

    @property
    def images(self) -> NDArray[np.uint8]:
        """The features as grey pictures of one row, (N, 1, D, 1)."""
        bytes_ = np.clip(128 + 16 * self.features, 0, 255).astype(np.uint8)
        return bytes_[:, None, :, None]

    @property
    def oracle(self) -> Oracle:
        """The hidden labels, and a test set of rows near those of the pool."""
        rng = generator("conformance", "test", len(self.features))
        rows = rng.integers(len(self.features), size=TEST)
        noise = rng.normal(scale=0.1, size=(TEST, self.features.shape[1]))
        return Oracle(self.hidden, View((self.features[rows] + noise).astype(np.float32)), self.hidden[rows])


class LinearModel:
    """A fixed linear map in place of a fitted learner; classes without a label get probability 0 or value -inf."""

    def __init__(self, case: Case, seen: Labels, jitter: NDArray[np.float64] | None = None) -> None:
        weights = generator("conformance", "weights").normal(size=(case.features.shape[1], case.n_classes))
        self._case, self._seen = case, seen
        self._weights = (weights if jitter is None else weights + jitter) * case.sharpness
        self._unseen = np.setdiff1d(np.arange(case.n_classes), seen)

    def scores(self, inputs: Array) -> Features:
        values: NDArray[np.float64] = np.einsum("nd,dc->nc", inputs.astype(np.float64), self._weights)
        values[:, self._unseen] = -np.inf
        if self._case.decisions:
            return values.astype(np.float32)
        odds: NDArray[np.float64] = np.exp(values - values.max(axis=1, keepdims=True))
        probs: Features = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return probs

    def predict(self, inputs: Array) -> Labels:
        return np.asarray(self.scores(inputs).argmax(axis=1), dtype=np.int64)

    def hidden(self, inputs: Array) -> Array:
        return inputs

    def head(self) -> tuple[Features, Features]:
        weights, bias = self._weights.astype(np.float32), np.zeros(self._case.n_classes, np.float32)
        weights[:, self._unseen], bias[self._unseen] = 0, -np.inf
        return weights, bias

    def draws(self, K: int, rng: np.random.Generator) -> Sequence[Draw]:
        jitters = [rng.normal(scale=0.5, size=self._weights.shape) for _ in range(K)]
        return [LinearModel(self._case, self._seen, jitter).scores for jitter in jitters]


def pool(name: str, size: int, labelled: int, n: int, *, spread: float = 1.0) -> Case:
    """Return a pool of three clouds of points; the first row is labelled, so that positions are not row numbers."""
    rng = generator("conformance", name, size)
    hidden = rng.permutation(np.arange(size) % Case.n_classes)
    centres = 2 * rng.normal(size=(Case.n_classes, 4))
    features = (centres[hidden] + spread * rng.normal(size=(size, 4))).astype(np.float32)
    bought = np.concatenate([np.arange(min(labelled, 1)), 1 + rng.permutation(size - 1)[: max(labelled - 1, 0)]])
    return Case(name, features, hidden, bought, n)


def cases(needs: frozenset[str]) -> Iterable[Case]:
    """Yield the awkward pools. A rule that needs labels is spared an empty labelled set, as the loop spares it."""
    return (case for case in _cases(needs) if "validation" not in needs or case.spare > 0)


def _cases(needs: frozenset[str]) -> Iterator[Case]:
    if needs <= WITHOUT_LABELS:
        yield from (pool("no labels", size, 0, n) for size, n in ((1, 1), (7, 3), (60, 60), (503, 11)))
    yield from (pool("ordinary pool", size, labelled, n) for size, labelled, n in ((2, 1, 1), (7, 2, 3), (503, 9, 13)))
    base = pool("ordinary pool", 60, 6, 7)
    yield base
    yield replace(base, name="one row to buy", n=1)
    yield replace(base, name="all that is left", n=54)
    yield replace(base, name="only one class labelled", hidden=np.zeros(60, dtype=np.int64))
    yield replace(base, name="every class equally likely", sharpness=0.0)
    yield replace(base, name="probabilities of exactly 0 and 1", sharpness=1e6)
    yield replace(base, name="far from the origin", features=base.features + np.float32(1e4))
    yield replace(base, name="constant features", features=np.ones_like(base.features))
    yield replace(base, name="rows of zeros", features=base.features * (np.arange(60) % 2 == 0)[:, None])
    yield from (replace(base, name="duplicates", features=base.features[np.arange(60) % 5], n=n) for n in (7, 40))
    yield pool("exhausted clusters", 200, 90, 100, spread=0.05)


def queries(needs: frozenset[str], seed: int = 0) -> Iterator[tuple[str, Query]]:
    """Yield (description, query) for each pool; a rule that accepts any scores meets decision values as well."""
    for case in cases(needs):
        yield str(case), case.query(needs, seed)
        if needs.intersection(FROM_THE_MODEL) == {"scores"}:
            decisions = replace(case, decisions=True)
            yield str(decisions), decisions.query(needs, seed)

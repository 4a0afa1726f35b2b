"""The awkward pools that every rule must cope with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import cycle, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..lesson import View
from ..purchase import Revealer
from ..query import FROM_THE_MODEL, WITHOUT_LABELS, Answers, Desk, Oracle, Query
from ..seeds import generator
from ..types import Derived, Features, Labels, Rows
from .model import Kind, LinearModel

VALIDATION = 6  # rows of the set that the budget paid for, at most
S = TypeVar("S", bound=np.generic)

TEST = 20  # rows of the test set
CHOOSERS = ("", "random", "margin", "badge", "typiclust")  # who chose the labelled rows, by turns


@dataclass(frozen=True, eq=False)
class Case:
    """A pool of features (N, D) with labels (N,), some rows labelled, and ``n`` rows to buy.

    ``points`` (N,) says which point each row is: renumbered, a case has the same points in other rows. ``sharpness``
    and ``kind`` are those of its model. With ``apart`` some rows are a validation set: neither labelled nor for sale,
    whether or not the rule asks for it.
    """

    name: str
    features: Features
    hidden: Labels
    labelled: Rows
    n: int
    points: Rows
    sharpness: float = 1.0
    kind: Kind = "probabilities"
    apart: bool = False
    n_classes: int = 3

    def __str__(self) -> str:
        kind = ", decision values" if self.kind == "decisions" else ""
        return f"{self.name} (N={len(self.features)}, {len(self.labelled)} labelled, n={self.n}{kind})"

    @property
    def spare(self) -> int:
        """How many rows are left when the batch is bought."""
        return len(self.features) - len(self.labelled) - self.n

    @cached_property
    def validation(self) -> Rows:
        """The rows that are set aside, the same points however the rows are numbered."""
        free = np.setdiff1d(self.points, self.points[self.labelled])
        drawn = generator("conformance", "validation", len(free)).permutation(free)
        return self._rows(drawn[: min(VALIDATION, self.spare)])

    def renumbered(self) -> Case:
        """Return the same points in other rows."""
        order = generator("conformance", "renumbering").permutation(len(self.features))  # row i is the old order[i]
        return replace(
            self,
            name=f"{self.name}, renumbered",
            features=self.features[order],
            hidden=self.hidden[order],
            labelled=np.argsort(order)[self.labelled],
            points=self.points[order],
        )

    def relabelled(self) -> Case:
        """Return the same pool with other labels in all rows whose label nobody was given."""
        hidden = (self.hidden + 1) % self.n_classes
        given = np.concatenate([self.labelled, self.validation])
        hidden[given] = self.hidden[given]
        return replace(self, name=f"{self.name}, other hidden labels", hidden=hidden)

    def query(self, needs: frozenset[str], seed: int, derived: Derived | None = None) -> Query:
        """Return the query of this case with generators that follow from ``seed``; its arrays are read-only."""
        apart = self.validation if self.apart or "validation" in needs else self.validation[:0]
        unlabelled = np.setdiff1d(np.arange(len(self.features)), np.concatenate([self.labelled, apart]))
        return Query(
            features=self.features,
            labelled=self.labelled,
            labels=self.hidden[self.labelled],
            unlabelled=unlabelled,
            n=self.n,
            n_classes=self.n_classes,
            rng=generator("conformance", seed),
            derived=derived or Derived(self.features, lambda key: generator("conformance", seed, key)),
            purchases=(len(self.labelled),) if len(self.labelled) else (),
            desk=self._desk(needs, unlabelled, seed),
            chosen_by=tuple(islice(cycle(CHOOSERS), len(self.labelled))),
        )

    def _desk(self, needs: frozenset[str], unlabelled: Rows, seed: int) -> Desk:
        def fit(rows: Rows, labels: Labels) -> Answers:
            model = LinearModel.fitted(self.features[rows], labels, self.n_classes, self.sharpness, self.kind)
            return Answers(
                model, View(self.features), unlabelled, needs, lambda: generator("conformance", "passes", seed)
            )

        of_model = needs.intersection(FROM_THE_MODEL) and len(self.labelled)
        return Desk(
            needs=needs,
            model=fit(self.labelled, self.hidden[self.labelled]) if of_model else None,
            fit=fit if "learner" in needs else None,
            validation=(self.validation, self.hidden[self.validation]) if "validation" in needs else None,
            reveal=Revealer(self.hidden, unlabelled, self.n) if "reveal" in needs else None,
            images=self.images if "images" in needs else None,
            oracle=self.oracle if "oracle" in needs else None,
        )

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """The features as grey pictures of one row, (N, 1, D, 1)."""
        bytes_ = np.clip(128 + 16 * self.features, 0, 255).astype(np.uint8)
        return _read_only(bytes_[:, None, :, None])

    @cached_property
    def oracle(self) -> Oracle:
        """The hidden labels, and a test set of rows near those of the pool."""
        rng = generator("conformance", "test", len(self.features))
        rows = self._rows(rng.integers(len(self.features), size=TEST))
        noise = rng.normal(scale=0.1, size=(TEST, self.features.shape[1]))
        test = (self.features[rows] + noise).astype(np.float32)
        return Oracle(_read_only(self.hidden), View(_read_only(test)), _read_only(self.hidden[rows]))

    def _rows(self, points: Rows) -> Rows:
        return np.argsort(self.points)[points]


def pool(name: str, size: int, labelled: int, n: int, *, spread: float = 1.0) -> Case:
    """Return a pool of three clouds of points; the first row is labelled, so that positions are not row numbers."""
    rng = generator("conformance", name, size)
    hidden = rng.permutation(np.arange(size) % Case.n_classes)
    centres = 2 * rng.normal(size=(Case.n_classes, 4))
    features = (centres[hidden] + spread * rng.normal(size=(size, 4))).astype(np.float32)
    bought = np.concatenate([np.arange(min(labelled, 1)), 1 + rng.permutation(size - 1)[: max(labelled - 1, 0)]])
    return Case(name, features, hidden, bought, n, np.arange(size))


def many_ties() -> Case:
    """Return a pool sorted by class in which each point stands in five rows, on a grid: scores are equal exactly."""
    rng = generator("conformance", "many ties")
    hidden = np.repeat(np.arange(Case.n_classes), 20)
    centres = np.repeat([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]], 4, axis=0)
    corners = centres + rng.permuted(np.tile(np.arange(-2, 2), (12, 1)), axis=1)
    features = np.repeat(corners, 5, axis=0).astype(np.float32)
    return Case("many ties, sorted by class", features, hidden, np.array([0, 21, 42, 59]), 7, np.arange(60))


def cases(needs: frozenset[str]) -> Iterable[Case]:
    """Yield the awkward pools. A rule that needs labels is spared an empty labelled set, as the loop spares it."""
    return (case for case in _cases(needs) if "validation" not in needs or case.spare > 0)


def _cases(needs: frozenset[str]) -> Iterator[Case]:
    if needs <= WITHOUT_LABELS:
        yield from (pool("no labels", size, 0, n) for size, n in ((1, 1), (7, 3), (60, 60), (503, 11)))
    yield from (pool("ordinary pool", size, labelled, n) for size, labelled, n in ((2, 1, 1), (7, 2, 3), (503, 9, 13)))
    base = pool("ordinary pool", 60, 6, 7)
    yield base
    yield many_ties()
    yield replace(base, name="rows set apart", apart=True, n=48)  # all that is for sale
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
            decisions = replace(case, kind="decisions")
            yield str(decisions), decisions.query(needs, seed)


def _read_only(array: NDArray[S]) -> NDArray[S]:
    array.setflags(write=False)
    return array

"""The contract of a selection rule as checks that anyone can run against their own: `check_strategy`.

A rule passes when on every pool, however awkward, it answers exactly ``n`` distinct unlabelled rows, fixed by the
query's generator alone, and the same points whatever their row numbers. A failed check says on which pool and how.
"""

from __future__ import annotations

import copy
import importlib
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from .registry import Plugin, strategies, suggestion
from .seeds import generator
from .types import CAPABILITIES, Derived, Features, Floats, Labels, Query, Rows, Strategy, UserError

REPEATS = 200  # answers compared on each side by `renumbering`
FALSE_ALARM = 1e-5  # its chance to fail a rule that is right


@dataclass(frozen=True)
class CheckResult:
    """One check of one rule; ``message`` is empty when it passed, else one line on what went wrong and where."""

    name: str
    passed: bool
    message: str = ""


class LoadError(UserError, ValueError):
    """A class that cannot be checked; ``str()`` is one line with its name and the reason."""


class NonConformanceError(AssertionError):
    """What a check found; its text is for somebody who has never read this file."""


def check_strategy(strategy: Strategy, needs: frozenset[str] = frozenset()) -> list[CheckResult]:
    """Run every check against a rule that declares ``needs`` (see `registry.strategy`), in about a second or two."""
    results = []
    for check in CHECKS:
        try:
            check(copy.deepcopy(strategy), needs)  # a copy: what one check leaves behind cannot hide from the next
            results.append(CheckResult(check.__name__, passed=True))
        except NonConformanceError as fault:
            results.append(CheckResult(check.__name__, passed=False, message=str(fault)))
    return results


def check_named(name: str) -> list[CheckResult]:
    """Run every check against a rule with its default parameters: a registered name, or ``module:Class``.

    Raises
    ------
    UnknownNameError
        When no strategy has the name.
    LoadError
        When there is no such module or class, the class has no ``@strategy``, or it needs a parameter.
    """
    plugin = _declared(*name.split(":", 1)) if ":" in name else strategies.get(name)
    required = [f.name for f in fields(plugin.cls) if f.default is MISSING and f.default_factory is MISSING]
    if required:
        raise LoadError(
            f"{name} has no default for {', '.join(required)}; give it one, or call check_strategy with an instance"
        )
    return check_strategy(plugin.cls(), plugin.needs)


def _declared(module: str, name: str) -> Plugin:
    folder = str(Path.cwd())  # a command does not see the modules of the folder it was started in
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        found = importlib.import_module(module)
    except Exception as error:  # whatever a stranger's module raises while it is imported is the reason
        line = str(error).split("\n", 1)[0]
        raise LoadError(f"cannot import {module!r} (from {folder}): {type(error).__name__}: {line}") from error
    own = {n: plugin for n, value in vars(found).items() if (plugin := strategies.of(value)) is not None}
    if name not in vars(found):
        raise LoadError(f"{module!r} has no class {name!r}{suggestion(name, own)}")
    if name not in own:
        raise LoadError(f"{module}:{name} has no @strategy above it, so its needs are unknown")
    return own[name]


# The pools


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

    def query(self, needs: frozenset[str], seed: int, derived: Derived | None = None) -> Query:
        """Return the query of this case with generators that follow from ``seed``; its arrays are read-only."""
        unlabelled = np.setdiff1d(np.arange(len(self.features)), self.labelled)
        labels = self.hidden[self.labelled]
        for array in (self.features, self.labelled, labels, unlabelled):
            array.setflags(write=False)
        model = LinearModel(self, np.unique(labels)) if needs.intersection(CAPABILITIES) else None
        rng = generator("conformance", seed)
        derived = derived or Derived(self.features, lambda key: generator("conformance", seed, key))
        return Query(self.features, self.labelled, labels, unlabelled, self.n, self.n_classes, rng, derived, model)


class LinearModel:
    """A fixed linear map in place of a fitted learner; classes without a label get probability 0 or value -inf."""

    def __init__(self, case: Case, seen: Labels) -> None:
        weights = generator("conformance", "weights").normal(size=(case.features.shape[1], case.n_classes))
        self._weights, self._decisions = weights * case.sharpness, case.decisions
        self._unseen = np.setdiff1d(np.arange(case.n_classes), seen)

    def scores(self, features: Features) -> Floats:
        values: Floats = np.einsum("nd,dc->nc", features.astype(np.float64), self._weights)
        values[:, self._unseen] = -np.inf
        if self._decisions:
            return values
        odds = np.exp(values - values.max(axis=1, keepdims=True))
        probabilities: Floats = odds / odds.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, features: Features) -> Labels:
        return np.asarray(self.scores(features).argmax(axis=1), dtype=np.int64)


def _pool(name: str, size: int, labelled: int, n: int, *, spread: float = 1.0) -> Case:
    """Return a pool of three clouds of points; the first row is labelled, so that positions are not row numbers."""
    rng = generator("conformance", name, size)
    hidden = rng.permutation(np.arange(size) % Case.n_classes)
    centres = 2 * rng.normal(size=(Case.n_classes, 4))
    features = (centres[hidden] + spread * rng.normal(size=(size, 4))).astype(np.float32)
    bought = np.concatenate([np.arange(min(labelled, 1)), 1 + rng.permutation(size - 1)[: max(labelled - 1, 0)]])
    return Case(name, features, hidden, bought, n)


def _cases(needs: frozenset[str]) -> Iterator[Case]:
    """Yield the awkward pools. A rule with needs is spared an empty labelled set, as the loop spares it."""
    if not needs:
        yield from (_pool("no labels", size, 0, n) for size, n in ((1, 1), (7, 3), (60, 60), (503, 11)))
    yield from (_pool("ordinary pool", size, labelled, n) for size, labelled, n in ((2, 1, 1), (7, 2, 3), (503, 9, 13)))
    base = _pool("ordinary pool", 60, 6, 7)
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
    yield _pool("exhausted clusters", 200, 90, 100, spread=0.05)


def _queries(needs: frozenset[str], seed: int = 0) -> Iterator[tuple[str, Query]]:
    """Yield (description, query) for each pool; a rule that accepts any scores meets decision values as well."""
    for case in _cases(needs):
        yield str(case), case.query(needs, seed)
        if needs.intersection(CAPABILITIES) == {"scores"}:
            decisions = replace(case, decisions=True)
            yield str(decisions), decisions.query(needs, seed)


# The checks


def exact_batches(strategy: Strategy, needs: frozenset[str]) -> None:
    """Exactly n distinct unlabelled rows, (n,) int64, with no warning and no NaN on the way."""
    for where, query in _queries(needs):
        _pick(strategy, query, where)


def inputs_unchanged(strategy: Strategy, needs: frozenset[str]) -> None:
    """Nothing is written to the arrays of the query."""
    for where, query in _queries(needs):
        names = ("features", "labelled", "labels", "unlabelled")
        before = {name: getattr(query, name).copy() for name in names}
        _pick(strategy, query, where)
        for name in names:
            if not np.array_equal(before[name], getattr(query, name)):
                raise NonConformanceError(f"{where}: select() changed query.{name}; copy an array before writing to it")


def fixed_by_the_generator(strategy: Strategy, needs: frozenset[str]) -> None:
    """The same generator gives the same rows: again, from a fresh object, and with artefacts already computed."""
    fresh = copy.deepcopy(strategy)
    for where, query in _queries(needs, seed=1):
        first = _pick(strategy, query, where)
        repeats = {
            "again with the same generator": (strategy, None),
            "a fresh object with the same generator": (copy.deepcopy(fresh), None),
            "again on artefacts that the first call left in query.derived": (strategy, query.derived),
        }
        for what, (rule, derived) in repeats.items():
            artefacts = derived or Derived(query.features, lambda key: generator("conformance", 1, key))
            same = replace(query, rng=generator("conformance", 1), derived=artefacts)
            rows = _pick(rule, same, where)
            if not np.array_equal(first, rows):
                raise NonConformanceError(f"{where}: {what} gives other rows: {_few(first)}, then {_few(rows)}")


def global_generators_untouched(strategy: Strategy, needs: frozenset[str]) -> None:
    """No draw from, and no seeding of, the generators that everybody shares."""
    for where, query in _queries(needs):
        before = _global_states()
        _pick(strategy, query, where)
        for name, state in _global_states().items():
            if state != before.get(name, state):
                raise NonConformanceError(
                    f"{where}: select() used the global generator of {name}; draw from query.rng only"
                )


def renumbering(strategy: Strategy, needs: frozenset[str]) -> None:
    """The same points whatever their row numbers.

    A rule whose answer does not vary with the generator must pick the same set. For a rule that draws, how often
    each point is picked is compared over `REPEATS` generators, with Fisher's exact test and Bonferroni's correction.
    """
    case = _pool("ordinary pool", 60, 4, 4)
    case = replace(case, hidden=np.minimum(case.hidden, 1))  # one class has no label: probabilities of 0 are ordinary
    order = generator("conformance", "renumbering").permutation(60)  # the new row i is the old row order[i]
    moved = replace(
        case,
        name="ordinary pool renumbered",
        features=case.features[order],
        hidden=case.hidden[order],
        labelled=np.argsort(order)[case.labelled],
    )
    ours = [frozenset(_pick(strategy, case.query(needs, s), str(case)).tolist()) for s in range(REPEATS)]
    picked = (_pick(strategy, moved.query(needs, REPEATS + s), str(moved)) for s in range(REPEATS))
    theirs = [frozenset(order[rows].tolist()) for rows in picked]
    if len(set(ours)) == len(set(theirs)) == 1:
        if ours[0] != theirs[0]:
            raise NonConformanceError(
                f"{moved}: picks points {sorted(theirs[0])} instead of {sorted(ours[0])}; {_ONE_SPACE}"
            )
        return
    points = case.query(needs, 0).unlabelled.tolist()
    for point in points:
        before, after = (sum(point in picks for picks in side) for side in (ours, theirs))
        if _chance(before, after) < FALSE_ALARM / len(points):
            times = f"{after} times in {REPEATS} instead of {before}"
            raise NonConformanceError(f"{moved}: point {point} is picked {times}; {_ONE_SPACE}")


CHECKS: tuple[Callable[[Strategy, frozenset[str]], None], ...] = (
    exact_batches,
    inputs_unchanged,
    fixed_by_the_generator,
    global_generators_untouched,
    renumbering,
)

_ONE_SPACE = "a choice may not depend on the order of rows (is a position in query.unlabelled used as a row number?)"


def _chance(before: int, after: int) -> float:
    """Return how likely counts (of `REPEATS` each) at least so different are when nothing has changed."""
    from scipy.stats import fisher_exact  # noqa: PLC0415 - half a second that only this check should pay

    return float(fisher_exact([[before, REPEATS - before], [after, REPEATS - after]]).pvalue)


def _pick(strategy: Strategy, query: Query, where: str) -> Rows:
    """Return the rule's answer, or raise a `NonConformanceError` for whatever is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rows = strategy.select(query)
    except Exception as error:  # whatever a stranger's rule raises is the finding
        raise NonConformanceError(f"{where}: select() raised {type(error).__name__}: {error}") from error
    if not isinstance(rows, np.ndarray) or rows.dtype != np.int64 or rows.ndim != 1:
        found = f"{rows.dtype} of shape {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise NonConformanceError(f"{where}: returned {found} instead of an int64 array of shape ({query.n},)")
    if len(rows) != query.n:
        raise NonConformanceError(f"{where}: returned {len(rows)} rows instead of {query.n}")
    if len(np.unique(rows)) != query.n:
        raise NonConformanceError(f"{where}: returned {len(np.unique(rows))} distinct rows of {query.n}")
    strangers = np.setdiff1d(rows, query.unlabelled)
    if len(strangers):
        raise NonConformanceError(f"{where}: returned rows that are not in query.unlabelled: {_few(strangers)}")
    return rows


def _few(rows: Rows) -> str:
    return ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")


def _global_states() -> dict[str, object]:
    legacy = np.random.get_state()  # noqa: NPY002 - read to see that nobody draws from it
    states: dict[str, object] = {
        "random": random.getstate(),
        "numpy.random": repr([np.asarray(x).tolist() for x in legacy]),
    }
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return states

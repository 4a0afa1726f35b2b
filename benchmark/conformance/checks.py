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
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path

import numpy as np

from ..registry import Plugin, needs_of, strategies, suggestion
from ..seeds import generator
from ..types import Derived, Query, Rows, Strategy, UserError
from .pools import pool, queries

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
    rule = plugin.cls()
    return check_strategy(rule, needs_of(rule))


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


# The checks


def exact_batches(strategy: Strategy, needs: frozenset[str]) -> None:
    """Exactly n distinct unlabelled rows, (n,) int64, with no warning and no NaN on the way."""
    for where, query in queries(needs):
        _pick(strategy, query, where)


def inputs_unchanged(strategy: Strategy, needs: frozenset[str]) -> None:
    """Nothing is written to the arrays of the query."""
    for where, query in queries(needs):
        names = ("features", "labelled", "labels", "unlabelled")
        before = {name: getattr(query, name).copy() for name in names}
        _pick(strategy, query, where)
        for name in names:
            if not np.array_equal(before[name], getattr(query, name)):
                raise NonConformanceError(f"{where}: select() changed query.{name}; copy an array before writing to it")


def fixed_by_the_generator(strategy: Strategy, needs: frozenset[str]) -> None:
    """The same generator gives the same rows: again, from a fresh object, and with artefacts already computed."""
    fresh = copy.deepcopy(strategy)
    for where, query in queries(needs, seed=1):
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
    for where, query in queries(needs):
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
    case = pool("ordinary pool", 60, 4, 4)
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

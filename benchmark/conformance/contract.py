"""The contract of a selection rule, check by check; each raises a `NonConformanceError`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..purchase import checked_choosers
from ..query import Answers
from ..registry import UnknownNameError, strategies
from ..seeds import generator
from ..types import Arrays, Chooser, Derived, Features, Query, Rows, Strategy
from .calls import NonConformanceError, answer, few, pick
from .pools import Case, cases, many_ties, pool, queries
from .state import kept, shared_generators, states

FALSE_ALARM = 1e-5  # the chance of `renumbering` to fail a rule that is right

Check = Callable[[Strategy, frozenset[str]], None]


def exact_batches(strategy: Strategy, needs: frozenset[str]) -> None:
    """Exactly n distinct unlabelled rows, (n,) int64, with no warning and no NaN on the way, asking what is declared.

    A label that is revealed is that of a row of this batch. A rule that leaves its rows to others says who chose them.
    """
    for where, query in queries(needs):
        rows = pick(strategy, query, where)
        if isinstance(strategy, Chooser):
            _choosers_told(strategy, query, rows, where)


def inputs_unchanged(strategy: Strategy, needs: frozenset[str]) -> None:
    """Nothing is written to the arrays of the query."""
    for where, query in queries(needs):
        made = dict[str, Arrays]()
        noted = replace(query, derived=_noting(query.features, made))
        before = {name: array.copy() for name, array in _given(query)}
        pick(strategy, noted, where)
        before |= dict(_artefacts(made))
        now = {key: noted.derived.get(key, lambda *_: {}) for key in made}
        for name, array in (*_given(query), *_said(query.desk.model), *_artefacts(now)):
            if not np.array_equal(before[name], array, equal_nan=array.dtype.kind == "f"):
                raise NonConformanceError(f"{where}: select() changed query.{name}; copy an array before writing to it")


def fixed_by_the_generator(strategy: Strategy, needs: frozenset[str]) -> None:
    """The same generator gives the same rows: again, from a fresh object, and with artefacts already computed."""
    fresh = copy.deepcopy(strategy)
    for where, query in queries(needs, seed=1):
        first = answer(strategy, query, where)
        repeats = {
            "again with the same generator": (strategy, None),
            "a fresh object with the same generator": (copy.deepcopy(fresh), None),
            "again on artefacts that the first call left in query.derived": (strategy, query.derived),
        }
        for what, (rule, derived) in repeats.items():
            same = _again(query, 1)
            same = same if derived is None else replace(same, derived=derived)
            _equal(first, answer(rule, same, where), f"{where}: {what} gives other rows")


def global_generators_untouched(strategy: Strategy, needs: frozenset[str]) -> None:
    """No draw from, and no seeding of, the generators that everybody shares."""
    for where, query in queries(needs):
        with shared_generators() as before:
            pick(strategy, query, where)
            used = [name for name, state in states().items() if state != before.get(name, state)]
        if used:
            raise NonConformanceError(
                f"{where}: select() used the global generator of {used[0]}; draw from query.rng only, seed nothing"
            )


def blind_to_hidden_labels(strategy: Strategy, needs: frozenset[str]) -> None:
    """Where other labels are hidden the answer is the same, of a rule that has none revealed and is no oracle."""
    if needs & {"reveal", "oracle"}:
        return
    for case in cases(needs):
        first, again, other = (answer(strategy, c.query(needs, 2), str(c)) for c in (case, case, case.relabelled()))
        if all(map(np.array_equal, first, again)):  # else it says nothing of labels, and `fixed_by_the_generator` fails
            _equal(first, other, f"{case}: the answer depends on labels that are hidden")


def nothing_kept(strategy: Strategy, needs: frozenset[str]) -> None:
    """No call leaves anything for the next: what it was given then it is not given now."""
    for case in cases(needs):
        if case.name == "ordinary pool":
            _nothing_kept_of(case, strategy, needs)


def renumbering(strategy: Strategy, needs: frozenset[str]) -> None:
    """The same points whatever their row numbers; in a pool sorted by class no class wins its ties.

    A rule whose answer does not vary with the generator must pick the same set. For a rule that draws, how often
    each point is picked is compared over many generators, with Fisher's exact test and Bonferroni's correction.
    """
    ordinary = pool("ordinary pool", 60, 4, 4)  # one class has no label: probabilities of 0 are ordinary
    _same_points(replace(ordinary, hidden=np.minimum(ordinary.hidden, 1)), 200, strategy, needs)
    _same_points(many_ties(), 40, strategy, needs)


@dataclass(frozen=True)
class _Told:
    """A rule by what it says when it is asked who chose; that is noted."""

    rule: Chooser
    said: list[tuple[str, ...]] = field(default_factory=list)

    def select(self, query: Query) -> Rows:
        batch = self.rule.choose(query)
        self.said.append(checked_choosers(batch.chosen_by, query.n, "choose()"))
        return batch.rows


def _choosers_told(strategy: Chooser, query: Query, rows: Rows, where: str) -> None:
    """The rows of ``select`` are those of ``choose``, and each was chosen by a registered rule, the same every time."""
    told = _Told(strategy)
    for _ in range(2):
        _equal([rows], [pick(told, _again(query, 0), where)], f"{where}: select() and choose() give other rows")
    if told.said[0] != told.said[1]:
        raise NonConformanceError(f"{where}: choose() names other rules when it is asked again")
    for by in told.said[0]:
        try:
            strategies.get(by.partition("(")[0])
        except UnknownNameError as error:
            raise NonConformanceError(f"{where}: choose() names {by!r}, which is no registered rule") from error


def _again(query: Query, seed: int) -> Query:
    """Return the query with nothing computed, revealed or drawn yet."""
    artefacts = Derived(query.features, lambda key: generator("conformance", seed, key))
    return _anew(replace(query, rng=generator("conformance", seed), derived=artefacts))


def _given(query: Query) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays that are there before a rule is asked, under the names by which it asks for them."""
    desk = query.desk
    yield from ((name, getattr(query, name)) for name in ("features", "labelled", "labels", "unlabelled"))
    if desk.validation is not None:
        yield from zip(("validation[0]", "validation[1]"), desk.validation, strict=True)
    if desk.images is not None:
        yield "images", desk.images
    if desk.oracle is not None:
        yield "oracle.labels", desk.oracle.labels
        yield "oracle.test", desk.oracle.test.array
        yield "oracle.test_labels", desk.oracle.test_labels
    if desk.model is not None:
        yield from _said(desk.model.of(query.unlabelled), always=True)


def _artefacts(made: Mapping[str, Arrays]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of artefacts, under the names by which a message speaks of them."""
    return ((f"derived[{key!r}, {name!r}]", array) for key, arrays in made.items() for name, array in arrays.items())


def _said(model: Answers | None, *, always: bool = False) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield what a model has said already, or says when it is asked (``always``)."""
    if model is None:
        return
    for name, needs in (("scores", {"scores", "probabilities"}), ("hidden", {"hidden"}), ("predicted", set[str]())):
        if name in vars(model) or (always and (not needs or needs & model.needs)):
            yield name, getattr(model, name)
    if "head" in model.needs:
        yield from zip(("head[0]", "head[1]"), model.head, strict=True)


def _anew(query: Query) -> Query:
    """Return the query with nothing computed yet and nothing revealed."""
    desk = query.desk
    model = desk.model and desk.model.of(query.unlabelled)
    reveal = desk.reveal and replace(desk.reveal, revealed={})  # type: ignore[type-var]  # a Revealer in all our pools
    return replace(query, desk=replace(desk, model=model, reveal=reveal))


def _equal(first: list[NDArray[Any]], other: list[NDArray[Any]], what: str) -> None:
    for mine, theirs in zip(first, other, strict=True):
        if not np.array_equal(mine, theirs):
            raise NonConformanceError(f"{what}: {few(mine)}, then {few(theirs)}")


def _nothing_kept_of(case: Case, strategy: Strategy, needs: frozenset[str]) -> None:
    """Ask about a pool, about the same one with other labels in other rows, and about the first again."""
    left = np.setdiff1d(np.arange(len(case.features)), case.labelled)
    labelled = (
        np.concatenate([case.labelled[:1], left[-len(case.labelled) + 1 :]]) if len(case.labelled) > 1 else left[:1]
    )
    other = replace(case.relabelled(), labelled=labelled)
    answers, artefacts = [], []
    for asked in (case, other, case):
        before, made = kept(strategy), dict[str, Arrays]()
        answers.append(answer(strategy, asked.query(needs, 3, _noting(case.features, made)), str(asked)))
        artefacts.append(made)
        for place, state in kept(strategy).items():
            if state != before.get(place, state):
                raise NonConformanceError(
                    f"{asked}: select() left something on {place}; keep nothing from call to call "
                    "(what follows from the features alone goes to query.derived)"
                )
    for key in artefacts[0].keys() & artefacts[1].keys():
        mine, theirs = artefacts[0][key], artefacts[1][key]
        if mine.keys() != theirs.keys() or not all(np.array_equal(mine[name], theirs[name]) for name in mine):
            raise NonConformanceError(
                f"{case}: artefact {key!r} of query.derived depends on labels, or on what its key does not say"
            )
    _equal(answers[0], answers[2], f"{case}: asked again after another query the rule gives other rows")


def _noting(features: Features, made: dict[str, Arrays]) -> Derived:
    """Return derived artefacts that are copied to ``made`` as they are computed."""

    def keep(key: str, compute: Callable[[], Arrays]) -> Arrays:
        arrays = compute()
        made[key] = {name: array.copy() for name, array in arrays.items()}
        return arrays

    return Derived(features, lambda key: generator("conformance", 3, key), keep)


_ONE_SPACE = (
    "a choice may not depend on the order of rows (is a position in query.unlabelled used as a row number? "
    "do ties go to the lowest row number? query.rng breaks them)"
)


def _same_points(case: Case, repeats: int, strategy: Strategy, needs: frozenset[str]) -> None:
    moved = case.renumbered()
    sides = [
        [frozenset(c.points[pick(strategy, c.query(needs, first + s), str(c))].tolist()) for s in range(repeats)]
        for c, first in ((case, 0), (moved, repeats))
    ]
    if all(len(set(side)) == 1 for side in sides):
        if sides[0][0] != sides[1][0]:
            raise NonConformanceError(
                f"{moved}: picks points {sorted(sides[1][0])} instead of {sorted(sides[0][0])}; {_ONE_SPACE}"
            )
        return
    points = case.query(needs, 0).unlabelled.tolist()
    for point in points:
        before, after = (sum(point in picks for picks in side) for side in sides)
        if _chance(before, after, repeats) < FALSE_ALARM / len(points):
            times = f"{after} times in {repeats} instead of {before}"
            raise NonConformanceError(f"{moved}: point {point} is picked {times}; {_ONE_SPACE}")


def _chance(before: int, after: int, repeats: int) -> float:
    """Return how likely counts at least so different are when nothing has changed."""
    from scipy.stats import fisher_exact  # noqa: PLC0415 - half a second that only this check should pay

    return float(fisher_exact([[before, repeats - before], [after, repeats - after]]).pvalue)

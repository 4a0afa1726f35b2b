"""What a grid says of a learner beside its parameters: who chooses the rows for it, and how its settings are chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from ...datasets.embeddings.base import ReadsFile
from .. import registry
from ..lesson import sees
from ..types import Budget, Learner, Part, canonical_json
from .params import Choice, choose
from .structure import TuneEntry, check, show
from .tuned import Tuned

MOST_SETTINGS = 100
"""So many settings may a learner be tuned over: each is fitted several times in each round."""


def choose_learner(said: object, where: str, problems: list[str]) -> Choice | None:
    """Build what a grid says, as `params.choose` does.

    ``selector``, said the same way, is the learner that chooses the rows; ``tune`` are values of some parameters, of
    which the labels choose.
    """
    if not isinstance(said, Mapping):
        return choose(registry.learners, said, where, problems)
    bare = {key: value for key, value in said.items() if key not in {"selector", "tune"}}
    learner = choose(registry.learners, bare, where, problems)
    if learner is not None and "tune" in said:
        learner = _tuned(learner, bare, said["tune"], f"{where}.tune", problems)
    return _selected(learner, said["selector"], f"{where}.selector", problems) if "selector" in said else learner


def untunable(learners: Sequence[Choice], budgets: Sequence[Budget]) -> Iterator[str]:
    """Yield a line for each learner that is tuned by validation, and each budget that has no such set."""
    every = [each for learner in learners for each in (learner, learner.selector) if each]
    tuned = [each.part.label for each in every if isinstance(each.value, Tuned) and each.value.by == "validation"]
    for label in dict.fromkeys(tuned):
        for budget in budgets:
            if not budget.validation.number:
                yield f"budgets.{budget.name}: {label} needs a validation set (validation: 20, say)"


def each_of(learner: Learner) -> tuple[Learner, ...]:
    """Return the learners that may be fitted: of one whose settings are chosen, all candidates."""
    return learner.candidates if isinstance(learner, Tuned) else (learner,)


def identified(learner: Choice) -> Choice:
    """Return the learner with the content of files that it reads in its identity, and of those of its selector.

    Raises
    ------
    DataError
        When a file cannot be read, or is not what it should be.
    """
    values = [learner.value, *([learner.selector.value] if learner.selector else [])]
    read = [one.content_hash() for value in values for one in each_of(value) if isinstance(one, ReadsFile)]
    if not read:
        return learner
    params = {**json.loads(learner.part.params), "content of files": read}
    return replace(learner, part=replace(learner.part, params=canonical_json(params)))


def both(there: Part, here: Part) -> Part:
    """Return the part that evaluates, ``here``; its label says which one selected where that is another."""
    return here if there.label == here.label else replace(here, label=f"{there.label} -> {here.label}")


def _selected(learner: Choice | None, said: object, where: str, problems: list[str]) -> Choice | None:
    """Return the learner with another that chooses its rows."""
    if isinstance(said, Mapping) and "selector" in said:
        problems.append(f"{where}.selector: a selector chooses for itself; leave it out")
        return None
    selector = choose_learner(said, where, problems)
    if learner is None or selector is None:
        return None
    if selector.part == learner.part:
        problems.append(f"{where}: {learner.part.label} chooses for itself; leave it out")
        return None
    params = {**json.loads(learner.part.params), "selector": selector.part.identity()}
    part = both(selector.part, replace(learner.part, params=canonical_json(params)))
    return replace(learner, part=part, selector=selector)


def _tuned(learner: Choice, bare: Mapping[Any, Any], said: object, where: str, problems: list[str]) -> Choice | None:
    """Return the learner with the settings among which its labels choose; ``bare`` is what is said of it besides."""
    found: list[str] = []
    values = _values(learner, bare, said, where, found)
    policy = {key: said[key] for key in TuneEntry.model_fields if key in said} if isinstance(said, Mapping) else {}
    entry = check(TuneEntry, policy, where, found)
    settings = [] if found else [dict(zip(values, each, strict=True)) for each in product(*values.values())]
    chosen = [choose(registry.learners, {**bare, **setting}, where, found) for setting in settings]
    candidates = [each for each in chosen if each]
    for i, candidate in enumerate(candidates):
        if any(candidate.part == other.part for other in candidates[:i]):
            found.append(f"{where}: duplicate: {candidate.part.label} is among the settings already")
    if len({sees(candidate.value) for candidate in candidates}) > 1:
        found.append(f"{where}.sees: what a learner sees is no setting to be tuned; make it two learners")
    if found:
        problems.extend(dict.fromkeys(found))
        return None
    value = Tuned(
        tuple(candidate.value for candidate in candidates), tuple(values), entry.by, entry.folds, entry.when == "once"
    )
    identity = {"candidates": [json.loads(candidate.part.params) for candidate in candidates], **entry.model_dump()}
    part = replace(learner.part, params=canonical_json({"tune": identity}), label=_label(learner.part, values, entry))
    return replace(learner, part=part, value=value)


def _values(
    learner: Choice, bare: Mapping[Any, Any], said: object, where: str, found: list[str]
) -> dict[str, list[Any]]:
    """Return the values to choose from by parameter; what is wrong with them as such is added to ``found``."""
    if not isinstance(said, Mapping):
        found.append(f"{where}: expected a mapping (parameter: list of values), got {show(said)}")
        return {}
    values = {str(key): value for key, value in said.items() if key not in TuneEntry.model_fields}
    legal = [field.name for field in registry.parameters(learner.plugin.cls)]
    for key, value in values.items():
        if key not in legal:
            found.append(
                f"{where}.{key}: unknown parameter of {learner.plugin.name!r}{registry.suggestion(key, legal)}"
            )
        elif not isinstance(value, list) or not value:
            found.append(f"{where}.{key}: expected a list with at least one value, got {show(value)}")
        elif key in bare:
            found.append(f"{where}.{key}: {key} is {show(bare[key])} besides; leave out one of the two")
    if not values:
        found.append(f"{where}: no parameter with values to choose from; legal: {', '.join(legal)}")
    elif not found and (n := math.prod(map(len, values.values()))) > MOST_SETTINGS:
        found.append(f"{where}: {n:,} settings; legal: up to {MOST_SETTINGS}")
    return values


def _label(base: Part, values: Mapping[str, Sequence[object]], entry: TuneEntry) -> str:
    """Return the learner's label with all values of its settings, and what of the policy is not at its default."""
    said = [f"{key}={'|'.join(map(str, each))}" for key, each in values.items()]
    said += [f"by {entry.by}"] * (entry.by != "cross-validation") + [f"{entry.folds} folds"] * (entry.folds != 5)
    said += [entry.when] * (entry.when != "every-round")
    before = f"{base.label[:-1]}, " if base.label.endswith(")") else f"{base.label}("
    return f"{before}{', '.join(said)})"

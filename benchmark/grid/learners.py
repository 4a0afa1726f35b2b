"""What a grid says of a learner beside its parameters: who chooses the rows for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from .. import registry
from ..types import Part, canonical_json
from .params import Choice, choose


def choose_learner(said: object, where: str, problems: list[str]) -> Choice | None:
    """Build what a grid says, as `params.choose` does; ``selector``, said the same way, is who chooses the rows."""
    if not isinstance(said, Mapping) or "selector" not in said:
        return choose(registry.learners, said, where, problems)
    learner = choose(registry.learners, {key: said[key] for key in said if key != "selector"}, where, problems)
    selector = choose(registry.learners, said["selector"], f"{where}.selector", problems)
    if learner is None or selector is None:
        return None
    if selector.part == learner.part:
        problems.append(f"{where}.selector: {learner.part.label} chooses for itself; leave it out")
        return None
    params = {**json.loads(learner.part.params), "selector": selector.part.identity()}
    part = both(selector.part, replace(learner.part, params=canonical_json(params)))
    return replace(learner, part=part, selector=selector)


def both(there: Part, here: Part) -> Part:
    """Return the part that evaluates, ``here``; its label says which one selected where that is another."""
    return here if there.label == here.label else replace(here, label=f"{there.label} -> {here.label}")

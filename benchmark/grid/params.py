"""From what a grid says about a plugin to its instance: every parameter checked, every error one line."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..registry import (
    MARKS,
    Plugin,
    PluginError,
    Registry,
    UnknownNameError,
    default,
    marks_of,
    named,
    needs_of,
    parameters,
    part_of,
    required,
    strategies,
    suggestion,
)
from ..text import spelled
from ..types import Part, Scored, Strategy
from .meaning import meanings
from .structure import check, from_text, show

SEVERAL = tuple[Strategy, ...]
RULES = (Strategy, Scored, SEVERAL)
"""The types of parameters that are rules themselves, one or several: a rule composed over others."""
MOST_RULES = 32
BESIDES = {
    "learner": (
        "  besides tune: {PARAMETER: [VALUE, ...]}, of which its labels choose (by, folds, when)",
        "  besides selector: LEARNER, which chooses the rows for it",
    )
}
"""What a grid may say of the plugins of a kind beside their parameters (`learners.choose_learner`)."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A plugin with its parameters: what a grid names (``part``) and the instance that does it (``value``).

    ``selector`` is the learner that chooses the rows for this one, where that is another.
    """

    part: Part
    value: Any
    plugin: Plugin
    selector: Choice | None = None


Build = Callable[[object, str, list[str]], Choice | None]
"""From what a grid says, and where, to the choice; what is wrong is added to the list."""


def choose(registry: Registry, said: object, where: str, problems: list[str]) -> Choice | None:
    """Build what a grid says: ``name``, ``name:value`` (the first parameter) or ``{name: ..., parameter: ...}``.

    Appends to ``problems`` and returns None where that is not possible.
    """
    name, params = _name_and_params(registry, said)
    if name is None:
        expected = f"the name of {_a(registry.kind)}, or {{name: ..., parameter: ...}}"
        problems.append(f"{where}: expected {expected}, got {show(said)}")
        return None
    try:
        plugin = registry.get(name)
    except (UnknownNameError, PluginError) as error:
        problems.append(f"{where}: {error}")
        return None
    fields = {field.name: field for field in parameters(plugin.cls)}
    if isinstance(params, str):
        first = next(iter(fields), None)
        if first is None or fields[first].kw_only:
            problems.append(f"{where}: {name!r} takes no {'value' if fields else 'parameters'}, got {params!r}")
            return None
        hint = typing.get_type_hints(plugin.cls)[first]
        params = {first: params if hint in RULES else from_text(hint, params)}
    found: list[str] = []
    params = _with_rules(plugin, params, where, found)
    found += _check(plugin, fields, params, where)
    if found:
        problems.extend(found)
        return None
    try:
        value = plugin.cls(**params)
    except ValueError as error:
        said_by = f"{name}: "  # some rules say their name themselves
        problems.append(f"{where}: {said_by}{str(error).removeprefix(said_by)}")
        return None
    return Choice(part_of(value, plugin), value, plugin)


def describe(plugin: Plugin) -> list[str]:
    """Return what there is to say about a plugin, line by line: summary, what was declared, parameters and meanings."""
    rule = _by_default(plugin)
    declared = {
        "family": plugin.family,
        "cite": plugin.cite,
        "needs": ", ".join(sorted(needs_of(rule))),
        "library": plugin.library,
        **plugin.notes,
    }
    lines = [f"{plugin.name} (version {plugin.version}): {plugin.summary}"]
    said = {key: value() if callable(value) else value for key, value in declared.items()}
    lines += [f"  {key}: {value}" for key, value in said.items() if value]
    lines += [f"  marked: it {MARKS[mark]}" for mark in marks_of(rule)]
    hints, meant = typing.get_type_hints(plugin.cls), meanings(plugin.cls)
    for field in parameters(plugin.cls):
        hint = hints[field.name]
        kind = hint.__name__ if isinstance(hint, type) else re.sub(r"(\w+\.)+", "", str(hint))
        given = "required" if required(field) else f"default {_shown(default(field))}"
        lines.append(f"  parameter {field.name}: {kind}, {given}")
        lines += [f"    {meant[field.name]}"] if field.name in meant else []
    return [*lines, *BESIDES.get(plugin.kind, ())]


def _by_default(plugin: Plugin) -> object:
    """Return a rule with its default parameters, by which its needs may go; its class where it has none."""
    bare = plugin.kind != "strategy" or any(map(required, parameters(plugin.cls)))
    return plugin.cls if bare else plugin.cls()


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _name_and_params(registry: Registry, said: object) -> tuple[str | None, dict[str, Any] | str]:
    if isinstance(said, str) and said:
        name, value = registry.split(said)
        return spelled(name), {} if value is None else value
    if isinstance(said, Mapping) and isinstance(said.get("name"), str):
        return spelled(said["name"]), {str(key): value for key, value in said.items() if key != "name"}
    return None, {}


def _check(
    plugin: Plugin, fields: Mapping[str, dataclasses.Field[Any]], params: Mapping[str, Any], where: str
) -> list[str]:
    problems = [
        f"{where}.{key}: unknown parameter of {plugin.name!r}{suggestion(key, fields)}"
        for key in params
        if key not in fields
    ]
    hints = typing.get_type_hints(plugin.cls)
    for key, field in fields.items():
        if key in params and hints[key] not in RULES:
            check(hints[key], params[key], f"{where}.{key}", problems)
        elif key not in params and required(field):
            problems.append(f"{where}: {plugin.name!r} needs the parameter {key!r}")
    return problems


def _with_rules(plugin: Plugin, params: Mapping[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """Return the parameters with the rules that some of them name in place of what names them."""
    hints, built = typing.get_type_hints(plugin.cls), dict(params)
    for key in [key for key in params if hints.get(key) in RULES]:
        place, said = f"{where}.{key}", params[key]
        if hints[key] != SEVERAL:
            built[key] = _rule(said, hints[key], place, problems)
        elif isinstance(said, list) and said:
            built[key] = tuple(_rule(one, Strategy, f"{place}[{i}]", problems) for i, one in enumerate(said))
        else:
            problems.append(f"{place}: expected a list with at least one entry, got {show(said)}")
    return built


def _rule(said: object, kind: Any, where: str, problems: list[str]) -> Any:
    """Return the rule that a parameter names; where there is none of its kind, a line is added to ``problems``."""
    if where.count(".") > MOST_RULES:  # a step for each
        problems.append(f"{where:.40}...: more than {MOST_RULES} rules one over the other")
        return None
    rule = choose(strategies, said, where, problems)
    if rule is not None and kind is Scored and not isinstance(rule.value, Scored):
        legal = [name for name in strategies.names() if hasattr(strategies.get(name).cls, "score")]
        problems.append(f"{where}: {rule.plugin.name!r} is not one score a row; legal: {', '.join(legal)}")
    return rule.value if rule else None


def _shown(value: object) -> str:
    rule = named(value)
    return rule[0] if rule else repr(value)

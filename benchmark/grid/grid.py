"""From a YAML file to a checked `Grid`. Every error names file, key, value and what is legal; all come at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .. import registry
from ..registry import suggestion
from ..types import FULL_DATA, Budget, Resources, Segment, UserError
from .params import Choice, choose
from .structure import BudgetEntry, GridResources, Kept, Seeds, SegmentEntry, check, show

REQUIRED = ("name", "datasets", "embeddings", "strategies", "budgets")
DEFAULTS: Mapping[str, Any] = {"learners": ["linear"], "seeds": 10, "resources": {}, "keep": {}}
KEYS = ("name", "datasets", "embeddings", "learners", "strategies", "budgets", "seeds", "resources", "keep")
LISTS = {
    "datasets": registry.datasets,
    "embeddings": registry.encoders,
    "learners": registry.learners,
    "strategies": registry.strategies,
}
SAFE_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


class GridError(UserError):
    """A grid that cannot be run; ``messages`` holds every problem, one line each."""

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = list(messages)


@dataclass(frozen=True, eq=False)
class Grid:
    """What to run: the product of its lists. ``text`` is the resolved YAML, overrides included."""

    name: str
    datasets: tuple[Choice, ...]
    embeddings: tuple[Choice, ...]
    learners: tuple[Choice, ...]
    strategies: tuple[Choice, ...]
    budgets: tuple[Budget, ...]
    seeds: tuple[int, ...]
    resources: Mapping[str, Resources]  # by learner label
    keep: Kept
    source: str
    text: str


def load(path: Path, overrides: Sequence[str] = ()) -> Grid:
    """Read and check a grid file; ``overrides`` are ``key=value`` with dotted keys and YAML values.

    Raises
    ------
    GridError
        With everything that is wrong, whatever comes first.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        near = difflib.get_close_matches(path.name, (p.name for p in path.parent.glob("*.yaml")), n=1)
        raise GridError([f"{path}: {reason}" + (f"; did you mean {path.parent / near[0]}?" if near else "")]) from error
    return parse(text, str(path), overrides)


def parse(text: str, source: str, overrides: Sequence[str] = ()) -> Grid:
    """Check the text of a grid file; see `load`."""
    raw = _read_yaml(text, source)
    problems = _override(raw, overrides)
    problems += [f"{key}: unknown key{suggestion(str(key), KEYS)}" for key in raw if key not in KEYS]
    problems += [f"{key}: missing" for key in REQUIRED if key not in raw]
    said = {**DEFAULTS, **raw}
    name = _name(said, problems)
    choices = {key: _choices(key, said, problems) for key in LISTS}
    budgets = _budgets(said, problems)
    seeds = _seeds(said["seeds"], problems)
    resources = _resources(said["resources"], choices["learners"], problems)
    keep = check(Kept, said["keep"], "keep", problems)
    if problems:
        raise GridError([f"{source}: {problem}" for problem in problems])
    resolved = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
    return Grid(
        name,
        **choices,
        budgets=budgets,
        seeds=seeds,
        resources=resources,
        keep=keep,
        source=source,
        text=resolved,
    )


def inline(text: str, where: str) -> object:
    """Return what an entry of a grid's list stands for that is said on the command line: ``{...}`` is a mapping.

    Raises
    ------
    GridError
        When the mapping is not YAML.
    """
    if not text.startswith("{"):
        return text
    try:
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader, with one more check
    except yaml.YAMLError as error:
        raise GridError([f"{where}: {text!r} is not YAML; expected {{name: ..., parameter: ...}}"]) from error


class _UniqueKeys(yaml.SafeLoader):
    """A key given twice is an error; plain YAML keeps the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _read_yaml(text: str, source: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader, with one more check
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = "a tab; YAML is indented with spaces" if "\\t" in str(error.problem) else error.problem
        raise GridError([f"{source}{line}: {', '.join(filter(None, (error.context, problem)))}"]) from error
    except yaml.YAMLError as error:
        raise GridError([f"{source}: not YAML: {str(error).splitlines()[0]}"]) from error
    if not isinstance(raw, dict):
        raise GridError([f"{source}: expected a mapping (key: value), got {show(raw)}; legal keys: {', '.join(KEYS)}"])
    return raw


def _override(raw: dict[str, Any], overrides: Iterable[str]) -> list[str]:
    problems = []
    for override in overrides:
        key, equals, value = override.partition("=")
        *parents, last = steps = key.split(".")
        if not equals or not all(steps):
            problems.append(f"--set {override}: expected KEY=VALUE, for instance seeds=3 or resources.num_cpus=2")
            continue
        target: Any = raw
        for parent in parents:
            target = target.setdefault(parent, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            problems.append(f"--set {override}: {'.'.join(parents)} has no keys of its own; set it as a whole")
        else:
            try:
                target[last] = yaml.safe_load(value)
            except yaml.YAMLError:
                problems.append(f"--set {override}: the value {value!r} is not YAML")
    return problems


def _name(said: Mapping[str, Any], problems: list[str]) -> str:
    if "name" not in said:
        return ""
    name = check(str, said["name"], "name", problems)
    if name is not None and not SAFE_NAME.fullmatch(name):
        legal = "letters, digits and . _ + - , a letter or digit first"
        problems.append(f"name: {name!r} cannot name a folder of results; legal: {legal}")
    return name or ""


def _choices(key: str, said: Mapping[str, Any], problems: list[str]) -> tuple[Choice, ...]:
    if key not in said:
        return ()
    entries = said[key]
    if not isinstance(entries, list) or not entries:
        problems.append(f"{key}: expected a list with at least one entry, got {show(entries)}")
        return ()
    found: dict[str, Choice] = {}
    for i, entry in enumerate(entries):
        choice = choose(LISTS[key], entry, f"{key}[{i}]", problems)
        if choice is None:
            continue
        label = choice.part.label
        other = found.setdefault(label, choice)
        if other is not choice and other.value == choice.value:
            problems.append(f"{key}[{i}]: duplicate: {label!r} is in the list already")
        elif other is not choice:
            problems.append(f"{key}[{i}]: another entry is called {label!r} in the tables too; rename one of the files")
    return tuple(found.values())


def _budgets(said: Mapping[str, Any], problems: list[str]) -> tuple[Budget, ...]:
    if "budgets" not in said:
        return ()
    entries = said["budgets"]
    if not isinstance(entries, dict) or not entries:
        problems.append(f"budgets: expected a mapping (name: schedule) with at least one entry, got {show(entries)}")
        return ()
    built: list[Budget] = []
    for name, entry in entries.items():
        where = f"budgets.{name}"
        if not isinstance(name, str) or not name:
            problems.append(f"{where}: the name of a budget is text, got {show(name)}; put it in quotes")
        if name == FULL_DATA:
            problems.append(f"{where}: the name {FULL_DATA!r} is reserved for the full-data bound")
        checked = check(BudgetEntry, entry, where, problems)
        if checked is None:
            continue
        budget = _budget(str(name), checked)
        same = next((b.name for b in built if b.identity() == budget.identity()), None)
        if same is not None:
            problems.append(f"{where}: duplicate: the same schedule as {same!r}")
        built.append(budget)
    return tuple(built)


def _budget(name: str, entry: BudgetEntry) -> Budget:
    segments = entry.segments or [SegmentEntry.model_construct(query=entry.query, rounds=entry.rounds)]
    steps = tuple(Segment(s.query, None if s.rounds == "all" else s.rounds) for s in segments)
    return Budget(name, entry.initial, steps, entry.initial_by, entry.validation)


def _seeds(said: object, problems: list[str]) -> tuple[int, ...]:
    found = check(Seeds, said, "seeds", problems)
    seeds = tuple(range(found)) if isinstance(found, int) else tuple(found or ())
    twice = dict.fromkeys(seed for i, seed in enumerate(seeds) if isinstance(found, list) and seed in seeds[:i])
    problems.extend(f"seeds: duplicate: {seed}" for seed in twice)
    return seeds


def _resources(said: object, learners: tuple[Choice, ...], problems: list[str]) -> dict[str, Resources]:
    entry = check(GridResources, said, "resources", problems)
    if entry is None:
        return {}
    common = entry.model_dump(exclude={"learners"})
    special = entry.learners
    labels = [choice.part.label for choice in learners]
    for label in special:
        if label not in labels:
            problems.append(f"resources.learners.{label}: no learner of this grid{suggestion(label, labels)}")
    return {
        label: Resources(**{**common, **(special[label].model_dump(exclude_unset=True) if label in special else {})})
        for label in labels
    }

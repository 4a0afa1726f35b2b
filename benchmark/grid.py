"""From a YAML file to a checked `Grid`. Every error names file, key, value and what is legal; all come at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from . import registry
from .params import Choice, choose
from .registry import suggestion
from .types import FULL_DATA, Budget, Count, Resources, Segment, UserError

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
    source: str
    text: str


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Segment(_Strict):
    query: StrictInt | StrictStr
    rounds: StrictInt | Literal["all"]


class _Budget(_Strict):
    initial: StrictInt | StrictStr = 0
    initial_by: Literal["random", "stratified"] = "random"
    query: StrictInt | StrictStr | None = None
    rounds: StrictInt | Literal["all"] | None = None
    segments: list[_Segment] | None = None


class _Resources(_Strict):
    num_cpus: float = Field(default=1.0, gt=0)
    num_gpus: float = Field(default=0.0, ge=0)
    timeout: float | None = Field(default=None, gt=0)


class _GridResources(_Resources):
    learners: dict[str, _Resources] = Field(default_factory=dict)


class _File(_Strict):
    name: StrictStr
    datasets: Any
    embeddings: Any
    learners: Any = ["linear"]
    strategies: Any
    budgets: dict[StrictStr, _Budget] = Field(min_length=1)
    seeds: StrictInt | list[StrictInt] = 10
    resources: _GridResources = Field(default_factory=_GridResources)


_KEYS: dict[str, type[BaseModel]] = {
    "": _File,
    "budgets.*": _Budget,
    "budgets.*.segments.*": _Segment,
    "resources": _GridResources,
    "resources.learners.*": _Resources,
}


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
    problems = [f"{source}: {problem}" for problem in _override(raw, overrides)]
    file, found = _structure(raw)
    choices = {key: _choices(key, raw.get(key, _File.model_fields[key].default), found) for key in LISTS}
    budgets = _budgets(raw.get("budgets"), file, found)
    seeds = _seeds(file, found)
    resources = _resources(file, choices["learners"], found)
    if file is not None and not SAFE_NAME.fullmatch(file.name):
        found.append(
            f"name: {file.name!r} becomes a folder; legal: letters, digits and . _ + - , a letter or digit first"
        )
    problems += [f"{source}: {problem}" for problem in found]
    if problems or file is None:
        raise GridError(problems)
    resolved = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
    return Grid(file.name, **choices, budgets=budgets, seeds=seeds, resources=resources, source=source, text=resolved)


class _UniqueKeys(yaml.SafeLoader):
    """A key given twice is an error; plain YAML keeps the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice (line {line})")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _read_yaml(text: str, source: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader, with one more check
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise GridError([f"{source}: {error.problem}{line}"]) from error
    except yaml.YAMLError as error:
        raise GridError([f"{source}: {str(error).splitlines()[0]}"]) from error
    if not isinstance(raw, dict):
        raise GridError([f"{source}: a grid is a mapping of keys; legal: {', '.join(_File.model_fields)}"])
    return raw


def _override(raw: dict[str, Any], overrides: Iterable[str]) -> list[str]:
    problems = []
    for override in overrides:
        key, equals, value = override.partition("=")
        *parents, last = key.split(".")
        target: Any = raw
        for parent in parents:
            target = target.setdefault(parent, {}) if isinstance(target, dict) else None
        if not equals or not isinstance(target, dict):
            problems.append(f"--set {override}: expected key=value with a dotted key of the grid")
            continue
        try:
            target[last] = yaml.safe_load(value)
        except yaml.YAMLError:
            problems.append(f"--set {override}: the value is not YAML")
    return problems


def _structure(raw: dict[str, Any]) -> tuple[_File | None, list[str]]:
    try:
        return _File.model_validate(raw), []
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        unknown = []
        for e in error.errors():
            loc = [str(part) for part in e["loc"]]
            if e["type"] == "extra_forbidden":
                unknown.append(f"{'.'.join(loc)}: unknown key{suggestion(loc[-1], _legal(loc[:-1]))}")
            elif e["type"] == "missing":
                unknown.append(f"{'.'.join(loc)}: missing")
            else:
                where = ".".join(part for part in loc if part not in ("int", "str", "list[int]", "literal['all']"))
                got = "" if isinstance(e["input"], dict) else f", got {e['input']!r}"
                problems.setdefault(f"{where}: expected @{got}", []).append(e["msg"].removeprefix("Input should be "))
        told = [key.replace("@", " or ".join(dict.fromkeys(reasons)), 1) for key, reasons in problems.items()]
        return None, unknown + told


def _legal(parents: list[str]) -> list[str]:
    """Return the legal keys below a place in the file."""
    for pattern, model in _KEYS.items():
        steps = pattern.split(".") if pattern else []
        if len(steps) == len(parents) and all(s in ("*", p) for s, p in zip(steps, parents, strict=True)):
            return list(model.model_fields)
    return []


def _choices(key: str, said: object, problems: list[str]) -> tuple[Choice, ...]:
    if said is None:
        return ()  # missing: told by the structure
    if not isinstance(said, list) or not said:
        problems.append(f"{key}: expected a list with at least one entry, got {said!r}")
        return ()
    found = [choose(LISTS[key], entry, f"{key}[{i}]", problems) for i, entry in enumerate(said)]
    seen: set[str] = set()
    for i, choice in enumerate(found):
        if choice is not None and choice.part.label in seen:
            problems.append(f"{key}[{i}]: duplicate: {choice.part.label!r} is in the list already")
        elif choice is not None:
            seen.add(choice.part.label)
    return tuple(choice for choice in found if choice is not None)


def _budgets(raw: object, file: _File | None, problems: list[str]) -> tuple[Budget, ...]:
    if file is None:  # the rest of the file is wrong; what can be read of the budgets is checked all the same
        entries = raw if isinstance(raw, dict) else {}
        checked = {}
        for name, entry in entries.items():
            try:
                checked[str(name)] = _Budget.model_validate(entry)
            except ValidationError:
                continue  # told by the structure
    else:
        checked = file.budgets
    built = [_budget(name, entry, problems) for name, entry in checked.items()]
    return tuple(budget for budget in built if budget is not None)


def _budget(name: str, entry: _Budget, problems: list[str]) -> Budget | None:
    where, before = f"budgets.{name}", len(problems)
    if name == FULL_DATA:
        problems.append(f"{where}: the name {FULL_DATA!r} is reserved for the full-data bound")
    if entry.segments is not None and (entry.query is not None or entry.rounds is not None):
        problems.append(f"{where}: give either query and rounds, or segments")
        return None
    if entry.segments is None and (entry.query is None or entry.rounds is None):
        problems.append(f"{where}: needs query and rounds (or segments: a list of them)")
        return None
    said = entry.segments or [_Segment(query=entry.query or 0, rounds=entry.rounds or 0)]
    initial = _count(entry.initial, f"{where}.initial", 0, problems)
    segments = []
    for i, segment in enumerate(said):
        place = where if entry.segments is None else f"{where}.segments[{i}]"
        query = _count(segment.query, f"{place}.query", 1, problems)
        if isinstance(segment.rounds, int) and segment.rounds < 1:
            problems.append(f"{place}.rounds: expected a number of at least 1 or 'all', got {segment.rounds}")
        segments.append(Segment(query, None if segment.rounds == "all" else segment.rounds))
    return Budget(name, initial, tuple(segments), entry.initial_by) if len(problems) == before else None


def _count(said: int | str, where: str, least: int, problems: list[str]) -> Count:
    match = re.fullmatch(r"(\d+)(/class)?", str(said))
    if match is None or int(match[1]) < least:
        problems.append(f"{where}: expected a number of labels (at least {least}) or 'n/class', got {said!r}")
        return Count(least)
    return Count(int(match[1]), per_class=match[2] is not None)


def _seeds(file: _File | None, problems: list[str]) -> tuple[int, ...]:
    if file is None:
        return ()
    seeds = list(range(file.seeds)) if isinstance(file.seeds, int) else file.seeds
    if not seeds:
        problems.append(f"seeds: expected a number of at least 1 or a list of seeds, got {file.seeds!r}")
    twice = {seed for seed in seeds if seeds.count(seed) > 1} if len(seeds) != len(set(seeds)) else set()
    problems.extend(f"seeds: duplicate: {seed}" for seed in sorted(twice))
    return tuple(seeds)


def _resources(file: _File | None, learners: tuple[Choice, ...], problems: list[str]) -> dict[str, Resources]:
    if file is None:
        return {}
    common = file.resources.model_dump(exclude={"learners"})
    special = file.resources.learners
    labels = [choice.part.label for choice in learners]
    for label in special:
        if label not in labels:
            problems.append(f"resources.learners.{label}: no learner of this grid{suggestion(label, labels)}")
    return {
        label: Resources(**{**common, **(special[label].model_dump(exclude_unset=True) if label in special else {})})
        for label in labels
    }

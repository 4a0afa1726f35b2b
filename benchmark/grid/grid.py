"""From a YAML file to a checked `Grid`. Every error names file, key, value and what is legal; all come at once."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import registry
from ..registry import suggestion
from ..strangers import own
from ..text import spelled
from ..types import FULL_DATA, Budget, Resources, Segment, canonical_json
from . import document, packaged
from .document import GridError
from .learners import choose_learner, untunable
from .params import Build, Choice, choose
from .structure import MOST_TRIALS, BudgetEntry, GridResources, Kept, Seeds, SegmentEntry, check, show

REQUIRED = ("name", "datasets", "embeddings", "strategies", "budgets")
DEFAULTS: Mapping[str, Any] = {"learners": ["linear"], "seeds": 10, "resources": {}, "keep": {}}
KEYS = ("name", "datasets", "embeddings", "learners", "strategies", "budgets", "seeds", "resources", "keep")
LISTS = {
    "datasets": registry.datasets,
    "embeddings": registry.encoders,
    "learners": registry.learners,
    "strategies": registry.strategies,
}
LONGEST_NAME = 60  # four bytes each still name a file
SAFE_NAME = re.compile(rf"[A-Za-z0-9][\w.+-]{{0,{LONGEST_NAME - 1}}}")


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
    """Read and check a grid file, or the packaged grid of a name that no file has.

    ``overrides`` are ``key=value`` with dotted keys and YAML values.

    Raises
    ------
    GridError
        With everything that is wrong, whatever comes first.
    """
    path = packaged.find(path)
    try:
        text = document.text_of(path)
    except GridError as error:
        legal = [*(p.name for p in path.parent.glob("*.yaml")), *packaged.paths()]
        near = difflib.get_close_matches(path.name, legal, n=1)
        near = [] if path.exists() else near
        raise GridError([f"{path}: {error}" + (f"; did you mean {path.parent / near[0]}?" if near else "")]) from error
    with own.beside(path.parent):
        return parse(text, str(path), overrides)


def of(said: Mapping[str, Any], overrides: Sequence[str] = ()) -> Grid:
    """Check what would stand in a grid file; see `load`."""
    return parse(document.write(said), "grid", overrides)


def parse(text: str, source: str, overrides: Sequence[str] = ()) -> Grid:
    """Check the text of a grid file; see `load`. Modules of one's own are looked for in the current folder."""
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
    problems += untunable(choices["learners"], budgets)
    problems += _too_many([*choices.values(), budgets, seeds])
    if problems:
        raise GridError([f"{source}: {problem}" for problem in problems])
    resolved = document.write(raw)
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
        return document.read(text, where)
    except GridError as error:
        raise GridError([f"{error}; expected {{name: ..., parameter: ...}}"]) from error


def _read_yaml(text: str, source: str) -> dict[str, Any]:
    raw = document.read(text, source)
    if not isinstance(raw, dict):
        raise GridError([f"{source}: expected a mapping (key: value), got {show(raw)}; legal keys: {', '.join(KEYS)}"])
    return raw


def _override(raw: dict[str, Any], overrides: Iterable[str]) -> list[str]:
    problems = []
    for override in overrides:
        key, equals, value = override.partition("=")
        *parents, last = steps = [spelled(step) for step in key.split(".")]
        if not equals or not all(steps) or len(steps) > document.DEEPEST:
            problems.append(f"--set {override}: expected KEY=VALUE, for instance seeds=3 or resources.num_cpus=2")
            continue
        target: Any = raw
        for parent in parents:
            target = target.setdefault(parent, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            problems.append(f"--set {override}: {'.'.join(parents)} has no keys of its own; set it as a whole")
        else:
            try:
                target[last] = document.read(value, f"--set {override}")
            except GridError as error:
                problems += error.messages
    return problems


def _name(said: Mapping[str, Any], problems: list[str]) -> str:
    if "name" not in said:
        return ""
    given = check(str, said["name"], "name", problems)
    if given is not None and not SAFE_NAME.fullmatch(spelled(given)):
        legal = f"letters, digits and . _ + - , a letter or digit first, at most {LONGEST_NAME} in all"
        problems.append(f"name: {show(given)} cannot name a folder of results; legal: {legal}")
    return spelled(given or "")


def _choices(key: str, said: Mapping[str, Any], problems: list[str]) -> tuple[Choice, ...]:
    if key not in said:
        return ()
    entries = said[key]
    if not isinstance(entries, list) or not entries:
        problems.append(f"{key}: expected a list with at least one entry, got {show(entries)}")
        return ()
    build: Build = choose_learner if key == "learners" else partial(choose, LISTS[key])
    found: dict[str, Choice] = {}
    for i, entry in enumerate(entries):
        choice = build(entry, f"{key}[{i}]", problems)
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
    built: dict[str, Budget] = {}  # by schedule
    for name, entry in entries.items():
        where = f"budgets.{name}"
        if not name:
            problems.append(f"{where}: a budget needs a name")
        if name == FULL_DATA:
            problems.append(f"{where}: the name {FULL_DATA!r} is reserved for the full-data bound")
        checked = check(BudgetEntry, entry, where, problems)
        if checked is None:
            continue
        budget = _budget(name, checked)
        same = built.setdefault(canonical_json(budget.identity()), budget)
        if same is not budget:
            problems.append(f"{where}: duplicate: the same schedule as {same.name!r}")
    return tuple(built.values())


def _budget(name: str, entry: BudgetEntry) -> Budget:
    segments = entry.segments or [SegmentEntry.model_construct(query=entry.query, rounds=entry.rounds)]
    steps = tuple(Segment(s.query, None if s.rounds == "all" else s.rounds) for s in segments)
    return Budget(name, entry.initial, steps, entry.initial_by, entry.validation)


def _seeds(said: object, problems: list[str]) -> tuple[int, ...]:
    found = check(Seeds, said, "seeds", problems)
    if isinstance(found, int):
        return tuple(range(found))
    problems.extend(f"seeds: duplicate: {seed}" for seed, times in Counter(found).items() if times > 1)
    return tuple(found or ())


def _too_many(lists: Sequence[Sequence[object]]) -> list[str]:
    sizes = [len(each) for each in lists]
    if (trials := math.prod(sizes)) <= MOST_TRIALS:
        return []
    product = " x ".join(f"{size:,}" for size in sizes if size > 1)
    return [f"its lists make {product} = {trials:,} trials; legal: up to {MOST_TRIALS:,} in one grid"]


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
    own = {label: special[label].model_dump(exclude_unset=True) if label in special else {} for label in labels}
    return {label: _asked(common | own[label]) for label in labels}


def _asked(said: dict[str, Any]) -> Resources:
    """Return resources as they are said; ``auto`` is a whole card until it is measured what a trial needs."""
    auto = said["num_gpus"] == "auto"
    return Resources(**(said | {"num_gpus": 1.0, "auto": True} if auto else said))

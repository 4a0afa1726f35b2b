"""Names to plugins: the files of this package and the entry points of others. Nothing else is edited to add one.

A plugin is a class under one of the decorators `strategy`, `learner`, `dataset`, `encoder`. It is found because its
file lies in the folder of its kind, or in a room of that folder, or because another package names it in the
entry-point group of its kind. Those of a `Family` are another library's and are made when they are asked for. Any other
is called ``module:Class``, and its module is imported when it is asked for, never before (`strangers.own`).
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, TypeVar

from .query import FROM_THE_MODEL, FROM_THE_TRIAL, Batch, Chooser, Query, Strategy
from .strangers import own
from .text import listing
from .types import Part, UserError, canonical_json

C = TypeVar("C", bound=type)

OURS = __name__.partition(".")[0]
SHARED = ("kernels", "heads", "networks")
"""Rooms that hold no plugins, but what plugins share. (Those of the datasets are no packages and are not walked.)"""

Note = str | Callable[[], str]
"""A text, or what makes it when it is shown: a dataset's checksums are in torchvision, which is slow to import."""


@dataclass(frozen=True)
class Plugin:
    """A registered class and what was declared about it.

    ``version`` is bumped when the plugin's numbers change; it is part of the identity of every trial. ``cite`` is
    printed by the report. ``needs`` is what a rule asks for (`query.FROM_THE_MODEL`, `query.FROM_THE_TRIAL`).
    ``notes`` holds what a kind declares besides (a dataset's licence, say). ``library`` is the one, with its version,
    whose code it is where that is not ours; ``source`` the digest of its code where it is the user's own.
    """

    kind: str
    name: str
    cls: type
    cite: str
    version: int
    needs: frozenset[str] = frozenset()
    notes: Mapping[str, Note] = field(default_factory=dict)
    library: str = ""
    source: str = ""
    was: str = ""  # a grid may say it, and identities do: a new name moves no number

    @property
    def summary(self) -> str:
        """First line of the class's docstring."""
        return (inspect.getdoc(self.cls) or "").split("\n", 1)[0]

    @property
    def family(self) -> str:
        """The room its file lies in, below the folder of its kind; empty at the top, and outside this package."""
        path = self.cls.__module__.split(".")
        return path[2] if path[:2] == [OURS, "strategies"] and len(path) > 3 else ""

    @property
    def origin(self) -> str:
        return f"{self.cls.__module__}:{self.cls.__qualname__}"


@dataclass(frozen=True)
class Family:
    """Plugins of another library, called ``prefix:member``.

    Both functions load the library: ``members`` returns the names of those that there are, ``make`` the plugin of a
    member; they raise `UnknownNameError` for a member that there is not, `PluginError` for what cannot be had.
    """

    prefix: str
    members: Callable[[], list[str]]
    make: Callable[[str], Plugin]

    @property
    def pattern(self) -> str:
        """What stands for its members in a list of names."""
        return f"{self.prefix}:*"


class PluginError(UserError):
    """A plugin of another package cannot be had; ``str()`` is one line that names it and the reason."""


class UnknownNameError(UserError, LookupError):
    """A name that no plugin has; ``str()`` is one line with the legal names and the nearest match."""

    def __init__(self, kind: str, name: str, legal: Iterable[str]) -> None:
        self.kind, self.name, self.legal = kind, name, sorted(legal)
        super().__init__(f"unknown {kind} {name!r}{suggestion(name, self.legal)}")


def suggestion(name: str, legal: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'? legal: a, b, x"`` for an error message (the nearest match where one is near)."""
    names = list(legal)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{hint} legal: {listing(names, 100) or 'none'}"


class Registry:
    """All plugins of one kind, loaded when first asked for."""

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind = kind
        self._package = package  # e.g. "strategies", below the package this file belongs to
        self._group = group
        self._plugins: dict[str, Plugin] = {}
        self._families: dict[str, Family] = {}
        self._made: dict[str, Plugin] = {}  # those of families that were asked for
        self._loaded = False

    def add(self, plugin: Plugin) -> None:
        """Register a plugin; one of the user's own is called by its module and class, whatever it declares.

        Raises `ValueError` when another class has the name (the same class under two module names shows here too), and
        `TypeError` when the class is no dataclass (yet): its fields are its parameters.
        """
        if not is_dataclass(plugin.cls):
            raise TypeError(f"{plugin.origin} is no dataclass; put @{self.kind} above @dataclass(frozen=True)")
        if source := own.digest_of(plugin.cls.__module__):
            self._made[plugin.origin] = replace(plugin, name=plugin.origin, source=source)
            return
        other = self._plugins.get(plugin.name)
        if other is not None and other.cls is not plugin.cls:
            raise ValueError(f"{self.kind} {plugin.name!r} is declared twice: {other.origin} and {plugin.origin}")
        self._plugins[plugin.name] = plugin

    def add_family(self, family: Family) -> None:
        """Register what makes the plugins ``prefix:member``."""
        self._families[family.prefix] = family

    def names(self) -> list[str]:
        """Return all registered names, sorted; without those of families, whose libraries may be slow to load."""
        self._load()
        return sorted(self._plugins)

    @property
    def reserved(self) -> set[str]:
        """The names that no module of the user's own can have."""
        return {*self.names(), *self._families, OURS}

    def legal(self) -> list[str]:
        """Return the names as a message lists them: a family stands in one."""
        return sorted([*self.names(), *(family.pattern for family in self._families.values())])

    def get(self, name: str) -> Plugin:
        """Return the plugin of this name.

        Raises `UnknownNameError` when there is none, and `PluginError` when it is a family's, or of a module of the
        user's own, and cannot be had.
        """
        self._load()
        prefix, _, member = name.partition(":")
        if prefix in self._families and name not in self._made:
            self._made[name] = self._families[prefix].make(member)
        elif self.is_own(name):
            self._made[name] = self._own(name)
        renamed = next((plugin for plugin in self._plugins.values() if plugin.was == name), None)
        plugin = self._plugins.get(name) or self._made.get(name) or renamed
        if plugin is None:
            raise UnknownNameError(self.kind, name, self.legal())
        return plugin

    def split(self, said: str) -> tuple[str, str | None]:
        """Return name and value of ``name:value``; a family's name is ``prefix:member``, one's own ``module:Class``."""
        self._load()
        name, colon, value = said.partition(":")
        member = value.partition(":")[0]
        if colon and (name in self._families or self.is_own(f"{name}:{member}")):
            member, colon, value = value.partition(":")
            name = f"{name}:{member}"
        return name, value if colon else None

    def summaries(self) -> dict[str, str]:
        """Return name -> first line of all plugins; of a family that cannot be had, why."""
        found = {name: self.get(name).summary for name in self.names()}
        for prefix, family in self._families.items():
            try:
                found |= {name: self.get(name).summary for name in (f"{prefix}:{one}" for one in family.members())}
            except PluginError as error:
                found[family.pattern] = str(error)
        return found

    def of(self, cls: type) -> Plugin | None:
        """Return the plugin that a class was declared as, or None for an undeclared class."""
        return next((p for p in (*self._plugins.values(), *self._made.values()) if p.cls is cls), None)

    def is_own(self, name: str) -> bool:
        """Return whether ``module:Class`` is meant, one of the user's own, and not a misspelled name with its value."""
        module, _, member = name.partition(":")
        if module.partition(".")[0] in self.reserved or not own.is_reference(module, member):
            return False
        return own.exists(module) or not difflib.get_close_matches(module, self.reserved, n=1, cutoff=0.8)

    def _own(self, name: str) -> Plugin:
        if (plugin := self.of(own_class(name))) is None:
            raise PluginError(f"{name} has no @{self.kind} above it")
        return replace(plugin, name=name, source=own.digest_of(name.partition(":")[0]))

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # first, so that a plugin that asks the registry while it loads does not recurse
        root = __package__.rsplit(".", 1)[0]
        self._import(importlib.import_module(f"{root}.{self._package}"))
        for entry in entry_points(group=self._group):
            try:
                entry.load()
            except Exception as error:
                what = f"{type(error).__name__}: {error}".split("\n", 1)[0]
                raise PluginError(f"{self.kind} {entry.name!r} ({entry.value}) cannot be loaded: {what}") from error

    def _import(self, package: ModuleType) -> None:
        """Import the files of a folder, and of the rooms in it; what they share lies in `SHARED`."""
        for module in pkgutil.iter_modules(package.__path__):
            if module.name not in SHARED:
                found = importlib.import_module(f"{package.__name__}.{module.name}")
                if module.ispkg:
                    self._import(found)


def own_class(name: str) -> type:
    """Return the class that ``module:Class`` names, or raise `PluginError`; its module is imported now (`own.load`)."""
    module, _, member = name.partition(":")
    try:
        classes = own.load(module)
    except own.OwnError as error:
        raise PluginError(f"{name}: {error}") from error
    if member not in classes:
        declared = [key for key, value in classes.items() if any(kind.of(value) for kind in KINDS)]
        raise PluginError(f"{module!r} has no class {member!r}{suggestion(member, declared)}")
    return classes[member]


strategies = Registry("strategy", "strategies", "albench.strategies")
learners = Registry("learner", "benchmark.learners", "albench.learners")
datasets = Registry("dataset", "datasets", "albench.datasets")
encoders = Registry("encoder", "datasets.embeddings", "albench.encoders")
KINDS = (strategies, learners, datasets, encoders)


def strategy(name: str, *, cite: str, version: int = 1, needs: Iterable[str] = ()) -> Callable[[C], C]:
    """Declare a strategy. A need that the trial cannot meet makes the cell unsupported before the run.

    A rule whose needs depend on its parameters (one over another rule) has a property ``needs`` besides.

    Raises
    ------
    ValueError
        When a need is none of those that there are.
    """
    legal = (*FROM_THE_MODEL, *FROM_THE_TRIAL)
    for need in needs:
        if need not in legal:
            raise ValueError(
                f"strategy {name!r} needs {need!r}, which no learner or trial gives{suggestion(need, legal)}"
            )
    return _declare(strategies, name, cite, version, frozenset(needs), {})


def needs_of(strategy: object) -> frozenset[str]:
    """Return all that a rule needs with these parameters, or, of a class, whatever they are."""
    plugin = strategies.of(strategy if isinstance(strategy, type) else type(strategy))
    asked: frozenset[str] = frozenset() if isinstance(strategy, type) else getattr(strategy, "needs", frozenset())
    return asked | (plugin.needs if plugin else frozenset())


def rule(name: str) -> Callable[[], Any]:
    """Return what makes a rule with its default parameters, for the default of a rule that is composed over it."""
    return lambda: strategies.get(name).cls()


def parameters(cls: type) -> list[Field[Any]]:
    """Return the parameters of a plugin, its own before those that its whole kind has (they are keyword-only)."""
    return sorted((field for field in fields(cls) if field.init), key=lambda field: field.kw_only is True)


def required(field: Field[Any]) -> bool:
    """Return whether a parameter has no default."""
    return field.default is MISSING and field.default_factory is MISSING


def default(field: Field[Any]) -> Any:
    """Return the default of a parameter that has one."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def named(value: object) -> tuple[str, list[Any]] | None:
    """Return label and identity of the rule, or the several, that a parameter holds; None where it holds none."""
    if isinstance(value, tuple):
        several = [one for each in value if (one := named(each))]
        return ("+".join(label for label, _ in several), [identity for _, identity in several]) if several else None
    plugin = strategies.of(type(value))
    if plugin is None:
        return None
    part = part_of(value, plugin)
    return part.label, part.identity()


def part_of(value: Any, plugin: Plugin) -> Part:
    """Return how a trial names a plugin with these parameters; a rule among them is named with its own."""
    known = {field.name: field for field in parameters(plugin.cls)}
    said = {key: getattr(value, key) for key, field in known.items() if not field.metadata.get("path")}
    kept = {key: v for key, v in said.items() if not (known[key].metadata.get("later") and v == known[key].default)}
    rules = {key: rule for key, v in kept.items() if (rule := named(v))}
    # an integer given for a float is the same number: one identity
    hints = typing.get_type_hints(plugin.cls)
    kept = {key: float(v) if hints[key] is float else v for key, v in kept.items()}
    labels_itself = hasattr(value, "label")  # and then says itself what every use of it must say
    base = value.label() if labels_itself else plugin.name
    shown = {key: v for key, v in kept.items() if not (labels_itself and required(known[key]))}
    special = ", ".join(
        f"{key}={rules[key][0] if key in rules else v}" for key, v in shown.items() if v != default(known[key])
    )
    kept |= {key: identity for key, (_, identity) in rules.items()}
    shown_as = f"{base}({special})" if special else base
    return Part(plugin.name, canonical_json(kept), plugin.version, shown_as, plugin.source, plugin.was)


def label(rule: object) -> str:
    """Return how tables print a rule: its name, and the parameters that are not at their default."""
    plugin = strategies.of(type(rule))
    return part_of(rule, plugin).label if plugin else type(rule).__name__


def ask(rule: Strategy, query: Query) -> Batch:
    """Return what another rule buys, and that it chose it; where that rule leaves the choice to others, who chose."""
    if isinstance(rule, Chooser):
        return rule.choose(query)
    return Batch(rule.select(query), (label(rule),) * query.n)


MARKS = {
    "oracle": "reads the hidden labels: an upper bound, never ranked",
    "reveals": "has the labels of a batch revealed one by one",
    "trains": "changes the training of its rounds: not ranked with the others",
    "theirs": "is another library's code, asked through a wrapper",
}
"""What every table says of a rule that is not asked like the others, in words."""


def marks_of(strategy: object) -> tuple[str, ...]:
    """Return the `MARKS` of a rule."""
    needs, plugin = needs_of(strategy), strategies.of(type(strategy))
    has = {
        "oracle": "oracle" in needs,
        "reveals": "reveal" in needs,
        "trains": hasattr(strategy, "pseudo_labels"),
        "theirs": bool(plugin and plugin.library),
    }
    return tuple(mark for mark in MARKS if has[mark])


def learner(name: str, *, cite: str, version: int = 1) -> Callable[[C], C]:
    """Declare a learner; what it gives is its property ``gives``."""
    return _declare(learners, name, cite, version, frozenset(), {})


def dataset(
    name: str, *, cite: str, licence: str, version: int = 1, classes: str = "", sizes: str = "", revision: Note = ""
) -> Callable[[C], C]:
    """Declare a dataset: its citation, a note on its licence, how many classes, how many rows of what in each part.

    ``revision`` says which files exactly: names and checksums.
    """
    notes = {"classes": classes, "sizes": sizes, "revision": revision, "licence": licence}
    return _declare(datasets, name, cite, version, frozenset(), notes)


def encoder(name: str, *, cite: str, version: int = 1, was: str = "") -> Callable[[C], C]:
    """Declare an encoder; ``was`` is its former name."""
    return _declare(encoders, name, cite, version, frozenset(), {}, was)


def _declare(
    registry: Registry,
    name: str,
    cite: str,
    version: int,
    needs: frozenset[str],
    notes: Mapping[str, Note],
    was: str = "",
) -> Callable[[C], C]:
    def register(cls: C) -> C:
        registry.add(Plugin(registry.kind, name, cls, cite, version, needs, notes, was=was))
        return cls

    return register

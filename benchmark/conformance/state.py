"""What a rule could leave behind: on itself, on its class, in its module, in the generators that everybody shares."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ..types import Strategy

OURS = 271_828_183
"""What the shared generators are seeded with before a call: a rule that seeds them has another number."""


def kept(strategy: Strategy) -> dict[str, object]:
    """Return, place by place, all that a rule and the rules it is composed over could keep from call to call."""
    places: dict[str, tuple[Any, str]] = {}
    for rule in _rules(strategy):
        places[f"itself ({type(rule).__name__})"] = rule, type(rule).__module__
        for cls in type(rule).__mro__:
            if cls.__module__.partition(".")[0] not in sys.stdlib_module_names:
                places[f"its class {cls.__name__}"] = cls, cls.__module__
                places[f"its module {cls.__module__}"] = sys.modules[cls.__module__], cls.__module__
    return {place: [_value(x, module, {id(there)}) for x in _own(there)] for place, (there, module) in places.items()}


@contextmanager
def shared_generators() -> Iterator[dict[str, object]]:
    """Seed the global generators with our own number, and restore them at the end; yield their states by name."""
    before, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - to see that nobody uses it
    torch = sys.modules.get("torch")
    torchs = torch.get_rng_state() if torch else None
    random.seed(OURS)
    np.random.seed(OURS)  # noqa: NPY002 - as above
    if torch:
        torch.default_generator.manual_seed(OURS)
    try:
        yield states()
    finally:
        random.setstate(before)
        np.random.set_state(numpys)  # noqa: NPY002 - as above
        if torch:
            torch.set_rng_state(torchs)


def states() -> dict[str, object]:
    """Return the states of the generators that everybody shares."""
    legacy = np.random.get_state()  # noqa: NPY002 - read to see that nobody uses it
    found: dict[str, object] = {
        "random": random.getstate(),
        "numpy.random": repr([np.asarray(x).tolist() for x in legacy]),
    }
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_rng_state().numpy().tobytes()
    return found


def _rules(strategy: Any) -> Iterator[Any]:
    yield strategy
    if is_dataclass(strategy):
        for field in fields(strategy):
            if hasattr(value := getattr(strategy, field.name), "select"):
                yield from _rules(value)


def _value(value: Any, module: str, seen: set[int]) -> object:
    """Return something that is equal for two moments exactly when the value was: its contents, as far as we know them.

    ``module`` is whose functions, classes and objects are looked into.
    """
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if id(value) in seen:
        return id(value)
    seen.add(id(value))
    return id(value), [_value(item, module, seen) for item in _inside(value, module)]


def _inside(value: Any, module: str) -> Iterable[Any]:
    inside: Iterable[Any] = ()
    if isinstance(value, np.ndarray):
        inside = str(value.shape), repr(value) if value.dtype == object else value.tobytes()
    elif isinstance(value, np.random.Generator):
        inside = (repr(value.bit_generator.state),)
    elif isinstance(value, dict):
        inside = *value, *value.values()
    elif isinstance(value, list | tuple | set | frozenset | bytearray | deque):
        inside = value
    elif getattr(value if isinstance(value, FunctionType | type) else type(value), "__module__", None) == module:
        inside = _own(value)
        if isinstance(value, FunctionType):
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            inside = value.__defaults__, value.__kwdefaults__, *inside, *cells
    return inside


def _own(value: Any) -> list[Any]:
    """Return names and values of what an object, a class or a module holds, less modules and what its fields decide."""
    decided = {name for name, there in vars(type(value)).items() if isinstance(there, cached_property)}
    own = [
        (name, inside)
        for name, inside in getattr(value, "__dict__", {}).items()
        if not name.startswith("__") and not isinstance(inside, ModuleType) and name not in decided
    ]
    return [part for pair in own for part in pair]

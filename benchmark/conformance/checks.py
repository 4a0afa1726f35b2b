"""The contract of a selection rule as checks that anyone can run against their own: `check_strategy`.

A rule passes when on every pool, however awkward, it answers exactly ``n`` distinct unlabelled rows in time, fixed by
the query's generator alone, and the same points whatever their row numbers; asks only what it has declared; writes to
nothing; knows no label it was not given and keeps nothing for later. A failed check says on which pool and how.
"""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from ..registry import Plugin, needs_of, strategies, suggestion
from ..strangers.apart import DiedError, SilentError, Tell, apart
from ..types import Strategy, UserError
from . import calls, contract
from .calls import NonConformanceError

CHECKS: tuple[contract.Check, ...] = (
    contract.exact_batches,
    contract.inputs_unchanged,
    contract.fixed_by_the_generator,
    contract.global_generators_untouched,
    contract.blind_to_hidden_labels,
    contract.nothing_kept,
    contract.renumbering,
)


@dataclass(frozen=True)
class CheckResult:
    """One check of one rule; ``message`` is empty when it passed, else one line on what went wrong and where."""

    name: str
    passed: bool
    message: str = ""


class LoadError(UserError, ValueError):
    """A class that cannot be checked; ``str()`` is one line with its name and the reason."""


def check_strategy(strategy: Strategy, needs: frozenset[str] = frozenset()) -> list[CheckResult]:
    """Run every check against a rule that declares ``needs`` (see `registry.strategy`), in about a second or two."""
    return list(_results(strategy, needs))


def _results(strategy: Strategy, needs: frozenset[str]) -> Iterator[CheckResult]:
    for check in CHECKS:
        try:
            check(copy.deepcopy(strategy), needs)  # a copy: what one check leaves behind cannot hide from the next
            yield CheckResult(check.__name__, passed=True)
        except NonConformanceError as fault:
            yield CheckResult(check.__name__, passed=False, message=str(fault))


def _results_apart(strategy: Strategy, needs: frozenset[str]) -> Iterator[CheckResult]:
    """Yield the same from a process of its own; one that ends it, or must be ended, fails its check, the last."""
    done, where = 0, ""

    def work(tell: Tell[CheckResult | str]) -> None:
        calls.before_call.set(tell)
        for result in _results(strategy, needs):
            tell(result)

    try:
        for told in apart(work, patience=calls.LIMIT_S + calls.GRACE_S / 2):
            if isinstance(told, str):
                where = told
            else:
                done += 1
                yield told
    except (SilentError, DiedError) as error:
        never = f"select() did not end within {calls.LIMIT_S:g} s, nor when it was told to"
        how = never if isinstance(error, SilentError) else f"select() ended its process: {error}"
        yield CheckResult(CHECKS[done].__name__, passed=False, message=f"{where}: {how}; the checks end here")


def check_named(name: str) -> list[CheckResult]:
    """Run every check against a rule with its default parameters: a registered name, or ``module:Class``.

    They run in a process of their own, which a rule may hang or end.

    Raises
    ------
    UnknownNameError
        When no strategy has the name.
    LoadError
        When there is no such module or class, the class has no ``@strategy``, or it needs a parameter.
    """
    registered = strategies.split(name)[1] is None  # else what stands before the colon is a module
    plugin = strategies.get(name) if registered else _declared(*name.split(":", 1))
    required = [f.name for f in fields(plugin.cls) if f.default is MISSING and f.default_factory is MISSING]
    if required:
        raise LoadError(
            f"{name} has no default for {', '.join(required)}; give it one, or call check_strategy with an instance"
        )
    rule = plugin.cls()
    return list(_results_apart(rule, needs_of(rule)))


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

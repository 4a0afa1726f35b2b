"""The contracts of rules and learners as checks that anyone can run against their own.

A rule (`check_strategy`) passes when on every pool, however awkward, it answers exactly ``n`` distinct unlabelled rows
in time, fixed by the query's generator alone, and the same points whatever their row numbers; asks only what it has
declared; writes to nothing; knows no label it was not given and keeps nothing for later. A learner (`check_learner`)
passes when it fits every lesson, however awkward, in time, fixed by the lesson's generator alone and from weights that
no other fit has changed; its model says what the learner ``gives``, of each row by itself. A failed check says on which
pool or lesson and how.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..registry import (
    KINDS,
    Plugin,
    UnknownNameError,
    learners,
    needs_of,
    own_class,
    parameters,
    required,
    strategies,
)
from ..strangers.apart import DiedError, SilentError, Tell, apart
from ..types import Learner, Strategy, UserError
from . import calls, contract, learning
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
OF_LEARNERS: tuple[learning.Check, ...] = (
    learning.every_lesson,
    learning.lesson_unchanged,
    learning.fixed_by_the_generator,
    learning.cold,
    learning.global_generators_untouched,
    learning.blind_to_hidden_labels,
    learning.row_by_row,
    learning.head_gives_the_probabilities,
    learning.passes_around_the_probabilities,
    learning.travels,
)

Suite = Mapping[str, Callable[[], None]]
"""Checks of one plugin, by name."""


@dataclass(frozen=True)
class CheckResult:
    """One check of one plugin; ``message`` is empty when it passed, else one line on what went wrong and where."""

    name: str
    passed: bool
    message: str = ""


class LoadError(UserError, ValueError):
    """A class that cannot be checked; ``str()`` is one line with its name and the reason."""


def check_strategy(strategy: Strategy, needs: frozenset[str] = frozenset()) -> list[CheckResult]:
    """Run every check against a rule that declares ``needs`` (see `registry.strategy`), in about a second or two."""
    return list(_results(_of_strategy(strategy, needs)))


def check_learner(learner: Learner) -> list[CheckResult]:
    """Run every check against a learner: some forty fits of at most 60 inputs, in 4 features or of 8 x 8 pixels."""
    return list(_results(_of_learner(learner)))


def _of_strategy(strategy: Strategy, needs: frozenset[str]) -> Suite:
    # a copy each: what one check leaves behind cannot hide from the next
    return {check.__name__: partial(check, copy.deepcopy(strategy), needs) for check in CHECKS}


def _of_learner(learner: Learner) -> Suite:
    return {check.__name__: partial(check, copy.deepcopy(learner)) for check in OF_LEARNERS}


def _results(suite: Suite) -> Iterator[CheckResult]:
    for name, check in suite.items():
        try:
            check()
            yield CheckResult(name, passed=True)
        except NonConformanceError as fault:
            yield CheckResult(name, passed=False, message=str(fault))


def _results_apart(suite: Suite, call: str) -> Iterator[CheckResult]:
    """Yield the same from a process of its own; one that ends it, or must be ended, fails its check, the last.

    ``call`` is what the checks call.
    """
    done, where = 0, ""

    def work(tell: Tell[CheckResult | str]) -> None:
        calls.before_call.set(tell)
        for result in _results(suite):
            tell(result)

    try:
        for told in apart(work, patience=calls.LIMIT_S + calls.GRACE_S / 2):
            if isinstance(told, str):
                where = told
            else:
                done += 1
                yield told
    except (SilentError, DiedError) as error:
        never = f"{call} did not end within {calls.LIMIT_S:g} s, nor when it was told to"
        how = never if isinstance(error, SilentError) else f"{call} ended its process: {error}"
        yield CheckResult([*suite][done], passed=False, message=f"{where}: {how}; the checks end here")


def check_named(name: str) -> list[CheckResult]:
    """Run every check against a rule or a learner with its default parameters: a registered name, or ``module:Class``.

    They run in a process of their own, which a plugin may hang or end.

    Raises
    ------
    UnknownNameError
        When neither a strategy nor a learner has the name.
    PluginError, LoadError
        When there is no such module or class, the class is not declared as either, or it needs a parameter.
    """
    plugin = checkable(name)
    if lacking := [field.name for field in parameters(plugin.cls) if required(field)]:
        given = ", ".join(f"{field}: ..." for field in lacking)
        raise LoadError(f"{name} has no default for {', '.join(lacking)}; say it: '{{name: {name}, {given}}}'")
    return check_made(plugin, plugin.cls())


def check_made(plugin: Plugin, made: Any) -> list[CheckResult]:
    """Run every check against a rule or a learner of this plugin, as `check_named` does."""
    if plugin.kind == learners.kind:
        return list(_results_apart(_of_learner(made), "fit()"))
    return list(_results_apart(_of_strategy(made, needs_of(made)), "select()"))


def checkable(name: str) -> Plugin:
    """Return the strategy or the learner of this name; raises as `check_named` does."""
    return _registered(name) or _declared(name)


def _registered(name: str) -> Plugin | None:
    """Return the plugin of a registered name, or None where the name is that of a class in a module."""
    if name in learners.names():
        return learners.get(name)
    if strategies.is_own(name):
        return None
    try:
        return strategies.get(name)
    except UnknownNameError as error:
        raise UnknownNameError("strategy or learner", name, [*error.legal, *learners.legal()]) from None


def _declared(name: str) -> Plugin:
    cls = own_class(name)
    plugin = next(filter(None, (kind.of(cls) for kind in KINDS)), None)
    if plugin is None:
        raise LoadError(f"{name} has no @strategy or @learner above it, so it is not known what it is")
    if plugin.kind not in (strategies.kind, learners.kind):
        raise LoadError(f"{name} has @{plugin.kind} above it; there are checks for strategies and learners")
    return plugin

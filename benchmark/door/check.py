"""The checks of one plugin that is said as in a grid."""

from __future__ import annotations

from .. import registry
from ..conformance.checks import CheckResult, check_made, check_named, checkable
from ..grid.grid import inline
from ..grid.params import choose
from ..types import UserError


def check(said: str) -> list[CheckResult]:
    """Run every check against a strategy or a learner, by its name or as ``{name: ..., parameter: ...}``.

    Raises
    ------
    UserError
        When it is neither, cannot be loaded, or its parameters are not legal.
    """
    entry = inline(said, "NAME")
    if not isinstance(entry, dict):
        return check_named(said)
    if not isinstance(name := entry.get("name"), str):
        raise UserError(f"NAME: expected {{name: ..., parameter: ...}}, got {said}")
    plugin, problems = checkable(name), list[str]()
    choice = choose(next(kind for kind in registry.KINDS if kind.kind == plugin.kind), entry, "NAME", problems)
    if choice is None:
        raise UserError("\n".join(problems))
    return check_made(choice.plugin, choice.value)

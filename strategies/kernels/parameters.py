"""What a rule, or a learner, says of a parameter that it cannot work with."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def check(rule: str, parameters: object, at_least: Mapping[str, float], above_0: Collection[str] = ()) -> None:
    """Raise `ValueError`, with the rule's name, for a parameter below its least value or, of some, not above 0.

    One that is left to somebody else (None) may be anything.
    """
    for name, least in at_least.items():
        if (value := getattr(parameters, name)) is not None and not value >= least:
            raise ValueError(f"{rule}: {name} is {value}; it must be at least {least}")
    for name in above_0:
        if (value := getattr(parameters, name)) is not None and not value > 0:
            raise ValueError(f"{rule}: {name} is {value}; it must be above 0")

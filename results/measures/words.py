"""Numbers as words, the same in every table and sentence."""

from __future__ import annotations

from math import isnan

from .stats import Interval

UNSAID = "regime not said"
"""What is called the regime of learners of which none is known: imported ones, and those of runs from before."""


def count(n: int, thing: str) -> str:
    """Return ``1 seed``, ``2 seeds``."""
    return f"{n} {thing}{'' if n == 1 else 's'}"


def more_than_one(n: int) -> str:
    """Return how many besides the first there are, in brackets; nothing for one."""
    return f" (and {n - 1} more)" if n > 1 else ""


def interval_text(interval: Interval, digits: int = 3, sign: str = "") -> str:
    """Return ``0.812 [0.790, 0.833]``; without brackets where there is no interval, a dash where there is no value."""
    if isnan(interval.mean):
        return "-"
    mean, low, high = (f"{value:{sign}.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return mean if isnan(interval.low) else f"{mean} [{low}, {high}]"

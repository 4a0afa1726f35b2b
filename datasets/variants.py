"""Variants of any dataset: fewer rows, unequal classes, wrong labels. The test set stays as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .base import LATER, Split

NoiseKind = Literal["symmetric", "asymmetric"]


@dataclass(frozen=True, kw_only=True)
class Variants:
    """The parameters that every dataset has.

    ``per_class`` keeps so many rows of each class of the pool. ``long_tail`` and ``step`` are ratios of the largest
    class to the smallest: sizes fall exponentially, or at once for the second half of the classes. ``noise`` is the
    share of pool labels that are wrong, in the oracle too.
    """

    per_class: int | None = field(default=None, metadata=LATER)
    long_tail: float = field(default=1.0, metadata=LATER)
    step: float = field(default=1.0, metadata=LATER)
    noise: float = field(default=0.0, metadata=LATER)
    noise_kind: NoiseKind = field(default="symmetric", metadata=LATER)

    def vary(self, split: Split, label: str) -> Split:
        """Return the split with these changes to its pool, fixed by names alone."""
        return split

"""What trials cost by kind, as measured so far, and what the open ones will cost."""

from __future__ import annotations

from collections import Counter

Kind = tuple[str, ...]
"""Trials of one kind differ by seed alone (`Job.kind`)."""


class Costs:
    """Means per kind in seconds of one worker, and their sum over the open trials, each in constant time."""

    def __init__(self) -> None:
        self._open: Counter[Kind] = Counter()
        self._measured: dict[Kind, tuple[float, int]] = {}  # seconds in sum, number of trials
        self._seconds, self._trials = 0.0, 0  # the same over all kinds
        self._priced = 0.0  # seconds of the open trials of measured kinds
        self._unpriced = 0  # number of the other open trials

    def open(self, kind: Kind) -> None:
        """Count one more trial that will have to run."""
        self._count(kind, -1)
        self._open[kind] += 1
        self._count(kind, 1)

    def close(self, kind: Kind, seconds: float | None) -> None:
        """Count a trial as over; None where its time says nothing about its kind."""
        self._count(kind, -1)
        self._open[kind] -= 1
        if seconds is not None:
            total, n = self._measured.get(kind, (0.0, 0))
            self._measured[kind] = (total + seconds, n + 1)
            self._seconds, self._trials = self._seconds + seconds, self._trials + 1
        self._count(kind, 1)

    def mean(self, kind: Kind) -> float | None:
        """Return the mean of a kind; None where it was not measured."""
        if kind not in self._measured:
            return None
        seconds, n = self._measured[kind]
        return seconds / n

    def left(self) -> float | None:
        """Estimate the open trials in sum, those of unmeasured kinds by the overall mean; None before all measures."""
        if not self._trials:
            return None
        return max(0.0, self._priced + self._unpriced * self._seconds / self._trials)

    def _count(self, kind: Kind, sign: int) -> None:
        mean = self.mean(kind)
        if mean is None:
            self._unpriced += sign * self._open[kind]
        else:
            self._priced += sign * self._open[kind] * mean

"""What trials cost by kind, as measured so far: seconds, what the open ones will take, and the share of a card."""

from __future__ import annotations

from collections import Counter

from ..device import Filled

Kind = tuple[str, ...]
"""Trials of one kind differ by seed alone (`Job.kind`)."""
Load = tuple[str, ...]
"""Trials of one load are of one learner on one embedding (`Job.load`)."""

MARGIN = 1.25  # of the measured peak: memory is handed out in blocks, and another rule may need more
BESIDE_MB = 2048.0  # for each process: what CUDA holds for it, and libraries beside torch (faiss: 1.5 GiB)


class Cards:
    """The share of a card that trials ask for: as many run at once as it holds by the largest peak of their load.

    Until a trial of a load was measured, each has a card of its own. Of different cards the smallest counts.
    """

    def __init__(self) -> None:
        self._peaks_mb: dict[Load, float] = {}
        self._card_mb = float("inf")

    def note(self, load: Load, filled: Filled) -> bool:
        """Learn from a trial that is done; return whether some share is another now."""
        loads = {*self._peaks_mb, load}
        before = [self.share(each) for each in loads]
        self._peaks_mb[load] = max(filled.peak_mb, self._peaks_mb.get(load, 0.0))
        self._card_mb = min(filled.card_mb, self._card_mb)
        return before != [self.share(each) for each in loads]

    def share(self, load: Load) -> float:
        """Return the share of a trial, in ten-thousandths, as Ray counts: six of a sixth fit on a card."""
        if load not in self._peaks_mb:
            return 1.0
        at_once = max(1, int(self._card_mb / (MARGIN * self._peaks_mb[load] + BESIDE_MB)))
        return (10_000 // at_once) / 10_000


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

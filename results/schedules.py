"""At which numbers of labels curves of other people were measured, and whose differ from the rest of their setting.

Runs of our own buy exactly what their budget says; an imported file says only how many labels there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from .schema import IMPORTED

PLACE = ["dataset", "embedding", "learner", "budget"]
Place = tuple[str, ...]
Counts = tuple[int, ...]


class Kind(StrEnum):
    """How the label counts of a trial differ from those of its setting."""

    BEYOND = "buys more than its budget"
    SHORT = "ends early"
    OTHER = "is measured at other label counts"


@dataclass(frozen=True)
class Odd:
    """A trial whose label counts ``has`` are not the ``usual`` ones of its setting and budget."""

    dataset: str
    strategy: str
    seed: int
    kind: Kind
    has: Counts
    usual: Counts


def odd_trials(rounds: pd.DataFrame) -> list[Odd]:
    """Return the trials whose label counts are not those that most trials of their setting and budget have.

    ``rounds`` needs the columns of `PLACE`, strategy, seed and n_labelled. Of equally common counts the longer are the
    usual ones, then the smaller (a rule that buys one label too many each time is the odd one).
    """
    places: dict[Place, dict[tuple[str, int], list[int]]] = {}
    columns = [rounds[name].tolist() for name in (*PLACE, "strategy", "seed", "n_labelled")]
    for *names, strategy, seed, n in zip(*columns, strict=True):
        places.setdefault(tuple(names), {}).setdefault((strategy, seed), []).append(n)
    found = []
    for place, trials in places.items():
        counts = {name: tuple(sorted(n)) for name, n in trials.items()}
        usual = usual_counts(counts.values())
        odd = ((*name, has) for name, has in counts.items() if has != usual)
        found += [Odd(place[0], strategy, seed, _kind(has, usual), has, usual) for strategy, seed, has in odd]
    return found


def usual_counts(trials: Iterable[Counts]) -> Counts:
    """Return the most common label counts; of equally common ones the longer, then the smaller."""
    seen = Counter(trials)
    return max(seen, key=lambda counts: (seen[counts], len(counts), tuple(-n for n in counts)))


def findings(rounds: pd.DataFrame) -> list[str]:
    """Return one line per strategy and kind of oddity among imported trials: how many, and how far each ends."""
    groups: dict[tuple[str, Kind], list[Odd]] = {}
    for odd in odd_trials(rounds[rounds["bought_by"] == IMPORTED]):
        groups.setdefault((odd.strategy, odd.kind), []).append(odd)
    return [_line(strategy, kind, odds) for (strategy, kind), odds in sorted(groups.items())]


def _line(strategy: str, kind: Kind, odds: list[Odd]) -> str:
    ends: dict[tuple[int, int], list[str]] = {}
    for odd in odds:
        ends.setdefault((odd.has[-1], odd.usual[-1]), []).append(odd.dataset)
    parts = [
        f"{has:,} labels instead of {usual:,} ({len(datasets)} on {', '.join(dict.fromkeys(datasets))})"
        for (has, usual), datasets in sorted(ends.items())
    ]
    return f"imported curves: {strategy} {kind} in {len(odds)} trials: {'; '.join(parts)}"


def _kind(has: Counts, usual: Counts) -> Kind:
    if has == usual[: len(has)]:
        return Kind.SHORT
    if len(has) == len(usual) and all(a >= b for a, b in zip(has, usual, strict=True)):
        return Kind.BEYOND
    return Kind.SHORT if has[-1] < usual[-1] else Kind.OTHER

"""At which numbers of labels curves of other people were measured, and whose differ from the rest of their setting.

Runs of our own buy exactly what their budget says; an imported file says only how many labels there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from ..record.schema import IMPORTED

PLACE = ["dataset", "embedding", "learner", "budget"]
Place = tuple[str, ...]
Counts = tuple[int, ...]


class Kind(StrEnum):
    """How the label counts of a trial differ from those of its setting."""

    BEYOND = "buys more than its budget"
    SHORT = "ends early"
    START = "begins at another number of labels"
    LONG = "goes on further than the others"
    OTHER = "is measured at other label counts"


@dataclass(frozen=True)
class Odd:
    """A trial of ``place`` whose label counts ``has`` are not the ``usual`` ones of its setting and budget."""

    place: Place
    strategy: str
    seed: int
    has: Counts
    usual: Counts

    @property
    def kind(self) -> Kind:
        return _kind(self.has, self.usual)


def odd_trials(rounds: pd.DataFrame) -> list[Odd]:
    """Return the imported trials whose label counts are not those of their setting and budget.

    ``rounds`` needs the columns of `PLACE`, strategy, seed, n_labelled and bought_by. The usual counts are those of
    our own trials there, which buy what the budget says (the longest: a run may be going on), else `usual_counts`.
    """
    imported = rounds["bought_by"] == IMPORTED
    if not imported.any():
        return []
    own = {place: max(trials.values(), key=len) for place, trials in _counts(rounds[~imported]).items()}
    found = []
    for place, trials in _counts(rounds[imported]).items():
        usual = own.get(place) or usual_counts(trials.values())
        found += [Odd(place, *name, has, usual) for name, has in trials.items() if has != usual]
    return found


def _counts(rounds: pd.DataFrame) -> dict[Place, dict[tuple[str, int], Counts]]:
    """Return the label counts of each strategy and seed, by setting and budget."""
    places: dict[Place, dict[tuple[str, int], list[int]]] = {}
    columns = [rounds[name].tolist() for name in (*PLACE, "strategy", "seed", "n_labelled")]
    for *names, strategy, seed, n in zip(*columns, strict=True):
        places.setdefault(tuple(names), {}).setdefault((strategy, seed), []).append(n)
    return {place: {name: tuple(sorted(n)) for name, n in trials.items()} for place, trials in places.items()}


def unfit(rounds: pd.DataFrame) -> dict[str, str]:
    """Return the ids of the imported trials that cannot stand beside the others, each with the reason (`unfit_reason`).

    An import judges its own file; here the curves of several runs meet.
    """
    reasons = {(*odd.place, odd.strategy, odd.seed): unfit_reason(odd.has, odd.usual) for odd in odd_trials(rounds)}
    if not any(reasons.values()):
        return {}
    trials = rounds[[*PLACE, "strategy", "seed", "trial_id"]].drop_duplicates("trial_id")
    said = ((trial_id, reasons.get(tuple(names))) for *names, trial_id in trials.itertuples(index=False))
    return {trial_id: reason for trial_id, reason in said if reason}


def unfit_reason(has: Counts, usual: Counts) -> str:
    """Say why a curve is worth no area, gain or final accuracy beside the others of its setting; empty: it is.

    It has their points, each `_near` theirs, and ends no earlier. A curve over another range of labels has another
    area, even where it equals the others at every count that both have.
    """
    if _alike(has, usual) and has[-1] >= usual[-1]:
        return ""
    match _kind(has, usual):
        case Kind.START:
            return f"it begins at {has[0]} labels, the others of its setting at {usual[0]}"
        case Kind.OTHER:
            return f"unlike the others of its setting it is measured {_differing(has, usual)}"
        case _:
            return f"it ends at {has[-1]} labels, the others of its setting at {usual[-1]}"


def _alike(has: Counts, usual: Counts) -> bool:
    return len(has) == len(usual) and all(map(_near, range(len(usual)), has, usual))


def _near(round_: int, has: int, usual: int) -> bool:
    """Allow one label per purchase (BADGE's cluster centres in LabelBench are one too many), or 1 % of the labels."""
    return abs(has - usual) <= max(round_, usual / 100)


def usual_counts(trials: Iterable[Counts]) -> Counts:
    """Return the most common label counts; of equally common ones the longer, then the smaller."""
    seen = Counter(trials)
    return max(seen, key=lambda counts: (seen[counts], len(counts), tuple(-n for n in counts)))


def findings(rounds: pd.DataFrame) -> list[str]:
    """Return one line per strategy and kind of oddity among imported trials: how many, and at which counts."""
    groups: dict[tuple[str, Kind], list[Odd]] = {}
    for odd in odd_trials(rounds):
        groups.setdefault((odd.strategy, odd.kind), []).append(odd)
    return [_line(strategy, kind, odds) for (strategy, kind), odds in sorted(groups.items())]


def _line(strategy: str, kind: Kind, odds: list[Odd]) -> str:
    differing: dict[str, list[str]] = {}
    for odd in sorted(odds, key=lambda odd: (odd.has[-1], odd.usual[-1])):
        differing.setdefault(_differing(odd.has, odd.usual), []).append(odd.place[0])
    parts = [f"{what} ({len(sets)} on {', '.join(dict.fromkeys(sets))})" for what, sets in differing.items()]
    trials = "1 trial" if len(odds) == 1 else f"{len(odds)} trials"
    return f"imported curves: {strategy} {kind} in {trials}: {'; '.join(parts)}"


def _differing(has: Counts, usual: Counts) -> str:
    """Return the counts by which a curve is of its kind."""
    kind = _kind(has, usual)
    if kind == Kind.START:
        return f"{has[0]:,} labels instead of {usual[0]:,}"
    if has[-1] != usual[-1]:
        return f"{has[-1]:,} labels instead of {usual[-1]:,}"
    besides, without = (_some(sorted(set(a) - set(b))) for a, b in ((has, usual), (usual, has)))
    return " and ".join(filter(None, [besides and f"at {besides} labels", without and f"not at {without}"]))


def _some(counts: list[int]) -> str:
    more = f", ... ({len(counts)} in all)" if len(counts) > 4 else ""
    return ", ".join(f"{n:,}" for n in counts[:4]) + more


def _kind(has: Counts, usual: Counts) -> Kind:
    alike = _alike(has, usual)
    if alike and all(a >= b for a, b in zip(has, usual, strict=True)):
        return Kind.BEYOND
    if has[-1] < usual[-1]:
        return Kind.SHORT
    if not _near(0, has[0], usual[0]):
        return Kind.START
    return Kind.LONG if not alike and has[-1] > usual[-1] else Kind.OTHER

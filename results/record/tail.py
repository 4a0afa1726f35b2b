"""Reading a run while it is being written: every part once, in the order in which parts appear."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...benchmark.types import Outcome
from .parts import CorruptPartError, list_parts, read_part
from .schema import LISTS, PLAN, ROUNDS

Row = dict[str, Any]

_END = ["outcome", "reason", "wall_s", "ended_at"]
_NAMES = [name for name in PLAN.names if name in ROUNDS.names]  # what tells trials apart
_KEPT = ["trial_id", *(name for name in ROUNDS.names if name not in _NAMES and name not in LISTS)]
_ROWS_AT_ONCE = 50_000


@dataclass(slots=True)
class TrialRows:
    """What the parts say of one trial: its names, the numbers of its rounds, its latest end.

    ``started_at`` in ms since the epoch, as the first of its rows tells it.
    """

    names: Row
    started_at: int
    seen: set[int] = field(default_factory=set)
    end: Row | None = None

    @property
    def unsupported(self) -> bool:
        return self.end is not None and self.end["outcome"] == Outcome.UNSUPPORTED.value


class Tail:
    """The rows of a run's directory so far, by trial id; of rounds that nobody has taken yet the values, too.

    List columns are left out, and the first of twins stands. ``alive`` is called while it reads.
    """

    def __init__(self, directory: Path, alive: Callable[[], None] = lambda: None) -> None:
        self.trials: dict[str, TrialRows] = {}
        self._directory, self._alive = directory, alive
        self._read: set[Path] = set()
        self._waiting = ROUNDS.empty_table().select(_KEPT)

    def update(self) -> set[str]:
        """Read what is new, and return the trials it is about.

        Ends come first: an end that is known then has all its rounds.
        """
        touched: set[str] = set()
        for table in self._new("trials"):
            touched |= self._take_ends(table)
        waiting = [self._waiting]
        for table in self._new("rounds"):
            new = self._take_rounds(table)
            waiting.append(new)
            touched |= set(new["trial_id"].to_pylist())
        self._waiting = pa.concat_tables(waiting)
        return touched

    def batches(self, trial_ids: Sequence[str], size: int) -> Iterator[dict[str, list[Row]]]:
        """Yield the waiting rounds of these trials, ``size`` trials at a time, each trial's by number."""
        place = {trial_id: i for i, trial_id in enumerate(trial_ids)}
        places = np.array([place.get(trial_id, -1) for trial_id in self._waiting["trial_id"].to_pylist()], dtype=int)
        order = np.lexsort((self._waiting["round"].to_numpy(), places))
        firsts = np.searchsorted(places[order], range(0, len(place) + size, size))
        for first, (begin, end) in zip(range(0, len(place), size), pairwise(firsts), strict=True):
            batch: dict[str, list[Row]] = {trial_id: [] for trial_id in trial_ids[first : first + size]}
            for row in self._waiting.take(order[begin:end]).to_pylist():
                batch[row["trial_id"]].append(row)
            yield batch

    def keep(self, trial_ids: Collection[str]) -> None:
        """Let the waiting rounds go, but for those of these trials."""
        ids = pa.array(list(trial_ids), pa.string())
        self._waiting = self._waiting.filter(pc.is_in(self._waiting["trial_id"], ids))

    def _take_ends(self, table: pa.Table) -> set[str]:
        touched = set()
        for names, end in zip(table.select(_NAMES).to_pylist(), table.select(_END).to_pylist(), strict=True):
            trial = self._trial(names, _began(end, "wall_s"))
            if trial.end != end:
                trial.end = end
                touched.add(names["trial_id"])
        return touched

    def _take_rounds(self, table: pa.Table) -> pa.Table:
        """Return those that were not seen before: compaction brings all rows again."""
        ids, numbers = table["trial_id"].to_pylist(), table["round"].to_pylist()
        begun = {trial_id for trial_id, trial in self.trials.items() if trial.seen}
        firsts: dict[str, int] = {}
        for i, trial_id in enumerate(ids):
            if trial_id not in begun:
                firsts.setdefault(trial_id, i)
        for row in table.take(pa.array(firsts.values(), pa.int64())).to_pylist():
            started_at = _began(row, "select_s", "fit_s", "eval_s")
            self._trial({name: row[name] for name in _NAMES}, started_at).started_at = started_at
        new = []
        for i, (trial_id, number) in enumerate(zip(ids, numbers, strict=True)):
            seen = self.trials[trial_id].seen
            if number not in seen:
                seen.add(number)
                new.append(i)
        return table.select(_KEPT).take(pa.array(new, pa.int64()))

    def _trial(self, names: Row, started_at: int) -> TrialRows:
        if names["trial_id"] not in self.trials:
            shared = {name: intern(value) if isinstance(value, str) else value for name, value in names.items()}
            self.trials[names["trial_id"]] = TrialRows(shared, started_at)
        return self.trials[names["trial_id"]]

    def _new(self, name: str) -> Iterator[pa.Table]:
        while True:
            try:
                for part in list_parts(self._directory / name):
                    if part not in self._read:
                        for block in _blocks(part):
                            yield block
                            self._alive()
                        self._read.add(part)
            except FileNotFoundError:  # the writer compacted between our listing and our reading
                continue
            return


def _began(row: Row, *parts: str) -> int:
    """Return when something began that ended with this row, ms since the epoch; what is not known counts nothing."""
    return int((row["ended_at"] or 0) - 1000 * sum(row[part] or 0 for part in parts))


def _blocks(part: Path) -> Iterator[pa.Table]:
    try:
        table = read_part(part)
    except CorruptPartError:  # the writer sets it aside, and its readers say so
        return
    for begin in range(0, len(table), _ROWS_AT_ONCE):
        yield table.slice(begin, _ROWS_AT_ONCE)

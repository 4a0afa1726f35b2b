"""Reading a run while it is being written: every part once, in the order in which parts appear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...benchmark.types import Outcome
from .parts import CorruptPartError, list_parts, read_part

Row = dict[str, Any]

_LISTS = ("class_counts", "selected")


@dataclass
class TrialRows:
    """What the parts say of one trial: its latest end, and ``waiting``, the rounds that nobody has taken yet."""

    row: Row  # any of its rows, for the identity columns
    waiting: list[Row] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    end: Row | None = None

    @property
    def unsupported(self) -> bool:
        return self.end is not None and self.end["outcome"] == Outcome.UNSUPPORTED.value

    @property
    def started_at(self) -> int:
        """When it started, ms since the epoch; while no round was taken yet, the same during the run and after it."""
        first = min(self.waiting, key=lambda row: int(row["round"]), default=self.row)
        parts = ("select_s", "fit_s", "eval_s") if "round" in first else ("wall_s",)
        seconds = sum(first[name] or 0 for name in parts)
        return int((first["ended_at"] or 0) - 1000 * seconds)


class Tail:
    """The rows of a run's directory so far, by trial id; list columns are left out, and the first of twins stands."""

    def __init__(self, directory: Path) -> None:
        self.trials: dict[str, TrialRows] = {}
        self._directory = directory
        self._read: set[Path] = set()

    def update(self) -> None:
        """Read what is new. Ends come first: an end that is known then has all its rounds."""
        for row in self._new_rows("trials"):
            self._trial(row).end = row
        for row in self._new_rows("rounds"):
            trial = self._trial(row)
            if row["round"] not in trial.seen:  # compaction brings all rows again
                trial.seen.add(row["round"])
                trial.waiting.append(row)

    def _trial(self, row: Row) -> TrialRows:
        return self.trials.setdefault(row["trial_id"], TrialRows(row))

    def _new_rows(self, table: str) -> Iterator[Row]:
        while True:
            try:
                for part in list_parts(self._directory / table):
                    if part not in self._read:
                        yield from _rows(part)
                        self._read.add(part)
            except FileNotFoundError:  # the writer compacted between our listing and our reading
                continue
            return


def _rows(part: Path) -> list[Row]:
    try:
        table = read_part(part)
    except CorruptPartError:  # the writer sets it aside, and its readers say so
        return []
    rows: list[Row] = table.select([name for name in table.column_names if name not in _LISTS]).to_pylist()
    return rows

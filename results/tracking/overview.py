"""What MLflow shows of a run as a whole: values of each trial, the leaderboard, what the report says first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..measures.board.answers import answers
from ..measures.board.leaderboard import brief, leaderboard
from ..measures.evidence import read_runs
from ..measures.metrics import gain
from ..measures.tables import Key, Summary

NOTE = "mlflow.note.content"
"""MLflow's tag for a description, in Markdown."""
_FILES = ("grid.yaml", "manifest.json", "report/report.html", "report/report.md", "report/tables/*")
_NOTE_LENGTH = 5000
_TOLD = [*Key._fields, "seed", "trial_id", "n_labelled", "accuracy"]
_MEANT = {"rank/1": "rank", "gain/1": "gain"}


class Values(NamedTuple):
    """Metrics of a whole trial by name, at its last number of labels; ``str()`` tells others apart."""

    metrics: Mapping[str, float]
    labels: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.6g}" for name, value in self.metrics.items())


@dataclass(frozen=True)
class Overview:
    """Values of the trials that are done, by id; metrics and description of the run that is their parent."""

    values: Mapping[str, Values]
    metrics: Mapping[str, float]
    note: str

    @classmethod
    def of(cls, directory: Path) -> Overview:
        """Read the record of a run."""
        summary = read_runs([directory]).summarise()
        board = leaderboard(summary)
        return cls(_values(summary), dict(_metrics(board)), _note(summary, board))


def files(directory: Path) -> list[tuple[Path, str]]:
    """Return the files that belong to a run as a whole, of those that are there, with the folder each belongs in."""
    found = [path for pattern in _FILES for path in sorted(directory.glob(pattern))]
    return [(path, path.parent.relative_to(directory).as_posix().removeprefix(".")) for path in found]


def digest(paths: Sequence[tuple[Path, str]]) -> str:
    """Return what changes when one of these files was written anew."""
    told = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path, _ in paths]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _values(summary: Summary) -> dict[str, Values]:
    """Return the area under the curve, the last accuracy and what was gained over the baseline's seed, in points."""
    found: dict[str, Values] = {}
    last = summary.finished.drop_duplicates("trial_id", keep="last")
    for *names, seed, trial_id, labels, accuracy in last[_TOLD].itertuples(index=False):
        key, metrics = Key(*names), {"final": float(accuracy)}
        cell, base = summary.cells.get(key), summary.get(key.setting, key.budget, summary.baseline)
        if cell is not None:
            metrics["aubc"] = float(cell.by_seed["aubc/1"][seed])
            if base is not None and base is not cell and seed in base.by_seed.index:
                metrics["gain"] = float(gain(metrics["aubc"], base.by_seed["aubc/1"][seed]))
        found[str(trial_id)] = Values(metrics, int(labels))
    return found


def _metrics(board: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """Yield rank and gain of each strategy by the name of a metric; of several regimes with theirs."""
    several = board["regime"].nunique() > 1
    for _, row in board.iterrows():
        who = f"{row['regime']}/{row['strategy']}" if several else str(row["strategy"])
        known = re.sub(r"[^\w\-./ ]", "_", who)  # what MLflow takes in a name
        for value, name in _MEANT.items():
            mean = float(row[f"{value} mean"])
            if np.isfinite(mean):
                yield f"{name}/{known}", mean


def _note(summary: Summary, board: pd.DataFrame) -> str:
    """Return the description: what the report says first, and the leaderboard."""
    lines = [f"- {answer}" for answer in answers(summary)]
    shown = brief(board)
    table = [shown.columns.tolist(), ["---"] * len(shown.columns), *shown.to_numpy().tolist()]
    lines += ["", *(f"| {' | '.join(cells)} |" for cells in table)]
    lines += ["", "All of it, with every chart: report/report.html among the artifacts."]
    text = "\n".join(lines)
    return text if len(text) <= _NOTE_LENGTH else text[:_NOTE_LENGTH] + " ..."

"""Runs -> a report: Markdown, one self-contained HTML page, and the tables as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from ..benchmark.registry import suggestion
from ..benchmark.types import UserError
from .blocks import Block, blocks, state
from .parts import write_atomic
from .store import RunStore
from .tables import IDENTITY, Cell, Summary, finished_rounds, summarise
from .terminal import unfinished

DEFAULT_BASELINE = "random"  # where a run lacks it, its report has no gains
TEMPLATE = "report.html.j2"


@dataclass(frozen=True, eq=False)
class Runs:
    """The rounds and trials of some runs, one trial per cell and seed; ``manifests`` by directory name."""

    rounds: pd.DataFrame
    trials: pd.DataFrame
    plan: pd.DataFrame
    manifests: dict[str, dict[str, Any]]
    notices: tuple[str, ...]

    def summarise(self, baseline: str = "random") -> Summary:
        order: dict[str, list[str]] = {}
        for manifest in self.manifests.values():
            for column, labels in manifest.get("order", {}).items():
                order[column] = list(dict.fromkeys([*order.get(column, []), *labels]))
        return summarise(self.rounds, self.trials, baseline, order, self.plan)


@dataclass(frozen=True, eq=False)
class Report:
    """What was written, and the values for a terminal to show."""

    files: tuple[Path, ...]
    summary: Summary
    notices: tuple[str, ...]


def read_runs(directories: Sequence[Path]) -> Runs:
    """Read some runs as one. Where trials have the same names and seed, the one that is planned, or newest, stays.

    Raises
    ------
    StorageError
        When a directory holds no run, or one of a newer albench.
    """
    stores = [RunStore.open(directory) for directory in directories]
    # trials first: a trial that ends in between is then one that is left, not one without rounds
    trials = pd.concat([store.trials() for store in stores], ignore_index=True)
    rounds = pd.concat([store.rounds() for store in stores], ignore_index=True)
    plans = [plan for store in stores if (plan := store.plan()) is not None]
    plan = pd.concat([trials[_NAMES].iloc[:0], *(plan[_NAMES] for plan in plans)], ignore_index=True)
    notices = [notice for store in stores for notice in store.notices]
    chosen = _chosen(trials, rounds, plan)
    if dropped := (set(trials["trial_id"]) | set(rounds["trial_id"])) - chosen:
        notices.append(
            f"{len(dropped)} trials are left out: others have their names and seed (another version of the data, a"
            " strategy or a learner)"
        )
    trials = trials[trials["trial_id"].isin(chosen)].sort_values("ended_at", kind="stable")
    trials = trials.sort_values("outcome", key=lambda outcome: outcome == "done", kind="stable")
    trials = trials.drop_duplicates("trial_id", keep="last").sort_values("trial_id", ignore_index=True)
    rounds = rounds[rounds["trial_id"].isin(chosen)].drop_duplicates(["trial_id", "round"])
    rounds = rounds.sort_values(["trial_id", "round"], ignore_index=True)
    return Runs(rounds, trials, plan, {_name(store, stores): store.manifest for store in stores}, tuple(notices))


def status_lines(directory: Path) -> list[str]:
    """Say how far a run is: the trials by outcome, then each cell that is not done, and what is wrong with files."""
    runs = read_runs([directory])
    summary = runs.summarise()
    return [*state(summary), *unfinished(summary), *runs.notices]


def write_report(directories: Sequence[Path], out: Path, baseline: str = DEFAULT_BASELINE) -> Report:
    """Write ``report.md``, ``report.html`` and ``tables/*.csv`` under ``out``.

    The same runs give the same files. Raises as `read_runs` does, `DiskError` when ``out`` refuses, and `UserError`
    for a baseline that no run has.
    """
    runs = read_runs(directories)
    strategies = sorted({*runs.plan["strategy"], *runs.rounds["strategy"]})
    if baseline not in strategies and baseline != DEFAULT_BASELINE:
        raise UserError(f"--baseline {baseline}: no strategy of these runs{suggestion(baseline, strategies)}")
    summary = runs.summarise(baseline)
    content = blocks(runs.rounds, runs.trials, summary, runs.manifests, runs.notices)
    title = "albench: " + ", ".join(str(m.get("name", name)) for name, m in runs.manifests.items())
    texts = {"report.md": markdown(title, content), "report.html": html(title, content)}
    for name, frame in csv_tables(runs, summary).items():
        texts[f"tables/{name}.csv"] = frame.to_csv(index=False, lineterminator="\n")
    for name, text in texts.items():
        write_atomic(out / name, text.encode())
    return Report(tuple(out / name for name in texts), summary, runs.notices)


def markdown(title: str, content: Sequence[Block]) -> str:
    """Return the report as Markdown with pipe tables; names are escaped so that they cannot become markup."""
    lines = [f"# {_md(title)}"]
    for block in content:
        lines += ["", f"{'#' * block.level} {_md(block.title)}"]
        if block.text:
            lines += ["", _md(block.text)]
        if block.items:
            lines += ["", *(f"- {_md(item)}" for item in block.items)]
        if block.columns:
            lines += ["", _md_row(block.columns), "|" + " --- |" * len(block.columns)]
        for i, row in enumerate(block.rows):
            lines.append(_md_row([f"**{t}**" if (i, j) in block.strong else t for j, t in enumerate(row)]))
    return "\n".join(lines) + "\n"


def html(title: str, content: Sequence[Block]) -> str:
    """Return the report as one page that needs nothing else and runs no script."""
    template = Path(__file__).with_name(TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(template).render(title=title, content=content)


def csv_tables(runs: Runs, summary: Summary) -> dict[str, pd.DataFrame]:
    """Return the tables by file name; every value column is named by its metric id."""
    cells = pd.DataFrame([_csv_row(cell) for cell in summary.cells.values()], columns=_CSV)
    bounds = pd.DataFrame([_csv_row(cell) for cell in summary.bounds.values()], columns=_CSV)
    finished = finished_rounds(runs.rounds, runs.trials)
    by_cell = finished.groupby(IDENTITY)
    curves = finished.groupby([*IDENTITY, "n_labelled"])["accuracy"]
    return {
        "cells": cells,
        "bounds": bounds.drop(columns=[name for name in _CSV if name.startswith("gain/1")]),
        "not_done": pd.concat([cells, bounds]).query("not_done != ''")[[*IDENTITY, "not_done", "reasons"]],
        "curves": curves.agg(n="size", accuracy_mean="mean", accuracy_sd="std").reset_index(),
        "cost": by_cell[["select_s", "fit_s", "eval_s"]].mean().join(by_cell["peak_rss_mb"].max()).reset_index(),
    }


_NAMES = [*IDENTITY, "seed", "trial_id"]
_INTERVALS = {"aubc/1": "aubc", "final/1": "final", "gain/1 of aubc/1": "gain_aubc", "gain/1 of final/1": "gain_final"}
_CSV = [
    *IDENTITY,
    *(f"{name} {part}" for name in _INTERVALS for part in ("mean", "low", "high", "n")),
    "aubc/1 sd",
    "final/1 sd",
    "aubc-points/1 mean",
    "not_done",
    "reasons",
]


def _csv_row(cell: Cell) -> list[object]:
    intervals = [getattr(cell, name) for name in _INTERVALS.values()]
    values = [value for i in intervals for value in (i.mean, i.low, i.high, i.n)]
    points = cell.by_seed["aubc-points/1"].mean()
    return [*cell.key, *values, cell.aubc_sd, cell.final_sd, points, cell.status, "; ".join(cell.reasons)]


def _name(store: RunStore, stores: Sequence[RunStore]) -> str:
    """Return the folder's own name where that tells the runs apart, so that a report can be moved and compared."""
    names = [other.directory.resolve().name for other in stores]
    own = store.directory.resolve().name
    return own if names.count(own) == 1 else str(store.directory)


def _chosen(trials: pd.DataFrame, rounds: pd.DataFrame, plan: pd.DataFrame) -> set[str]:
    columns = [*_NAMES, "ended_at"]
    ended = pd.concat([trials[columns], rounds[columns]]).sort_values(["ended_at", "trial_id"])
    every = pd.concat([ended[_NAMES], plan])
    return set(every.drop_duplicates([*IDENTITY, "seed"], keep="last")["trial_id"])


def _md(text: str) -> str:
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def _md_row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(_md(text) for text in texts) + " |"

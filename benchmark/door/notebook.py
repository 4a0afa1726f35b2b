"""The notebook's door: run a grid, or read a run, and have what it says as frames, charts and a report."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from threadpoolctl import threadpool_limits

from ...results.measures.board.answers import answers
from ...results.measures.board.leaderboard import brief, leaderboard
from ...results.measures.evidence import Evidence, read_runs
from ...results.report import report as reports
from ...results.report.sections import curves
from ...results.report.sections.board import overview
from ..engine import run as runs
from ..grid import grid as grids
from ..grid.grid import Grid
from ..grid.study import KINDS
from ..registry import suggestion
from ..text import spelled
from ..types import Outcome, UserError

if TYPE_CHECKING:
    import altair

WIDTH = 100
RETRIED = tuple(map(str, (Outcome.FAILED, Outcome.TIMEOUT, Outcome.OOM)))
_OF_THE_WHOLE = {"$schema", "config", "autosize", "usermeta"}
SETTING = ("dataset", "embedding", "learner", "budget")


@dataclass(frozen=True, eq=False)
class Run:
    """A run on disk, or several read as one, as it was when it was read. A notebook shows its leaderboard.

    ``notices`` says what a reader must know besides: damaged files, how the run ended.
    """

    directories: tuple[Path, ...]
    evidence: Evidence = field(repr=False)
    notices: tuple[str, ...] = ()

    @property
    def rounds(self) -> pd.DataFrame:
        """One row for each trial and round, as in ``rounds/*.parquet``: accuracy, labels, the rows bought, seconds."""
        return self.evidence.rounds.copy()

    @property
    def trials(self) -> pd.DataFrame:
        """One row for each trial that has ended: how (``outcome``), why (``reason``), seconds, machine."""
        return self.evidence.trials.copy()

    @property
    def cells(self) -> pd.DataFrame:
        """One row for each strategy, dataset, embedding, learner and budget, as in ``tables/cells.csv``.

        Means over seeds with 95 % intervals; gains are over the baseline on the same seeds, in points.
        """
        return self._cells.copy()

    @cached_property
    def _cells(self) -> pd.DataFrame:
        return reports.csv_tables(self.evidence.summary)["cells"]

    @property
    def answers(self) -> list[str]:
        """What the report says first: a sentence for each setting and budget."""
        return [str(answer) for answer in answers(self.evidence.summary)]

    @property
    def leaderboard(self) -> pd.DataFrame:
        """One row for each strategy, best rank first, as in ``tables/strategies.csv`` (`board.leaderboard`).

        ``rank/1`` is the mean rank of the area under the curve over complete settings and budgets, 1 is best;
        ``gain/1`` the mean gain over the baseline on the same seeds, in points; each as ``mean``, ``low`` and ``high``
        of its 95 % interval. NaN where too little is complete.
        """
        return leaderboard(self.evidence.summary)

    def curves(self, **only: str) -> altair.TopLevelMixin:
        """Return the learning curves as an Altair chart: mean accuracy by number of labels, 95 % intervals over seeds.

        One panel for each setting and budget; ``dataset``, ``embedding``, ``learner`` and ``budget`` choose some.

        Raises
        ------
        UserError
            When no finished trial is of these.
        """
        import altair  # noqa: PLC0415 - half a second

        summary = self.evidence.summary
        _check_only(only, self._cells)
        blocks = [block for block in curves.blocks(self.evidence) if block.figure]
        places = [dict(zip(SETTING, (*place, name), strict=True)) for place, name in summary.places()]
        titles = {f"{'/'.join([*p.values()][:3])}, {p['budget']}" for p in places if p.items() >= only.items()}
        specs = [block.figure.spec for block in blocks if block.figure and block.title in titles]
        if not specs:
            raise UserError("no finished trial, so no curve")
        chart: altair.TopLevelMixin = altair.Chart.from_dict(_side_by_side(specs))
        return chart

    def report(self, out: str | Path | None = None, *, figures: bool = False) -> Path:
        """Write the report into ``out`` (``report/`` in the run); return the page, which works offline.

        Beside it lie Markdown and the tables as CSV and LaTeX; with ``figures`` every chart as SVG and PNG.
        """
        folder = Path(out) if out is not None else self.directories[0] / "report"
        reports.write_report(self.directories, folder, self.evidence.summary.baseline, figures=figures)
        return folder / "report.html"

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(answer)}</li>" for answer in self.answers)
        lines = [*overview.state(self.evidence.summary), *self.notices]
        table = brief(self.leaderboard).to_html(index=False, border=0)
        return f"<ul>{items}</ul>{table}" + "".join(f"<p>{escape(line)}</p>" for line in lines)


def run(
    grid: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    engine: str = "ray",
    workers: int | None = None,
    address: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    only: Mapping[str, str | Sequence[str]] | None = None,
    retry: str | Iterable[str] = (),
    mlflow: str | None = None,
) -> Run:
    """Run what is left of a grid, as ``albench run`` does, and return the run.

    Parameters
    ----------
    grid
        The path of a grid file, the name of one that comes with albench (``default``), or what would stand in one.
    out
        Where results go; ``runs/<name of the grid>`` unless it is said.
    engine, workers, address, mlflow
        As the options of the command.
    overrides
        Keys of the grid with another value (``{"seeds": 3, "resources.num_cpus": 2}``).
    only
        What to run now: strategies, datasets, ... by kind (``{"strategy": "margin"}``).
    retry
        Outcomes to try again: ``failed``, ``timeout``, ``out-of-memory``.

    Raises
    ------
    UserError
        With everything that is wrong with grid and data, one line each; or why the run could not go on. What is done
        is kept, and the same call goes on.

    Call it in the main thread. An interrupt (Ctrl-C, or the notebook's) stops it when what is under way is kept; a
    second one at once.
    """
    if threading.current_thread() is not threading.main_thread():
        raise UserError("albench.run: call it in the main thread; only there can it be interrupted")
    if engine not in runs.ENGINES:
        raise UserError(f"unknown engine {engine!r}{suggestion(engine, runs.ENGINES)}")
    if workers is not None and not (isinstance(workers, int) and workers >= 1):
        raise UserError(f"workers is {workers!r}; legal: how many trials run at once, at least 1")
    outcomes = frozenset(_outcome(name) for name in ([retry] if isinstance(retry, str) else retry))
    with one_thread():
        understood = understand(grid, _as_text(overrides or {}))
        folder = Path(out) if out is not None else default_out(understood)
        options = runs.Options(folder, engine, workers, address, _chosen(only or {}), outcomes, mlflow)
        console = Console(width=None if sys.stdout.isatty() else WIDTH, emoji=False, force_jupyter=False)
        result = runs.run(understood, options, console, lambda: None)
    notices = list(result.notices)
    if result.interrupted:
        notices.append(f"interrupted; {result.left} trials are left, and the same call goes on")
    return _read([folder], notices)


def load(*directories: str | Path, baseline: str = reports.DEFAULT_BASELINE) -> Run:
    """Read a run, or several as one; gains are over ``baseline``.

    Raises
    ------
    UserError
        When a directory holds no run, or no run has the baseline.
    """
    if not directories:
        raise UserError("albench.load: the directory of a run is needed, runs/grid say")
    return _read([Path(directory) for directory in directories], (), baseline)


def understand(grid: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Grid:
    """Return the checked grid that a path names, or that a mapping is; ``overrides`` are those of `grid.load`."""
    return grids.of(grid, overrides) if isinstance(grid, Mapping) else grids.load(Path(grid), overrides)


def default_out(grid: Grid) -> Path:
    """Return where the results of a grid go when nobody says it."""
    return Path("runs") / grid.name


def _read(directories: Sequence[Path], notices: Iterable[str], baseline: str = reports.DEFAULT_BASELINE) -> Run:
    found = read_runs(directories)
    strategies = sorted({*found.plan["strategy"], *found.rounds["strategy"]})
    if baseline not in strategies and baseline != reports.DEFAULT_BASELINE:
        raise UserError(f"baseline {baseline}: no strategy of these runs{suggestion(baseline, strategies)}")
    return Run(tuple(directories), Evidence.of(found, baseline), (*notices, *found.notices))


def _as_text(overrides: Mapping[str, Any]) -> list[str]:
    """Return overrides as ``--set`` has them; JSON is YAML, except for its escapes of what is beyond 16 bits."""
    said, problems = list[str](), list[str]()
    for key, value in overrides.items():
        try:
            said.append(f"{key}={json.dumps(value, ensure_ascii=False, allow_nan=False)}")
        except (TypeError, ValueError):  # of a type that JSON has not, no finite number, or in a circle
            problems.append(f"overrides: {key} is {value!r:.80}; legal: text, numbers, lists, mappings")
    if problems:
        raise UserError("\n".join(problems))
    return said


def _outcome(name: str) -> Outcome:
    if name not in RETRIED:
        raise UserError(f"unknown outcome {name!r} to try again{suggestion(name, RETRIED)}")
    return Outcome(name)


def _chosen(only: Mapping[str, str | Sequence[str]]) -> dict[str, list[str]]:
    for kind in only:
        if kind not in KINDS:
            raise UserError(f"only: unknown kind {kind!r}{suggestion(kind, KINDS)}")
    return {
        kind: [spelled(str(name)) for name in ([names] if isinstance(names, str) else names)]
        for kind, names in only.items()
    }


def _check_only(only: Mapping[str, str], cells: pd.DataFrame) -> None:
    for kind, name in only.items():
        if kind not in SETTING:
            raise UserError(f"curves: unknown kind {kind!r}{suggestion(kind, SETTING)}")
        if name not in (legal := [*dict.fromkeys(cells[kind])]):
            raise UserError(f"curves: no {kind} {name!r} in this run{suggestion(name, legal)}")


def _side_by_side(specs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return charts as the panels of one, two in a row; each keeps its own legend to click on.

    What is selected is said at the top, with the names of the layers where: Altair finds it in no other place.
    """
    panels, params = [], []
    for i, spec in enumerate(specs):
        own = {key: value for key, value in spec.items() if key not in _OF_THE_WHOLE}
        text = json.dumps(own)
        for name in {param["name"] for layer in own["layer"] for param in layer.get("params", [])}:
            text = text.replace(f'"{name}"', f'"{name}{i}"')
        own = json.loads(text)
        for j, layer in enumerate(own["layer"]):
            layer["name"] = f"panel{i}layer{j}"
            params += [{**param, "views": [layer["name"]]} for param in layer.pop("params", [])]
        panels.append(own)
    resolve = {"scale": {"color": "independent", "strokeDash": "independent"}}
    top = {key: value for key, value in specs[0].items() if key in {"$schema", "config"}}
    return {**top, "concat": panels, "columns": 2, "resolve": resolve, "params": params}


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numerical libraries compute in one thread, those that are loaded here too: sums depend on their number."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})

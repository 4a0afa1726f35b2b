"""Runs -> a report: Markdown, one self-contained HTML page, the tables as CSV and LaTeX, the charts as PNG and SVG."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Protocol

import pandas as pd

from ...benchmark.registry import suggestion
from ...benchmark.types import UserError
from ...datasets.reading import plain
from ..measures.board.leaderboard import leaderboard as board
from ..measures.evidence import Evidence, read_runs
from ..measures.tables import IDENTITY, Cell, Summary
from ..record.parts import check_links, write_atomic
from . import latex
from .blocks import NOT_DONE, Block, stem
from .look import pdf, png, svg
from .markdown import markdown
from .marks import flagged
from .page.page import View, html
from .sections import (
    accuracy,
    balance,
    costs,
    curves,
    gains,
    literature,
    moved,
    provenance,
    ranks,
    reading,
    savings,
    settings,
)
from .sections.board import answer, every, leaderboard, overview
from .sections.picks import choosers, forensics
from .sections.predictions import certainty, classes
from .terminal import earlier, unfinished

DEFAULT_BASELINE = "random"  # where a run lacks it, its report has no gains
INDEX = "files.txt"  # what a report is made of, for the next one to know what it replaces
_OURS = re.compile(
    r"((tables|figures)/)?[\w.-]+\.(md|html|csv|tex|bib|svg|png|pdf)"
)  # a list is no way out of the folder
CSV_TABLES = (
    "cells",
    "bounds",
    "not_done",
    "curves",
    "strategies",
    "cost",
    "certainty",
    "classes",
    "choosers",
    "settings",
)

_log = logging.getLogger(__name__)


class Section(Protocol):
    """A module of `sections`."""

    __name__: str

    def blocks(self, evidence: Evidence, /) -> list[Block]: ...


TABLES: tuple[Section, ...] = (answer, leaderboard, overview, every, reading, moved, accuracy, gains, provenance)
"""Those that take no statistics and no charts."""
SECTIONS: tuple[Section, ...] = (
    *(answer, leaderboard, curves, overview, every, reading, moved, accuracy, gains, certainty, savings, ranks, costs),
    *(balance, classes, literature, forensics, choosers, settings, provenance),
)


@dataclass(frozen=True, eq=False)
class Report:
    """What was written, and the values for a terminal to show."""

    files: tuple[Path, ...]
    summary: Summary
    notices: tuple[str, ...]


def status_lines(directory: Path) -> list[str]:
    """Say how far a run is: the trials by outcome, then each cell that is not done, and what is wrong with files."""
    runs = read_runs([directory])
    summary = runs.summarise()
    return [*overview.state(summary), *unfinished(summary), *earlier(summary), *runs.notices]


def write_report(
    directories: Sequence[Path],
    out: Path,
    baseline: str = DEFAULT_BASELINE,
    figures: bool = False,
    tables_only: bool = False,
) -> Report:
    """Write ``report.md``, ``report.html``, ``tables/*.csv`` and ``tables/*.tex`` under ``out``.

    With ``figures``, ``figures/*.svg``, ``*.png`` and ``*.pdf`` as well; with ``tables_only`` neither the page nor what
    is not in `TABLES`. The same runs give the same files, but for the PDFs (`look.pdf`). A section or picture
    that fails is a line in the report. Raises as `read_runs` does, `DiskError` when ``out`` refuses, and `UserError`
    for a baseline that no run has.
    """
    runs = read_runs(directories)
    strategies = sorted({*runs.plan["strategy"].unique(), *runs.rounds["strategy"].unique()})
    if baseline not in strategies and baseline != DEFAULT_BASELINE:
        raise UserError(f"--baseline {baseline}: no strategy of these runs{suggestion(baseline, strategies)}")
    evidence = Evidence.of(runs, baseline)
    sections = TABLES if tables_only else SECTIONS
    content = prepared(evidence.summary, (block for section in sections for block in section_blocks(section, evidence)))
    title = "albench: " + ", ".join(str(m.get("name", name)) for name, m in runs.manifests.items())
    frames = csv_tables(evidence.summary) | ({} if tables_only else _more(evidence))
    files = _tables(frames, content)
    shown: dict[str, str] = {}
    if figures:
        drawn, failures = draw(content)
        content = [*content, *([Block("Pictures that could not be drawn", items=failures)] if failures else [])]
        files |= drawn
        shown = {Path(name).stem: name for name in drawn if name.endswith(".svg")}
    texts = {"report.md": markdown(title, content, shown)}
    if cited := provenance.citations(runs.manifests.values()):
        texts["cite.bib"] = provenance.bibtex(cited) + "\n"
    if not tables_only:
        texts["report.html"] = html(title, content, View.of(evidence.summary), shown.keys())
    files = {name: text.encode(errors="backslashreplace") for name, text in texts.items()} | files
    for folder in (out.parent, out) if out.parent in directories else (out,):
        check_links(folder)
    _replace(out, files)
    return Report(tuple(out / name for name in files), evidence.summary, runs.notices)


def _more(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return the values of sections that are not in `TABLES`; those that few runs have where there are some."""
    found = {
        "certainty": certainty.frame(evidence),
        "classes": classes.frame(evidence),
        "choosers": choosers.frame(evidence.finished),
        "settings": settings.frame(evidence.finished),
    }
    return {"cost": costs.frame(evidence.finished)} | {name: frame for name, frame in found.items() if len(frame)}


def _replace(out: Path, files: Mapping[str, bytes]) -> None:
    """Write the files, and delete what an earlier report wrote here and this one did not: it would be out of date."""
    index = out / INDEX
    try:
        listed = plain.read(index, plain.JSON_BYTES).decode()
        earlier = {line for line in listed.splitlines() if _OURS.fullmatch(line)}
    except (OSError, UnicodeDecodeError, plain.UnfitError):
        earlier = set()
    write_atomic(index, "\n".join(sorted(earlier | files.keys())).encode())  # a kill from here on loses track of none
    for name, data in files.items():
        write_atomic(out / name, data)
    for name in earlier - files.keys():
        (out / name).unlink(missing_ok=True)
    write_atomic(index, "\n".join(sorted(files)).encode())


def section_blocks(section: Section, evidence: Evidence) -> list[Block]:
    """Return what a section says, or, where it fails, that it does."""
    try:
        return section.blocks(evidence)
    except Exception as error:  # a fault in one section must not cost the others
        name = section.__name__.rpartition(".")[2]
        line = f"section {name} could not be made: {type(error).__name__}: {error}"
        _log.warning(line)
        _log.debug(line, exc_info=True)
        return [Block(f"Section {name}", text=line)]


def prepared(summary: Summary, content: Iterable[Block]) -> list[Block]:
    """Return the blocks with names of their own, and with what they are about where the title ends in a setting.

    Marked strategies are flagged. A figure is named as its block, or by its title; what is taken gets a number.
    """
    places: dict[str, dict[str, str]] = {str(setting): setting._asdict() for setting in summary.settings()}
    for budget, setting in product(summary.budgets(), summary.settings()):
        places[f"{setting}, {budget}"] = {**setting._asdict(), "budget": budget}
    taken: Counter[str] = Counter(CSV_TABLES)
    named = []
    for block in content:
        name = block.name or (stem(block.title) if block.figure else "")
        taken[name] += 1
        if name and taken[name] > 1:
            name = f"{name}-{taken[name]}"
        figure = block.figure and replace(block.figure, name=name)
        about = block.about or places.get(block.title.rpartition(": ")[2], {})
        named.append(
            replace(flagged(_terse(block), summary), name=name if block.name else "", figure=figure, about=about)
        )
    return named


def _terse(block: Block) -> Block:
    """Return a block without its last column where that says of no row that something is not done."""
    if block.columns[-1:] != (NOT_DONE,) or any(row[-1] for row in block.rows):
        return block
    return replace(block, columns=block.columns[:-1], rows=tuple(row[:-1] for row in block.rows))


def draw(content: Iterable[Block]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return the pictures of all figures by file name, and a line for each that could not be drawn."""
    files: dict[str, bytes] = {}
    failures = []
    for figure in (block.figure for block in content if block.figure is not None):
        try:
            drawn = svg(figure.spec)
            forms = {"svg": drawn.encode(), "png": png(drawn), "pdf": pdf(drawn)}
            files |= {f"figures/{figure.name}.{form}": content for form, content in forms.items()}
        except ValueError as error:  # what vl-convert raises
            failures.append(f"{figure.name}: {str(error).splitlines()[0]}")
    return files, tuple(failures)


def _tables(frames: Mapping[str, pd.DataFrame], content: Iterable[Block]) -> dict[str, bytes]:
    """Return the files of the values: of some frames, of all that is shown with numbers; tables as LaTeX besides."""
    csvs, texs = dict(frames), dict[str, str]()
    heading = ""
    for block in content:
        heading = block.title if block.level == 2 else heading
        if block.name and block.numbers:
            csvs[block.name] = block.numbers.frame()
        elif block.name and block.columns:  # of words, not of numbers
            csvs[block.name] = pd.DataFrame(block.rows, columns=block.columns)
        if block.name and block.columns:
            texs[block.name] = latex.table(block, heading if block.level > 2 else "")
    texts = {f"tables/{name}.csv": frame.to_csv(index=False, lineterminator="\n") for name, frame in csvs.items()}
    texts |= {f"tables/{name}.tex": text for name, text in texs.items()}
    return {name: text.encode(errors="backslashreplace") for name, text in texts.items()}


def csv_tables(summary: Summary) -> dict[str, pd.DataFrame]:
    """Return the tables by file name; every value column is named by its metric id."""
    cells = pd.DataFrame([_csv_row(cell) for cell in summary.cells.values()], columns=_CSV)
    bounds = pd.DataFrame([_csv_row(cell) for cell in summary.bounds.values()], columns=_CSV)
    finished = summary.finished
    curves = finished.groupby([*IDENTITY, "n_labelled"])["accuracy"]
    return {
        "cells": cells,
        "bounds": bounds.drop(columns=[name for name in _CSV if name.startswith("gain/1")]),
        "not_done": pd.concat([cells, bounds]).query("not_done != ''")[[*IDENTITY, "not_done", "reasons"]],
        "strategies": board(summary),
        "curves": curves.agg(n="size", accuracy_mean="mean", accuracy_sd="std").reset_index(),
    }


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

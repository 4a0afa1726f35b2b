"""A grid that is edited between two runs in one folder: the present grid is shown as it is, the rest named apart."""

from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from rich.console import Console
from support.commands import TINY

from albench.benchmark.engine import run as runs
from albench.benchmark.grid import grid as grids
from albench.results.measures.evidence import read_runs
from albench.results.report import report
from albench.results.report.terminal import render

BASE: dict[str, Any] = {
    **TINY,
    "strategies": ["random", "entropy"],
    "budgets": {"low": {"initial": 0, "query": "1/class", "rounds": 3}},
    "seeds": 2,
}


def budget(**changes: Any) -> dict[str, Any]:
    return {"budgets": {"low": {**BASE["budgets"]["low"], **changes}}}


EDITS: dict[str, dict[str, Any]] = {
    "rounds up": budget(rounds=4),
    "a strategy replaced and rounds down": {"strategies": ["random", "margin"], **budget(rounds=2)},
    "seeds moved": {"seeds": [1, 2]},
    "other query": budget(query=2),
    "parameters": {"strategies": ["random", {"name": "probcover", "delta": 0.5}]},
    "another dataset": {"datasets": ["wdbc"]},
}


def done(folder: Path, **changes: Any) -> pd.DataFrame:
    """Run a grid in a folder, and return the table of its cells."""
    grid = grids.parse(yaml.safe_dump({**BASE, **changes}), "grid.yaml")
    options = runs.Options(folder, "inline", mlflow="off")
    result = runs.run(grid, options, Console(quiet=True), lambda: None)
    assert result.left == 0
    return report.csv_tables(read_runs([folder]).summarise())["cells"]


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_grid_shows_what_it_asks_for_and_back_again(tmp_path: Path, edit: dict[str, Any]) -> None:
    before = done(tmp_path / "run")
    after = done(tmp_path / "run", **edit)
    pd.testing.assert_frame_equal(after, done(tmp_path / "fresh", **edit))  # as if there had been no other grid
    said = report.status_lines(tmp_path / "run")
    total = len(read_runs([tmp_path / "run"]).plan)
    assert said[0] == f"{total} trials: {total} done"
    assert not [line for line in said if "left" in line or "again:" in line]
    assert "of an earlier state of the grid" in said[1]
    assert all(line.startswith("earlier: wine/raw/linear, ") for line in said[2:])
    assert done(tmp_path / "run", **edit).equals(after)  # nothing more happens
    pd.testing.assert_frame_equal(done(tmp_path / "run"), before)


def test_two_runs_that_mean_two_budgets_by_one_name_are_not_called_half_done(tmp_path: Path) -> None:
    done(tmp_path / "long")
    done(tmp_path / "short", strategies=["margin"], **budget(rounds=2))
    cells = read_runs([tmp_path / "long", tmp_path / "short"]).summarise().cells
    assert {key.strategy: cell.n for key, cell in cells.items()} == {"random": 2, "entropy": 2, "margin": 0}
    (short,) = (cell for key, cell in cells.items() if key.strategy == "margin")
    assert short.status == "2 unusable"
    assert "its budget ends at 6 labels, that of the others of its setting at 9" in short.reasons[0]


def test_every_form_of_the_report_names_what_is_of_an_earlier_state(tmp_path: Path) -> None:
    done(tmp_path / "run")
    done(tmp_path / "run", strategies=["random", "margin"])
    written = report.write_report([tmp_path / "run"], tmp_path / "out")
    for form in ("report.md", "report.html"):
        text = (tmp_path / "out" / form).read_text()
        assert "Of an earlier state of the grid" in text
        assert "wine/raw/linear, low, entropy" in text
    console = Console(record=True, width=200, file=StringIO())
    render(written.summary, console)
    assert "2 trials of an earlier state of the grid" in console.export_text()
    assert "entropy" not in written.summary.strategies()

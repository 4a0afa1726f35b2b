"""The notebook's door: what a run says as frames and charts, in a real notebook too, and what an import loads."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import Program
from nbclient import NotebookClient
from support.commands import TINY, nothing_written, write_grid
from support.commands import run as in_here

import albench
from albench.benchmark.types import UserError

GRID: dict[str, Any] = {
    **TINY,
    "name": "nb",
    "strategies": ["random", "margin", "typiclust"],
    "budgets": {
        "low": {"initial": 0, "query": "1/class", "rounds": 3},
        "high": {"initial": "5/class", "query": "1/class", "rounds": 2},
    },
    "seeds": 3,
}
QUICK: dict[str, Any] = {"engine": "inline", "mlflow": "off"}
HEAVY = ("numpy", "torch", "pandas", "ray", "mlflow", "sklearn", "scipy", "altair", "click", "rich")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> albench.Run:
    return albench.run(GRID, tmp_path_factory.mktemp("nb") / "run", **QUICK)


def test_an_import_loads_nothing_heavy() -> None:
    code = f"import sys, albench; dir(albench); print([m for m in {HEAVY} if m in sys.modules], albench.__version__)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == f"[] {albench.__version__}"
    with pytest.raises(AttributeError, match="has no attribute 'rum'"):
        albench.rum  # noqa: B018 - that it raises


def test_python_m_is_the_command_line() -> None:
    command = [sys.executable, "-m", "albench", "--version"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out == f"albench, version {albench.__version__}\n"


def test_the_same_rounds_as_of_the_command(run: albench.Run, tmp_path: Path, same_answer: Any) -> None:
    said = in_here(write_grid(tmp_path / "grid.yaml", **GRID), tmp_path / "r")
    assert said.status == 0
    same_answer(run.directories[0], tmp_path / "r")


def test_frames(run: albench.Run) -> None:
    assert len(run.rounds) == 3 * 3 * 3 + 3 * 3 * 3 + 1  # the initial labels of the second budget are a round
    assert set(run.trials["outcome"]) == {"done"}
    assert run.cells.groupby("budget").size().to_dict() == {"low": 3, "high": 3}
    own = run.rounds
    own["accuracy"] = 0.0
    assert run.rounds["accuracy"].mean() > 0.5, "a frame is the caller's own"


def test_a_frame_that_is_changed_is_the_callers_own(run: albench.Run) -> None:
    for frame in ("cells", "rounds", "trials"):
        del getattr(run, frame)["dataset"]
        assert "dataset" in getattr(run, frame)


def test_the_leaderboard_has_a_row_for_each_strategy(run: albench.Run) -> None:
    """Ranks and gains again, from the cells and the rounds."""
    cells = run.cells.pivot(index="budget", columns="strategy", values="aubc/1 mean")
    ranks = cells.rank(axis=1, ascending=False).mean()
    board = run.leaderboard.set_index("strategy")
    assert board["rank/1 mean"].to_dict() == pytest.approx(ranks.to_dict())
    assert board["rank/1 mean"].is_monotonic_increasing
    gains = 100 * (cells.sub(cells["random"], axis=0)).mean().drop("random")
    assert board["gain/1 mean"].drop("random").to_dict() == pytest.approx(gains.to_dict())
    assert board.index[board["gain/1 mean"].isna()].tolist() == ["random"]
    assert (board["gain/1 low"] < board["gain/1 mean"])[gains.index].all()
    assert board["settings"].tolist() == [2, 2, 2]
    assert all(answer in run._repr_html_() for answer in run.answers)
    assert len(run.answers) == 2
    best = board.index[0]
    assert f"<td>{best}</td>\n      <td>{board['rank/1 mean'].iloc[0]:.2f}" in run._repr_html_()
    assert "19 trials: 19 done" in run._repr_html_()


def test_curves_are_a_panel_for_each_setting_and_budget(run: albench.Run) -> None:
    both, one = run.curves().to_dict(), run.curves(budget="high").to_dict()
    titles = [["wine/raw/linear, low"], ["wine/raw/linear, high"]]
    assert [panel["title"]["text"] for panel in both["concat"]] == titles
    assert [panel["title"]["text"] for panel in one["concat"]] == titles[1:]
    names = [param["name"] for param in both["params"]]
    assert len(names) == len(set(names)) == 4
    with pytest.raises(UserError, match="no budget 'hihg' in this run; did you mean 'high'"):
        run.curves(budget="hihg")
    with pytest.raises(UserError, match="unknown kind 'bugdet'; did you mean 'budget'"):
        run.curves(bugdet="high")


def test_curves_can_be_drawn(run: albench.Run, tmp_path: Path) -> None:
    run.curves().save(tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().count("wine/raw/linear") >= 2


def test_a_report_is_written_where_it_is_asked_for(run: albench.Run, tmp_path: Path) -> None:
    assert run.report(tmp_path / "r") == tmp_path / "r" / "report.html"
    assert (tmp_path / "r" / "report.md").exists()


def test_a_run_is_read_again_and_goes_on(run: albench.Run, tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(albench.load(run.directories[0]).leaderboard, run.leaderboard)
    part = albench.run(GRID, tmp_path / "r", only={"strategy": "random", "budget": ["low"]}, **QUICK)
    assert set(part.rounds["strategy"]) == {"random"}
    whole = albench.run(GRID, tmp_path / "r", overrides={"seeds": 3}, retry=["failed"], **QUICK)
    seconds = ["select_s"]  # those of other trials
    pd.testing.assert_frame_equal(whole.leaderboard.drop(columns=seconds), run.leaderboard.drop(columns=seconds))
    other = albench.load(run.directories[0], baseline="margin").leaderboard.set_index("strategy")
    assert other.index[other["gain/1 mean"].isna()].tolist() == ["margin"]


@pytest.mark.usefixtures("own_folder")
def test_mistakes_are_lines_and_nothing_is_written() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        (
            {"grid": {**GRID, "strategies": ["margni"]}},
            "grid: strategies\\[0\\]: unknown strategy 'margni'; did you mean",
        ),
        ({"grid": {**GRID, "seeds": Path("x")}}, "PosixPath\\('x'\\) is PosixPath; legal: text"),
        ({"grid": "no.yaml"}, "no.yaml: No such file"),
        ({"grid": GRID, "engine": "rya"}, "unknown engine 'rya'; did you mean 'ray'"),
        ({"grid": GRID, "retry": ["fialed"]}, "unknown outcome 'fialed' to try again; did you mean 'failed'"),
        ({"grid": GRID, "retry": "fialed"}, "unknown outcome 'fialed' to try again; did you mean 'failed'"),
        ({"grid": GRID, "workers": 0}, "workers is 0; legal: how many trials run at once, at least 1"),
        ({"grid": GRID, "workers": "two"}, "workers is 'two'; legal"),
        (
            {"grid": GRID, "overrides": {"seeds": np.int64(3), "name": {"a"}}},
            "overrides: seeds is np.int64\\(3\\); legal: text, numbers, lists, .*\noverrides: name is {'a'}; legal",
        ),
        ({"grid": GRID, "overrides": {"datasets": ["\U0001f600"]}}, "unknown dataset '\U0001f600'"),
        ({"grid": GRID, "only": {"strategi": "margin"}}, "only: unknown kind 'strategi'; did you mean 'strategy'"),
    ]
    with nothing_written():
        for arguments, line in wrong:
            with pytest.raises(UserError, match=line):
                albench.run(**{"mlflow": "off", **arguments})
        with pytest.raises(UserError, match="holds no albench run"):
            albench.load(".")
        with pytest.raises(UserError, match="the directory of a run is needed"):
            albench.load()


def test_no_strategy_of_the_run_is_no_baseline(run: albench.Run) -> None:
    with pytest.raises(UserError, match="baseline margn: no strategy of these runs; did you mean 'margin'"):
        albench.load(run.directories[0], baseline="margn")


def test_another_thread_is_refused() -> None:
    found: list[str] = []

    def call() -> None:
        try:
            albench.run(GRID)
        except UserError as error:
            found.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert found == ["albench.run: call it in the main thread; only there can it be interrupted"]


def test_a_notebook_runs_a_grid_and_shows_leaderboard_and_curves(albench: Program, tmp_path: Path) -> None:
    """Executed by nbclient, as Jupyter would."""
    cells = [
        f"import albench\nrun = albench.run({GRID!r}, engine='inline', mlflow='off')",
        "run",
        "run.curves(budget='low')",
        "print(albench.load('runs/nb').leaderboard.strategy[0])",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [json.dumps(cell["outputs"]) for cell in book["cells"]]
    assert "19 trials; results go to runs/nb" in said[0]
    assert "typiclust" in book["cells"][1]["outputs"][0]["data"]["text/html"]
    assert "wine/raw/linear, low" in said[2]
    assert said[3].count("typiclust") + said[3].count("margin") == 1

"""Who chose: the shares of the rules to which a strategy left its rows, in a run and in every form of its report."""

from pathlib import Path

import pandas as pd
import pytest
from support.commands import run, write_grid

from albench.results.measures.evidence import Evidence, read_runs
from albench.results.report import report
from albench.results.report.sections.picks import choosers

LOW = {"low": {"initial": 6, "query": 4, "rounds": 12}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    selectal = {"name": "selectal", "splits": 1, "draws": 1, "high": {"name": "coreset", "space": "embedding"}}
    grid = write_grid(folder / "grid.yaml", datasets=["wine"], strategies=["random", selectal], seeds=3, budgets=LOW)
    assert run(grid, folder / "run").status == 0
    return folder / "run"


def test_the_record_names_who_chose_each_row(made: Path) -> None:
    rounds = pd.read_parquet(made / "rounds")
    left = rounds[rounds["chosen_by"].notna()]
    assert set(left["strategy"]) == {"selectal(high=coreset(space=embedding), splits=1, draws=1)"}
    assert set(left["round"]) == set(range(1, 13))
    assert (left["chosen_by"].map(len) == left["selected"].map(len)).all()
    assert {by for row in left["chosen_by"] for by in row} == {"typiclust", "random", "coreset(space=embedding)"}


def test_the_shares_are_those_of_the_record(made: Path, tmp_path: Path) -> None:
    report.write_report([made], tmp_path)
    rounds = pd.read_parquet(made / "rounds")
    left = rounds[rounds["chosen_by"].notna()].explode("chosen_by")
    table = pd.read_csv(tmp_path / "tables/choosers.csv")
    assert len(table[table["n_labelled"] == 0]) == 3
    for row in table.to_dict("records"):
        asked = left if row["n_labelled"] == 0 else left[left["n_labelled"] == row["n_labelled"]]
        by_seed = asked["chosen_by"].eq(row["rule"]).groupby(asked["seed"]).mean()
        assert row["share mean"] == pytest.approx(by_seed.mean())
        assert row["share n"] == 3
    (block,) = [b for b in choosers.blocks(Evidence.of(read_runs([made]))) if b.columns]
    assert block.columns[:3] == ("strategy", "n", "labels")
    assert [row[2] for row in block.rows][:3] == ["all", "10", "18"]
    assert len(block.rows) == 1 + choosers.MOST
    assert block.rows[-1][2] == "54"
    for shown in block.rows:
        assert sum(map(float, shown[3:])) == pytest.approx(1, abs=0.02)
    assert "## Who chose" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Who chose" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / f"tables/{block.name}.tex").exists()


def test_where_nobody_left_it_to_others_nothing_is_said(made: Path, tmp_path: Path) -> None:
    before = Path(__file__).parents[2] / "data" / "before-rooms" / "run"
    report.write_report([before], tmp_path)
    assert "Who chose" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert not (tmp_path / "tables/choosers.csv").exists()

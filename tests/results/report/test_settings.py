"""Which settings were chosen: in the record, in every form of the report, and in the grade."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from support.commands import run, write_grid

from albench.results.measures.evidence import Evidence, read_runs
from albench.results.measures.findings import grade
from albench.results.report import report
from albench.results.report.sections import settings

TUNED = {"name": "linear", "tune": {"C": [1.0, 0.001]}}
BY_TUNED, OF_TUNED = {"name": "svm", "selector": TUNED}, {**TUNED, "selector": "svm"}
LEARNERS = ["svm", BY_TUNED, OF_TUNED, {"name": "knn", "tune": {"k": [1, 3]}}]
LOW = {"low": {"initial": 3, "query": 2, "rounds": 11}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    grid = write_grid(folder / "grid.yaml", learners=LEARNERS, strategies=["random", "margin"], seeds=2, budgets=LOW)
    assert run(grid, folder / "run").status == 0
    return folder / "run"


def test_the_record_says_what_was_chosen_by_whom(made: Path) -> None:
    rounds = pd.read_parquet(made / "rounds")
    untuned = rounds["settings"].isna()
    assert set(rounds.loc[untuned & (rounds["learner"] == "svm"), "learner"]) == {"svm"}
    models = {
        (row.learner, row.strategy): set(json.loads(str(row.settings)))
        for row in rounds[~untuned & (rounds["round"] == 5)].itertuples()
    }
    assert models == {
        ("linear(C=1.0|0.001) -> svm", "margin"): {"selector"},  # random asks no model
        ("svm -> linear(C=1.0|0.001)", "margin"): {"learner"},
        ("svm -> linear(C=1.0|0.001)", "random"): {"learner"},
        ("knn(k=1|3)", "random"): {"learner"},
    }
    first = rounds[(rounds["n_labelled"] == 5) & ~untuned]["settings"].map(json.loads)
    assert {chosen["learner"]["by"] for chosen in first if "learner" in chosen} == {"first listed"}
    bound = rounds[(rounds["budget"] == "full-data") & (rounds["learner"] == "knn(k=1|3)")]["settings"].map(json.loads)
    assert {chosen["learner"]["by"] for chosen in bound} == {"cross-validation"}


def test_the_tables_count_the_record(made: Path, tmp_path: Path) -> None:
    report.write_report([made], tmp_path)
    rounds = pd.read_parquet(made / "rounds")
    counts: Counter[tuple[object, ...]] = Counter()
    for row in rounds[rounds["settings"].notna()].itertuples():
        for model, chosen in json.loads(str(row.settings)).items():
            ((key, value),) = chosen["setting"].items()
            counts[row.learner, row.strategy, row.n_labelled, model, f"{key}={value}", chosen["by"]] += 1
    table = pd.read_csv(tmp_path / "tables/settings.csv")
    names = ["learner", "strategy", "n_labelled", "model", "setting", "by"]
    assert {tuple(row[name] for name in names): row["trials"] for row in table.to_dict("records")} == counts
    blocks = {block.title: block for block in settings.blocks(Evidence.of(read_runs([made])))}
    block = blocks["Settings chosen: wine/raw/linear(C=1.0|0.001) -> svm, low"]
    assert block.columns[:3] + block.columns[-1:] == ("model", "labels", "n", "too few labels")
    assert set(block.columns[3:-1]) <= {"C=1.0", "C=0.001"}
    assert {row[0] for row in block.rows} == {"selector"}
    block = blocks["Settings chosen: wine/raw/svm -> linear(C=1.0|0.001), low"]
    assert len(block.rows) == settings.MOST
    assert [row[:3] + row[-1:] for row in block.rows][:3] == [
        ("learner", "3", "4", "4"),
        ("learner", "7", "4", "0"),
        ("learner", "9", "4", "0"),
    ]
    assert block.rows[-1][1] == "25"
    assert all(sum(map(int, row[3:-1])) == int(row[2]) for row in block.rows)
    assert "## Settings chosen" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Settings chosen" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / f"tables/{block.name}.tex").exists()


def test_the_grade_tells_tuned_from_given_and_the_selector_apart(made: Path) -> None:
    evidence = Evidence.of(read_runs([made]))

    def graded(*learners: str) -> tuple[str, str]:
        rounds = evidence.rounds[evidence.rounds["learner"].isin(learners)]
        (one,) = [each for each in grade(rounds, evidence.trials, evidence.summary) if each[0] == "tuned classifier"]
        return one.answer, one.why

    by_tuned, of_tuned = "linear(C=1.0|0.001) -> svm", "svm -> linear(C=1.0|0.001)"
    assert graded("svm") == ("no", "parameters as given: svm")
    assert graded(of_tuned, "knn(k=1|3)") == ("yes", f"settings chosen by labels: knn(k=1|3), {of_tuned}")
    assert graded("svm", of_tuned) == ("in part", f"settings chosen by labels: {of_tuned}; parameters as given: svm")
    assert graded(by_tuned) == (
        "no",
        f"those of the selector chosen by labels: {by_tuned}; parameters as given: {by_tuned}",
    )


def test_where_nothing_is_tuned_nothing_is_said(made: Path, tmp_path: Path) -> None:
    before = Path(__file__).parents[2] / "data" / "before-rooms" / "run"
    report.write_report([before], tmp_path)
    assert "Settings chosen" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert not (tmp_path / "tables/settings.csv").exists()

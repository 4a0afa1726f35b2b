"""What a report makes of kept predictions: accuracy of each class, and how sure means are of another test set."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.commands import invoke, run, write_grid

from albench.results.measures.crossed import crossed
from albench.results.measures.evidence import Evidence, read_runs
from albench.results.report import report
from albench.results.report.sections.predictions import certainty

BEFORE = Path(__file__).parents[2] / "data" / "before-rooms" / "run"
WDBC = "wdbc(split=resampled)"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of two strategies on a test set, and on one for each seed."""
    folder = tmp_path_factory.mktemp("made")
    datasets = ["wine", {"name": "wdbc", "split": "resampled"}]
    grid = write_grid(folder / "grid.yaml", datasets=datasets, strategies=["random", "margin"], seeds=3)
    assert run(grid, folder / "run").status == 0
    return folder / "run"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def reported(directory: Path, out: Path) -> str:
    report.write_report([directory], out)
    return (out / "report.md").read_text(encoding="utf-8")


def change(directory: Path, change: object) -> None:
    """Replace the predictions of a run by what ``change`` makes of their table."""
    (part,) = directory.glob("predictions/part-*.parquet")
    table = pq.read_table(part)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), part)  # type: ignore[operator]


def test_the_accuracy_of_each_class_is_that_of_the_last_round(made: Path, tmp_path: Path) -> None:
    text = reported(made, tmp_path / "out")
    assert "## Accuracy of each class" in text
    found = pd.read_csv(tmp_path / "out/tables/classes.csv")
    kept = pd.read_parquet(made / "predictions").merge(pd.read_parquet(made / "rounds"), on=["trial_id", "round"])
    tests = pd.read_parquet(made / "test_sets").set_index("test_set")
    (names,) = {tuple(n) for n in tests.loc[tests["dataset"] == "wine", "class_names"]}
    last = kept[(kept["dataset"] == "wine") & (kept["strategy"] == "margin")].sort_values("round")
    last = last.drop_duplicates("trial_id", keep="last")
    for c, name in enumerate(names):
        recall = [
            np.mean(p[tests.loc[t, "labels"] == c] == c)
            for p, t in zip(last["predicted"], last["test_set"], strict=True)
        ]
        row = found[(found["dataset"] == "wine") & (found["strategy"] == "margin") & (found["class"] == name)]
        assert row["class-accuracy/1 mean"].item() == pytest.approx(np.mean(recall))
        assert row["class-accuracy/1 n"].item() == 3
    assert (tmp_path / "out/tables/classes-wine-raw-linear-low.tex").is_file()
    assert "| full data (final/1) |" in text.partition("## Accuracy of each class")[2]


def test_both_intervals_stand_side_by_side(made: Path, tmp_path: Path) -> None:
    evidence = Evidence.of(read_runs([made]))
    cell = next(cell for cell in evidence.summary.cells.values() if cell.key[3:] == ("low", "margin"))
    said = evidence.predictions.of(cell.key)
    assert [float(s.right.mean()) for s in said.values()] == pytest.approx(cell.by_seed["aubc/1"].tolist(), abs=1e-6)
    text = reported(made, tmp_path / "out").partition("## How sure")[2]
    assert "what other seeds would give on another test set" in " ".join(text.split())
    shown = next(line for line in text.splitlines() if line.startswith("| margin | 3 | 54 |")).split(" | ")
    assert shown[3].split()[0] == shown[4].split()[0] == f"{cell.aubc.mean:.3f}"
    row = pd.read_csv(tmp_path / "out/tables/certainty.csv").query("dataset == 'wine' and strategy == 'margin'").iloc[0]
    assert row["aubc/1 mean"] == pytest.approx(cell.aubc.mean)
    assert row["aubc/1 low"] <= cell.aubc.low < cell.aubc.high <= row["aubc/1 high"]
    assert row["test_rows"] == 54
    spread = crossed(np.array([s.right for s in said.values()]))
    assert row["aubc/1 variance from test rows"] == pytest.approx(spread.rows)


def test_splits_of_each_seed_are_nested_and_still_paired(made: Path, tmp_path: Path) -> None:
    reported(made, tmp_path / "out")
    found = pd.read_csv(tmp_path / "out/tables/certainty.csv").query("dataset == @WDBC").set_index("strategy")
    cells = pd.read_csv(tmp_path / "out/tables/cells.csv").query("dataset == @WDBC").set_index("strategy")
    assert found.loc["margin", "test_rows"] == 171
    for name in ("aubc/1", "final/1", "gain/1 of aubc/1", "gain/1 of final/1"):
        both, seeds = found.loc["margin"], cells.loc["margin"]
        assert both[f"{name} mean"] == pytest.approx(seeds[f"{name} mean"], abs=1e-4)
        assert both[f"{name} high"] >= seeds[f"{name} high"] - 1e-6
    assert found["gain/1 of aubc/1 mean"].isna().to_dict() == {"random": True, "margin": False}


def test_a_run_of_before_says_why_there_is_nothing(tmp_path: Path) -> None:
    text = reported(Path(shutil.copytree(BEFORE, tmp_path / "run")), tmp_path / "out")
    assert text.count("- run: it is of an albench that kept none, or imported") == 2
    assert not (tmp_path / "out/tables/classes.csv").exists()


def test_a_grid_that_keeps_none_is_named(tmp_path: Path) -> None:
    assert run(write_grid(tmp_path / "grid.yaml", keep={"predictions": False}, seeds=2), tmp_path / "run").status == 0
    assert "- run, wine: the grid says keep: {predictions: false}" in reported(tmp_path / "run", tmp_path / "out")


def test_a_cell_that_lacks_some_has_none(copy: Path, tmp_path: Path) -> None:
    """An interval over other seeds than those of the mean beside it would mislead."""
    rounds = pd.read_parquet(copy / "rounds")
    gone = rounds[(rounds["dataset"] == "wine") & (rounds["strategy"] == "margin")]["trial_id"].iloc[0]
    change(copy, lambda table: table.filter(pa.compute.not_equal(table["trial_id"], gone)))
    reported(copy, tmp_path / "out")
    found = pd.read_csv(tmp_path / "out/tables/certainty.csv")
    assert list(found.loc[found["dataset"] == "wine", "strategy"]) == ["random"]


@pytest.mark.parametrize("what", ["predicted", "test_set", "length", "class"])
def test_predictions_that_do_not_give_the_accuracy_are_not_believed(copy: Path, tmp_path: Path, what: str) -> None:
    def changed(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for row in rows:
            if what == "test_set":
                row["test_set"] = "none"
            else:
                row["predicted"] = {"length": row["predicted"][:-1], "class": [9] * len(row["predicted"])}.get(
                    what, [(c + 1) % 2 for c in row["predicted"]]
                )
        return pa.Table.from_pylist(rows, schema=table.schema)

    change(copy, changed)
    text = reported(copy, tmp_path / "out")
    assert "no cell has that of all its trials" in text
    assert ("kept predictions that do not give the accuracies on record" in text) is (what != "test_set")


def test_a_damaged_part_costs_what_rests_on_it(copy: Path, tmp_path: Path) -> None:
    (part,) = copy.glob("predictions/part-*.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    before = reported(copy, tmp_path / "out")
    assert f"{part.name} cannot be read and is left out" in before
    assert "| margin | wine |" in before  # its rounds are whole
    assert invoke("status", copy).status == 0


def test_of_one_seed_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert run(write_grid(tmp_path / "grid.yaml"), tmp_path / "run").status == 0
    text = reported(tmp_path / "run", tmp_path / "out")
    assert "## How sure" not in text
    assert "## Accuracy of each class" in text


def test_gains_stand_where_only_a_seed_without_a_partner_has_another_test_set(made: Path) -> None:
    """Seeds with test sets A, A, B have no accuracy over both, and those of A have a gain over their partners."""
    evidence = Evidence.of(read_runs([made]))
    (key,) = (key for key in evidence.summary.cells if key.strategy == "margin" and key.dataset == "wine")
    apart = evidence.predictions.of(key)[2]
    evidence.predictions.truths["another"] = evidence.predictions.truths[apart.test_set]
    apart.test_set = "another"
    assert set(evidence.certainty[key]) == {"gain/1 of aubc/1", "gain/1 of final/1"}
    row = certainty.frame(evidence).query("dataset == 'wine' and strategy == 'margin'").iloc[0]
    assert row["test_rows"] == 54
    assert np.isnan(row["aubc/1 low"])
    assert not np.isnan(row["gain/1 of aubc/1 low"])
    assert certainty.blocks(evidence)

"""A run, its cache and a bundle that were written before files moved into rooms: read, and gone on with."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import Program, answer

BEFORE = Path(__file__).parents[2] / "data" / "before-rooms"
KEPT = ("--only", "learner=svm")  # knn has another version since: its trials are others


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(BEFORE / "cache", tmp_path / "cache")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(BEFORE / "run", tmp_path / "run"))


def again(albench: Program, run: Path) -> str:
    grid = run.parent / "grid.yaml"
    shutil.copy(run / "grid.yaml", grid)
    status, out, err = albench.run("run", "--grid", grid, "--out", run, "--engine", "inline", "--mlflow", "off", *KEPT)
    assert (status, err) == (0, ""), out
    return out


def kept(run: Path) -> pd.DataFrame:
    return answer(run).query("learner == 'svm'").reset_index(drop=True)


def test_a_finished_run_has_nothing_left(albench: Program, run: Path) -> None:
    before = answer(run)
    assert "20 trials, 10 have ended before" in again(albench, run)
    assert answer(run).equals(before)


def test_an_interrupted_run_is_gone_on_with_to_the_same_answer(albench: Program, run: Path) -> None:
    whole, (part,) = kept(run), (run / "rounds").glob("part-*.parquet")
    rounds = pq.read_table(part)
    pq.write_table(rounds.filter(pc.less(rounds["round"], 2)), part)
    shutil.rmtree(run / "trials")
    assert len(kept(run)) < len(whole)
    again(albench, run)
    found = kept(run)
    inexact = ["nll", "ece"]  # of probabilities in single precision since
    apart = [*inexact, "predicted"]  # which nobody kept
    pd.testing.assert_frame_equal(found.drop(columns=apart), whole.drop(columns=apart), check_exact=True)
    pd.testing.assert_frame_equal(found[inexact], whole[inexact], rtol=1e-6)


def test_a_bundle_is_imported(albench: Program, tmp_path: Path) -> None:
    env = {"ALBENCH_CACHE": str(tmp_path / "empty")}
    assert albench.run("cache", "import", BEFORE / "wine.zip", env=env)[0] == 0
    assert albench.run("embed", "--verify", env=env)[0] == 0

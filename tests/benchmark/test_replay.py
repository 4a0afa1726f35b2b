"""Picks of a finished run, scored by another learner or through another embedding."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import answer
from rich.console import Console
from support.commands import Said, invoke, nothing_written, write_grid

from albench.benchmark import replay
from albench.benchmark.engine import run as runs
from albench.benchmark.grid import grid
from albench.benchmark.purchase import InvalidSelectionError, Purchase, Recorded
from albench.benchmark.types import Batch, Outcome, UserError
from albench.results.measures.evidence import read_runs
from albench.results.record.parts import TABLES
from albench.results.record.store import RunStore

BUDGETS = {
    "low": {"initial": 0, "query": "1/class", "rounds": 3},
    "high": {"initial": "2/class", "query": "1/class", "rounds": 2},
}
GRID: dict[str, Any] = {
    "strategies": ["random", "margin", "typiclust"],
    "embeddings": ["raw", {"name": "pca", "dims": 4}],
    "budgets": BUDGETS,
    "seeds": 2,
}
PICKS = ["dataset", "budget", "strategy", "seed", "round", "n_labelled", "bought_by", "class_counts", "selected"]
SCORES = ["accuracy", "balanced_accuracy", "macro_f1", "nll", "ece"]


def direct(folder: Path, **changes: Any) -> Path:
    """Run a grid, without a report."""
    read = grid.load(write_grid(folder / "grid.yaml", **changes))
    runs.run(read, runs.Options(folder / "run", "inline", mlflow="off"), Console(quiet=True), lambda: None)
    return folder / "run"


def score(directory: Path, out: Path, learner: str | None = None, embedding: str | None = None) -> runs.Result:
    """Replay a run, without a report."""
    study = replay.prepare(directory, learner, embedding)
    return runs.carry_out(study, runs.Options(out, "inline", mlflow="off"), Console(quiet=True), lambda: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three strategies on wine as it is and in four dimensions, two budgets, two seeds."""
    folder = tmp_path_factory.mktemp("finished")
    return direct(folder, **GRID)


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run, to be spoilt."""
    for path in finished.rglob("*"):
        if path.is_file() and "report" not in path.parts and path.name != ".lock":
            target = tmp_path / "run" / path.relative_to(finished)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path / "run"


def replayed(directory: Path, out: Path, *options: object) -> Said:
    return invoke("replay", directory, "--out", out, "--engine", "inline", "--mlflow", "off", *options)


def seconds(directory: Path) -> pd.Series[float]:
    rounds = RunStore.open(directory).rounds()
    return rounds[rounds["bought_by"] != "initial"].set_index(["trial_id", "round"])["select_s"]


def test_the_same_learner_and_embedding_give_the_same_rounds(finished: Path, tmp_path: Path) -> None:
    """Bit for bit, first batches bought as random included; a replay knows how long the strategy took."""
    said = replayed(finished, tmp_path / "r", "--learner", "linear")
    assert (said.status, said.err) == (0, "")
    pd.testing.assert_frame_equal(answer(finished), answer(tmp_path / "r"), check_exact=True)
    assert set(answer(finished)["bought_by"]) == {"initial", "random", "strategy"}
    pd.testing.assert_series_equal(seconds(finished), seconds(tmp_path / "r"), check_exact=True)


def test_another_embedding_scores_the_same_picks(finished: Path, tmp_path: Path) -> None:
    """Random's picks do not depend on what it sees: its replay is the run that saw the other embedding."""
    score(finished, tmp_path / "r", embedding="pca:4")
    there, here = answer(finished), answer(tmp_path / "r")
    from_pixels = here[here["embedding"] == "raw -> pca(dims=4)"].sort_values([*PICKS[:5]], ignore_index=True)
    pixels = there[there["embedding"] == "raw"].sort_values([*PICKS[:5]], ignore_index=True)
    pca = there[there["embedding"] == "pca(dims=4)"].sort_values([*PICKS[:5]], ignore_index=True)
    pd.testing.assert_frame_equal(from_pixels[PICKS], pixels[PICKS], check_exact=True)
    random = from_pixels["strategy"] == "random"  # the full-data bounds too
    pd.testing.assert_frame_equal(from_pixels.loc[random, SCORES], pca.loc[random, SCORES], check_exact=True)
    assert not from_pixels[SCORES].equals(pixels[SCORES])
    as_it_was = here["embedding"] == "pca(dims=4)"
    assert set(here.loc[as_it_was, "trial_id"]) == set(pca["trial_id"])  # the same trials, so a report shows them once
    assert here.loc[~as_it_was, "trial_id"].isin(there["trial_id"]).sum() == 0


def test_a_learner_without_probabilities_scores_picks_that_needed_them(finished: Path, tmp_path: Path) -> None:
    """And random's picks are scored as in a run with that learner."""
    score(finished, tmp_path / "r", "svm", "raw")
    by_svm = direct(tmp_path, **GRID | {"embeddings": ["raw"], "strategies": ["random"], "learners": ["svm"]})
    here, there = answer(tmp_path / "r"), answer(by_svm)
    assert set(here["learner"]) == {"linear -> svm"}
    assert set(here["embedding"]) == {"raw", "pca(dims=4) -> raw"}
    assert {"margin", "typiclust"} < set(here["strategy"])
    for embedding in ("raw", "pca(dims=4) -> raw"):
        columns = [*PICKS, *SCORES]
        random = here[(here["strategy"] == "random") & (here["embedding"] == embedding)][columns]
        order = ["budget", "seed", "round"]
        pd.testing.assert_frame_equal(
            random.sort_values(order, ignore_index=True), there[columns].sort_values(order, ignore_index=True)
        )


def test_its_manifest_and_names_say_what_it_is(finished: Path, tmp_path: Path) -> None:
    score(finished, tmp_path / "r", "knn")
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    of = json.loads((finished / "manifest.json").read_text())
    assert (manifest["name"], manifest["replay"]["of"]) == ("tiny replayed with knn", "run")
    assert manifest["replay"]["run_id"] == of["run_id"]
    assert manifest["order"]["learner"] == ["linear -> knn"]
    both = read_runs([finished, tmp_path / "r"])
    assert both.notices == ()
    assert set(both.rounds["learner"]) == {"linear", "linear -> knn"}
    assert [str(setting) for setting in both.summarise().bounds if setting.learner != "linear"] == [
        "wine/raw/linear -> knn",
        "wine/pca(dims=4)/linear -> knn",
    ]


def test_it_goes_on_where_it_was(finished: Path, tmp_path: Path) -> None:
    """Half of the rounds are lost: the replay that is started again ends as the undisturbed one."""
    out = tmp_path / "r"
    score(finished, out, "knn")
    whole, ends = RunStore.open(out).rounds(), RunStore.open(out).trials()
    kept = whole[whole["round"] < 2]
    for name, frame in (("rounds", kept), ("trials", ends.iloc[:3])):
        (part,) = (out / name).glob("part-*.parquet")
        frame.to_parquet(part, index=False)
        _stamp(part)
    score(finished, out, "knn")
    columns = [*PICKS, *SCORES]
    again = RunStore.open(out).rounds()
    pd.testing.assert_frame_equal(again[columns], whole[columns], check_exact=True)
    before = len(RunStore.open(out).trials())
    assert score(finished, out, "knn").outcomes == {Outcome.DONE: 26}
    assert len(RunStore.open(out).trials()) == before == 26


def _stamp(part: Path) -> None:
    """Give a part that pandas wrote the schema and its version."""
    schema = TABLES[part.parent.name]
    pq.write_table(pq.read_table(part).select(schema.names).cast(schema).replace_schema_metadata(schema.metadata), part)


def test_beside_the_run_by_default(finished: Path) -> None:
    named = replay.default_out(finished, "svm", "{name: pca, dims: 4}")
    assert named == finished.with_name("run-replay-svm-name-pca-dims-4")


# --- what cannot be replayed -----------------------------------------------------------------------------------------


def test_a_trial_that_failed_is_unsupported_with_its_reason(copied: Path, tmp_path: Path) -> None:
    def fail(trials: pd.DataFrame) -> None:
        trials.loc[trials["strategy"] == "margin", ["outcome", "reason"]] = ["failed", "ValueError: no"]

    _change(copied, "trials", fail)
    assert score(copied, tmp_path / "r", "knn").left == 0
    ends = RunStore.open(tmp_path / "r").trials()
    margin = ends[ends["strategy"] == "margin"]
    assert set(margin["outcome"]) == {Outcome.UNSUPPORTED}
    assert set(margin["reason"]) == {"its picks were not made: failed: ValueError: no"}
    assert set(ends.loc[ends["strategy"] != "margin", "outcome"]) == {Outcome.DONE}


def test_picks_of_an_older_version_of_a_strategy_stay_theirs(copied: Path) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["versions"]["strategy margin"] = 7
    (copied / "manifest.json").write_text(json.dumps(manifest))
    study = replay.prepare(copied, "knn")
    assert {trial.strategy.version for trial in study.trials if trial.strategy.name == "margin"} == {7}


def _change(directory: Path, table: str, change: Callable[[pd.DataFrame], object]) -> None:
    (part,) = (directory / table).glob("part-*.parquet")
    frame = pd.read_parquet(part)
    changed = change(frame)
    (frame if changed is None else changed).to_parquet(part, index=False)  # type: ignore[attr-defined]
    _stamp(part)


def _no_picks(directory: Path) -> None:
    def empty(rounds: pd.DataFrame) -> None:
        rounds["selected"] = pd.Series([np.empty(0, np.int64)] * len(rounds), dtype=object)

    _change(directory, "rounds", empty)


def _other_data(directory: Path) -> None:
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["fingerprints"] = {"0" * 64: "wine/raw"}
    (directory / "manifest.json").write_text(json.dumps(manifest))


def _a_replay(directory: Path) -> None:
    manifest = json.loads((directory / "manifest.json").read_text())
    (directory / "manifest.json").write_text(json.dumps({**manifest, "replay": {"of": "first"}}))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_no_picks, "holds no picks"),
        (_other_data, "the data of wine/pca(dims=4), wine/raw, or how they are embedded, have changed since the"),
        (_a_replay, "is itself a replay, of first: replay that run instead"),
        (
            lambda run_: _change(run_, "trials", lambda trials: trials[trials["strategy"] != "margin"]),
            "the run is not over, 8 trials are left; finish it first",
        ),
        (
            lambda run_: _change(run_, "rounds", lambda rounds: rounds[rounds["round"] != 2]),
            "the run is not over, 24 trials are left; finish it first",  # done, but a part was lost
        ),
    ],
    ids=["imported", "other data", "a replay", "going on", "damaged"],
)
def test_what_cannot_be_replayed_is_one_line(
    copied: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object], problem: str
) -> None:
    monkeypatch.chdir(copied.parent)
    spoil(copied)
    with nothing_written():
        said = replayed(Path("run"), Path("out"), "--learner", "knn")
    assert (said.status, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert said.err.startswith("error: run")
    assert problem in said.err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--learner", "lienar"], "error: --learner: unknown learner 'lienar'; did you mean 'linear'?"),
        (["--embedding", "pca:x"], "error: --embedding.dims: expected a whole number"),
        ([], "Error: --learner or --embedding is needed"),
    ],
)
def test_a_wrong_word_is_one_line(finished: Path, tmp_path: Path, options: list[str], problem: str) -> None:
    said = replayed(finished, tmp_path / "out", *options)
    assert (said.status, said.out) == (2, "")
    assert said.err.splitlines()[-1].startswith(problem)
    assert not (tmp_path / "out").exists()


def test_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no albench run"):
        replay.prepare(tmp_path, "knn")


def test_rows_on_record_that_do_not_fit_are_refused() -> None:
    record = Recorded(
        (Purchase(Batch(np.array([3, 1])), "initial", 0.0), Purchase(Batch(np.array([2])), "random", 1.5))
    )
    assert record.after(np.array([3, 1])).select_s == 1.5
    assert record.after(np.empty(0, np.int64)).rows.tolist() == [3, 1]
    for labelled in ([1, 3], [3], [3, 1, 2], [3, 1, 4]):
        with pytest.raises(InvalidSelectionError, match="not those of the run on record"):
            record.after(np.array(labelled))

"""What a dry run says a grid will cost: by what such trials took, or that nobody knows."""

import os
from math import nan
from pathlib import Path

import pandas as pd
import pytest
from support.commands import TINY, run, write_grid
from support.server import Server, serving

from albench.benchmark.grid import forecast as forecasts
from albench.benchmark.grid import grid as grids
from albench.benchmark.grid.forecast import KIND, PEAKS, forecast
from albench.benchmark.grid.study import Study, resolve

pytestmark = pytest.mark.usefixtures("own_folder")
WINE = ("wine", "raw", "linear")


def study(**keys: object) -> Study:
    return resolve(grids.load(write_grid(Path("grid.yaml"), **keys), ()))


def measured(*rows: tuple[str, str, float, float], device: str = "x86_64") -> pd.DataFrame:
    """Return trials by strategy, budget, seconds and peak of a GPU's memory, NaN where they used none."""
    return pd.DataFrame(
        [(*WINE, strategy, budget, seconds, "host", device, 100.0 + i, card)
         for i, (strategy, budget, seconds, card) in enumerate(rows)],
        columns=[*KIND, "wall_s", "host", "device", *PEAKS],
    )  # fmt: skip


@pytest.fixture
def uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be measured now."""
    monkeypatch.setattr(forecasts, "calibrate", lambda *_: [])
    monkeypatch.setattr(os, "cpu_count", lambda: 4)


@pytest.mark.usefixtures("uncalibrated")
def test_time_is_that_of_the_same_kinds_then_of_the_strategy_and_else_their_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three seeds of two strategies and one bound; margin was never measured, another strategy does not count."""
    took = measured(("random", "low", 3600, nan), ("random", "low", 7200, nan), ("random", "full-data", 1800, nan))
    other = measured(("badge", "low", 9e9, nan), ("random", "low", 9e9, 500))
    monkeypatch.setattr(forecasts, "_measured", lambda _: pd.concat([took, other]))
    budgets = {**TINY["budgets"], "more": {"initial": 3, "query": 3, "rounds": 3}}
    mean = (3600 + 7200 + 1800) / 3
    seconds = 3 * 5400 + 1800 + 3 * mean + 3 * mean + 3 * mean  # low and the bound; random in more; margin in both
    grid = study(strategies=["random", "margin"], seeds=3, budgets=budgets)
    assert forecast(grid, Path("out"))[:2] == [
        "fits: 37 (a first round that strategies share is one)",  # 6 x 2 + 6 x 3 purchases, 6 first rounds, the bound
        f"CPU: {seconds / 3600:.1f} h of one worker for 13 trials, {(15 + seconds / 4) / 3600:.1f} h in all on this"
        " machine, at most 102 MB each; 2 of 5 kinds of trial were measured on host (x86_64), the others are the mean"
        " of those with the same strategy, or the same learner",
    ]
    assert f"{(15 + seconds / 2) / 3600:.1f} h in all" in forecast(grid, Path("out"), workers=2)[1]


@pytest.mark.usefixtures("uncalibrated")
def test_of_a_learner_that_nobody_measured_no_time_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take a thousand times as long; a strategy is taken as beside the same learner."""
    svm = measured(("random", "low", 600, nan), ("margin", "low", 1200, nan)).assign(learner="svm")
    took = pd.concat([measured(("random", "low", 6, nan), ("random", "full-data", 6, nan)), svm])
    monkeypatch.setattr(forecasts, "_measured", lambda _: took)
    grid = study(learners=["linear", "svm", "mlp", "knn"], strategies=["random", "margin"])
    (_, told, _) = forecast(grid, Path("out"))
    seconds = 3 * 6 + 600 + 1200 + 600  # the last is the bound of svm; knn has no margin
    assert told.startswith(f"CPU: {seconds / 60:.1f} min of one worker for 6 trials, ")
    assert told.endswith(
        "; 4 of 6 kinds of trial were measured on host (x86_64), the others are the mean of those with the same"
        " strategy, or the same learner; 5 trials are not in this, as none like them was measured: those of mlp, knn"
    )


@pytest.mark.usefixtures("uncalibrated")
def test_a_trial_on_a_card_is_told_by_trials_on_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    took = measured(("random", "low", 60, 512), ("random", "full-data", 60, 600), device="a card")
    cpu = measured(("random", "low", 9e9, nan))
    monkeypatch.setattr(forecasts, "_measured", lambda _: pd.concat([took, cpu]))
    assert forecast(study(resources={"num_gpus": 0.5}), Path("out"))[1] == (
        "GPU: 2.0 min of one worker for 2 trials, at most 101 MB each and 600 MB of the GPU; 2 of 2 kinds of trial were"
        " measured on host (a card)"
    )


def test_a_run_tells_what_its_trials_took_and_the_others_are_calibrated() -> None:
    grid = write_grid(Path("grid.yaml"), strategies=["random", "margin"])
    *_, announced, _, here, first = run(grid, "out", "--dry-run").out.splitlines()
    assert announced == "calibrating 3 kinds of trial that no run has measured, for 180 s at the most"
    assert here.endswith("; 3 of 3 kinds of trial were calibrated here")
    assert first == "embeddings to be computed first, whose time is not in this: wine/raw"
    assert run(grid, "out", "--only", "strategy=random").status == 0
    told, there = run(grid, "out", "--dry-run").out.splitlines()[-2:]
    assert there == "2 of these 3 trials are in out already, and in these numbers"
    assert "; 2 of 3 kinds of trial were measured on" in told
    assert told.endswith(", 1 of 3 kinds of trial were calibrated here")
    assert run(grid, "out").status == 0
    known = run(grid, "out", "--dry-run").out.splitlines()
    assert "; 3 of 3 kinds of trial were measured on" in known[-2]
    assert known[-1].startswith("3 of these 3 trials are in out already")
    assert not [line for line in known if "calibrat" in line]
    assert run(grid, "new", "--dry-run", "--costs", "out").out.splitlines()[-1] == known[-2]
    Path("empty").mkdir()
    refused = run(grid, "new", "--dry-run", "--costs", "empty")
    assert (refused.status, refused.err) == (2, "error: empty holds no albench run (it has no manifest.json)\n")


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither data nor weights; what they would cost is not known, and the rest is told."""
    with serving(Server({})) as server:
        monkeypatch.setenv("ALBENCH_MIRROR", server.url)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        grid = write_grid(
            Path("grid.yaml"),
            datasets=["digits", "mnist", "food101", "hf:somebody/something"],
            embeddings=["raw", "timm:resnet18.a1_in1k", "torchvision:resnet18"],
        )
        said = run(grid, "out", "--dry-run", "--only", "strategy=random")
        assert server.asked == []
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert [line.partition(": ")[2] for line in lines if "to be downloaded first" in line] == [
        "timm:resnet18.a1_in1k: its weights are not on this machine",
        "torchvision:resnet18: its weights are not on this machine",
        "mnist: its files are not on this machine, and its trials are not counted here",
        "food101: its files are not on this machine, and its trials are not counted here",
        "hf:somebody/something: is not on this machine, and its trials are not counted here",
    ]
    assert lines[0] == "grid tiny: 3 trials and 3 full-data bounds"
    assert not Path("cache", "datasets", "mnist").exists()


def test_what_is_wrong_besides_is_still_told() -> None:
    grid = write_grid(Path("grid.yaml"), datasets=["mnist", "digits"], embeddings=["pca", "file:no.npz"])
    said = run(grid, "out", "--dry-run")
    assert said.status == 2
    assert said.err.startswith("error: grid.yaml: embeddings[1]: no.npz")

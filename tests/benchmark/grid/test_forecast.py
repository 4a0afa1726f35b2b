"""What a dry run says a grid will cost: by what such trials took, or that nobody knows."""

from math import nan
from pathlib import Path

import pandas as pd
import pytest
from support.commands import run, write_grid

from albench.benchmark.grid import forecast as forecasts
from albench.benchmark.grid import grid as grids
from albench.benchmark.grid.forecast import KIND, PEAKS, forecast
from albench.benchmark.grid.study import Study, resolve

pytestmark = pytest.mark.usefixtures("own_folder")
WINE = ("wine", "pixels", "linear")


def study(**keys: object) -> Study:
    return resolve(grids.load(write_grid(Path("grid.yaml"), **keys), ()))


def measured(*rows: tuple[str, str, float, float], device: str = "x86_64") -> pd.DataFrame:
    """Return trials by strategy, budget, seconds and peak of a GPU's memory, NaN where they used none."""
    return pd.DataFrame(
        [(*WINE, strategy, budget, seconds, "host", device, 100.0 + i, card)
         for i, (strategy, budget, seconds, card) in enumerate(rows)],
        columns=[*KIND, "wall_s", "host", "device", *PEAKS],
    )  # fmt: skip


def test_hours_are_those_of_the_same_kinds_and_else_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seeds of two strategies and one bound; margin was never measured, another strategy does not count."""
    took = measured(("random", "low", 3600, nan), ("random", "low", 7200, nan), ("random", "full-data", 1800, nan))
    other = measured(("badge", "low", 9e9, nan), ("random", "low", 9e9, 500))
    monkeypatch.setattr(forecasts, "_measured", lambda _: pd.concat([took, other]))
    hours = (3 * 5400 + 1800 + 3 * (3600 + 7200 + 1800) / 3) / 3600
    assert forecast(study(strategies=["random", "margin"], seeds=3), Path("out")) == [
        "fits: 16 (a first round that strategies share is one)",  # 6 trials x 2 purchases, 3 first rounds, the bound
        f"CPU: {hours:.1f} h of one worker for 7 trials, at most 102 MB each; 2 of 3 kinds of trial were measured on"
        " host (x86_64), the others taken as the mean of these",
    ]


def test_a_trial_on_a_card_is_told_by_trials_on_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    took = measured(("random", "low", 60, 512), ("random", "full-data", 60, 600), device="a card")
    cpu = measured(("random", "low", 9e9, nan))
    monkeypatch.setattr(forecasts, "_measured", lambda _: pd.concat([took, cpu]))
    assert forecast(study(resources={"num_gpus": 0.5}), Path("out"))[1] == (
        "GPU: 2.0 min of one worker for 2 trials, at most 101 MB each and 600 MB of the GPU; 2 of 2 kinds of trial were"
        " measured on host (a card)"
    )


def test_a_run_tells_what_its_trials_took() -> None:
    grid = write_grid(Path("grid.yaml"), strategies=["random", "margin"])
    nobody = "CPU: hours and memory are not known: no such trial was measured, in out or in a run of --costs"
    assert run(grid, "out", "--dry-run").out.splitlines()[-1] == nobody
    assert run(grid, "out", "--only", "strategy=random").status == 0
    told = run(grid, "out", "--dry-run").out.splitlines()[-1]
    assert "2 of 3 kinds of trial were measured on" in told
    assert run(grid, "new", "--dry-run").out.splitlines()[-1] == nobody.replace("out", "new")
    assert run(grid, "new", "--dry-run", "--costs", "out").out.splitlines()[-1] == told
    Path("empty").mkdir()
    refused = run(grid, "new", "--dry-run", "--costs", "empty")
    assert (refused.status, refused.err) == (2, "error: empty holds no albench run (it has no manifest.json)\n")

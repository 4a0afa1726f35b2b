"""A whole study of a real size, as a user runs it: how long, and where the seconds go."""

import os
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import Program
from support.commands import write_grid
from support.made import write_npz

from albench.results.record.store import RunStore

RULES = ["random", "least-confidence", "margin", "entropy", "kmeans", "coreset", "badge", "typiclust", "probcover"]
BUDGETS = {
    "low": {"initial": 10, "query": 10, "rounds": 5},
    "middle": {"initial": 100, "query": 100, "rounds": 5},
    "high": {"initial": 1000, "query": 1000, "rounds": 4},
}
SEEDS = int(os.environ.get("ALBENCH_STUDY_SEEDS", "10"))

pytestmark = [pytest.mark.perf, pytest.mark.timeout(3600)]


@pytest.mark.usefixtures("own_folder")
def test_nine_rules_three_budgets_ten_seeds_in_ten_minutes(albench: Program) -> None:
    data = write_npz(Path("made.npz"), rows=50_000, test_rows=10_000, dims=512, classes=10)
    grid = write_grid(
        Path("study.yaml"),
        name="study",
        datasets=[f"arrays:{data}"],
        embeddings=[{"name": "raw", "scale": "none"}],
        strategies=RULES,
        budgets=BUDGETS,
        seeds=SEEDS,
    )
    began = time.perf_counter()
    status, _, err = albench.run("run", "--grid", grid, "--out", "run", "--workers", "2", timeout=3000)
    wall = time.perf_counter() - began
    assert status == 0, err
    rounds = RunStore.open(Path("run")).rounds()
    parts = rounds.groupby("strategy")[["select_s", "fit_s", "eval_s"]].sum()
    parts.loc["all"] = parts.sum()
    print(f"\n{SEEDS} seeds, {len(rounds)} rounds: {wall:.0f} s\n{parts.round(1).to_string()}")
    print(pd.pivot_table(rounds, "select_s", "strategy", "budget", "sum").round(1).to_string())
    assert wall < 600 * SEEDS / 10

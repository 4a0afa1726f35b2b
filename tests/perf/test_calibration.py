"""What a dry run says that trials cost, measured on a few of their steps, beside what they take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.commands import write_grid

from albench.benchmark.grid import grid as grids
from albench.benchmark.grid.calibration import calibrate
from albench.benchmark.grid.study import resolve
from albench.benchmark.loop import run_trial
from albench.benchmark.types import FULL_DATA

pytestmark = [pytest.mark.perf, pytest.mark.timeout(300), pytest.mark.usefixtures("own_folder")]


@pytest.mark.parametrize("cached", [False, True])
def test_it_is_right_within_a_factor_of_two(cached: bool) -> None:
    budgets = {"b": {"initial": 50, "query": 50, "rounds": 8}}
    grid = write_grid(Path("grid.yaml"), datasets=["digits"], strategies=["typiclust"], budgets=budgets)
    study = resolve(grids.load(grid, ()))
    (source,) = study.sources.values()
    embedded = source.embed()
    if not cached:
        embedded.entry.arrays  # noqa: B018 - the pool is mapped before its folder has another name
        pool = embedded.pool()
        folder = Path(os.environ["ALBENCH_CACHE"]) / source.fingerprint
        folder.rename(folder.with_name("elsewhere"))
    else:
        pool = embedded.pool()
    assert source.is_cached is cached
    found = {cost.kind: cost for cost in calibrate(study, study.jobs)}
    for job in study.jobs:
        if job.trial.budget.name == FULL_DATA:
            continue
        list(run_trial(job.trial, pool, job.strategy, job.learner))  # what is derived is there
        rounds = list(run_trial(job.trial, pool, job.strategy, job.learner))
        took = sum(round_.select_s + round_.fit_s + round_.eval_s for round_ in rounds)
        ratio = found[job.kind].wall_s / took
        print(f"\n{job.trial.strategy.label}: said {ratio:.2f} times what it took")
        assert 1 / 2 < ratio < 2

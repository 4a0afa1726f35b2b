"""What trials cost here, measured on a few of their steps, whatever a rule does."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support.commands import write_grid

from albench.benchmark.grid import calibration
from albench.benchmark.grid import grid as grids
from albench.benchmark.grid.calibration import Cost, calibrate, measurable
from albench.benchmark.grid.study import Study, resolve
from albench.benchmark.loop import Job
from albench.benchmark.strangers.apart import Tell
from albench.benchmark.types import Arrays, Features, Pool, Query, Resources, Rows

pytestmark = pytest.mark.usefixtures("own_folder")
BUDGETS = {"low": {"initial": "1/class", "query": 3, "rounds": 5}, "once": {"initial": 0, "query": 3, "rounds": 1}}


@dataclass(frozen=True)
class Rule:
    """Does something before it buys the first rows there are."""

    does: Callable[[Query], None]

    def select(self, query: Query) -> Rows:
        self.does(query)
        return query.unlabelled[: query.n]


def studied(**keys: object) -> Study:
    return resolve(grids.load(write_grid(Path("grid.yaml"), **keys)))


def of(study: Study, does: Callable[[Query], None], budget: str = "low") -> Job:
    job = next(job for job in study.jobs if job.trial.budget.name == budget)
    return replace(job, strategy=Rule(does))


def costs(study: Study, *jobs: Job) -> dict[tuple[str, ...], Cost]:
    return {cost.kind: cost for cost in calibrate(study, jobs)}


def test_a_trial_costs_what_its_rounds_cost() -> None:
    """Each purchase takes a hundredth of a second for each label; what is computed once for the pool does not count."""

    def dear(features: Features, rng: np.random.Generator) -> Arrays:
        time.sleep(2)
        return {"x": np.zeros(1)}

    def work(query: Query) -> None:
        query.derived.get("dear/1", dear)
        time.sleep(0.01 * len(query.labelled))

    study = studied(budgets=BUDGETS)
    job = of(study, work)
    (cost,) = calibrate(study, [job])
    assert 0.45 < cost.wall_s < 2, "3 + 6 + 9 + 12 + 15 labels: 0.45 s, and five fits"
    assert 1.8 < cost.once_s < 4, "the two seconds of what is computed once"
    assert 50 < cost.peak_mb < 5000
    assert not cost.bounded


def test_a_rule_that_hangs_dies_or_raises_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "EACH_S", 1.5)
    study = studied(strategies=["random", "margin", "entropy", "coreset", "kmeans"], budgets=BUDGETS)
    jobs = {job.trial.strategy.name: job for job in study.jobs if job.trial.budget.name == "low"}

    def raises(_: Query) -> None:
        raise SystemExit

    does: dict[str, Callable[[Query], None]] = {
        "random": lambda _: time.sleep(1000),
        "margin": lambda _: os._exit(3),
        "entropy": raises,
    }
    jobs |= {name: replace(jobs[name], strategy=Rule(work)) for name, work in does.items()}
    found = {cost.kind[3]: cost for cost in calibrate(study, [*jobs.values()])}
    assert (found["random"].wall_s, found["random"].bounded) == (5 * 1.5, True)
    assert set(found) == {"random", "coreset", "kmeans"}
    assert not found["coreset"].bounded


def test_a_process_that_dies_between_two_kinds_costs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a thread that a rule has started may end it."""

    def work(_: Pool, jobs: Sequence[Job], tell: Tell[Cost | tuple[tuple[str, ...], ...]]) -> None:
        tell((jobs[0].kind,))
        tell(Cost(jobs[0].kind, 1.0))
        os._exit(3)

    monkeypatch.setattr(calibration, "_work", work)
    study = studied(strategies=["random", "margin", "entropy"])
    kinds = {job.kind for job in study.jobs}
    assert {*costs(study, *study.jobs)} == kinds


def test_it_ends_in_time() -> None:
    study = studied(strategies=["random", "margin", "entropy"], budgets=BUDGETS)
    jobs = [
        replace(job, strategy=Rule(lambda _: time.sleep(0.5))) for job in study.jobs if job.trial.budget.initial.number
    ]
    began = time.monotonic()
    calibrate(study, jobs, limit_s=1.0)
    assert time.monotonic() - began < 4


def test_what_is_on_a_card_or_sees_images_is_not_calibrated() -> None:
    (job, *_) = studied().jobs
    assert measurable(job)
    assert not measurable(replace(job, resources=Resources(num_gpus=0.5)))
    (job, *_) = studied(datasets=["digits"], learners=[{"name": "resnet18", "recipe": "typiclust", "width": 8}]).jobs
    assert not measurable(job)

"""Run a grid of many trials without training one: ``many_trials.py OUT SEEDS MLFLOW [STOP]``.

The driver is the real one: grid, plan, record, mirror; what workers would say is made up. Prints as JSON how many
trials ran, CPU seconds of the driver until the first is handed out and after the last has ended, its milliseconds for
each trial in between, and its peak memory. With STOP it ends after so many trials.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
from rich.console import Console

from albench.benchmark.engine import run as runs
from albench.benchmark.engine.plan import Chunk, Plan
from albench.benchmark.engine.worker import Ended, Event, RoundDone, Started
from albench.benchmark.grid import grid as grids
from albench.benchmark.loop import Job, Start
from albench.benchmark.types import FULL_DATA, Outcome, Round, Scores, TrialEnd

GRID = """
name: many
datasets: [wine]
embeddings: [raw]
learners: [linear]
strategies: [random, margin, entropy, least-confidence, kmeans, coreset, badge, typiclust, probcover]
budgets:
  low: {{initial: 9, query: 9, rounds: 5}}
seeds: {seeds}
"""
ROUNDS, SIZE, CLASSES, POOL = 6, 9, 3, 142  # of wine's split
RNG = np.random.default_rng(0)


def made_round(index: int, whole: bool = False) -> Round:
    rows = np.arange(POOL if whole else SIZE, dtype=np.int64) + SIZE * index
    values = RNG.random(5)
    return Round(
        index=index,
        n_labelled=len(rows) + SIZE * index,
        bought_by="strategy" if index else "initial",
        scores=Scores(*map(float, values)),
        class_counts=np.full(CLASSES, (len(rows) + SIZE * index) // CLASSES, dtype=np.int32),
        selected=rows,
        select_s=0.001,
        fit_s=0.002,
        eval_s=0.001,
        peak_rss_mb=200.0,
    )


def made(plan: Plan, chunk: Chunk) -> Iterator[list[Event]]:
    events: list[Event] = []
    now = int(1000 * time.time())
    for start_id in sorted(chunk.share):
        started = Started(start_id, Start(None, made_round(0)))  # type: ignore[arg-type]  # nobody fits it
        plan.note(started, started.start)
        events.append(started)
    for job in chunk.jobs:
        whole = job.trial.budget.name == FULL_DATA
        rounds = range(len(job.history), 1 if whole else ROUNDS)
        events += [RoundDone(job.trial.trial_id, made_round(i, whole), now) for i in rounds]
        events.append(Ended(TrialEnd(job.trial.trial_id, Outcome.DONE, wall_s=0.05, host="here", device="cpu"), now))
    for event in events:
        if not isinstance(event, Started):
            plan.note(event)
    yield events


class Engine:
    """Takes the place of the one that trains; notes CPU seconds at the first trial, and after the last."""

    def __init__(self, stop: int | None) -> None:
        self.stop, self.trials = stop, 0
        self.first: float | None = None
        self.last = 0.0

    @contextmanager
    def __call__(self, options: object, jobs: Sequence[Job], embedded: object) -> Iterator[tuple[Plan, Any]]:
        plan = Plan(jobs, 2)
        yield plan, self.stream(plan)

    def stream(self, plan: Plan) -> Iterator[list[Event]]:
        self.first = cpu()
        for resources in plan.waiting():
            while (chunk := plan.next_chunk(resources)) is not None:
                yield from made(plan, chunk)
                self.trials += len(chunk.jobs)
                if self.stop is not None and self.trials >= self.stop:
                    plan.stopped = True
        self.last = cpu()


def cpu() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(out: Path, seeds: int, mlflow: str, stop: int | None = None) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.with_suffix(".yaml")
    path.write_text(GRID.format(seeds=seeds))
    engine = Engine(stop)
    runs._engine = engine  # workers' answers are made up
    began = cpu()
    options = runs.Options(out, engine="inline", mlflow=mlflow)
    result = runs.run(grids.load(path), options, Console(stderr=True), lambda: None)
    ended = cpu()
    first, last = (began, ended) if engine.first is None else (engine.first, engine.last)
    print("\n".join(result.notices), file=sys.stderr)
    told = {
        "trials": engine.trials,
        "before_s": first - began,
        "driver_ms": 1000 * (last - first) / max(engine.trials, 1),
        "after_s": ended - last,
        "all_s": ended - began,
        "peak_mb": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]) if sys.argv[4:] else None)

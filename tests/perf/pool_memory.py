"""Run short trials on four workers that hold one pool: ``pool_memory.py ROWS`` prints what all processes take, in MiB.

``workers`` is the sum of the proportional set sizes of the four worker processes after their last trial, while they
still hold the pool; ``peak`` is the largest such sum seen during the run; ``all`` is that of the whole tree: the
workers, Ray's daemons and this process.
"""

import json
import sys
from collections.abc import Iterator

import numpy as np
import psutil

from albench.benchmark.engine.plan import Plan
from albench.benchmark.engine.scheduler import Cluster
from albench.benchmark.learners.linear import Linear
from albench.benchmark.loop import Job
from albench.benchmark.types import Budget, Count, Part, Resources, Segment, Trial
from albench.datasets.embeddings.cache.store import make_pool
from albench.strategies.random import Random
from albench.strategies.uncertainty.margin import Margin

WORKERS, DIMS, CLASSES, SEEDS = 4, 512, 10, 8


def arrays(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "features": rng.standard_normal((rows, DIMS), dtype=np.float32),
        "labels": rng.integers(CLASSES, size=rows),
        "test_features": rng.standard_normal((100, DIMS), dtype=np.float32),
        "test_labels": rng.integers(CLASSES, size=100),
        "class_names": np.array([f"class {c}" for c in range(CLASSES)]),
        "content": np.array("made up"),
    }


def jobs() -> Iterator[Job]:
    budget = Budget("few", Count(20), (Segment(Count(20), 2),))
    for seed in range(SEEDS):
        for strategy in (Random(), Margin()):
            name = type(strategy).__name__.lower()
            trial = Trial(Part("made"), Part("pixels"), Part("linear"), Part(name), budget, seed, "made")
            yield Job(trial, strategy, Linear(), Resources())


def mebibytes(processes: list[psutil.Process]) -> float:
    return float(sum(process.memory_full_info().pss for process in processes) / 2**20)


def tree() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def workers() -> list[psutil.Process]:
    return [process for process in tree() if "ray::_Worker" in " ".join(process.cmdline())]


if __name__ == "__main__":
    rows = int(sys.argv[1])
    cluster, plan = Cluster(WORKERS, None), Plan(jobs(), WORKERS)
    peak, ends = 0.0, dict[str, float]()
    for _ in cluster.run(plan, lambda _: arrays(rows), make_pool):
        found = workers()
        peak = max(peak, mebibytes(found))
        if not plan.left:  # all is done, and the workers are still there
            ends = {"workers": mebibytes(found), "all": mebibytes(tree()), "n": len(found)}
    cluster.close()
    print(json.dumps({**ends, "peak": peak, "pool": rows * DIMS * 4 / 2**20}))

"""Run short trials on four workers that hold one pool: ``pool_memory.py VIEW ROWS`` prints what all take, in MiB.

``VIEW`` is ``embedding``, or ``images``: then the pool is images, and two embeddings of them that take no room. With
``network`` it is images too, and a convolutional network is trained on them.

``workers`` is the sum of the proportional set sizes of the four worker processes after their last trial, while they
still hold the pool; ``peak`` is the largest such sum seen during the run; ``all`` is that of the whole tree: the
workers, Ray's daemons and this process.
"""

import json
import sys
from collections.abc import Iterator
from itertools import product

import numpy as np
import psutil

from albench.benchmark.engine import scheduler
from albench.benchmark.engine.plan import Plan
from albench.benchmark.engine.session import Session
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.learners.resnet18 import ResNet18
from albench.benchmark.loop import Job
from albench.benchmark.types import Budget, Count, Learner, Part, Resources, Segment, Strategy, Trial
from albench.datasets.embeddings.cache.store import make_pool
from albench.strategies.random import Random
from albench.strategies.uncertainty.margin import Margin

WORKERS, DIMS, CLASSES, SEEDS = 4, 512, 10, 8
LEARNERS: dict[str, Learner] = {
    "embedding": Linear(),
    "images": MLP(width=8, steps=5, sees="images"),
    "network": ResNet18("udal", epochs=1, width=1),
}


def arrays(rows: int, dims: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "features": rng.standard_normal((rows, dims), dtype=np.float32),
        "labels": rng.integers(CLASSES, size=rows),
        "test_features": rng.standard_normal((100, dims), dtype=np.float32),
        "test_labels": rng.integers(CLASSES, size=100),
        "class_names": np.array([f"class {c}" for c in range(CLASSES)]),
        "content": np.array("made up"),
    }


def images(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    train, test = (rng.integers(256, size=(n, 32, 32, 2), dtype=np.uint8) for n in (rows, 100))
    return {"images": train, "test_images": test}


def jobs(view: str) -> Iterator[Job]:
    learner = LEARNERS[view]
    embeddings = ("one",) if view == "embedding" else ("one", "other")
    budget = Budget("few", Count(20), (Segment(Count(20), 2),))
    rules: tuple[Strategy, ...] = (Random(), Margin())
    for seed, strategy, embedding in product(range(2 if view == "network" else SEEDS), rules, embeddings):
        name = type(strategy).__name__.lower()
        trial = Trial(Part("made"), Part(embedding), Part("made"), Part(name), budget, seed, embedding)
        yield Job(trial, strategy, learner, Resources())


def mebibytes(processes: list[psutil.Process]) -> float:
    return float(sum(process.memory_full_info().pss for process in processes) / 2**20)


def tree() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def workers() -> list[psutil.Process]:
    return [process for process in tree() if "ray::_Worker" in " ".join(process.cmdline())]


if __name__ == "__main__":
    view, rows = sys.argv[1], int(sys.argv[2])
    session, plan = Session(WORKERS, None), Plan(jobs(view), WORKERS)
    seen = {} if view == "embedding" else images(rows)

    def arrays_of(fingerprint: str) -> dict[str, np.ndarray]:
        return {**arrays(rows, 1 if seen else DIMS), **seen}

    peak, ends = 0.0, dict[str, float]()
    for _ in scheduler.run(plan, session, arrays_of, make_pool):
        found = workers()
        peak = max(peak, mebibytes(found))
        if not plan.left:  # all is done, and the workers are still there
            ends = {"workers": mebibytes(found), "all": mebibytes(tree()), "n": len(found)}
    session.close()
    print(json.dumps({**ends, "peak": peak, "pool": rows * 2048 / 2**20}))

"""A trial that is 50 ms of computing and nothing else, for all engines; importable where their workers start.

It burns CPU rather than sleeps: a sleeping trial leaves both cores to the driver, a burning one makes the driver's work
show up as lost time, as real trials do.
"""

import time
from dataclasses import dataclass

import numpy as np

from albench.benchmark.registry import learner
from albench.benchmark.types import Array, Features, Labels, Lesson, Model

SECONDS = 0.05


def burn() -> tuple[float, float]:
    """Use 50 ms of this thread's CPU time; return when it began and ended, in seconds since the epoch."""
    began, until = time.time(), time.thread_time() + SECONDS
    while time.thread_time() < until:
        pass
    return began, time.time()


@dataclass(frozen=True)
class Constant:
    n_classes: int

    def predict(self, inputs: Array) -> Labels:
        return np.zeros(len(inputs), dtype=np.int64)

    def scores(self, inputs: Array) -> Features:
        return np.zeros((len(inputs), self.n_classes), np.float32)


@learner("burn", cite="none: it learns nothing")
@dataclass(frozen=True)
class Burn:
    """A learner whose fit burns 50 ms."""

    gives = frozenset({"scores"})

    def fit(self, lesson: Lesson) -> Model:
        burn()
        return Constant(lesson.n_classes)

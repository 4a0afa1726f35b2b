"""Small trials on a made pool, for tests of the loop and of what is above it."""

from dataclasses import dataclass, field

import numpy as np

from albench.benchmark import loop, registry
from albench.benchmark.learners.linear import Linear
from albench.benchmark.seeds import generator
from albench.benchmark.types import (
    Batch,
    Budget,
    Count,
    Derived,
    Learner,
    Lesson,
    Model,
    Part,
    Pool,
    Round,
    Segment,
    Trial,
)


@dataclass(frozen=True)
class Listening:
    """The linear learner; it remembers what it was taught."""

    lessons: list[Lesson] = field(default_factory=list)

    @property
    def gives(self) -> frozenset[str]:
        return Linear().gives

    def fit(self, lesson: Lesson) -> Model:
        self.lessons.append(lesson)
        return Linear().fit(lesson)


def make_pool(size: int = 60, classes: int = 3, seed: int = 0, spread: float = 1.0) -> Pool:
    rng = np.random.default_rng(seed)
    labels, test = rng.integers(classes, size=size), rng.integers(classes, size=40)
    centres = rng.normal(size=(classes, 4)) * 3
    features, test_features = (
        (centres[y] + spread * rng.normal(size=(len(y), 4))).astype(np.float32) for y in (labels, test)
    )
    names = tuple(f"c{i}" for i in range(classes))
    return Pool(features, labels, test_features, test, names, Derived(features, lambda key: generator("t", key)))


def make_trial(
    strategy: str = "random",
    initial: str = "6",
    rounds: int = 4,
    seed: int = 0,
    query: int = 5,
    validation: int = 0,
) -> Trial:
    number, _, per_class = initial.partition("/")
    segments = (Segment(Count(query), rounds),)
    budget = Budget("b", Count(int(number), bool(per_class)), segments, validation=Count(validation))
    return Trial(Part("toy"), Part("raw", was="pixels"), Part("linear"), Part(strategy), budget, seed, "f")


def rounds_of(
    trial: Trial,
    learner: Learner,
    selector: Learner | None = None,
    pool: Pool | None = None,
    history: tuple[Batch, ...] = (),
) -> list[Round]:
    rule = registry.strategies.get(trial.strategy.name).cls()
    return list(loop.run_trial(trial, pool or make_pool(), rule, learner, history, selector=selector))

"""Small trials on a made pool, for tests of the loop and of what is above it."""

import numpy as np

from albench.benchmark.seeds import generator
from albench.benchmark.types import Budget, Count, Derived, Part, Pool, Segment, Trial


def make_pool(size: int = 60, classes: int = 3, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    labels, test = rng.integers(classes, size=size), rng.integers(classes, size=40)
    centres = rng.normal(size=(classes, 4)) * 3
    features, test_features = ((centres[y] + rng.normal(size=(len(y), 4))).astype(np.float32) for y in (labels, test))
    names = tuple(f"c{i}" for i in range(classes))
    return Pool(features, labels, test_features, test, names, Derived(features, lambda key: generator("t", key)))


def make_trial(strategy: str = "random", initial: str = "6", rounds: int = 4, seed: int = 0, query: int = 5) -> Trial:
    number, _, per_class = initial.partition("/")
    budget = Budget("b", Count(int(number), bool(per_class)), (Segment(Count(query), rounds),))
    return Trial(Part("toy"), Part("pixels"), Part("linear"), Part(strategy), budget, seed, "f")

"""Low-budget trials of `resnet18` on images: ``python -m support.image_trials DEVICE TRIALS ROWS WIDTH EPOCHS``.

It says ``ready`` when its pool is there and one trial is done, and begins with the others when it is sent a line.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from support.made import made_pool

from albench.benchmark import device
from albench.benchmark.learners.resnet18 import ResNet18
from albench.benchmark.loop import run_trial
from albench.benchmark.types import Budget, Count, Part, Pool, Round, Segment, Trial
from albench.strategies.coverage.typiclust import TypiClust

CLASSES, QUERY, ROUNDS = 10, 10, 6


def pool(rows: int) -> Pool:
    """A pool with features of 128 dimensions, and images of 32 pixels that are noise on one colour a class."""
    found = made_pool(rows, rows // 5, 128, CLASSES)
    rng = np.random.default_rng(0)
    colours = rng.integers(64, size=(CLASSES, 1, 1, 3), dtype=np.uint8)
    views = [
        colours[y] + rng.integers(192, size=(len(y), 32, 32, 3), dtype=np.uint8)
        for y in (found.labels, found.test_labels)
    ]
    for view in views:
        view.setflags(write=False)  # so that it lies on a card once
    return replace(found, images=views[0], test_images=views[1])


def trial(there: Pool, seed: int, width: int, epochs: int) -> Iterator[Round]:
    budget = Budget("low", Count(0), (Segment(Count(QUERY), ROUNDS),))
    named = Trial(Part("made"), Part("made"), Part("resnet18"), Part("typiclust"), budget, seed, "made")
    return run_trial(named, there, TypiClust(), ResNet18("typiclust", width=width, epochs=epochs))


if __name__ == "__main__":
    where, (trials, rows, width, epochs) = sys.argv[1], map(int, sys.argv[2:])
    there = pool(rows)
    with device.on(where):
        list(trial(there, trials, width, epochs))  # brings the pool over, loads libraries
        print("ready", flush=True)
        sys.stdin.readline()
        for seed in range(trials):
            list(trial(there, seed, width, epochs))
    print("done", flush=True)

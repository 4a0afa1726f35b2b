"""Networks of images on a GPU: images a second beside the bound, trials an hour with several at once, the same bits.

Off by default, as all of ``tests/gpu``, whose head says how to start it; five minutes on one card. Without a GPU torch
runs the same on the CPU, much smaller. The bounds are those of an H100 (ResNet-18 at 32 px in bfloat16: twelve passes
over what its convolutions put out, and 3.35 TB/s).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.image_trials import pool, trial
from support.pretrained import drawn

from albench.benchmark import device
from albench.benchmark.learners.finetune import FineTune
from albench.benchmark.learners.flexmatch import FlexMatch
from albench.benchmark.learners.networks.finetuning import RECIPES as FINE_TUNED
from albench.benchmark.learners.networks.finetuning import Name as Recipe
from albench.benchmark.learners.networks.recipes import RECIPES, Name, recipe
from albench.benchmark.learners.resnet18 import ResNet18
from albench.benchmark.types import Lesson

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(480)]

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "torch"
BOUND: dict[Name, float] = {"typiclust": 690e3, "realistic-al": 228e3}  # images a second, with and without max-pool
LABELS, EPOCHS, WIDTH, ROWS, TRIALS = (5000, 40, 64, 50_000, 4) if CUDA else (40, 2, 2, 200, 1)


def seconds_of(epochs: int, name: Name, batch: int) -> float:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(LABELS, 32, 32, 3), dtype=np.uint8), rng.integers(10, size=LABELS)
    learner = ResNet18(name, epochs=epochs, batch=batch, width=WIDTH, augment="crop-flip")
    began = time.perf_counter()
    learner.fit(Lesson.of(images, labels, 10, rng))  # its weights come back to the host: all is done then
    return time.perf_counter() - began


@pytest.mark.parametrize("name", BOUND)
@pytest.mark.parametrize("batch", [100, 1000])
def test_images_a_second(name: Name, batch: int) -> None:
    """Of two lengths the difference: what a training costs once does not count."""
    with device.on(DEVICE):
        seconds_of(1, name, batch)
        took = seconds_of(1 + EPOCHS, name, batch) - seconds_of(1, name, batch)
    steps, size = recipe(name, 3, {"batch": batch}).batches(LABELS)
    speed = EPOCHS * steps * size / took
    print(f"\nresnet18, {name}, batches of {size}: {speed:,.0f} images/s, {speed / BOUND[name]:.1%} of the bound")
    assert speed > 0


def test_a_trial_repeats_bit_for_bit() -> None:
    there = pool(min(ROWS, 2000))
    with device.on(DEVICE):
        one, again = (list(trial(there, 0, WIDTH, 3)) for _ in range(2))
    for first, second in zip(one, again, strict=True):
        assert np.array_equal(first.selected, second.selected)
        assert first.scores == second.scores


def test_flexmatch_repeats_bit_for_bit_and_says_its_steps_a_second() -> None:
    """A WRN-28-2 on 64 labelled and 448 unlabelled images a step; of two lengths the difference."""
    there, few, many = pool(min(ROWS, 10_000)), *((50, 550) if CUDA else (1, 20))
    images, rows = there.images, np.arange(40)
    assert images is not None
    size = {} if CUDA else {"batch": 4, "depth": 10, "k": 1}
    took, said = [], []
    with device.on(DEVICE):
        for steps in (few, few, many, many):  # the first loads libraries
            began, weights = time.perf_counter(), np.random.default_rng(1)
            of_all = Lesson.of(images, there.labels, 10, np.random.default_rng(0))
            lesson = replace(of_all, rows=rows, labels=there.labels[:40], unlabelled=of_all.rows[40:], weights=weights)
            model = FlexMatch(steps=steps, **size).fit(lesson)
            said.append(device.fetch(model.scores(lesson.view.take(rows))))
            took.append(time.perf_counter() - began)
    assert np.array_equal(said[2], said[3])
    print(f"\nflexmatch, WRN-28-2: {(many - few) / (took[2] - took[1]):,.1f} steps a second")


@pytest.mark.parametrize("name", FINE_TUNED)
def test_a_fine_tuned_network_repeats_bit_for_bit(name: Recipe) -> None:
    """A vision transformer at its 160 px, whose attention and resizing are those of the large ones."""
    there = pool(min(ROWS, 200))
    assert there.images is not None
    learner = FineTune("test_vit", drawn("test_vit"), recipe=name, epochs=2, batch=16)
    with device.on(DEVICE):
        said = [
            learner.fit(Lesson.of(there.images[:32], there.labels[:32], 10, np.random.default_rng(0))) for _ in "12"
        ]
        one, again = (device.fetch(model.scores(device.put(there.images[:64]))) for model in said)
    assert np.array_equal(one, again)
    assert np.isfinite(one).all()


@pytest.mark.parametrize("at_once", [1, 4, 8] if CUDA else [1, 2])
def test_trials_an_hour(at_once: int) -> None:
    epochs = RECIPES["typiclust"].epochs if CUDA else 1
    command = [sys.executable, "-m", "support.image_trials", *map(str, (DEVICE, TRIALS, ROWS, WIDTH, epochs))]
    pipe, env = subprocess.PIPE, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env) for _ in range(at_once)]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    said = [run.communicate()[0] for run in runs]
    took = time.perf_counter() - began
    assert [run.returncode for run in runs] == [0] * at_once, said
    print(f"\n{at_once} at once: {3600 * at_once * TRIALS / took:,.0f} low-budget typiclust trials an hour")

"""Training a network of images by a recipe against the plain torch loop of the same network, side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from albench.benchmark import device
from albench.benchmark.learners.resnet18 import ResNet18
from albench.benchmark.types import Lesson
from albench.datasets.embeddings.networks.backbones import resnet

pytestmark = [pytest.mark.perf, pytest.mark.timeout(1800)]

LABELS, EPOCHS, WIDTH, TURNS = 500, 3, 16, 7
GOAL = 0.95


def plain_loop(images: torch.Tensor, labels: torch.Tensor, layout: torch.memory_format) -> None:
    """What one writes by hand: shuffled batches of 100 of images that are standardised already, without views."""
    network = nn.Sequential(resnet(18, 3, WIDTH, pool=True), nn.Dropout(0.5), nn.Linear(8 * WIDTH, 10))
    network.to(memory_format=layout)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, nesterov=True, weight_decay=3e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(images)), 100):
            optimiser.zero_grad()
            cross_entropy(network(images[rows].contiguous(memory_format=layout)), labels[rows]).backward()  # type: ignore[no-untyped-call] # torch left it untyped
            optimiser.step()
        schedule.step()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_not_slower_than_the_plain_loop() -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(LABELS, 32, 32, 3), dtype=np.uint8), rng.integers(10, size=LABELS)
    ready = torch.from_numpy(images).permute(0, 3, 1, 2).float().sub(127).div(64)
    targets = torch.from_numpy(labels)
    learner = ResNet18("typiclust", epochs=EPOCHS, width=WIDTH)
    plain: dict[str, Callable[[], object]] = {
        "contiguous": lambda: plain_loop(ready, targets, torch.contiguous_format),
        "channels last": lambda: plain_loop(ready, targets, torch.channels_last),
    }
    ratios: dict[str, list[float]] = {name: [] for name in plain}
    for turn in range(TURNS + 1):
        with device.one_thread():
            theirs = {name: seconds(loop) for name, loop in plain.items()}
            ours = seconds(lambda: learner.fit(Lesson.of(images, labels, 10, np.random.default_rng(0))))
        for name, took in theirs.items() if turn else ():  # the first loads libraries
            ratios[name].append(took / ours)
    print(f"\nresnet18 of width {WIDTH} at 32 px, {LABELS} labels, one thread: {LABELS * EPOCHS / ours:.0f} images/s")
    for name, found in ratios.items():
        turns = ", ".join(f"{ratio:.2f}" for ratio in sorted(found))
        print(f"  {statistics.median(found):.2f} times the plain loop's, {name} ({turns})")
    assert min(statistics.median(found) for found in ratios.values()) > GOAL

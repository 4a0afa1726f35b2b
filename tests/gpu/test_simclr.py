"""SimCLR by SCAN's recipe on a GPU: epochs a second, and what the features of as many epochs as fit are worth.

Off by default, as all of ``tests/gpu``, whose head says how to start it. ``ALBENCH_GPU_IMAGES`` names a folder of
images or a zip of one (CIFAR-10's; digits without it), ``ALBENCH_GPU_SECONDS`` how long the training may take (240),
and ``ALBENCH_GPU_FEATURES`` the file that gets the features: their first 128 principal components in float16, as the
encoder ``file`` reads them. Without a GPU torch runs the same on the CPU, much smaller.
"""

from __future__ import annotations

import csv
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from albench.benchmark.learners.knn import KNN
from albench.benchmark.types import Features, Lesson
from albench.datasets.digits import Digits
from albench.datasets.embeddings.base import Work
from albench.datasets.embeddings.cache import quality
from albench.datasets.embeddings.pca import Pca
from albench.datasets.embeddings.simclr import Simclr
from albench.datasets.folder import Folder
from albench.datasets.reading.base import Split

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(580)]

CUDA = torch.cuda.is_available()
CARDS = torch.cuda.device_count()
SCAN = Simclr(recipe="scan") if CUDA else Simclr(recipe="scan", network="small", width=4, batch=64, lr=0.1)
IMAGES = os.environ.get("ALBENCH_GPU_IMAGES")
SECONDS = float(os.environ.get("ALBENCH_GPU_SECONDS", "240"))
DIMS = 128


def images() -> Split:
    return Folder(IMAGES).load(0) if IMAGES else Digits().load(0)


def trained(simclr: Simclr, split: Split, folder: Path) -> tuple[Features, Features, float]:
    """Return the features of both parts, and the seconds of an epoch that is not the first."""
    work = Work(folder / "scratch", folder / "kept")
    train, test = simclr.encode(split, np.random.default_rng(0), work)
    with (work.kept / "curve.csv").open(encoding="utf-8") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return train, test, (seconds[-1] - seconds[0]) / (len(seconds) - 1)


def worth(split: Split, train: Features, test: Features, k: int) -> tuple[float, float]:
    """Return the accuracy by ``k`` neighbours of the same length, and that of a linear classifier."""
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test)]
    classes = len(split.class_names)
    model = KNN(k).fit(Lesson.of(unit[0], split.train_labels, classes, np.random.default_rng(0)))
    near = float((model.predict(unit[1]) == split.test_labels).mean())
    return near, quality.measure(train, split.train_labels, test, split.test_labels, classes).linear_accuracy


def test_as_many_epochs_as_fit(tmp_path: Path) -> None:
    split = images()
    second = trained(replace(SCAN, epochs=2), split, tmp_path / "measured")[2]
    epochs = max(2, math.floor(SECONDS / second)) if CUDA else 3
    train, test, second = trained(replace(SCAN, epochs=epochs), split, tmp_path / "trained")
    k = min(200, len(train) // 20)
    near, linear = worth(split, train, test, k)
    print(f"\nSimCLR, recipe scan, {len(train):,} images: {1 / second:.3f} epochs/s; after {epochs} epochs", end=" ")
    print(f"{k}-NN {near:.3f}, linear {linear:.3f}")
    assert near > 2 / len(split.class_names)
    small = Pca(dims=min(DIMS, train.shape[1])).encode(
        replace(split, kind="features", train=np.array(train), test=np.array(test)),
        np.random.default_rng(0),
        Work(tmp_path / "pca", tmp_path / "none"),
    )
    print(f"of {small[0].shape[1]} components: {k}-NN and linear", *(f"{x:.3f}" for x in worth(split, *small, k)))
    if name := os.environ.get("ALBENCH_GPU_FEATURES"):
        np.savez(name, train=np.float16(small[0]), test=np.float16(small[1]))
        assert Path(name).stat().st_size < 2**24


@pytest.mark.skipif(CUDA and CARDS < 2, reason="one card")
def test_every_card_beside_one(tmp_path: Path) -> None:
    split, number = images(), CARDS if CUDA else 2
    once = replace(SCAN, epochs=2)
    one, _, alone = trained(once, split, tmp_path / "one")
    all_, _, together = trained(replace(once, processes=number), split, tmp_path / "all")
    assert abs(np.array(one) - np.array(all_)).mean() < (0.1 if CUDA else 1e-4) * abs(np.array(one)).mean()
    print(f"\nSimCLR, recipe scan: {number} processes train {alone / together:.2f} times as fast as one")

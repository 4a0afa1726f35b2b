"""What SimCLR at its defaults is worth on digits: 1-NN accuracy at one label per class, against pixels."""

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.embeddings import encode

from albench.benchmark.seeds import generator
from albench.datasets.digits import Digits
from albench.datasets.embeddings.base import Work
from albench.datasets.embeddings.cache.quality import nearest
from albench.datasets.embeddings.raw import Raw
from albench.datasets.embeddings.simclr import Simclr
from albench.datasets.reading.base import Split

DRAWS = 20
TRAININGS = 3
LIFT, SECONDS = 0.15, 60

pytestmark = [pytest.mark.perf, pytest.mark.timeout(1800)]


def accuracies(
    train: NDArray[np.float32], test: NDArray[np.float32], split: Split, cosine: bool
) -> NDArray[np.float64]:
    """Return the accuracy of the nearest of 10 labelled rows, one of each class, for each of the draws."""
    if cosine:
        train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test))
    found = []
    for draw in range(DRAWS):
        rng = generator("labels", draw)
        rows = np.array([rng.choice(np.flatnonzero(split.train_labels == c)) for c in range(10)])
        hits = split.train_labels[rows][nearest(train[rows], test)] == split.test_labels
        found.append(hits.mean())
    return np.array(found)


def test_simclr_lifts_digits_by_fifteen_points(tmp_path: Path) -> None:
    split = Digits().load(0)
    pixels = encode(Raw(), split)
    print(f"\n{'training':10}{'seconds':>9}{'distance':>12}{'pixels':>16}{'simclr':>16}{'lift':>16}")
    lifts: dict[str, list[float]] = {"Euclidean": [], "cosine": []}
    for training in range(TRAININGS):
        started = time.perf_counter()
        folder = tmp_path / str(training)
        simclr = Simclr().encode(split, generator("training", training), Work(folder / "scratch", folder / "kept"))
        seconds = time.perf_counter() - started
        for distance, found in lifts.items():
            before, after = (accuracies(*x, split, distance == "cosine") for x in (pixels, simclr))
            shown = [f"{x.mean():8.3f} ± {x.std(ddof=1):.3f}" for x in (before, after, after - before)]
            print(f"{training:<10}{seconds:9.1f}{distance:>12}{''.join(shown)}")
            found.append(float((after - before).mean()))
        assert seconds < SECONDS
    print(f"± is the standard deviation over {DRAWS} draws of one label per class; goal: a lift of {LIFT}")
    assert np.mean(lifts["Euclidean"]) >= LIFT
    assert np.mean(lifts["cosine"]) >= LIFT

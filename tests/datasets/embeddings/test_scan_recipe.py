"""SimCLR as SCAN trains it: the loss, the rate, the views and the sizes are those of its configuration."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.embeddings import rng, split_of

from albench.datasets.embeddings.base import Work
from albench.datasets.embeddings.networks import augment
from albench.datasets.embeddings.networks import training as simclr_training
from albench.datasets.embeddings.simclr import Simclr
from albench.datasets.reading.base import Split, parameters

OWN = Simclr(epochs=4, batch=16, width=4, projection=8)


@given(st.integers(1, 6), st.integers(1, 5), st.floats(0.05, 4), st.integers(0, 99))
def test_scans_loss_tells_each_first_view_from_all_other_rows(n: int, dims: int, temperature: float, seed: int) -> None:
    z = np.random.default_rng(seed).normal(size=(2 * n, dims))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    like = np.exp(unit @ unit.T / temperature)
    expected = np.mean([-np.log(like[i, i + n] / np.delete(like[i], i).sum()) for i in range(n)])
    ours = simclr_training.one_way(torch.tensor(z), temperature).item()
    assert math.isclose(ours, expected, rel_tol=1e-9, abs_tol=1e-9)


def test_scans_rate_falls_from_epoch_to_epoch() -> None:
    """At 500 epochs and 0.4: the values of its `adjust_learning_rate`, which is asked once an epoch."""
    for epoch in (0, 1, 250, 499):
        theirs = 0.4e-3 + (0.4 - 0.4e-3) * (1 + math.cos(math.pi * epoch / 500)) / 2
        for part in (0.01, 0.99):
            assert math.isclose(0.4 * simclr_training.falling(epoch + part, 500), theirs)


def test_scans_recipe_says_what_is_left_at_its_default() -> None:
    said = Simclr(recipe="scan").said()
    assert (said.network, said.views, said.epochs, said.batch) == ("resnet18", "photo", 500, 512)
    assert (said.lr, said.temperature, said.weight_decay, said.projection) == (0.4, 0.1, 1e-4, 128)
    other = Simclr(recipe="scan", epochs=20, views="affine", threads=4).said()
    assert (other.epochs, other.views, other.batch, other.threads) == (20, "affine", 512, 4)
    assert OWN.said() is OWN


def test_a_recipe_is_part_of_no_identity_of_before() -> None:
    assert "recipe" not in parameters(OWN)
    assert parameters(Simclr(recipe="scan", epochs=20))["recipe"] == "scan"


def test_scans_network_is_a_whole_resnet18_trained_by_its_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    before = simclr_training.trained

    def watched(build: Callable[[], simclr_training.Pair], split: Split, *rest: Any) -> torch.nn.Module:
        schedule: simclr_training.Schedule = rest[0]
        seen.extend([build().head, schedule])
        return before(build, split, *rest)

    monkeypatch.setattr(simclr_training, "trained", watched)
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    split = split_of(images[:12], images[12:], "images")
    work = Work(tmp_path / "scratch", tmp_path / "kept")
    train, _ = Simclr(recipe="scan", epochs=1, batch=6).encode(split, rng(), work)
    assert train.shape == (12, 512)
    assert not np.allclose(np.linalg.norm(train, axis=1), 1)
    head, schedule = seen
    assert isinstance(head, torch.nn.Sequential)
    assert [(part.in_features, part.out_features) for part in head if isinstance(part, torch.nn.Linear)] == [
        (512, 512),
        (512, 128),
    ]
    assert isinstance(schedule, simclr_training.Schedule)
    assert (schedule.method.loss, schedule.method.rate) == (simclr_training.one_way, simclr_training.falling)
    pictures = torch.rand((50, 3, 8, 8))
    views, expected = (
        seen_by(pictures, lambda numbers: torch.full((50, numbers), 0.3))
        for seen_by in (schedule.method.views, partial(augment.photo, smallest=0.2))
    )
    assert torch.equal(views, expected)

"""How published harnesses train a network from scratch, by name; what they get wrong is put right, and said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

Name = Literal["typiclust", "deepal-plus", "realistic-al", "udal"]
Optimiser = Literal["sgd", "nesterov", "adam", "adamw"]
Schedule = Literal["cosine", "constant"]
Augment = Literal["none", "crop", "crop-flip", "resized-flip", "strong"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    ``epochs`` of batches of at most ``batch`` rows, drawn without replacement; at least ``fill`` rows make an epoch,
    for which all are taken over and over. What fills no batch is left out (``whole_batches``), or batches are made
    smaller so that all are alike. The learning rate rises to ``rate`` in a share ``warm_up`` of the epochs, and falls
    to 0 as half a cosine or stays (``schedule``); it changes from epoch to epoch. ``decay`` is the weight decay, of
    matrices and kernels alone or of all parameters (``decay_all``). Hidden units are dropped with chance ``p``.
    ``pool`` keeps the max-pool behind the first convolution.
    """

    epochs: int
    batch: int
    optimiser: Optimiser
    rate: float
    decay: float
    schedule: Schedule
    augment: Augment
    warm_up: float = 0.0
    fill: int = 2  # one row has no variance to be normalised by
    whole_batches: bool = False
    decay_all: bool = True
    p: float = 0.0
    pool: bool = False

    def batches(self, M: int) -> tuple[int, int]:
        """Return how many steps an epoch of M labelled rows has, and how many rows a step."""
        rows = max(M, self.fill)
        if self.whole_batches and rows >= self.batch:
            return rows // self.batch, self.batch
        steps = math.ceil(rows / self.batch)
        return steps, rows // steps

    def rate_in(self, epoch: int) -> float:
        """Return the learning rate in an epoch, from 0."""
        rising = round(self.warm_up * self.epochs)
        if epoch < rising:
            return self.rate * (epoch + 1) / rising
        if self.schedule == "constant":
            return self.rate
        share = (epoch - rising) / (self.epochs - rising)
        return self.rate * 0.5 * (1 + math.cos(math.pi * share))


RECIPES: Mapping[Name, Recipe] = {
    "typiclust": Recipe(
        epochs=200,
        batch=100,
        optimiser="nesterov",
        rate=0.025,
        decay=3e-4,
        schedule="cosine",
        augment="crop-flip",
        fill=100,
        whole_batches=True,
        p=0.5,
        pool=True,
    ),
    "deepal-plus": Recipe(
        epochs=30,
        batch=128,
        optimiser="adam",
        rate=1e-3,
        decay=0.0,
        schedule="constant",
        augment="crop-flip",
        pool=True,
    ),
    "realistic-al": Recipe(
        epochs=200,
        batch=1024,
        optimiser="nesterov",
        rate=0.1,
        decay=5e-3,
        schedule="cosine",
        augment="strong",
        warm_up=0.05,
        fill=5500,
        decay_all=False,
    ),
    "udal": Recipe(
        epochs=200,
        batch=32,
        optimiser="sgd",
        rate=0.01,
        decay=5e-3,
        schedule="cosine",
        augment="crop-flip",
        warm_up=0.05,
    ),
}
"""By name; the learner's docstring says where each is from."""

ON_GREY: Mapping[Name, Mapping[str, Any]] = {"deepal-plus": {"epochs": 20, "augment": "none"}}
"""What is other for images of one channel. Elsewhere they are not mirrored: that would be another digit or letter."""


def recipe(name: Name, channels: int, own: Mapping[str, Any]) -> Recipe:
    """Return a recipe for images of so many channels; what ``own`` says of its fields, but for None, holds instead."""
    grey = ON_GREY.get(name, {"augment": "crop"}) if channels == 1 else {}
    known = {field.name for field in fields(Recipe)}
    said = {key: value for key, value in own.items() if key in known and value is not None}
    return replace(RECIPES[name], **{**grey, **said})

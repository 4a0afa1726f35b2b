"""What learners share that train a network of images from scratch in each round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ....strategies.kernels.parameters import check
from ...lesson import Sees, View
from ...types import Features, Lesson
from . import recipes
from .recipes import Augment, Name, Optimiser, Schedule

if TYPE_CHECKING:
    from torch import nn

    from .network import Network

PROBED = 2000  # images of the pool that say how bright its pixels are
LARGE = 128  # pixels of a side from which a network begins as for ImageNet
P = 0.5  # of passes: dropout, where the recipe has none


@dataclass(frozen=True)
class Scratch(ABC):
    """The parameters of all of them: a recipe, and what is to be other than it says.

    Parameters
    ----------
    recipe
        The published harness whose training it is; what is None below is as that says.
    epochs
        Passes over the labelled images.
    batch
        Images of one step.
    optimiser
        What takes the steps.
    rate
        The learning rate at the beginning.
    decay
        The weight decay.
    schedule
        How the learning rate falls.
    augment
        How images are changed in training.
    passes
        What other networks the labels leave possible, for rules that ask for passes: this one with units dropped, or
        others trained from other initial weights.
    p
        The chance that a unit is dropped.
    """

    recipe: Name = "typiclust"
    epochs: int | None = None
    batch: int | None = None
    optimiser: Optimiser | None = None
    rate: float | None = None
    decay: float | None = None
    schedule: Schedule | None = None
    augment: Augment | None = None
    passes: Literal["none", "dropout", "ensemble"] = "none"
    p: float | None = None

    sees: ClassVar[Sees] = "images"

    def __post_init__(self) -> None:
        sizes = {name: 1 for name in ("epochs", "batch", "width", "k") if hasattr(self, name)}
        check(type(self).__name__.lower(), self, {**sizes, "decay": 0}, ("rate",))
        if self.p is not None and not 0 <= self.p < 1:
            raise ValueError(f"p is {self.p}; legal: a chance from 0 and below 1")
        if self.passes == "dropout" and self.p == 0:
            raise ValueError("passes: dropout needs a chance p above 0")

    @property
    def gives(self) -> frozenset[str]:
        """Probabilities from a head on the penultimate layer, and passes where it is said which."""
        given = frozenset({"probabilities", "scores", "hidden", "head"})
        return given if self.passes == "none" else given | {"passes"}

    @abstractmethod
    def build(self, channels: int, *, pool: bool, large: bool) -> Callable[[], nn.Module]:
        """Return what makes the network without its head: with a max-pool at its beginning, or as for large images."""

    def fit(self, lesson: Lesson) -> Network:
        """Train on the classes that have labels: from ``lesson.weights`` on, with draws from ``lesson.rng``."""
        from .training import Task  # noqa: PLC0415 - torch takes seconds to load

        _, height, width, channels = lesson.view.array.shape
        recipe = recipes.recipe(self.recipe, channels, vars(self))
        if self.passes == "dropout":
            recipe = replace(recipe, p=recipe.p or P)
        task = Task(
            build=self.build(channels, pool=recipe.pool, large=min(height, width) >= LARGE),
            images=lesson.view.array[lesson.rows],
            labels=lesson.labels.copy(),
            n_classes=lesson.n_classes,
            **brightness(lesson.view),
            recipe=recipe,
        )
        network = task.trained(lesson.weights, lesson.rng)
        return replace(network, others=task.others) if self.passes == "ensemble" else network


def brightness(view: View) -> dict[str, Features]:
    """Return mean and deviation of each channel over the pool, or over every few of its images where it is large."""
    pixels = view.array[:: -(-len(view) // PROBED)].reshape(-1, view.array.shape[-1]).astype(np.float32)
    centre, scale = pixels.mean(axis=0, dtype=np.float64), pixels.std(axis=0, dtype=np.float64)
    return {"centre": centre.astype(np.float32), "scale": np.where(scale > 0, scale, 1.0).astype(np.float32)}

"""Training a pretrained network of timm further, all of it or its last blocks; nothing global is drawn from or changed.

Axes: M labelled images, b of them in a batch, P classes with labels, H hidden features.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from ....datasets.embeddings.networks import pretrained
from ....datasets.embeddings.timm import Timm
from ... import device
from ...types import Labels
from ..heads.training import batches
from .network import Network, features
from .training import MOMENTUM, begun_head, cut, whole

Name = Literal["labelbench", "refine"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained further.

    ``epochs`` of batches of at most ``batch`` images; what fills none is left out, unless it is all that there is.
    ``rate`` is the learning rate of the last block, ``fall`` times that of the next one that of each block before, and
    ``head_rate`` that of the head, ``rate`` where it is None. All rise in ``warm_up`` steps, then fall to 0 as half a
    cosine, from step to step. Pairs of images, and their labels, are mixed with a share from Beta(``mixup``,
    ``mixup``); gradients are cut to a norm of ``clip``.
    """

    blocks: int | Literal["all"]
    epochs: int
    batch: int
    optimiser: Literal["adamw", "nesterov"]
    rate: float
    decay: float
    head_rate: float | None = None
    fall: float = 1.0
    warm_up: int = 0
    smoothing: float = 0.0
    mixup: float = 0.0
    clip: float = math.inf

    def steps(self, M: int) -> int:
        """Return how many steps a training on M images has."""
        return self.epochs * max(1, M // self.batch)

    def share(self, step: int, steps: int) -> float:
        """Return what share of the rates a step has, from 0."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        return (1 + math.cos(math.pi * (step - self.warm_up) / (steps - self.warm_up))) / 2


RECIPES: Mapping[Name, Recipe] = {
    "labelbench": Recipe(
        blocks="all",
        epochs=20,
        batch=400,
        optimiser="adamw",
        rate=3e-5,
        decay=1e-4,
        warm_up=500,
        smoothing=0.1,
        mixup=0.1,
        clip=1.0,
    ),
    "refine": Recipe(
        blocks=2, epochs=100, batch=64, optimiser="nesterov", rate=1e-5, decay=5e-4, head_rate=1e-2, fall=0.5
    ),
}
"""By name; the learner's docstring says where each is from."""


class Body(nn.Module):
    """A network without its classifier, behind its own transform: from pixels (b, 1 or 3, height, width) to (b, H)."""

    def __init__(self, network: nn.Module, prepare: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.network, self.prepare = network, prepare

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if not len(images):  # of none not every network can say something
            return self.forward(images.new_zeros((1, *images.shape[1:])))[:0]
        return self.hidden(self.prepare(images.to(torch.uint8)))

    def hidden(self, ready: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of images that went through the transform."""
        found: torch.Tensor = self.network(ready)
        return found.flatten(1)


@lru_cache(maxsize=2)
def read(encoder: Timm) -> pretrained.Network:
    """Return the network with its weights, read once a process: to be copied, never to be trained."""
    return encoder.network()


def begun(encoder: Timm) -> Body:
    """Return a copy of the network as it was pretrained, on the CPU."""
    there = read(encoder)
    with torch.device("cpu"):
        return Body(copy.deepcopy(there.module), there.prepare)


def blocks_of(network: Any) -> list[list[str]]:
    """Return the names of the parameters of each block, from the stem on, as timm groups them.

    A group of norms alone belongs to the block before it. A network that timm does not group is one block.
    """
    from timm.models import group_parameters  # noqa: PLC0415  heavy

    shapes = {name: parameter.ndim for name, parameter in network.named_parameters()}
    if not hasattr(network, "group_matcher"):
        return [[*shapes]]
    found: list[list[str]] = []
    for _, names in sorted(group_parameters(network, network.group_matcher(coarse=False)).items()):
        if found and all(shapes[name] < 2 for name in names):
            found[-1] += names
        else:
            found.append([*names])
    return found


@dataclass(frozen=True, eq=False)
class FineTuning:
    """Images (M, height, width, channels) uint8 with their labels (M,), and how the encoder's network is trained on.

    Its norms keep their statistics, and dropout, if it has any, is off.
    """

    encoder: Timm
    images: NDArray[np.uint8]
    labels: Labels
    n_classes: int
    recipe: Recipe

    def trained(self, weights: np.random.Generator, rng: np.random.Generator) -> Network:
        """Return the network after the last step; the initial head is drawn from ``weights``.

        It knows the classes with labels alone: the initial head is cut down to them. One class needs no training.
        """
        present, targets = np.unique(self.labels, return_inverse=True)
        body = begun(self.encoder).to(device.home()).eval()
        with device.one_thread():
            head = cut(begun_head(self._width(body), self.n_classes, weights), present).to(device.home())
            if len(present) > 1:
                self._train(body, head, device.tensor(targets), rng)
        state = {name: part.detach().cpu() for name, part in body.state_dict().items()}
        top, (_, height, width) = whole(head, present, self.n_classes), read(self.encoder).settings["input_size"]
        as_they_are = (np.zeros(1, np.float32), np.ones(1, np.float32))
        return Network(partial(begun, self.encoder), state, top, *as_they_are, pixels=height * width)

    def _train(self, body: Body, head: nn.Linear, targets: torch.Tensor, rng: np.random.Generator) -> None:
        """Change body and head in place.

        The host waits for no step and starts the next one's kernels; as long as steps of such networks take, that is in
        time, so nothing is recorded.
        """
        recipe, M = self.recipe, len(self.images)
        optimiser = optimiser_of(body.network, head, recipe)
        trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        goals = one_hot(targets, head.out_features).float()
        steps = recipe.steps(M)
        draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
        for step, rows in enumerate(islice(batches(M, recipe.batch, draws), steps)):
            for group in optimiser.param_groups:
                group["lr"] = group["highest"] * recipe.share(step, steps)
            images, goal = body.prepare(self._pixels(rows)), goals[rows.to(goals.device)]
            if recipe.mixup:
                share = rng.beta(recipe.mixup, recipe.mixup)
                other = torch.randperm(len(rows), generator=draws).to(goals.device)
                images, goal = (share * x + (1 - share) * x[other] for x in (images, goal))
            logits = head(features(body.hidden, images))
            loss = cross_entropy(logits, goal, label_smoothing=recipe.smoothing)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            nn.utils.clip_grad_norm_(trained, recipe.clip)
            optimiser.step()

    def _width(self, body: Body) -> int:
        with torch.no_grad():
            return body.forward(self._pixels(torch.zeros(1, dtype=torch.long))).shape[1]

    def _pixels(self, rows: torch.Tensor) -> torch.Tensor:
        return device.tensor(self.images[rows.numpy()]).permute(0, 3, 1, 2)


def optimiser_of(network: nn.Module, head: nn.Linear, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser of the head and the last blocks, each a group with its ``highest`` rate.

    The other blocks ask for no gradient.
    """
    named = dict(network.named_parameters())
    last = [[named[name] for name in names] for names in reversed(blocks_of(network))]
    kept = last if recipe.blocks == "all" else last[: recipe.blocks]
    network.requires_grad_(False)
    groups: list[dict[str, Any]] = [{"params": [*head.parameters()], "highest": recipe.head_rate or recipe.rate}]
    for back, parameters in enumerate(kept):
        groups.append({"params": [p.requires_grad_() for p in parameters], "highest": recipe.rate * recipe.fall**back})
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, weight_decay=recipe.decay)
    return torch.optim.SGD(groups, lr=0.0, momentum=MOMENTUM, nesterov=True, weight_decay=recipe.decay)

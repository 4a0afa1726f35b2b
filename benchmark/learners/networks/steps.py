"""Steps of a training whose draws are all made on the CPU, beforehand: they are the same on every device.

Some steps' draws travel at once, and a step takes its own from them, so that a card plays it back without the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice

import torch

from ... import device

STEPS = 64  # whose draws travel at once


def take(step: Callable[..., None], planned: Iterator[tuple[torch.Tensor, ...]]) -> None:
    """Take a step with each of the planned draws, tensors of the same shapes in every step.

    They come where the trial computes. A step changes tensors in place and waits for nothing on the host
    (`device.recorded`).
    """
    held: tuple[torch.Tensor, ...] = ()
    place = torch.zeros(1, dtype=torch.long, device=device.home())

    def next_one() -> None:
        own = [part.index_select(0, place)[0] for part in held]
        place.add_(1)
        step(*own)

    recorded = device.recorded(next_one)
    while some := list(islice(planned, STEPS)):
        parts = [torch.stack(part) for part in zip(*some, strict=True)]
        held = held or tuple(torch.empty_like(part, device=device.home()) for part in parts)
        for there, part in zip(held, parts, strict=True):  # a recording reads them where the first ones lay
            there[: len(part)].copy_(part)
        place.zero_()
        for _ in some:
            recorded()


def shuffled(M: int, size: int, draws: torch.Generator) -> torch.Tensor:
    """Return ``size`` of M rows: all of them, shuffled, as often as it takes."""
    return torch.cat([torch.randperm(M, generator=draws) for _ in range(math.ceil(size / M))])[:size]

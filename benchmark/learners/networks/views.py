"""Random views of a batch of images, made from numbers that are drawn beforehand: on a card nothing waits for the host.

Every view takes some numbers in [0, 1) an image; they are drawn on the CPU and are the same on every device.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.functional import pad

from . import strong
from .recipes import Augment

NUMBERS: Mapping[Augment, int] = {"none": 0, "crop": 2, "crop-flip": 3, "strong": 3 + strong.NUMBERS}
"""How many numbers an image takes."""


class Views:
    """Images (M, height, width, channels) uint8, and random views of their rows.

    A crop has the size of the image, out of the image with a margin of an eighth of its side (4 pixels of 32), which is
    black. ``crop-flip`` mirrors half of them, and ``strong`` distorts them besides (`strong.strong`); there the margin
    is the image, mirrored.
    """

    def __init__(self, images: torch.Tensor, kind: Augment) -> None:
        _, self._height, self._width, _ = images.shape
        self._kind, self._images, self._margin = kind, images, 0
        if kind != "none":
            self._margin = max(1, round(max(self._height, self._width) / 8))
            self._images = (_mirrored if kind == "strong" else _black)(images, self._margin)

    def of(self, rows: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Return a view (B, height, width, channels), bytes, of each row, by numbers (B, `NUMBERS`)."""
        if self._kind == "none":
            return self._images[rows]
        moved = (numbers[:, :2] * (2 * self._margin + 1)).long()[:, :, None]
        y = moved[:, 0] + torch.arange(self._height, device=rows.device)
        x = torch.arange(self._width, device=rows.device).expand(len(rows), -1)
        if self._kind != "crop":
            x = torch.where(numbers[:, 2:3] < 0.5, x.flip(1), x)
        seen = self._images[rows[:, None, None], y[:, :, None], (moved[:, 1] + x)[:, None, :]]
        return strong.strong(seen, numbers[:, 3:]) if self._kind == "strong" else seen


def _black(images: torch.Tensor, margin: int) -> torch.Tensor:
    return pad(images, (0, 0, *[margin] * 4))


def _mirrored(images: torch.Tensor, margin: int) -> torch.Tensor:
    y, x = (torch.from_numpy(np.pad(np.arange(n), margin, mode="reflect")) for n in images.shape[1:3])
    return images[:, y.to(images.device)][:, :, x.to(images.device)]

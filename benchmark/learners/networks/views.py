"""Random views of a batch of images, made from numbers that are drawn beforehand: on a card nothing waits for the host.

Every view takes some numbers in [0, 1) an image; they are drawn on the CPU and are the same on every device.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn.functional import pad

from . import resized, strong
from .recipes import Augment

NUMBERS: Mapping[Augment, int] = {
    "none": 0,
    "crop": 2,
    "crop-flip": 3,
    "resized-flip": resized.NUMBERS + 1,
    "strong": 3 + strong.NUMBERS,
}
"""How many numbers an image takes."""


class Views:
    """Images (M, height, width, channels) uint8, and random views of their rows.

    A crop has the size of the image, out of the image with a margin of an eighth of its side (4 pixels of 32), which is
    black, or the image ``mirrored``. ``crop-flip`` mirrors half of them, and ``strong`` distorts them besides
    (`strong.strong`); there the margin is always the image. None but a black margin takes a copy of the images.
    ``resized-flip`` shows a part of each, resized to the whole (`resized`), and mirrors half of them.
    """

    def __init__(self, images: torch.Tensor, kind: Augment, *, mirrored: bool = False) -> None:
        _, self._height, self._width, _ = images.shape
        self._kind, self._images, self._margin = kind, images, 0
        self._mirrored = mirrored or kind == "strong"
        if kind not in ("none", "resized-flip"):
            self._margin = max(1, round(max(self._height, self._width) / 8))
            if not self._mirrored:
                self._images = pad(images, (0, 0, *[self._margin] * 4))

    def of(self, rows: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Return a view (B, height, width, channels) of each row, by numbers (B, `NUMBERS`): whole, from 0 to 255."""
        if self._kind == "none":
            return self._images[rows]
        if self._kind == "resized-flip":
            part = resized.boxes(self._height, self._width, numbers[:, 1:])
            seen = resized.resized(self._images[rows], part)
            return torch.where(numbers[:, :1, None, None] < 0.5, seen.flip(2), seen)
        moved = (numbers[:, :2] * (2 * self._margin + 1)).long()[:, :, None]
        y = moved[:, 0] + torch.arange(self._height, device=rows.device)
        x = torch.arange(self._width, device=rows.device).expand(len(rows), -1)
        if self._kind != "crop":
            x = torch.where(numbers[:, 2:3] < 0.5, x.flip(1), x)
        x = moved[:, 1] + x
        if self._mirrored:
            y, x = _inside(y - self._margin, self._height), _inside(x - self._margin, self._width)
        seen = self._images[rows[:, None, None], y[:, :, None], x[:, None, :]]
        return strong.strong(seen, numbers[:, 3:]) if self._kind == "strong" else seen


def _inside(places: torch.Tensor, n: int) -> torch.Tensor:
    """Return places around n pixels as the ones that a mirror on each outermost pixel shows there."""
    period = max(1, 2 * (n - 1))
    places = places % period
    return torch.minimum(places, period - places)

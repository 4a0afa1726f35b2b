"""Random parts of a batch of images, each resized to the whole: torchvision's `RandomResizedCrop`, for all at once.

TypiClust's toolkit trains on TinyImageNet and ImageNet with it, on parts of half of the area and more. Pixels are those
of PIL's bilinear resizing to one level of 255 (it rounds the columns before it goes on with the rows).
"""

from __future__ import annotations

import math

import torch

TRIES = 10
NUMBERS = 2 * TRIES + 2
"""How many numbers an image takes: area and form of each part that is tried, and where it lies."""
AREA, RATIO = 0.5, 4 / 3
"""The smallest share of the area, and the largest ratio of the sides (log-uniform)."""


def boxes(height: int, width: int, numbers: torch.Tensor) -> torch.Tensor:
    """Return top, left, height and width (B, 4), whole pixels, of a part for each row of numbers (B, `NUMBERS`).

    It is the first of ten that fits into the image; the whole image where none does (torchvision's largest in its
    middle is that too, but for images longer than 4:3).
    """
    area, form = numbers[:, : 2 * TRIES].reshape(-1, TRIES, 2).unbind(2)
    area, form = (AREA + (1 - AREA) * area) * height * width, ((2 * form - 1) * math.log(RATIO)).exp()
    wide, high = (area * form).sqrt().round().long(), (area / form).sqrt().round().long()
    fits = (wide > 0) & (wide <= width) & (high > 0) & (high <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    none = ~fits.any(dim=1)
    wide = torch.where(none, width, wide.gather(1, first)[:, 0])
    high = torch.where(none, height, high.gather(1, first)[:, 0])
    top = (numbers[:, -2] * (height - high + 1)).long()
    left = (numbers[:, -1] * (width - wide + 1)).long()
    return torch.stack([top, left, high, wide], dim=1)


def resized(images: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Return the part of each image (B, height, width, channels) that its box shows, in the size of the image."""
    _, height, width, _ = images.shape
    top, left, high, wide = boxes.unbind(1)
    above, below, down = _between(top, high, height)
    before, after, right = _between(left, wide, width)
    rows = torch.arange(len(images), device=images.device)[:, None, None]

    def columns(y: torch.Tensor) -> torch.Tensor:
        one, other = (images[rows, y[:, :, None], x[:, None, :]].float() for x in (before, after))
        return one + (other - one) * right[:, None, :, None]

    upper, lower = columns(above), columns(below)
    return (upper + (lower - upper) * down[:, :, None, None] + 0.5).floor()


def _between(start: torch.Tensor, length: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return for each of n pixels the two of the part that it lies between (B, n), and how near it is to the second."""
    place = (torch.arange(n, device=start.device) + 0.5) * (length[:, None] / n) - 0.5
    place = torch.minimum(place.clamp(min=0), length[:, None] - 1.0)
    first = place.floor().long()
    second = torch.minimum(first + 1, length[:, None] - 1)
    return start[:, None] + first, start[:, None] + second, place - first

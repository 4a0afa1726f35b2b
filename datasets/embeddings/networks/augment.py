"""Random views of a batch of images, drawn and applied for all its images at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn.functional import affine_grid, grid_sample

Draw = Callable[[int], torch.Tensor]
"""Returns so many numbers for each image, (B, numbers), uniform in [0, 1) and on the CPU wherever the images are."""

Views = Callable[[torch.Tensor, Draw], torch.Tensor]
"""Maps images (B, channels, H, W) in [0, 1] to one view of each, of the same shape and range."""

LIMITS = (math.radians(10), 0.2, 0.2, 0.2, 0.1, 0.1)
"""Of an affine view: angle, shear, logarithms of the scales of both axes, shifts in half sides of the image."""

AREA = 0.08
"""The smallest part of an image that a crop shows in SimCLR's paper."""
SCAN_AREA = 0.2
"""The same in SCAN's recipe."""

JITTER, HUE, JITTERED, GREY = 0.4, 0.1, 0.8, 0.2
"""Colour distortion of strength 0.5 (SimCLR, Appendix A): limits, share of images jittered, share made grey."""

TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""Luma and two axes of chroma (the matrix of NTSC): hue is an angle in their plane."""


def affine(images: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Rotate up to 10 degrees, shear up to 0.2, scale each axis by up to e^0.2, move by up to 5 % of the side.

    For marks on an empty ground: what comes in from outside is 0, and nothing is mirrored.
    """
    draws = (2 * draw(6) - 1) * torch.tensor(LIMITS)
    angle, shear, wide, high, dx, dy = draws.unbind(1)
    cos, sin, wide, high = angle.cos(), angle.sin(), wide.exp(), high.exp()
    matrix = _matrix([[cos * wide, (cos * shear - sin) * high, dx], [sin * wide, (sin * shear + cos) * high, dy]])
    return _sample(images, matrix, "zeros")


def photo(images: torch.Tensor, draw: Draw, smallest: float = AREA) -> torch.Tensor:
    """Crop and resize, mirror half of the images, distort colours: SimCLR, Appendix A, for small images (no blur)."""
    return colour(crop(images, draw, smallest), draw)


def crop(images: torch.Tensor, draw: Draw, smallest: float = AREA) -> torch.Tensor:
    """Resize a random part of each image to its whole, and mirror one half of them.

    The part has ``smallest`` to all of the area and an aspect ratio of 3/4 to 4/3, log-uniform, in units of the image's
    own. A side that would be longer than the image is cut to it (torchvision draws again, up to 10 times).
    """
    area, ratio, x, y, mirror = draw(5).unbind(1)
    area, ratio = smallest + (1 - smallest) * area, ((2 * ratio - 1) * math.log(4 / 3)).exp()
    wide, high = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    zero, sign = torch.zeros_like(area), (mirror < 0.5).to(area) * 2 - 1
    matrix = _matrix([[wide * sign, zero, (2 * x - 1) * (1 - wide)], [zero, high, (2 * y - 1) * (1 - high)]])
    return _sample(images, matrix, "border")


def colour(images: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Jitter brightness, contrast, saturation and hue, and make some images grey; clamped to [0, 1] once, at the end.

    Hue turns in the plane of chroma (YIQ) and not in HSV: then all of it is one affine map of an image's colours, and
    the order, which SimCLR draws, makes no difference. What has not three channels is changed in brightness and
    contrast alone.
    """
    draws = draw(6)
    jitter, (jittered, grey) = draws[:, :4] * 2 - 1, draws[:, 4:].unbind(1)
    jitter = jitter * (jittered < JITTERED)[:, None]
    brightness, contrast, saturation = (1 + JITTER * jitter[:, :3]).unbind(1)
    saturation = saturation * (grey >= GREY)
    channels = images.shape[1]
    to_yiq = torch.tensor(TO_YIQ)
    luma = to_yiq[0] if channels == 3 else torch.full((channels,), 1 / channels)
    hue = _hue(2 * math.pi * HUE * jitter[:, 3], saturation, to_yiq) if channels == 3 else torch.eye(channels)
    matrix = ((brightness * contrast)[:, None, None] * hue).to(images)
    mean = images.mean(dim=(2, 3)) @ luma.to(images)
    shift = (brightness * (1 - contrast)).to(images) * mean  # contrast is against the mean luma of the image
    mixed = torch.bmm(matrix, images.flatten(2)) + shift[:, None, None]
    return mixed.clamp(0, 1).view(images.shape)


def _hue(angle: torch.Tensor, saturation: torch.Tensor, to_yiq: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, 3): keep luma, turn chroma by ``angle`` and scale it by ``saturation``."""
    turn = torch.zeros(len(angle), 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * angle.cos()
    turn[:, 2, 1] = saturation * angle.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    matrix: torch.Tensor = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return matrix


def _matrix(rows: list[list[torch.Tensor]]) -> torch.Tensor:
    """Return (B, 2, 3) from its entries (B,)."""
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def _sample(images: torch.Tensor, matrix: torch.Tensor, outside: str) -> torch.Tensor:
    """Return each image as seen through its map from view to image (bilinear)."""
    grid = affine_grid(matrix.to(images), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode=outside, align_corners=False)

"""RandAugment and Cutout as FixMatch's public code has them, for a batch at once: no image waits for another.

FixMatch-pytorch@01f41b0 ``dataset/randaugment.py``, RandAugmentMC with n = 2 and m = 10: twice one of 14 distortions,
each left out half of the time, then a grey square of half the side. Its pictures are PIL's; these are bytes too, so
that one distortion rounds as PIL does.
"""

from __future__ import annotations

import math

import torch

TIMES, LEVELS = 2, 10
NUMBERS = 4 * TIMES + 2
"""How many numbers an image takes: which distortion, how strong, which way, whether at all; where the square is."""

KINDS = (
    *("autocontrast", "brightness", "colour", "contrast", "equalise", "identity", "posterise", "rotate", "sharpness"),
    *("shear-x", "shear-y", "solarise", "move-x", "move-y"),
)
GREY = 127.0


def strong(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Return distorted images (B, height, width, channels), bytes in float32, by numbers (B, `NUMBERS`) in [0, 1)."""
    images = images.float()
    for which, size, way, left_out in numbers[:, : 4 * TIMES].reshape(-1, TIMES, 4).permute(1, 2, 0):
        kind = torch.where(left_out < 0.5, KINDS.index("identity"), (which * len(KINDS)).long())
        images = distorted(images, kind, 1 + (size * (LEVELS - 1)).long(), torch.where(way < 0.5, -1.0, 1.0))
    return _with_square(images, *numbers[:, 4 * TIMES :].unbind(1))


def distorted(images: torch.Tensor, kind: torch.Tensor, level: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
    """Return images (B, height, width, channels), each by its kind of `KINDS` (B,), level 1 to 9 and sign -1 or 1."""
    chosen = {name: (kind == i)[:, None, None, None] for i, name in enumerate(KINDS)}
    images = _moved(images, kind, level, sign)
    share = (0.09 * level + 0.05)[:, None, None, None]
    step = 2 ** (4 - (0.4 * level).long())[:, None, None, None]
    threshold = 256 - (25.6 * level).long()[:, None, None, None]
    luma = _luma(images)
    towards = torch.where(chosen["colour"], luma, torch.zeros_like(images))
    towards = torch.where(chosen["contrast"], (luma.mean(dim=(1, 2), keepdim=True) + 0.5).floor(), towards)
    towards = torch.where(chosen["sharpness"], _smooth(images), towards)
    blended = chosen["brightness"] | chosen["colour"] | chosen["contrast"] | chosen["sharpness"]
    out = torch.where(blended, (towards + share * (images - towards)).floor(), images)
    out = torch.where(chosen["autocontrast"], _stretched(images), out)
    out = torch.where(chosen["equalise"], _equalised(images), out)
    out = torch.where(chosen["posterise"], (images / step).floor() * step, out)
    return torch.where(chosen["solarise"] & (images >= threshold), 255 - images, out)


def _moved(images: torch.Tensor, kind: torch.Tensor, level: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
    """Rotate, shear or move: each pixel is the one in whose place it lies, or black where that is outside."""
    B, height, width, _ = images.shape

    def only(name: str, amount: torch.Tensor) -> torch.Tensor:
        return torch.where(kind == KINDS.index(name), sign * amount, 0.0)[:, None, None]

    angle = only("rotate", (3 * level) * (math.pi / 180))
    x = torch.arange(width, device=images.device)[None, None, :] + 0.5
    y = torch.arange(height, device=images.device)[None, :, None] + 0.5
    right, down = x - width / 2, y - height / 2
    from_x = angle.cos() * right - angle.sin() * down + width / 2 + only("shear-x", 0.03 * level) * y
    from_y = angle.cos() * down + angle.sin() * right + height / 2 + only("shear-y", 0.03 * level) * x
    from_x = (from_x + only("move-x", (0.03 * level * width).floor())).floor().long()
    from_y = (from_y + only("move-y", (0.03 * level * height).floor())).floor().long()
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    rows = torch.arange(B, device=images.device)[:, None, None]
    return images[rows, from_y.clamp(0, height - 1), from_x.clamp(0, width - 1)] * inside[..., None]


def _luma(images: torch.Tensor) -> torch.Tensor:
    """Return how bright each pixel is, (B, height, width, 1)."""
    if images.shape[3] != 3:
        return images.mean(dim=3, keepdim=True)
    red, green, blue = images.unbind(3)
    return (0.299 * red + 0.587 * green + 0.114 * blue + 0.5).floor()[..., None]


def _smooth(images: torch.Tensor) -> torch.Tensor:
    """Return each pixel among its neighbours, five times as heavy as one of them; the border stays."""
    if min(images.shape[1:3]) < 3:
        return images  # all border
    planes = images.permute(0, 3, 1, 2)
    total = torch.nn.functional.avg_pool2d(planes, 3, 1, divisor_override=1) + 4 * planes[:, :, 1:-1, 1:-1]
    out = planes.clone()
    out[:, :, 1:-1, 1:-1] = (total / 13 + 0.5).floor()
    return out.permute(0, 2, 3, 1)


def _stretched(images: torch.Tensor) -> torch.Tensor:
    """Return each channel of each image over the whole range, where it is not of one value."""
    low, high = images.amin(dim=(1, 2), keepdim=True), images.amax(dim=(1, 2), keepdim=True)
    return torch.where(high > low, ((images - low) * (255 / (high - low).clamp(min=1))).floor(), images)


def _equalised(images: torch.Tensor) -> torch.Tensor:
    """Return each channel of each image with about as many pixels of every value."""
    B, height, width, channels = images.shape
    flat = images.permute(0, 3, 1, 2).reshape(B * channels, height * width)
    ordered = flat.sort(dim=1).values
    below = torch.searchsorted(ordered, flat.contiguous())  # how many pixels are darker
    largest = (ordered == ordered[:, -1:]).sum(dim=1, keepdim=True)
    step = (height * width - largest) // 255
    out = torch.where(step > 0, (below + step // 2) // step.clamp(min=1), flat.long()).clamp(max=255)
    return out.float().view(B, channels, height, width).permute(0, 2, 3, 1)


def _with_square(images: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return images with a grey square of half their width, its centre anywhere in them."""
    _, height, width, _ = images.shape
    side = width // 2
    left, top = ((share * size - side / 2).clamp(min=0).floor() for share, size in ((x, width), (y, height)))
    column, row = (torch.arange(n, device=images.device) for n in (width, height))
    across = (column >= left[:, None]) & (column <= left[:, None] + side)
    along = (row >= top[:, None]) & (row <= top[:, None] + side)
    return torch.where((along[:, :, None] & across[:, None, :])[..., None], GREY, images)

"""Weak and strong views of images for semi-supervised heads: all that is random is drawn once, for every image.

The weak view moves an image and mirrors it; the strong one does both anew, changes it by three of fourteen operations
and covers a part of it. Axes: N images, V views of either kind, n images of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as change

from ....benchmark.types import Rows
from ...reading.base import Inputs, arrays_hash

OPERATIONS, HIDDEN = 3, 0.5
"""A strong view: so many operations, then a square of up to this share of the width is covered."""

GREY = (125, 123, 114)
"""What covers it."""


@dataclass(frozen=True, eq=False)
class _Draws:
    """What is drawn for one view of N images."""

    mirrored: NDArray[np.bool_]  # (N,)
    moved: NDArray[np.float64]  # (N, 2), shares of the room to move in
    operations: NDArray[np.int64]  # (N, OPERATIONS)
    strengths: NDArray[np.float64]  # (N, OPERATIONS), shares of the operation's range
    hidden: NDArray[np.float64]  # (N, 3): size, and place in both axes

    @classmethod
    def of(cls, N: int, rng: np.random.Generator) -> _Draws:
        operations = rng.integers(len(_OPERATIONS), size=(N, OPERATIONS))
        return cls(rng.random(N) < 0.5, rng.random((N, 2)), operations, rng.random((N, OPERATIONS)), rng.random((N, 3)))


class Transformed:
    """The weak views of images, then the strong ones, as images: row (s V + v) N + n is view v of image n.

    View v draws from ``rng(v)`` alone, whatever V is and whoever asks for which rows when. Weak: moved by up to an
    eighth of the side (what comes in is mirrored at the edge), and half of the coloured images mirrored; grey ones are
    not, which would make another digit or letter. Strong: LabelBench's RandAugment, its fourteen operations and ranges
    (``rand_augment.py``@9e23393; those of FixMatch), each drawn anew, over a weak view of its own.
    """

    def __init__(self, images: Inputs, V: int, rng: Callable[[int], np.random.Generator]) -> None:
        self._images, self._coloured = images, images.shape[-1] == 3
        self._draws = []
        for v in range(V):
            generator = rng(v)
            self._draws.append([_Draws.of(len(images), generator) for _ in ("weak", "strong")])

    @property
    def shape(self) -> tuple[int, ...]:
        return (2 * len(self._draws) * len(self._images), *self._images.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Rows) -> NDArray[np.uint8]:
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        which, numbers = np.divmod(rows, len(self._images))
        found = np.empty((len(rows), *self._images.shape[1:]), np.uint8)
        for each in np.unique(which):
            of = which == each
            strong, v = divmod(int(each), len(self._draws))
            found[of] = self._view(self._draws[v][strong], numbers[of], strong=bool(strong))
        return found

    def digest(self) -> str:
        return arrays_hash(["transformed", str(len(self._draws))], [self._images])

    def _view(self, draws: _Draws, numbers: Rows, *, strong: bool) -> NDArray[np.uint8]:
        images = moved(self._images[numbers], draws.moved[numbers], draws.mirrored[numbers] & self._coloured)
        if not strong:
            return images
        for image, n in zip(images, numbers, strict=True):
            image[:] = changed(image, draws.operations[n], draws.strengths[n])
            cover(image, *draws.hidden[n])
        return images


def moved(images: NDArray[np.uint8], shares: NDArray[np.float64], mirrored: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return images (n, H, W, channels) moved by up to an eighth of a side, and some of them mirrored."""
    _, H, W, _ = images.shape
    top, left = H // 8, W // 8
    padded = np.pad(images, ((0, 0), (top, top), (left, left), (0, 0)), mode="reflect")
    down, right = (shares * (2 * top + 1, 2 * left + 1)).astype(np.int64).T
    columns = np.where(mirrored[:, None], np.arange(W)[::-1], np.arange(W)) + right[:, None]
    rows = np.arange(H) + down[:, None]
    found: NDArray[np.uint8] = padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return found


def changed(
    image: NDArray[np.uint8], operations: NDArray[np.int64], strengths: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 1 or 3) after these operations, each at a share of its range."""
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    for operation, strength in zip(operations, strengths, strict=True):
        apply, least, most = _OPERATIONS[operation]
        tensor = apply(tensor, least + (most - least) * float(strength))
    found: NDArray[np.uint8] = tensor.permute(1, 2, 0).numpy()
    return found


def cover(image: NDArray[np.uint8], size: float, down: float, right: float) -> None:
    """Cover a square of an image (H, W, 1 or 3), in place; a part of it may lie outside."""
    H, W, channels = image.shape
    side = size * HIDDEN * W
    top, left = int(max(0, down * H - side / 2)), int(max(0, right * W - side / 2))
    image[top : int(top + side), left : int(left + side)] = GREY[:channels]


def _sheared(image: torch.Tensor, x: float = 0.0, y: float = 0.0) -> torch.Tensor:
    return _affine(image, shear=[math.degrees(math.atan(x)), math.degrees(math.atan(y))])


def _affine(image: torch.Tensor, shear: Any = (0.0, 0.0), translate: Any = (0.0, 0.0)) -> torch.Tensor:
    """Return an image sheared about its centre, and moved by shares of its sides."""
    by = [share * side for share, side in zip(translate, (image.shape[2], image.shape[1]), strict=True)]
    found: torch.Tensor = change.affine(image, angle=0.0, translate=by, scale=1.0, shear=list(shear))
    return found


_OPERATIONS: list[tuple[Callable[[torch.Tensor, float], torch.Tensor], float, float]] = [
    (lambda image, _: change.autocontrast(image), 0, 1),
    (change.adjust_brightness, 0.05, 0.95),
    (change.adjust_saturation, 0.05, 0.95),
    (change.adjust_contrast, 0.05, 0.95),
    (lambda image, _: change.equalize(image), 0, 1),
    (lambda image, _: image, 0, 1),
    (lambda image, bits: change.posterize(image, int(bits)), 4, 8),
    (change.rotate, -30, 30),
    (change.adjust_sharpness, 0.05, 0.95),
    (lambda image, by: _sheared(image, x=by), -0.3, 0.3),
    (lambda image, by: _sheared(image, y=by), -0.3, 0.3),
    (lambda image, from_: change.solarize(image, min(from_, 255.0)), 0, 256),
    (lambda image, by: _affine(image, translate=(by, 0.0)), -0.3, 0.3),
    (lambda image, by: _affine(image, translate=(0.0, by)), -0.3, 0.3),
]
"""Operations on (1 or 3, H, W) uint8, each with the ends of its range."""

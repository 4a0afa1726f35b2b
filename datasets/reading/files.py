"""Images that lie encoded in files and are decoded when they are asked for, block by block."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...benchmark.types import Rows, canonical_json
from .base import DataError, Inputs
from .pictures import Resize, decoded
from .sources import Source, UnreadableError, content_hashes, in_threads, shortened

IN_MEMORY = 2**31
"""Bytes of pixels up to which it pays to decode a dataset once and keep it. A constant: content must not depend on the
machine, and the hash of pixels is not that of files."""


@dataclass(frozen=True)
class _Fault:
    message: str
    of_size: bool = False


@dataclass(frozen=True, eq=False)
class FileImages:
    """Images (N, H, W, channels) uint8 of files, in the order of ``names``; 3 channels are RGB, 1 is grey.

    What is asked for is decoded by a few threads into one array; nothing is kept. Transparency is dropped, EXIF
    rotation is not applied. ``like`` is the image whose size all must have under ``resize="none"``.
    """

    source: Source
    names: Sequence[str]
    pixels: tuple[int, int, int]
    resize: Resize = "crop"
    like: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.names), *self.pixels

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: slice | Rows) -> NDArray[np.uint8]:
        names = self.names[rows] if isinstance(rows, slice) else [self.names[row] for row in rows]
        images = np.empty((len(names), *self.pixels), dtype=np.uint8)

        def fill(row: int) -> _Fault | None:
            try:
                image = decoded(self.source.read(names[row]), self.pixels, self.resize)
            except UnreadableError as error:
                return _Fault(f"{self.source}: {names[row]}: {error}")
            if image.shape != self.pixels:
                return _Fault(self._odd(names[row], image.shape), of_size=True)
            images[row] = image
            return None

        faults = [fault for fault in in_threads(fill, range(len(names))) if fault]
        if faults:
            bad = [fault.message for fault in faults if not fault.of_size]
            odd = [fault.message for fault in faults if fault.of_size]
            summary = f"{self.source}: {len(bad)} of {len(names)} images cannot be read"
            raise DataError(shortened(bad, summary) + odd[:1])
        return images

    def digest(self) -> str:
        return self._digest

    @cached_property
    def _digest(self) -> str:
        how = hashlib.sha256(canonical_json([self.resize, *self.pixels]).encode())
        how.update(content_hashes(self.source, self.names).data)
        return how.hexdigest()

    def _odd(self, name: str, shape: tuple[int, ...]) -> str:
        sizes = [f"{width}x{height}" for height, width, _ in (self.pixels, shape)]
        hint = "set size to resize all images"
        return f"{self.source}: {self.like} is {sizes[0]}, {name} is {sizes[1]} pixels; {hint}"


def check_size(size: int) -> None:
    """Raise ValueError for a size that images cannot be brought to."""
    if size < 1:
        raise ValueError(f"size is {size}; legal: a number of pixels, at least 1")


def parts(images: FileImages, n_train: int) -> tuple[Inputs, Inputs]:
    """Return the first ``n_train`` images and the rest: in memory where all of them are small (`IN_MEMORY`)."""
    if math.prod(images.shape) <= IN_MEMORY:
        pixels = images[:]
        return pixels[:n_train], pixels[n_train:]
    return replace(images, names=images.names[:n_train]), replace(images, names=images.names[n_train:])


def first_size(source: Source, names: Sequence[str]) -> tuple[str, int, int]:
    """Return the first image that can be opened with its height and width, or raise `DataError` when none can."""
    bad = []
    for name in names:
        try:
            height, width, _ = decoded(source.read(name), (0, 0, 1), "none").shape
        except UnreadableError as error:
            bad.append(f"{source}: {name}: {error}")
        else:
            return name, height, width
    raise DataError(shortened(bad, f"{source}: {len(bad)} of {len(names)} images cannot be read"))

"""The inputs themselves, flattened and brought to a common scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...benchmark.registry import encoder
from ...benchmark.types import Features, Floats
from ..reading.base import DataError, Inputs, Split, blocks, check_choice, row_blocks
from .base import Stored, Work

Scale = Literal["auto", "range", "standard", "none"]
SCALES = ("auto", "range", "standard", "none")


@encoder("raw", cite="", was="pixels")
@dataclass(frozen=True)
class Raw(Stored):
    """The inputs themselves, flattened: images in [0, 1], tables standardised, features as they are.

    ``scale: range`` divides images by 255; ``standard`` subtracts the pool's mean and divides by its standard
    deviation (ddof 0) feature by feature, and sets features that are constant in the pool to 0.
    """

    scale: Scale = "auto"

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, SCALES)

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        return scaled(split, self.scale, work)

    def problems(self, split: Split) -> list[str]:
        return scale_problems(split, self.scale)


def scale_problems(split: Split, scale: Scale) -> list[str]:
    """Return why the inputs cannot be scaled so, or nothing."""
    if scale == "range" and split.kind != "images":
        return [f"scale 'range' is for images, not for {split.kind}; legal: auto, standard, none"]
    return []


def scaled(split: Split, scale: Scale, work: Work) -> tuple[Features, Features]:
    """Return the inputs as features (N, D), (M, D), mapped from files of ``work``, or raise `DataError`."""
    if problems := scale_problems(split, scale):
        raise DataError(problems)
    if scale == "auto":
        by_kind: dict[str, Scale] = {"images": "range", "table": "standard", "features": "none"}
        scale = by_kind[split.kind]
    divisor = 255 if scale == "range" else 1
    train, test = (_flat(x, name, divisor, work) for x, name in ((split.train, "train"), (split.test, "test")))
    if scale == "standard":
        standardise(train, test)
    return train, test


def standardise(train: Features, test: Features) -> None:
    """Scale in place by mean and standard deviation (ddof 0) of ``train``, in float64 as scikit-learn's StandardScaler.

    We differ from it in features that are constant in ``train``: 0 in ``test`` too, since no scale is known for them.
    """
    mean = mean_of(train)
    sd = np.sqrt(
        sum((np.square(block - mean).sum(axis=0) for block in blocks(train)), np.zeros_like(mean)) / len(train)
    )
    factor = np.divide(1, sd, out=np.zeros_like(sd), where=sd > 0)  # exactly 0 when constant: float32 sums in float64
    for part in (train, test):
        for block in blocks(part):
            block[:] = (block - mean) * factor


def mean_of(x: Features) -> Floats:
    """Return the mean of the rows of x (N, D), summed in float64, block by block."""
    return sum((block.sum(axis=0, dtype=np.float64) for block in blocks(x)), np.zeros(x.shape[1])) / len(x)


def _flat(x: Inputs, name: str, divisor: int, work: Work) -> Features:
    """Return x (M, ...) as rows (M, D), divided; read once, block by block, since images may be decoded each time."""
    rows = work.array(f"scaled-{name}", (len(x), math.prod(x.shape[1:])))
    for some in row_blocks(rows):
        block = x[some]
        rows[some] = block.reshape(len(block), -1).astype(np.float32) / np.float32(divisor)
    return rows

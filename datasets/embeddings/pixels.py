"""The inputs themselves, flattened and brought to a common scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...benchmark.registry import encoder
from ...benchmark.types import Features
from ..base import DataError, Split, check_choice
from .base import Stored, Work

Scale = Literal["auto", "range", "standard", "none"]
SCALES = ("auto", "range", "standard", "none")


@encoder("pixels", cite="")
@dataclass(frozen=True)
class Pixels(Stored):
    """The inputs themselves, flattened: images in [0, 1], tables standardised, features as they are.

    ``scale: range`` divides images by 255; ``standard`` subtracts the pool's mean and divides by its standard
    deviation (ddof 0) feature by feature, and sets features that are constant in the pool to 0.
    """

    scale: Scale = "auto"

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, SCALES)

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        return scaled(split, self.scale)

    def problems(self, split: Split) -> list[str]:
        return scale_problems(split, self.scale)


def scale_problems(split: Split, scale: Scale) -> list[str]:
    """Return why the inputs cannot be scaled so, or nothing."""
    if scale == "range" and split.kind != "images":
        return [f"scale 'range' is for images, not for {split.kind}; legal: auto, standard, none"]
    return []


def scaled(split: Split, scale: Scale) -> tuple[Features, Features]:
    """Return the inputs as features (N, D), (M, D), or raise `DataError`."""
    if problems := scale_problems(split, scale):
        raise DataError(problems)
    if scale == "auto":
        by_kind: dict[str, Scale] = {"images": "range", "table": "standard", "features": "none"}
        scale = by_kind[split.kind]
    train, test = (x[:].reshape(len(x), -1).astype(np.float32) for x in (split.train, split.test))
    if scale == "range":
        return train / np.float32(255), test / np.float32(255)
    return standardised(train, test) if scale == "standard" else (train, test)


def standardised(train: Features, test: Features) -> tuple[Features, Features]:
    """Scale by mean and standard deviation (ddof 0) of ``train``, in float64 as scikit-learn's StandardScaler does.

    We differ from it in features that are constant in ``train``: 0 in ``test`` too, since no scale is known for them.
    """
    mean, sd = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    factor = np.divide(1, sd, out=np.zeros_like(sd), where=sd > 0)  # exactly 0 when constant: float32 sums in float64
    return ((train - mean) * factor).astype(np.float32), ((test - mean) * factor).astype(np.float32)

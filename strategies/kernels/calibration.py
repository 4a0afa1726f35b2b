"""Temperature scaling: how sure a model may be of what it says, by labels it has not seen (Guo et al., ICML 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...benchmark.types import Array, Features, Floats, Labels

TEMPERATURES = np.arange(10, 200) / 10  # 1.0, 1.1, ..., 19.9
BINS = 15  # of confidence, as in the paper


def tempered(probs: Array, T: float) -> Array:
    """Return the probabilities (b, C) of logits divided by ``T``."""
    if T == 1:
        return probs
    p = probs ** (1 / T)
    return p / p.sum(axis=-1)[..., None]


def calibrated(held_out: Sequence[tuple[Features, Labels]]) -> float:
    """Return the temperature of the grid with the least calibration error, the lowest of equals; 1 without labels.

    ``held_out`` are parts: probabilities (H, C) and labels (H,) of rows that the model was not trained on.
    """
    if not held_out:
        return 1.0
    probs, labels = (np.concatenate(parts) for parts in zip(*held_out, strict=True))
    p, right = probs.astype(np.float64), probs.argmax(axis=1) == labels
    errors = [calibration_error(tempered(p, T).max(axis=1), right) for T in TEMPERATURES.tolist()]
    return float(TEMPERATURES[np.round(errors, 12).argmin()])


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error: |mean right - mean confidence| of bins, weighted by their size."""
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(place, right - confidence)).sum() / len(right))

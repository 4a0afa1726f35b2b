"""What a fitted model is worth on a test set: pure functions of arrays, each definition with an id in `METRICS`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .types import Labels, Scores

ECE_BINS = 15
SMALLEST = 1e-12  # a probability below this counts as this in nll, so that one surprise is not infinite


def score(predicted: Labels, labels: Labels, n_classes: int, probs: NDArray[np.floating[Any]] | None) -> Scores:
    """Score predictions (M,) against labels (M,), both in [0, C), and probabilities (M, C) where there are some.

    Balanced accuracy is the mean recall of the classes present in ``labels``; macro F1 is the mean F1 of the classes
    present in ``labels`` or ``predicted`` (both as scikit-learn has them). ``nll`` is in nats, probabilities below
    1e-12 raised to it.
    """
    hit = predicted == labels
    hits = np.bincount(labels[hit], minlength=n_classes)
    support = np.bincount(labels, minlength=n_classes)
    either = support + np.bincount(predicted, minlength=n_classes)
    present = support > 0
    return Scores(
        accuracy=float(hit.mean()),
        balanced_accuracy=float((hits[present] / support[present]).mean()),
        macro_f1=float((2 * hits[either > 0] / either[either > 0]).mean()),
        nll=None if probs is None else nll(probs, labels),
        ece=None if probs is None else ece(probs, hit),
    )


def nll(probs: NDArray[np.floating[Any]], labels: Labels) -> float:
    """Return the mean negative log of the true class's probability, in nats; probabilities (M, C), labels (M,)."""
    return float(-np.log(np.maximum(probs[np.arange(len(labels)), labels].astype(np.float64), SMALLEST)).mean())


def ece(probs: NDArray[np.floating[Any]], hit: ArrayLike) -> float:
    """Return the expected calibration error of probabilities (M, C) whose top class was right where ``hit`` (M,).

    Guo et al. 2017, equation 3: 15 equal-width bins (low, high] on the top probability, gaps weighted by their share.
    """
    top = probs.max(axis=1).astype(np.float64)
    bins = np.clip(np.ceil(top * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    gaps = np.bincount(bins, weights=np.asarray(hit, dtype=np.float64) - top, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(top))

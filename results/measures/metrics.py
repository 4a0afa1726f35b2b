"""What a learning curve is worth: pure functions of arrays, each definition with an id.

An id is changed (``/1`` to ``/2``) when its numbers change, so that two reports are compared like with like.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ...benchmark.scoring import ece
from ...benchmark.types import Floats
from .ranking import iqm, mean_ranks, penalty_matrix


def aubc(n_labels: ArrayLike, accuracy: ArrayLike) -> float:
    """Return the area under the curve (R,) over the label range: a constant curve gives exactly its constant.

    ``n_labels`` increases strictly. A single point gives that point.
    """
    x, y = np.asarray(n_labels, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if len(x) == 1:
        return float(y[0])
    widths = np.diff(x) / (x[-1] - x[0])
    # from the lowest point, so that rounding cannot move a constant
    return float(y.min() + widths @ ((y[1:] + y[:-1]) / 2 - y.min()))


def shares(n_labels: ArrayLike) -> Floats:
    """Return what each round weighs in `aubc` (R,): the sum is 1, the product with the accuracies ``aubc/1``."""
    x = np.asarray(n_labels, dtype=np.float64)
    if len(x) == 1:
        return np.ones(1)
    widths = np.diff(x) / (x[-1] - x[0]) / 2
    weights: Floats = np.append(widths, 0) + np.append(0, widths)
    return weights


def class_accuracy(labels: ArrayLike, predicted: ArrayLike, n_classes: int) -> Floats:
    """Return of each class (C,) the share of its test rows (M,) that are predicted as it; NaN where it has none."""
    true = np.asarray(labels)
    hits = np.bincount(true[true == np.asarray(predicted)], minlength=n_classes)
    rows = np.bincount(true, minlength=n_classes)
    accuracy: Floats = np.where(rows > 0, hits / np.maximum(rows, 1), np.nan)
    return accuracy


def aubc_points(n_labels: ArrayLike, accuracy: ArrayLike) -> float:
    """Return the area under the curve's R points at unit distance (trapezoid rule), divided by R, not by R - 1.

    So the tables of Zhan et al. 2021 and Lu et al. (arXiv 2306.08954) are computed, as their public code shows: a
    constant comes out too low by the factor (R - 1) / R. Only for comparison with them; one point gives that point.
    """
    y = np.asarray(accuracy, dtype=np.float64)
    return float((y[1:] + y[:-1]).sum() / 2 / len(y)) if len(y) > 1 else float(y[0])


def final(n_labels: ArrayLike, accuracy: ArrayLike) -> float:
    """Return the last point of the curve (R,)."""
    return float(np.asarray(accuracy, dtype=np.float64)[-1])


def at(n_labels: ArrayLike, accuracy: ArrayLike, n: int) -> Floats:
    """Return the accuracy (...) of curves (..., R) in the round that has exactly ``n`` labels; NaN where none has."""
    curves, where = np.asarray(accuracy, dtype=np.float64), np.flatnonzero(np.asarray(n_labels) == n)
    return curves[..., where[0]] if len(where) else np.full(curves.shape[:-1], np.nan)


def monotone(curves: ArrayLike) -> Floats:
    """Return the curves (..., R) that never fall and are nearest to these in least squares (isotonic regression)."""
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  only the whole report needs it

    fitted: Floats = np.apply_along_axis(lambda curve: isotonic_regression(curve).x, -1, np.asarray(curves, float))
    return fitted


def saving(n_labels: ArrayLike, baseline: ArrayLike, at: ArrayLike, reached: ArrayLike) -> Floats:
    """Return the labels a baseline needs for the accuracies that a strategy reaches, divided by those it reaches it at.

    ``baseline`` (..., R) is a mean curve made `monotone`, at the labels ``n_labels`` (R,), which increase strictly;
    ``reached`` (..., P) are those of the strategy, over the same seeds, at the labels ``at`` (P,); the result is
    (..., P). The baseline needs the labels where the line through its rounds first reaches the accuracy. Nothing is
    extrapolated: ``inf`` where it never does, ``-inf`` where it began above (less than ``n_labels[0] / at``, but nobody
    knows how much).

    Of mean curves, not seed by seed, and monotone: the first time that a noisy curve is high enough comes too early,
    so that even a copy of the baseline would seem to cost labels.
    """
    x, base, n, targets = (np.asarray(values, dtype=np.float64) for values in (n_labels, baseline, at, reached))
    savings = np.empty(targets.shape)
    for p in range(len(n)):
        target = targets[..., p]
        after = np.minimum((base < target[..., None]).sum(axis=-1), len(x) - 1)  # the first round that reaches it
        before = np.maximum(after - 1, 0)
        low, high = (np.take_along_axis(base, i[..., None], axis=-1)[..., 0] for i in (before, after))
        rises = high > low  # else the first round has it already, or the last does not reach it
        way = np.where(rises, (target - low) / np.where(rises, high - low, 1), 0)
        needed = x[before] + way * (x[after] - x[before])
        needed = np.where(target > base[..., -1], np.inf, np.where(target < base[..., 0], -np.inf, needed))
        savings[..., p] = np.where(np.isnan(target), np.nan, needed / n[p])
    return savings


def balance(counts: ArrayLike) -> float:
    """Return the entropy of the labels' classes (C,) over that of equal shares: 1 is even, 0 one class."""
    array = np.asarray(counts, dtype=np.float64)
    if len(array) < 2 or not array.sum():
        return np.nan
    share = array[array > 0] / array.sum()
    return max(0.0, float(-(share * np.log(share)).sum() / np.log(len(array))))


def rarest(counts: ArrayLike) -> float:
    """Return the labels of the rarest class over those of the commonest, of counts (C,): 0 when a class is missing."""
    array = np.asarray(counts, dtype=np.float64)
    return float(array.min() / array.max()) if array.size and array.max() > 0 else np.nan


def gain(values: ArrayLike, baseline: ArrayLike) -> Floats:
    """Return the differences (S,) of two aligned arrays (S,) of shares, in points (hundredths)."""
    return 100 * (np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64))


CURVE_METRICS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "aubc/1": aubc,
    "aubc-points/1": aubc_points,
    "final/1": final,
}
"""Functions of (labels (R,), accuracy (R,))."""

METRICS: dict[str, tuple[Callable[..., object], str]] = {
    "aubc/1": (aubc, "area under accuracy over the number of labels (trapezoid rule), divided by the label range"),
    "aubc-points/1": (
        aubc_points,
        "area under the curve's points at unit distance, divided by their number (only to compare with Lu et al.)",
    ),
    "final/1": (final, "accuracy after the last round"),
    "gain/1": (gain, "difference to the baseline on the same seeds at the same number of labels, in points"),
    "at/1": (at, "accuracy at a number of labels, by the round that has exactly that many; never interpolated"),
    "saving/1": (
        saving,
        "labels the baseline needs for the accuracy a strategy reaches at n, divided by n: where the line through the"
        " baseline's rounds first reaches it; of mean curves over the same seeds, made monotone (isotonic regression);"
        " > or < where it never does, or began above: never extrapolated; its interval is a bootstrap of seeds, paired,"
        " as wide for few as Student's t",
    ),
    "class-accuracy/1": (
        class_accuracy,
        "share of the test rows of a class that are predicted as it (its recall), after the last round",
    ),
    "balance/1": (balance, "entropy of the classes of all labels bought, over that of equal shares (1: all alike)"),
    "rarest/1": (rarest, "labels of the rarest class over those of the commonest (0: a class has none)"),
    "ppm/1": (
        penalty_matrix,
        "share of complete blocks in which row beats column: paired two-sided t-test over seeds at each round (but a"
        " first round in which all are equal), Holm over rounds, 1/rounds each",
    ),
    "rank/1": (
        mean_ranks,
        "mean rank of the mean aubc/1 over complete blocks (settings and budgets), 1 is best, equals share their mean;"
        " interval over blocks, cut to the ranks there are",
    ),
    "iqm/1": (
        iqm,
        "interquartile mean over the runs of complete blocks; its interval is a bootstrap of seeds within blocks,"
        " paired, with expanded percentiles (Hesterberg 2015)",
    ),
    "ece/1": (ece, "expected calibration error, 15 equal-width bins on the top probability"),
}
"""Metric id -> (function, definition as printed)."""

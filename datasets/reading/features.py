"""Features as people save them, as rows of float32 that tell apart what the file tells apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.types import Features, Floats
from .base import warn
from .npz import Source

SAMPLE = 10_000  # rows that say where a column lies
LOST = 1e-3  # of a column's spread: more may not be lost to rounding
FAR = 100  # spreads between the features and the origin: beyond it angles and scikit-learn's gamma see little else
SMALL = 1e-15  # the squares of such spreads are none in float32

STANDARD = "use an embedding with scale: standard ({name: raw, scale: standard})"


def as_features(train: Source, test: Source, label: str, problems: list[str]) -> tuple[Features, Features]:
    """Return both as float32 (rows, D); what cannot be is added to ``problems``.

    A column that lies so far from 0 that float32 would merge its values (a time in seconds is rounded to 128 of them)
    is given less its median in the pool. That is said once, and so is that features as a whole lie far from 0.
    """
    for source in (train, test):
        if source.array.dtype.kind not in "fiub":
            problems.append(f"{source.what} holds {source.array.dtype}, not numbers{_converted(source.array)}")
        elif source.array.ndim != 2:
            problems.append(f"{source.what} has shape {source.array.shape}; features are (rows, features)")
    if problems:
        return np.empty((0, 0), np.float32), np.empty((0, 0), np.float32)
    pool, tested = _cast(train.array), _cast(test.array)
    if not pool.size or pool.shape[1] != tested.shape[1]:  # said where splits are checked
        return pool, tested
    sample = train.array[:: -(-len(train.array) // SAMPLE)].astype(np.float64)
    middle, spread = _where(sample)
    with np.errstate(all="ignore"):
        lost = np.abs(sample - _cast(sample)).max(axis=0)
        merged = np.flatnonzero((lost > LOST * spread) & (spread > 0) & np.isfinite(lost + middle))
    for column in merged:
        for cast, source in ((pool, train), (tested, test)):
            cast[:, column] = _cast(source.array[:, column].astype(np.float64) - middle[column])
    if len(merged):
        first = f"column {merged[0]} lies near {middle[merged[0]]:.3g} and varies by {spread[merged[0]]:.3g}"
        warn(
            f"{label}: {first}, which float32 cannot tell apart; its median is subtracted ({len(merged)} such columns)"
        )
        middle[merged] = 0
    _warn_of_scale(label, middle, spread)
    return pool, tested


def _cast(array: NDArray[Any]) -> Features:
    with np.errstate(over="ignore"):  # what is too large becomes infinite and is reported as such
        return array.astype(np.float32)


def _where(sample: Floats) -> tuple[Floats, Floats]:
    """Return where each column lies and by how much it varies: its median, and half of two thirds' width (or all's)."""
    with np.errstate(all="ignore"):
        least, low, middle, high, most = np.quantile(sample, (0, 1 / 6, 1 / 2, 5 / 6, 1), axis=0)
        return middle, np.where(high > low, high - low, most - least) / 2


def _warn_of_scale(label: str, middle: Floats, spread: Floats) -> None:
    with np.errstate(all="ignore"):
        overall = float(np.sqrt(np.mean(spread**2)))
    column = int(np.abs(middle).argmax())
    if 0 < overall < SMALL:
        warn(f"{label}: features vary by {overall:.0e}, whose square is nothing in float32; {STANDARD}")
    elif np.abs(middle[column]) > FAR * overall > 0:
        far = f"column {column} lies near {middle[column]:.3g} and features vary by {overall:.3g}"
        warn(f"{label}: {far}: svm, and rules that go by angles, see little else; {STANDARD}")


def _converted(array: NDArray[Any]) -> str:
    return "; (x - x.min()) / np.timedelta64(1, 's') makes numbers of times" if array.dtype.kind in "mM" else ""

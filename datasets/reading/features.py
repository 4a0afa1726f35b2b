"""Features as people save them, as rows of float32."""

from __future__ import annotations

import numpy as np

from ...benchmark.types import Features
from .npz import Source


def as_features(source: Source, problems: list[str]) -> Features:
    """Return the array as float32 (rows, D); what cannot be is added to ``problems``."""
    array = source.array
    if array.dtype.kind not in "fiub":
        problems.append(f"{source.what} holds {array.dtype}, not numbers")
    elif array.ndim != 2:
        problems.append(f"{source.what} has shape {array.shape}; features are (rows, features)")
    else:
        with np.errstate(over="ignore"):  # what is too large becomes infinite and is reported as such
            return array.astype(np.float32)
    return np.empty((0, 0), dtype=np.float32)

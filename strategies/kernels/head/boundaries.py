"""A linear head around a row: its logits, and which way they leave the predicted class.

Axes: b rows, H features, P classes that have labels.
"""

from __future__ import annotations

import numpy as np

from ....benchmark.types import Features, Floats


def seen(head: tuple[Features, Features]) -> tuple[Floats, Floats]:
    """Return weights (H, P) and bias (P,) of the classes that have labels, in double precision."""
    weights, bias = head
    present = np.isfinite(bias)
    return weights[:, present].astype(np.float64), bias[present].astype(np.float64)


def ascent(logits: Floats) -> Floats:
    """Return which way the loss of the predicted class grows fastest, in terms of the logits (b, P), (b, P).

    The gradient is p - e_predicted. This is it over 1 - p_predicted: the softmax over the other classes, and -1. It
    does not vanish where a prediction is certain.
    """
    best = logits.argmax(axis=1)[:, None]
    way = logits.copy()
    np.put_along_axis(way, best, -np.inf, axis=1)
    way -= way.max(axis=1, keepdims=True)
    np.exp(way, out=way)
    way /= way.sum(axis=1, keepdims=True)
    np.put_along_axis(way, best, -1, axis=1)
    return way

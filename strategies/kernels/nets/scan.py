"""SCAN: clusters that a linear head learns so that neighbours agree (Van Gansbeke et al. 2020, equation 2).

Axes: N rows, D features, k clusters, b rows of a batch, K neighbours. Runs where the trial computes, on numpy or torch
alike; the gradient is written out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ....benchmark import device
from ....benchmark.types import Array, Features, Rows
from ..distances import blocks
from .adam import Adam
from .dense import softmax

LEAST = 1e-12  # of a probability under a logarithm


@dataclass(frozen=True)
class Training:
    """How the head is trained; ``weight`` is that of the entropy in the loss."""

    weight: float
    steps: int
    batch: int
    rate: float
    decay: float


def scan_clusters(
    units: Features, neighbours: NDArray[np.int32], k: int, training: Training, rng: np.random.Generator
) -> Rows:
    """Return the cluster of each unit row (N,), the likeliest of ``k`` by a head p = softmax(x W + c) after training.

    Each of ``steps`` steps of Adam draws a batch of rows and a neighbour (N, K) of each, and lowers
    -mean log p(x)·p(x') - ``weight`` · entropy of the batch's mean p: neighbours agree, and no cluster takes all. Some
    clusters may end empty. Weights begin uniform within ±1 / sqrt(D). Time O(steps b D k + N D k), memory O(D k).
    """
    N, D = units.shape
    drawn = rng.uniform(-1, 1, D * k + k) / np.sqrt(D)
    head = device.put(drawn.astype(np.float32))
    xp = array_namespace(head)
    W, c = xp.reshape(head[: D * k], (D, k)), head[D * k :]
    adam = Adam(head, training.rate, training.decay)
    for _ in range(training.steps if neighbours.shape[1] else 0):
        rows = rng.integers(N, size=min(training.batch, N))
        others = neighbours[rows, rng.integers(neighbours.shape[1], size=len(rows))]
        x = device.take(units, np.concatenate([rows, others]))
        back = _back(softmax(x @ W + c), training.weight)
        adam.step(xp.concat([xp.reshape(x.T @ back, (-1,)), xp.sum(back, axis=0)]))
    return np.concatenate(
        [device.fetch(xp.argmax(device.take(units, part) @ W + c, axis=1)) for part in blocks(N)]
    ).astype(np.int64)


def _back(p: Array, weight: float) -> Array:
    """Return the loss's gradient at the logits (2 b, k) of rows and, below them, of their neighbours."""
    xp, b = array_namespace(p), len(p) // 2
    rows, others = p[:b], p[b:]
    agree = xp.sum(rows * others, axis=1)[:, None] + LEAST
    mean = xp.sum(rows, axis=0) / b
    at_p = xp.concat([weight * xp.log(mean + LEAST) - others / agree, -rows / agree])
    return p * (at_p - xp.sum(p * at_p, axis=1)[:, None]) / b

"""Greedy search for the batch whose Fisher information is nearest the pool's, by direct inversion: BAIT."""

import numpy as np
from support.queries import cloud, query, random_probs

from albench.benchmark.types import Floats, Query
from albench.strategies.gradient.bait import Bait
from albench.strategies.gradient.bait_binary import BaitBinary


def asked(seed: int, size: int, n: int, labelled: int, scale: float = 1.0, dims: int = 3) -> Query:
    bought = np.random.default_rng(seed).permutation(size)[:labelled].tolist()
    probs = random_probs(seed, size).astype(np.float32).astype(np.float64)
    return query(scale * cloud(seed, size, dims), n, bought, scores=probs, seed=seed)


def objective(information: Floats, asked: Query, ridge: float, batch: list[int]) -> float:
    """Return the trace for a batch, from the information of every row of the pool, (N, K, K)."""
    together = len(asked.labelled) + asked.n
    M = ridge * np.eye(information.shape[1]) + information[asked.labelled].sum(axis=0) / together
    M += asked.n / together * information[batch].sum(axis=0)
    everything = np.concatenate([asked.labelled, asked.unlabelled])
    return float(np.trace(np.linalg.inv(M) @ information[everything].mean(axis=0)))


def greedy(information: Floats, asked: Query, rule: Bait | BaitBinary) -> list[int]:
    rows, batch = asked.unlabelled.tolist(), list[int]()

    def cost(batch: list[int]) -> float:
        return objective(information, asked, rule.ridge, batch)

    while len(batch) < min(rule.oversample * asked.n, len(rows)):
        batch.append(min((row for row in rows if row not in batch), key=lambda row: cost([*batch, row])))
    while len(batch) > asked.n:
        batch.remove(min(batch, key=lambda row: cost([other for other in batch if other != row])))
    return batch

"""Queries with a set apart, and the rows on which the loss is to fall, for the rules that ask what a row does to it."""

import numpy as np
from support.queries import cloud, query, random_probs

from albench.benchmark.types import Query
from albench.strategies.kernels.head.influence import Reference


def asked(seed: int, size: int, n: int) -> Query:
    rng, probs = np.random.default_rng(seed), random_probs(seed, size).astype(np.float32).astype(np.float64)
    rows, truth = rng.permutation(size)[:9].tolist(), rng.integers(4, size=size).tolist()
    kept = (rows[:4], [truth[row] for row in rows[:4]])
    return query(cloud(seed, size), n, rows[4:], scores=probs, seed=seed, validation=kept, truth=truth)


def labels_of(asked: Query, reference: Reference) -> dict[int, int]:
    """Return the labels of the reference rows by row, those predicted where nobody has said them."""
    if reference == "validation":
        return dict(zip(asked.validation[0].tolist(), asked.validation[1].tolist(), strict=True))
    labels = dict(zip(asked.labelled.tolist(), asked.labels.tolist(), strict=True))
    if reference == "pool":
        labels |= dict(zip(asked.unlabelled.tolist(), asked.probs.argmax(axis=1).tolist(), strict=True))
    return labels

"""How typical a row is of those around it, and the walk over clusters that takes the most typical of each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from ...benchmark.types import Features, Floats, Query, Rows
from .distances import Positions, blocks, squared_distances
from .scores import top


def typicality(members: Features, neighbours: int) -> Floats:
    """Return 1 / (mean distance to the K nearest other members) for each member (M, D); inf where that is 0.

    K = min(``neighbours``, M / 2 rounded down), at least 1. Distances are computed in single precision.
    """
    M = len(members)
    K = min(neighbours, max(M // 2, 1), M - 1)
    total = np.zeros(M)
    for rows in blocks(M):
        squares = squared_distances(members[rows], members)
        squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = 0  # itself: nearest, adds nothing
        total[rows] = np.sqrt(np.partition(squares, K, axis=1)[:, : K + 1]).sum(axis=1)
    result: Floats = np.divide(K, total, out=np.full(M, np.inf), where=total > 0)
    return result


def walk(query: Query, units: Features, cluster: Positions, k: int, min_size: int, neighbours: int) -> Rows:
    """Return ``query.n`` rows, the most typical of each of ``k`` clusters in turn; ``cluster`` (N,) is each row's.

    Clusters are visited in a fixed order (fewest labelled members first, then the largest, equals in random order), one
    pick each, round and round: the unlabelled member of highest typicality among unit rows. Clusters of ``min_size``
    members or fewer follow when the others have run out of rows; as every row is in some cluster, that suffices.
    """
    size = np.bincount(cluster, minlength=k)
    labelled = np.bincount(cluster[query.labelled], minlength=k)
    order = np.lexsort((query.rng.random(k), -size, labelled))
    is_open = np.zeros(len(units), dtype=bool)
    is_open[query.unlabelled] = True

    def queue(c: int) -> Iterator[int]:  # a generator, so a cluster that is never visited costs nothing
        members = np.flatnonzero(cluster == c)
        best_first = members[top(typicality(units[members], neighbours), len(members), query.rng)]
        yield from best_first[is_open[best_first]].tolist()

    large = [queue(c) for c in order if size[c] > min_size]
    small = [queue(c) for c in order if 0 < size[c] <= min_size]
    picks = islice(chain(_in_turn(large), _in_turn(small)), query.n)
    return np.fromiter(picks, dtype=np.int64)


def _in_turn(queues: list[Iterator[int]]) -> Iterator[int]:
    """Yield one item of each queue in order, round and round, until all are empty."""
    while queues:
        left = []
        for queue in queues:
            for item in islice(queue, 1):
                left.append(queue)
                yield item
        queues = left

"""Who is near whom in a pool, exactly.

Exact means: the answer of double precision on the differences of the rows. Products in single precision only find the
pairs worth that trouble; their rounding is bounded, so that none is missed. Axes: M rows, D features, K neighbours,
E edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark import device
from ...benchmark.types import Array, Arrays, Features, Floats, Query
from .distances import Positions, blocks, pair_squares, pool_units, squared_distances
from .gpu import products as gpu

TILE = 2048  # rows of a tile: its products are 16 MiB
FEW = 128  # one pair in double precision costs about as much as so many in a product
FIRST = (32, 64, 128)  # numbers of coordinates that may be looked at before all
STRIP, STRIP_BYTES = 256, 2**27  # rows whose distances to all rows are held at once, up to so much of them
SMALL, LARGE = 4096, 20_000  # rows from which leading coordinates, and from which the import of faiss, may pay
SPARE = 16  # neighbours asked for beyond K, so that rounding seldom leaves a doubt

Closeness = NDArray[np.float32]


def distances(rows: Features, i: Positions, j: Positions) -> Floats:
    """Return the distances (P,) of the P pairs of rows, in double precision; that of (i, j) is that of (j, i)."""
    found: Floats = np.sqrt(pair_squares(rows, i, rows, j))
    return found


class _Products:
    """Rows (M, D) made so that the closeness of two, minus half their squared distance, is one product.

    What a product says is wrong by at most ``error``.
    """

    def __init__(self, rows: Features) -> None:
        ones, halves = np.ones(len(rows), np.float32), np.einsum("md,md->m", rows, rows, dtype=np.float64) / -2
        self._left = np.column_stack([rows, halves.astype(np.float32), ones])
        self._right = np.column_stack([rows, ones, halves.astype(np.float32)])
        for array in (self._left, self._right):
            array.setflags(write=False)  # so that a GPU holds it once
        terms = rows.shape[1] + 10  # of the sum, and what was rounded before and after it
        self.error = -2 * terms * float(np.finfo(np.float32).eps * halves.min())

    @property
    def rows(self) -> Features:
        return np.ascontiguousarray(self._left[:, :-2])

    def __call__(self, a: Positions, b: Positions | slice) -> Closeness:
        return device.fetch(self.there(a, b))

    def there(self, a: Positions, b: Positions | slice) -> Array:
        """Return the closeness (A, B) of rows ``a`` and ``b`` where this trial computes."""
        return device.take(self._left, a) @ device.take(self._right, b).T


def _above(closeness: Array, least: float) -> tuple[Positions, Positions, Closeness]:
    """Return the places (P,), (P,) of a tile whose closeness is above a number, row by row, and that closeness (P,)."""
    if not isinstance(closeness, np.ndarray):
        return gpu.above(closeness, least)
    i, j = np.divmod(np.flatnonzero(closeness > least), closeness.shape[1])
    return i, j, closeness[i, j]


class NearPairs:
    """Finds the pairs of rows (M, D) that are nearer than a limit.

    Rows are turned to principal axes. Their first coordinates and the length of the rest give a distance that is never
    larger than the whole one, at a fraction of its price: what it rules out is not looked at again. Where it rules out
    too little, the whole product is taken.
    """

    def __init__(self, rows: Features, limit: Floats) -> None:
        """Prepare for limits (M,) of about this size: how many coordinates pay is measured on a sample of pairs."""
        self._rows = rows
        self._mean = rows.mean(axis=0, dtype=np.float64)
        self._first = self._best_first(limit)

    def among(self, a: Positions, b: Positions, limit: Floats) -> tuple[Positions, Positions, NDArray[np.bool_]]:
        """Return pairs (P,), (P,) of a row of ``a`` and a row of ``b``, and which of them are below the limit for sure.

        No pair is missing that is nearer than the limit (M,) of either row; those that are not sure are to be measured.
        """
        low_a, low_b = (np.square(limit[rows]) / -2 for rows in (a, b))
        lowest = min(low_a.min(), low_b.min())
        if self._first is not None:
            closeness, least = self._first.there(a, b), float(np.float32(lowest - self._first.error))
            if FEW * int((closeness > least).sum()) <= len(a) * len(b):
                i, j, found = _above(closeness, least)
                keep = found > np.minimum(low_a[i], low_b[j]) - self._first.error
                return a[i[keep]], b[j[keep]], np.zeros(keep.sum(), dtype=bool)
        error = self._whole.error
        i, j, found = _above(self._whole.there(a, b), float(np.float32(lowest - error)))
        low = np.minimum(low_a[i], low_b[j])
        keep = found > low - error
        return a[i[keep]], b[j[keep]], found[keep] > low[keep] + error

    @cached_property
    def _whole(self) -> _Products:
        return _Products((self._rows - self._mean).astype(np.float32))

    def _best_first(self, limit: Floats) -> _Products | None:
        """Return the first coordinates that cost least on a sample of pairs; None when all at once cost less."""
        M, D = self._rows.shape
        if M < SMALL or 2 * FIRST[0] > D:
            return None
        axes, low = self._axes(), np.square(np.median(limit)) / -2
        sample = self._rows[:: -(-M // SMALL)]
        a, b = np.arange(0, len(sample), 2), np.arange(1, len(sample), 2)
        best, lowest = 0, float(D)
        for d in (d for d in FIRST if 2 * d <= D):
            first = _Products(self._shortened(sample, axes[:, :d]))
            survivors = np.count_nonzero(first(a, b) > np.float32(low - first.error))
            cost = d + D * min(1, FEW * survivors / (len(a) * len(b)))
            if cost < lowest:
                best, lowest = d, cost
        return _Products(self._shortened(self._rows, axes[:, :best])) if best else None

    def _axes(self) -> Floats:
        """Return principal axes (D, d) of a sample of the rows, those of the largest variance first."""
        from scipy.linalg import eigh  # noqa: PLC0415 - a fifth of a second that only large pools should pay

        D = self._rows.shape[1]
        sample = self._rows[:: -(-len(self._rows) // SMALL)] - self._mean
        _, axes = eigh(sample.T @ sample, subset_by_index=(max(D - FIRST[-1], 0), D - 1))
        return np.asarray(axes[:, ::-1], dtype=np.float64)

    def _shortened(self, rows: Features, axes: Floats) -> Features:
        """Return the coordinates of rows (M, D) along axes (D, d) and the length of what is left, (M, d + 1)."""
        short = np.empty((len(rows), axes.shape[1] + 1), np.float32)
        for part in blocks(len(rows)):
            centred = rows[part] - self._mean
            along = centred @ axes
            rest = np.einsum("md,md->m", centred, centred) - np.einsum("md,md->m", along, along)
            short[part] = np.column_stack([along, np.sqrt(rest.clip(min=0))])
        return short


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph in compressed rows: ``indptr`` (M + 1,) int64, ``indices`` (E,) int32.

    The neighbours of row m are ``indices[indptr[m] : indptr[m + 1]]``, ascending.
    """

    indptr: Positions
    indices: NDArray[np.int32]

    def around(self, row: int) -> NDArray[np.int32]:
        """Return the neighbours of one row."""
        return self.indices[self.indptr[row] : self.indptr[row + 1]]

    def counts(self, rows: NDArray[np.integer[Any]]) -> Positions:
        """Return for each row of the graph (M,) how many of ``rows`` have it for a neighbour."""
        sizes = self.indptr[rows + 1] - self.indptr[rows]
        ends = np.cumsum(sizes)
        edges = np.arange(sizes.sum()) + np.repeat(self.indptr[rows] - (ends - sizes), sizes)
        return np.bincount(self.indices[edges], minlength=len(self.indptr) - 1)


def ball_graph(rows: Features, radius: float) -> Graph:
    """Return the graph with an edge where the distance is below ``radius``, and from each row to itself."""
    from scipy import sparse  # noqa: PLC0415 - a fifth of a second that only graph rules should pay

    M, limit = len(rows), np.full(len(rows), radius)
    near, heads, tails = NearPairs(rows, limit), [], []
    for a, b in tiles([np.arange(M)], same=True):
        i, j, sure = near.among(a, b, limit)
        keep = (i < j) & sure
        unsure = np.flatnonzero((i < j) & ~sure)
        keep[unsure] = distances(rows, i[unsure], j[unsure]) < radius
        heads.append(i[keep].astype(np.int32))
        tails.append(j[keep].astype(np.int32))
    head, tail = np.concatenate(heads), np.concatenate(tails)
    upper = sparse.csr_array((np.ones(len(head), dtype=bool), (head, tail)), shape=(M, M))
    graph = sparse.csr_array(upper + upper.T + sparse.eye_array(M, dtype=bool))
    graph.sort_indices()
    return Graph(graph.indptr.astype(np.int64), graph.indices.astype(np.int32))


def distance_to_other(rows: Features, classes: Positions) -> Floats:
    """Return each row's distance (M,) to the nearest row of another class; inf when there is none."""
    nearest = _to_sampled_other(rows, classes)
    near = NearPairs(rows, nearest)
    order = np.argsort(nearest)  # a tile is searched for what its largest limit allows: let limits be alike
    for a, b in tiles([order[classes[order] == c] for c in np.unique(classes)], same=False):
        i, j, _ = near.among(a, b, nearest)
        found = distances(rows, i, j)
        np.minimum.at(nearest, i, found)
        np.minimum.at(nearest, j, found)
    return nearest


def _to_sampled_other(rows: Features, classes: Positions) -> Floats:
    """Return each row's distance (M,) to some row of another class that is rather near; inf when there is none."""
    nearest = np.full(len(rows), np.inf)
    sample = np.arange(0, len(rows), -(-len(rows) // TILE))
    for part in blocks(len(rows)):
        squares = squared_distances(rows[part], rows[sample])
        squares[classes[part, None] == classes[sample]] = np.inf
        found = squares.argmin(axis=1)
        there = np.flatnonzero(np.isfinite(squares.min(axis=1)))
        nearest[part.start + there] = distances(rows, part.start + there, sample[found[there]])
    return nearest


def tiles(groups: list[Positions], same: bool) -> Iterator[tuple[Positions, Positions]]:
    """Yield pairs of blocks of rows that together hold each pair once, of one group (if ``same``) and of two."""
    parts = [(g, rows[start : start + TILE]) for g, rows in enumerate(groups) for start in range(0, len(rows), TILE)]
    for n, (g, a) in enumerate(parts):
        yield from ((a, b) for h, b in parts[n:] if same or g != h)


def pool_neighbours(query: Query, k: int) -> tuple[NDArray[np.int32], Floats]:
    """Return `nearest_neighbours` of the unit rows of the whole pool, (N, K) each, computed once per pool and k."""
    units = pool_units(query)

    def search(*_: object) -> Arrays:
        ids, far = nearest_neighbours(units, k)
        return {"ids": ids, "distances": far}

    found = query.derived.get(f"neighbours/1/{k}", search)
    return found["ids"], found["distances"]


def nearest_neighbours(rows: Features, k: int) -> tuple[NDArray[np.int32], Floats]:
    """Return the K = min(``k``, M - 1) nearest other rows of each row, (M, K), and their distances (M, K), ascending.

    Of rows equally far the one with the lower number comes first. Candidates come from products where this
    trial computes; of a trial on the CPU from faiss, should it see a GPU. The answer does not depend on that.
    """
    M, k = len(rows), min(k, len(rows) - 1)
    ids, far = np.empty((M, k), np.int32), np.empty((M, k))
    products = _Products((rows - rows.mean(axis=0, dtype=np.float64)).astype(np.float32))
    search = _search(products, rows, min(k + 1 + SPARE, M))
    strip = max(1, min(STRIP, STRIP_BYTES // (4 * M)))
    for start in range(0, M if k else 0, strip):
        own = np.arange(start, min(start + strip, M))
        found, last = search(own)
        ids[own], far[own] = _ranked(rows, own, found, k)
        doubtful = np.square(far[own, -1]) / 2 >= last - products.error
        for row in own[doubtful] if found.shape[1] < M else ():
            ids[row], far[row] = _ranked(rows, row[None], np.arange(M)[None], k)
    return ids, far


Search = Callable[[Positions], tuple[Positions, Floats]]
"""From rows (R,) to candidates (R, K') for the nearest, and half the squared distance beyond which others are (R,)."""


def _search(products: _Products, rows: Features, k: int) -> Search:
    if device.active() == "cpu" and len(rows) >= LARGE:
        import faiss  # noqa: PLC0415 - takes a second, for which only large pools should wait

        if faiss.get_num_gpus():
            return _search_by_faiss(faiss.index_cpu_to_all_gpus(faiss.IndexFlatL2(rows.shape[1])), products, k)
    return partial(_search_by_products, products, k)


def _search_by_faiss(index: Any, products: _Products, k: int) -> Search:  # Any: faiss has no types
    rows = products.rows
    index.add(rows)

    def search(own: Positions) -> tuple[Positions, Floats]:
        squares, found = index.search(rows[own], k)
        return found, squares[:, -1].astype(np.float64) / 2

    return search


def _search_by_products(products: _Products, k: int, own: Positions) -> tuple[Positions, Floats]:
    closeness = products.there(own, slice(None))
    if not isinstance(closeness, np.ndarray):
        found, last = gpu.largest(closeness, k)
        return found, -last.astype(np.float64)
    far = -closeness
    some = far[:, :: max(far.shape[1] // max(4 * TILE, k), 1)]
    bound = np.partition(some, k - 1, axis=1)[:, k - 1 : k]  # no farther than this are k of all
    i, j = np.divmod(np.flatnonzero(far <= bound), far.shape[1])
    order = np.lexsort((far[i, j], i))
    starts = np.searchsorted(i, np.arange(len(own)))
    found = j[order[starts[:, None] + np.arange(k)]]
    return found, np.take_along_axis(far, found[:, -1:], axis=1)[:, 0].astype(np.float64)


def _ranked(rows: Features, own: Positions, found: Positions, k: int) -> tuple[Positions, Floats]:
    """Return the k nearest of the rows that were found (R, K') for each row (R,), itself left out, and how far."""
    far = distances(rows, np.repeat(own, found.shape[1]), found.ravel()).reshape(found.shape)
    far[found == own[:, None]] = np.inf
    order = np.lexsort((found, far), axis=1)[:, :k]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(far, order, axis=1)

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Floats, Query, Rows
from ..kernels.distances import Positions
from ..kernels.joint import distributions, information_beyond, information_of, merged, with_label
from ..kernels.scores import argmax, fill, mutual_information, settled, top

HELD = 2**27  # probabilities that are held, 1 GiB; more are computed again for each pick
MERGED = 24  # configurations, in place of all, that bound the gain of every row
LOOK = 64  # rows whose gain is computed at once

Gains = Callable[[Floats, Positions | slice], NDArray[Any]]
"""From configurations and rows to the gains of these rows."""


@strategy(
    "batchbald",
    cite="Kirsch, van Amersfoort and Gal, BatchBALD: Efficient and Diverse Batch Acquisition for Deep Bayesian Active "
    "Learning, NeurIPS 2019 (arXiv 1906.08158)",
    version=2,
    needs={"passes"},
)
@dataclass(frozen=True)
class BatchBALD:
    """The batch whose labels together would say most about the model, row by row (Algorithm 1).

    The next row has the largest I(labels of the batch and the row; model). Labels of the batch are taken in all
    possible configurations while there are at most ``configurations`` of them, and beyond as many are drawn (the
    paper's section 3.4; ours are drawn in equal shares of probability, each from the one before it). A gain is taken
    given the batch's labels; it is that of the joint entropies, but drawn configurations leave it at least 0.

    No batch says more than log ``passes``. Its labels soon tell which pass they are from, and then no row adds
    anything (`ROUNDING`): the rest of the batch is drawn at random, of 10 passes and 100 classes from about the 45th
    row on. Ask for more passes where batches are large.

    The picks are those of looking at all U rows. Like configurations, put together, bound a gain from above: only
    rows whose bound reaches the best gain are looked at with all m configurations. Cost: K passes over the pool and,
    for each pick until nothing is added, O(U C K) 24 times and O(C m K) for each row looked at. Memory: 8 K U C
    bytes up to 1 GiB; a larger pool's passes are computed again for each pick, in blocks. With ``candidates`` only so
    many rows of largest BALD take part (none by default).
    """

    passes: int = 10
    configurations: int = 500
    candidates: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("passes", 2), ("configurations", 1), ("candidates", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}; it must be at least {least}")

    def select(self, query: Query) -> Rows:
        bald = query.rowwise_passes(self.passes, mutual_information)
        some = self._taking_part(bald, query)
        if not len(some):
            return query.unlabelled[fill(some, query.n, len(bald), query.rng)]
        rows, gain, picks = query.unlabelled[some], bald[some], list[int]()
        gains, configurations = self._gains(query, rows), np.full((1, self.passes), 1 / self.passes)
        while gain.any():
            picks.append(argmax(gain, query.rng))
            if len(picks) == query.n:
                break
            labels = query.of(rows[picks[-1:]]).passes(self.passes)[:, 0]
            configurations = with_label(configurations, labels, self.configurations, query.rng)
            bounds = gains(merged(configurations, MERGED), slice(None))
            bounds[picks] = 0
            gain = settled(bounds, 1, partial(gains, configurations), LOOK)
        return query.unlabelled[fill(some[picks], query.n, len(bald), query.rng)]

    def _taking_part(self, bald: NDArray[np.float32], query: Query) -> Positions:
        """Return the rows that say something, and of these the candidates."""
        if self.candidates is None:
            return np.flatnonzero(bald)
        best = top(bald, max(self.candidates, query.n), query.rng)
        return np.sort(best[bald[best] > 0])

    def _gains(self, query: Query, rows: Rows) -> Gains:
        """Return what gives the gains of rows (R,), by their positions."""
        if self.passes * len(rows) * query.n_classes <= HELD:
            p, entropies = distributions(query.of(rows).passes(self.passes))
            return lambda known, at: information_of(p[:, at], entropies[:, at], known).astype(np.float32)
        return lambda known, at: (
            query.of(rows[at]).rowwise_passes(self.passes, partial(information_beyond, configurations=known)).copy()
        )

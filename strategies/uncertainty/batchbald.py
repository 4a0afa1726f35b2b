from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Floats, Query, Rows
from ..kernels.distances import Positions
from ..kernels.joint import information_beyond, with_label
from ..kernels.scores import argmax, fill, mutual_information, settled, top

LOOK = 512  # rows whose gain is computed at once


@strategy(
    "batchbald",
    cite="Kirsch, van Amersfoort and Gal, BatchBALD: Efficient and Diverse Batch Acquisition for Deep Bayesian Active "
    "Learning, NeurIPS 2019 (arXiv 1906.08158)",
    version=1,
    needs={"passes"},
)
@dataclass(frozen=True)
class BatchBALD:
    """The batch whose labels together would say most about the model, row by row (Algorithm 1).

    The next row has the largest I(labels of the batch and the row; model). Labels of the batch are taken in all
    possible configurations while there are at most ``configurations`` of them, and beyond as many are drawn (the
    paper's section 3.4; ours are drawn in equal shares of probability, each from the one before it). An entropy is
    taken given the batch's labels, which differs from the paper's joint entropy by what is the same for all rows.
    No batch says more than log ``passes``: ask for more of them where batches are large.

    The gain of a row only falls while the batch grows (the paper's appendix A), so a row is looked at again only
    when its last gain reaches the best: the same picks as by looking at all of them. Where configurations are drawn
    gains are estimates, and this leaves out rows whose estimate would have risen. Rows that add nothing are drawn.

    Cost: K passes over the pool, and for each pick O(C m K) for each of the rows looked at, m configurations; U rows
    at worst. Memory: a block of passes and a few megabytes. With ``candidates`` only so many rows of largest BALD
    take part (none by default).
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
        gain = self._taking_part(query.rowwise_passes(self.passes, mutual_information), query)
        configurations = np.full((1, self.passes), 1 / self.passes)
        picks: list[int] = []
        while len(picks) < query.n:
            if picks:
                labels = query.of(query.unlabelled[picks[-1:]]).passes(self.passes)[:, 0]
                configurations = with_label(configurations, labels, self.configurations, query.rng)
                gain = self._looked(query, gain, configurations)
            if not gain.any():
                break
            picks.append(argmax(gain, query.rng))
            gain[picks] = 0
        return query.unlabelled[fill(np.array(picks, np.int64), query.n, len(gain), query.rng)]

    def _taking_part(self, bald: NDArray[np.float32], query: Query) -> NDArray[np.float32]:
        """Return BALD's scores (U,), 0 for the rows that are no candidates."""
        if self.candidates is None:
            return bald.copy()
        best, gain = top(bald, max(self.candidates, query.n), query.rng), np.zeros_like(bald)
        gain[best] = bald[best]
        return gain

    def _looked(self, query: Query, gain: NDArray[np.float32], configurations: Floats) -> NDArray[np.float32]:
        """Return the gains (U,) with the largest up to date, and those that may have been as large."""
        beyond = partial(information_beyond, configurations=configurations)

        def score(rows: Positions) -> NDArray[Any]:
            return query.of(query.unlabelled[rows]).rowwise_passes(self.passes, beyond)

        return settled(gain, 1, score, LOOK)

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Floats, Labels, Query, Rows
from ..kernels.distances import CHUNK, Distances, Positions, blocks, euclidean, pool_units
from ..kernels.parameters import check
from ..kernels.scores import argmax, margin

Mask = NDArray[np.bool_]

FEW = 128  # labelled rows whose distances to all rows are held at once


@strategy(
    "dcom",
    cite="Mishal and Weinshall, DCoM: Active Learning for All Learners, 2024 (arXiv 2407.01804; "
    "its version 3: Competence-Driven Adaptive Active Learning)",
    version=1,
    needs={"probabilities"},
)
@dataclass(frozen=True)
class DCoM:
    """Coverage while little is covered, margin when much is, with a radius of its own for each labelled row.

    The ball of a labelled row holds the unit rows nearer than its radius; coverage c is the share of all rows that are
    in some ball. With competence S = p / (1 + exp(-k (c - a))), p = 1 + exp(-k (1 - a)), k = ``steepness`` and a =
    ``centre``, each pick has the largest S · m + (1 - S) · d: m is 1 - margin, d the number of rows not covered yet
    that are nearer than the mean radius, each scaled to [0, 1] over the unlabelled rows. What is around a pick counts
    as covered from then on.

    A radius is found by bisection of [0, ``max_delta``] to ``resolution``: as large as still leaves a share of at least
    0.2 c + 0.4 of the ball predicted as the row is labelled, with c the coverage when the row's batch has radius
    ``delta``; batches follow each other as they were bought. (As summarised from the authors' code.)

    Time O(N (|L| + N) D), about a minute at 50,000 x 512; memory O(N D) and a block: no graph is kept, since balls may
    hold a large part of the pool. Distances are in single precision. Ties are broken by the query's generator. Where we
    differ: the authors keep the radius found in the round after a row was bought, by the model of that round; here
    nothing is kept between rounds, and all radii follow from the current model. Radii and S are not rounded.
    """

    delta: float = 0.6
    max_delta: float = 1.1
    resolution: float = 0.05
    steepness: float = 50.0
    centre: float = 0.8

    def __post_init__(self) -> None:
        check("dcom", self, {}, ("delta", "max_delta", "resolution", "steepness"))
        if not 0 < self.centre < 1:
            raise ValueError(f"dcom: centre is {self.centre}; it must be above 0 and below 1")

    def select(self, query: Query) -> Rows:
        rows, n_labelled = np.concatenate([query.labelled, query.unlabelled]), len(query.labelled)
        distances = euclidean(pool_units(query)[rows])
        radii, covered = self.radii(query, distances, query.of(rows).predicted)
        S, radius = self.competence(covered.mean()), float(radii.mean())
        own = np.arange(n_labelled, len(rows))
        uncertain = _scaled(query.rowwise(margin).astype(np.float64))
        degree = degrees(distances, own, np.flatnonzero(~covered), radius)
        is_open, picks = np.ones(len(own), dtype=bool), list[int]()
        while len(picks) < query.n:
            score = S * _share(uncertain, is_open) + (1 - S) * _share(degree, is_open)
            picks.append(argmax(np.where(is_open, score, -1), query.rng))
            is_open[picks[-1]] = False
            near = distances.to(slice(None), own[picks[-1:]])[:, 0] < radius**2
            reached = np.flatnonzero(near & ~covered)
            covered[reached] = True
            degree -= degrees(distances, own, reached, radius)
        return query.unlabelled[picks]

    def competence(self, coverage: float) -> float:
        """Return S: about 0 where nothing is covered, 1 where everything is."""
        p = 1 + math.exp(-self.steepness * (1 - self.centre))
        return p * (1 + math.tanh(self.steepness * (coverage - self.centre) / 2)) / 2

    def radii(self, query: Query, distances: Distances, predicted: Labels) -> tuple[Floats, Mask]:
        """Return the radius of each labelled row, (L,), and which rows (M,), the labelled first, are in its ball."""
        radii, covered = np.empty(len(query.labels)), np.zeros(len(distances), dtype=bool)
        ends = np.cumsum(query.purchases)
        for start, end in zip(ends - query.purchases, ends, strict=True):
            batch = [np.arange(i, min(i + FEW, end)) for i in range(start, end, FEW)]
            at_first = covered.copy()
            for part in batch:
                at_first |= (distances.to(part, np.arange(len(distances))) < self.delta**2).any(axis=0)
            least = 0.2 * at_first.mean() + 0.4
            for part in batch:
                squares = distances.to(part, np.arange(len(distances)))
                radii[part] = self._bisected(squares, predicted == query.labels[part, None], least)
                covered |= (squares < np.square(radii[part, None])).any(axis=0)
        return radii, covered

    def _bisected(self, squares: NDArray[np.float32], right: Mask, least: float) -> Floats:
        """Return the radius of each row of ``squares`` (b, M), ``right`` (b, M) where its label is predicted."""
        low, width = np.zeros(len(squares)), self.max_delta
        while width > self.resolution:
            width /= 2
            ball = squares < np.square(low + width)[:, None]
            pure = (ball & right).sum(axis=1) >= least * ball.sum(axis=1)
            low[pure] += width
        return low + width / 2


def degrees(distances: Distances, rows: Positions, others: Positions, radius: float) -> Positions:
    """Return how many of others are nearer than ``radius`` to each row, (R,)."""
    found = np.zeros(len(rows), dtype=np.int64)
    for part in blocks(len(rows) if len(others) else 0):
        for some in blocks(len(others), CHUNK):
            found[part] += (distances.to(rows[part], others[some]) < radius**2).sum(axis=1)
    return found


def _scaled(values: Floats) -> Floats:
    """Return values (U,) less the least; what is rounding counts as none."""
    above: Floats = np.round(values - values.min(), 6)
    return above


def _share(values: NDArray[np.floating] | Positions, is_open: Mask) -> Floats:
    """Return values (U,) as shares of the largest that is open; 0 where that is 0."""
    largest = values[is_open].max()
    shares: Floats = values / (largest if largest > 0 else 1)
    return shares

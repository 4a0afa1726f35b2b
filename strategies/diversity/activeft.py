from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Features, Floats, Query, Rows
from ..kernels.distances import Positions, pool_units, unit_rows
from ..kernels.neighbours import nearest_rows
from ..kernels.nets.adam import Adam
from ..kernels.parameters import check

DEPTH = 4  # rows that each centroid asks for at first


@strategy(
    "activeft",
    cite="Xie, Lu, Yan, Yang, Tomizuka and Zhan, Active Finetuning: Exploiting Annotation Budget in the "
    "Pretraining-Finetuning Paradigm, CVPR 2023 (arXiv 2303.14382)",
    version=1,
)
@dataclass(frozen=True)
class ActiveFT:
    """The rows nearest n centroids that are moved near the pool and away from each other.

    n centroids begin as unlabelled rows drawn at random and are moved by Adam for ``iterations`` steps of ``rate`` on
    mean_x -log(e(x·c) / (e(x·c) + Σ_j e(c_j·c))), e(s) = exp(s / ``temperature``), over unit rows x, c being the
    centroid most like x and c_j all centroids, c itself too, of which only c is moved (as summarised from the authors'
    code). Then each centroid in turn takes the unlabelled row most like it that is still free. It asks no model.

    The paper selects once; here the labelled rows stand beside a round's centroids as centroids that stay, so that
    without labels it is the paper's. Where we differ besides: each step looks at ``batch`` rows drawn anew where the
    pool has more (the authors take all). Time O(iterations · batch (n + |L|) D + U n D), memory O(batch (n + |L|)).
    """

    iterations: int = 300
    rate: float = 1e-3
    temperature: float = 0.07
    batch: int = 2048

    def __post_init__(self) -> None:
        check("activeft", self, {"iterations": 0, "batch": 1}, ("rate", "temperature"))

    def select(self, query: Query) -> Rows:
        units, open_ = pool_units(query), query.rng.permutation(query.unlabelled)  # equal rows come in any order
        centroids, fixed = units[open_[: query.n]].astype(np.float64), units[query.labelled]
        adam = Adam(centroids, self.rate)
        for _ in range(self.iterations):
            few = self.batch < len(units)
            seen = units[query.rng.choice(len(units), self.batch, replace=False)] if few else units
            adam.step(gradient(seen, centroids, fixed, self.temperature))
        return open_[nearest_free(units[open_], unit_rows(centroids.astype(np.float32)))]


def gradient(rows: Features, centroids: Floats, fixed: Features, temperature: float) -> Floats:
    """Return the gradient of the loss at the centroids (n, D), over unit rows (M, D); ``fixed`` (L, D) stay."""
    lengths = np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    c = centroids / lengths
    everyone = np.concatenate([c.astype(np.float32), fixed])
    among = np.exp((everyone @ everyone[: len(c)].T).astype(np.float64) / temperature)  # (n + L, n)
    similar = rows @ everyone.T
    nearest = similar.argmax(axis=1)
    own = np.flatnonzero(nearest < len(c))  # the others are nearest a row that stays
    nearest = nearest[own]
    near = np.exp(similar[own, nearest].astype(np.float64) / temperature)
    away = among.sum(axis=0)[nearest]
    pull = np.zeros((len(own), len(c)), np.float32)
    pull[np.arange(len(own)), nearest] = -away / (near + away)
    push = np.bincount(nearest, 1 / (near + away), minlength=len(c))
    at_c = pull.T @ rows[own] + push[:, None] * (among.T @ everyone)
    at_c -= (at_c * c).sum(axis=1, keepdims=True) * c  # a centroid counts by its direction alone
    found: Floats = at_c / (lengths * temperature * len(rows))
    return found


def nearest_free(rows: Features, centroids: Features) -> Positions:
    """Return a position for each centroid in turn: the row (M, D) nearest to it that none before has taken."""
    taken, depth, picks = np.zeros(len(rows), dtype=bool), 0, list[int]()
    ids = np.empty((len(centroids), 0), dtype=np.int64)
    for i in range(len(centroids)):
        while taken[ids[i]].all():
            depth = min(max(DEPTH, 4 * depth), len(rows))
            ids = nearest_rows(rows, centroids, depth)[0]
        picks.append(int(ids[i, np.argmin(taken[ids[i]])]))
        taken[picks[-1]] = True
    return np.array(picks, dtype=np.int64)

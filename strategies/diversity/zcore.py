from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Arrays, Features, Floats, Query, Rows
from ..kernels.parameters import check
from ..kernels.scores import top

TOGETHER, SUBSPACES = 100, 1000  # samples of a subspace, at least, and subspaces, at most: each takes a tree
CROWD = 6  # where neighbours are one row of so many, or more, to look at all rows is faster than a tree


@strategy(
    "zcore",
    cite="Griffin, Marks and Corso, Zero-Shot Coreset Selection via Iterative Subspace Sampling, 2024 "
    "(arXiv 2411.15349)",
    version=2,
)
@dataclass(frozen=True)
class ZCore:
    """The rows that cover the most of the embedding's subspaces and repeat others the least; asks no label, no model.

    Many times a subspace of ``dims`` coordinates is drawn, and in it a sample: each coordinate triangular between the
    pool's least and largest value, with the mode at its median. The row nearest to the sample (by the sum of absolute
    differences) gains 1, and its ``neighbours`` nearest rows lose 1 together, in proportion to distance^-``power``. A
    row's score is the sum and a draw from [0, 1); the n largest are bought (as summarised from public copies of the
    authors' code, and with the numbers of the paper's runs there; the paper could not be read). There are ``samples``
    of these, but no more than 10 N.

    The paper prunes a training set to 10 % and more, and trains a network on what is left. On embeddings by SimCLR with
    a linear head nothing is gained over `random`, from 8 to 48 % of digits (0.2 ± 0.3 points) to 3 to 11 % of
    Fashion-MNIST (-0.2 ± 0.4) and CIFAR-10 (-1.0 ± 0.4); below that its rows are outliers and it loses (from 10 to 60
    labels of Fashion-MNIST 12 ± 5 points: rows 1.5 times as far from their neighbours as the pool, 40 % of a batch one
    class). With 5 neighbours and power 2 it is a little better here (digits, middle: 1.2 ± 0.3).

    Scores are a property of the embedding: computed once per pool, only the draw is each query's. A tree for each
    subspace: time O(N log N) for each of 1,000 at most, and O(log N + ``neighbours``) a sample, some minutes at 50,000
    rows, once an embedding; memory O(N D). Where we differ: 100 samples or more share a subspace (the authors draw one
    for each; the expected scores are the same), and all neighbours at distance 0 share the loss (there the first has
    it).
    """

    samples: int = 1_000_000
    dims: int = 2
    neighbours: int = 1000
    power: float = 4.0

    def __post_init__(self) -> None:
        check("zcore", self, {"samples": 1, "dims": 1, "neighbours": 1, "power": 0})

    def select(self, query: Query) -> Rows:
        draw = query.rng.random(len(query.unlabelled))
        return query.unlabelled[top(self.scores(query)[query.unlabelled] + draw, query.n, query.rng)]

    def scores(self, query: Query) -> Floats:
        """Return what each row of the pool gains and loses, (N,), once per pool."""

        def sample(features: Features, rng: np.random.Generator) -> Arrays:
            return {"scores": self._sampled(features, rng)}

        key = f"zcore/1/{self.samples}/{self.dims}/{self.neighbours}/{self.power!r}"
        return query.derived.get(key, sample)["scores"]

    def _sampled(self, features: Features, rng: np.random.Generator) -> Floats:
        from scipy.spatial import KDTree  # noqa: PLC0415 - a fifth of a second that only this rule should pay

        N, D = features.shape
        order = rng.permutation(N)  # so that of equal rows any may be the nearest
        low, middle, high = features.min(axis=0), np.median(features, axis=0), features.max(axis=0)
        scores = np.zeros(N)
        left = min(self.samples, 10 * N)
        together = max(TOGETHER, -(-left // SUBSPACES))
        while left:
            dims = rng.choice(D, min(self.dims, D), replace=False)
            size = min(left, together)
            left -= size
            rows = features[np.ix_(order, dims)].astype(np.float64)
            tree = KDTree(rows, compact_nodes=False, balanced_tree=False)
            spread = np.maximum(high[dims], np.nextafter(low[dims], np.float32(np.inf)))  # a constant is no triangle
            drawn = rng.triangular(low[dims], np.minimum(middle[dims], spread), spread, (size, len(dims)))
            _, nearest = tree.query(drawn, p=1)
            np.add.at(scores, nearest, 1)
            if N > 1:
                asked = min(self.neighbours + 1, N)
                few = asked * CROWD < N
                far, others = tree.query(rows[nearest], asked, p=1) if few else _of_all(rows, nearest, asked)
                self._lose(scores, nearest, far, others)
        found = np.empty(N)
        found[order] = scores
        return found

    def _lose(self, scores: Floats, nearest: Rows, far: Floats, others: Rows) -> None:
        """Let the neighbours (s, K + 1) of rows (s,) lose what these gained; a row is no neighbour of itself."""
        own = others == nearest[:, None]
        own[~own.any(axis=1), -1] = True  # so many equal rows that it is not among its own neighbours
        closest = np.where(own, np.inf, far).min(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(closest > 0, (closest / far) ** self.power, far == 0)
        share[own] = 0
        scores -= np.bincount(others.ravel(), (share / share.sum(axis=1, keepdims=True)).ravel(), len(scores))


def _of_all(rows: Floats, nearest: Rows, asked: int) -> tuple[Floats, Rows]:
    """Return distances (s, asked) and numbers (s, asked) of the rows nearest these (s,), the farthest last."""
    from scipy.spatial.distance import cdist  # noqa: PLC0415 - see above

    far = cdist(rows[nearest], rows, "cityblock")
    others = np.argpartition(far, asked - 1)[:, :asked]
    return np.take_along_axis(far, others, axis=1), others

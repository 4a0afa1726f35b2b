from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Answers, Features, Query, Rows
from ..kernels.distances import Matrix, Positions, blocks, unit_rows
from ..kernels.head.gradients import errors
from ..kernels.scores import argmax

DEPTH, WIDTH = 32, 256  # matches of a centre that are looked up at first, and centres that are compared at once


@strategy(
    "al-fk",
    cite="Gudovskiy, Hodgkinson, Yamaguchi and Tsukizawa, Deep Active Learning for Biased Datasets via Fisher Kernel "
    "Self-Supervision, CVPR 2020 (arXiv 2003.00393)",
    version=1,
    needs={"validation", "probabilities", "hidden"},
)
@dataclass(frozen=True)
class ALFK:
    """The rows that are most like the validation rows which the model gets wrong.

    Two rows are as similar as their features are correlated and their gradients are: z·z' + g·g', where z is what the
    model's last layer sees, h (H,), centred and of length 1, and g = (p - e_predicted) x h of length 1, the last
    layer's gradient under the predicted label; it is centred as it stands. Factorised: g·g' = (q·q') (h·h') over unit
    vectors. More than n misclassified rows are thinned to n centres: the first a draw, then again and again the one
    whose nearest centre is the least similar. Each centre offers its most similar unlabelled row, the best offers
    first, then its second, and so on; a row offered before is passed over, until n are bought.

    Time O((U + V) n (C + H)), memory O(U (C + H)), never (U, C H). Where no validation row is misclassified, all of
    them are asked for; the paper does not say. Where we differ from the authors' code: it sums over several layers,
    with the gradient at a layer's pooled features for g, and each centre offers no more than its 32 best.
    """

    def select(self, query: Query) -> Rows:
        rows, labels = query.validation
        said = query.of(rows)
        wrong = said.predicted != labels
        known = Descriptors.of(said).at(np.flatnonzero(wrong if wrong.any() else ~wrong))
        centres = known.at(spread_out(known, query.n, query.rng))
        shuffled = query.rng.permutation(len(query.unlabelled))  # so that equally similar rows come in any order
        pool = Descriptors.of(query.of(query.unlabelled[shuffled]))
        return query.unlabelled[shuffled[offered(pool, centres, query.n)]]


@dataclass(frozen=True, eq=False)
class Descriptors:
    """Of M rows: hidden features (M, H), centred and not, and the errors q (M, C); all of length 1, or 0."""

    centred: Features
    hidden: Features
    errors: Features

    @classmethod
    def of(cls, said: Answers) -> "Descriptors":
        """Return the descriptors of all rows that a model was asked about."""
        centred = said.hidden - said.hidden.mean(axis=1, keepdims=True)
        q = errors(said.probs, said.predicted, np.float32)
        return cls(unit_rows(centred), unit_rows(said.hidden), unit_rows(q))

    def __len__(self) -> int:
        return len(self.hidden)

    def at(self, positions: Positions | slice) -> "Descriptors":
        """Return the descriptors of some rows."""
        return Descriptors(self.centred[positions], self.hidden[positions], self.errors[positions])

    def similarity(self, others: "Descriptors") -> Matrix:
        """Return how similar each row is to each of others, (M, Mo), from -2 to 2."""
        similar: Matrix = self.errors @ others.errors.T
        similar *= self.hidden @ others.hidden.T
        similar += self.centred @ others.centred.T
        return similar


def spread_out(rows: Descriptors, n: int, rng: np.random.Generator) -> Positions:
    """Return ``n`` positions, or all: a draw, then again and again that whose greatest similarity to them is least."""
    if n >= len(rows):
        return rng.permutation(len(rows))
    centres = [int(rng.integers(len(rows)))]
    greatest = np.full(len(rows), -np.inf)
    while len(centres) < n:
        np.maximum(greatest, rows.similarity(rows.at(slice(centres[-1], centres[-1] + 1)))[:, 0], out=greatest)
        greatest[centres] = np.inf
        centres.append(argmax(-greatest, rng))
    return np.array(centres, dtype=np.int64)


def offered(pool: Descriptors, centres: Descriptors, n: int) -> Positions:
    """Return the first ``n`` different positions in the pool that the centres offer, depth by depth, the best first."""
    depth, found = DEPTH, np.empty(0, dtype=np.int64)
    while len(found) < n:
        depth = min(depth, len(pool))
        matches, similar = deepest(pool, centres, depth)
        order = np.argsort(-similar, axis=1, kind="stable")
        offers = np.take_along_axis(matches, order, axis=1).ravel()
        _, first = np.unique(offers, return_index=True)
        found, depth = offers[np.sort(first)], 4 * depth
    return found[:n]


def deepest(pool: Descriptors, centres: Descriptors, depth: int) -> tuple[Positions, Matrix]:
    """Return the positions (depth, K) of each centre's most similar rows, the most similar above, and how similar."""
    matches = np.empty((depth, len(centres)), dtype=np.int64)
    similar = np.empty((depth, len(centres)), dtype=np.float32)
    for start in range(0, len(centres), WIDTH):
        part = slice(start, start + WIDTH)
        some = centres.at(part)
        everything = np.concatenate([pool.at(rows).similarity(some) for rows in blocks(len(pool))])
        near = np.argpartition(-everything, depth - 1, axis=0)[:depth]
        near = np.take_along_axis(near, np.argsort(-np.take_along_axis(everything, near, axis=0), axis=0), axis=0)
        matches[:, part], similar[:, part] = near, np.take_along_axis(everything, near, axis=0)
    return matches, similar

from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Floats, Labels, Query, Rows
from ..kernels.nets.classwise import ByClass, likelihoods
from ..kernels.nets.dense import DIGITS, Inputs
from ..kernels.sampling import candidates
from ..kernels.scores import top


@strategy(
    "vab-al",
    cite="Choi, Yi, Kim, Choo, Kim, Chang, Gwon and Chang, VaB-AL: Incorporating Class Imbalance and Difficulty with "
    "Variational Bayes for Active Learning, CVPR 2021 (arXiv 2003.11249)",
    version=1,
    needs={"hidden"},
)
@dataclass(frozen=True)
class VaBAL(ByClass):
    """The rows that the model most probably gets wrong, by Bayes' rule over the class that is predicted.

    p(wrong | x) = sum_c p(wrong | c) p(x | c) p(c) / sum_c p(x | c) p(c), the three terms of the paper's abstract. They
    come from an autoencoder on what the model's last layer sees, whose code has ``group`` units for each class: it
    learns ``candidates`` unlabelled rows, drawn at random, each rebuilt without the group of its predicted class, by
    the ELBO and ``pull`` times the cross-entropy of softmax(-|z_c|²) with that class. A code names the class whose
    group is the shortest. Over ``draws`` codes a row, p(c) is how often a class is named among the candidates;
    p(wrong | c) how often wrongly among the labelled rows; log p(x | c) is that of rebuilding x without the group of c.

    p(wrong | c) counts one more row with the error over all classes, so that a class named seldom is not taken for
    hopeless or perfect. Scores are rounded to 9 digits, ties drawn by the query's generator. Time O(steps · batch (H +
    C group) hidden + draws · M C hidden²) for M = |L| + candidates, whatever N; memory O(M (H + C)).

    The score is largest where the class with most mistakes is certain. On digits (raw, ``linear``) 10 at once from
    10 labels lose 11 ± 8 points to `random`, 100 at once from 100 labels 3.8 ± 1.0: 66 and 87 % of a batch are one
    class. At 60 labels the first ten are all of that class and wrong no more often than the pool (1.1 times; 2.4 by the
    true p(wrong | c), with which that of the labelled rows has a rank correlation of 0.17). The best of each true class
    in equal number would gain 3.8 ± 7.0. The paper's pools are imbalanced: with a tenth of the rows of five classes 0.5
    ± 2.8 are lost from 10 labels, where `entropy` gains 4.7 ± 3.2, and 3.2 ± 8.6 gained from 50 (14.3 ± 2.9).

    Where we differ: the paper's equations could not be read; this is the abstract's formula with the network of the
    authors' code. That code leaves p(wrong | c) out, puts reconstruction errors where likelihoods belong, normalises
    batches, sees several layers and draws 100 codes. Its decoder has variance 1 on features of variance 1; on frozen
    features codes are then empty and all classes equally likely, hence our ``variance``.
    """

    candidates: int = 10_000

    def __post_init__(self) -> None:
        self.check("vab-al")
        if self.candidates < 1:
            raise ValueError(f"vab-al: candidates is {self.candidates}; it must be at least 1")

    def select(self, query: Query) -> Rows:
        asked, known = candidates(query, self.candidates), len(query.labelled)
        rows, C, rng = np.concatenate([query.labelled, asked]), query.n_classes, query.rng
        inputs, positions = Inputs(query.of(rows).hidden), np.arange(len(rows))
        vae = self.trained(inputs, positions[known:], query.of(asked).predicted.astype(np.int64), C, rng)
        named, log = likelihoods(vae, inputs, positions, C, self, rng)
        wrong = mistakes(named[:known], query.labels)
        return asked[top(np.round(posterior(wrong, log[known:], named[known:].mean(axis=0)), DIGITS), query.n, rng)]


def mistakes(named: Floats, labels: Labels) -> Floats:
    """Return how often a class (C,) is named wrongly, from how often each is named (L, C) of rows with these labels."""
    right, often = np.zeros(named.shape[1]), named.sum(axis=0)
    np.add.at(right, labels, named[np.arange(len(labels)), labels])
    overall = 1 - right.sum() / often.sum()
    return np.asarray((often - right + overall) / (often + 1))


def posterior(wrong: Floats, log: Floats, prior: Floats) -> Floats:
    """Return sum_c wrong_c p(c | x), (U,), from log p(x | c) (U, C) and p(c) (C,)."""
    reach = log[:, prior > 0] + np.log(prior[prior > 0])
    odds = np.exp(reach - reach.max(axis=1, keepdims=True))
    return np.asarray(odds @ wrong[prior > 0] / odds.sum(axis=1))

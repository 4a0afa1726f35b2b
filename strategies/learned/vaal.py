from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.nets.adversary import Game, unlike
from ..kernels.nets.dense import Inputs
from ..kernels.scores import top


@strategy(
    "vaal",
    cite="Sinha, Ebrahimi and Darrell, Variational Adversarial Active Learning, ICCV 2019 (arXiv 1904.00370)",
    version=1,
)
@dataclass(frozen=True)
class VAAL(Game):
    """The rows that a discriminator takes least for labelled ones, on codes that an autoencoder learned to hide it in.

    A variational autoencoder with ``latent`` units is trained on labelled and unlabelled rows alike, by -E log p(x|z) +
    ``beta`` KL(q(z|x), N(0, 1)) + ``adversary`` · BCE(D(mean code), labelled); after every ``vae_steps`` batches the
    discriminator D learns which rows are labelled (1) and which are not (0). Bought are the n smallest D.

    Nothing of the model is asked. With no labelled row there is nothing to tell apart: the batch is a draw. Logits are
    rounded to 9 digits, ties drawn by the query's generator. Time O(steps · batch (D + latent + hidden) hidden), at
    most ``steps`` batches of ``epochs`` over the unlabelled rows, and O(N D hidden) to ask D; memory O(N).

    On digits (raw, ``linear``) 10 at once from 10 labels lose 11 ± 5 points to `random`: they are 1.24 times as far
    from their ten nearest rows as the pool. Without the fifth of the pool that is farthest from its own, 0.4 ± 2.1 are
    gained. (The largest D lose 13 ± 5.)

    Where we differ from the paper: it runs on images with convolutions and D has five layers; here the pool's features
    (centred, mean square 1) pass dense layers of ``hidden`` units, three in D. The ELBO is divided by the number of
    features, both terms; in the authors' code the squared error is, but KL is summed over the batch and rules the loss.
    Their code as last published asks D for 0 on unlabelled rows in the autoencoder's loss; the paper, and we, for 1.
    """

    def __post_init__(self) -> None:
        self.check("vaal")

    def select(self, query: Query) -> Rows:
        rows = query.unlabelled
        if not len(query.labelled):
            return query.rng.choice(rows, query.n, replace=False)
        nothing = np.empty((len(query.features), 0))
        doubt = unlike(Inputs(query.features), query.labelled, rows, nothing, self, query.rng)
        return rows[top(doubt, query.n, query.rng)]

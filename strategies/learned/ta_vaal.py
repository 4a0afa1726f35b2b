from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.nets.adversary import Game, unlike
from ..kernels.nets.dense import Inputs, sigmoid
from ..kernels.nets.ranking import LossNet, by_odds, losses
from ..kernels.parameters import check
from ..kernels.sampling import candidates
from ..kernels.scores import top


@strategy(
    "ta-vaal",
    cite="Kim, Park, Kim and Chun, Task-Aware Variational Adversarial Active Learning, CVPR 2021 (arXiv 2002.04709)",
    version=1,
    needs={"probabilities", "hidden"},
)
@dataclass(frozen=True)
class TAVAAL(Game):
    """`vaal`, with decoder and discriminator told of each row how large the model's loss on it should be.

    First the network of `learning-loss` learns to order the labelled rows by their cross-entropy, from pairs, by the
    cross-entropy between sigmoid(s_i - s_j) and whether l_i > l_j (the ranker of RankCGAN), in at most
    ``ranker_steps`` batches. Then `vaal` is played on the labelled rows and ``candidates`` unlabelled ones drawn at
    random (more where the batch needs more): the decoder sees (z, r), the discriminator (mean code, r), where r =
    sigmoid(s). Bought are the n smallest D(mean code, r).

    Both networks see what the model's last layer sees. With one labelled row nothing can be ordered and r is 1/2. Ties
    as in `vaal`; cost: that of `vaal` and of `learning-loss`, whatever N and C beyond the model's own answers.

    On digits (raw, ``linear``) 10 at once from 10 labels lose 11 ± 9 points to `random`: they are 1.21 times as far
    from their ten nearest rows as the pool, and lie in five of ten classes. Without the fifth of the pool that is
    farthest from its own 5.0 ± 4.3 are lost; the best of each true class in equal number would gain 1.5 ± 7.4.

    Where we differ: autoencoder and discriminator see features, not images; the ranker is trained when the model is
    done, where the paper's changes the backbone while it is trained. The authors' code tells the discriminator s and
    only the decoder sigmoid(s); their text, as summarised, has the normalised rank in both.
    """

    vae_steps: int = 1
    candidates: int = 10_000
    ranker_steps: int = 1000

    def __post_init__(self) -> None:
        self.check("ta-vaal")
        check("ta-vaal", self, {"candidates": 1, "ranker_steps": 1})

    def select(self, query: Query) -> Rows:
        asked, known = candidates(query, self.candidates), np.arange(len(query.labelled))
        inputs = Inputs(query.of(np.concatenate([query.labelled, asked])).hidden)
        said = LossNet(steps=self.ranker_steps).predicted(
            inputs, known, losses(query), by_odds, np.arange(len(inputs)), query.rng
        )
        ranks = sigmoid(said)[:, None]
        doubt = unlike(inputs, known, len(known) + np.arange(len(asked)), ranks, self, query.rng)
        return asked[top(doubt, query.n, query.rng)]

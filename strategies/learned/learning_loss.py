from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.nets.dense import Inputs
from ..kernels.nets.ranking import LossNet, by_margin, losses
from ..kernels.parameters import check
from ..kernels.sampling import candidates
from ..kernels.scores import top


@strategy(
    "learning-loss",
    cite="Yoo and Kweon, Learning Loss for Active Learning, CVPR 2019 (arXiv 1905.03677)",
    version=1,
    needs={"probabilities", "hidden"},
)
@dataclass(frozen=True)
class LearningLoss(LossNet):
    """The rows on which a second network, taught on the labelled ones, predicts the largest loss of the model.

    The network sees what the model's last layer sees, h (H,), and learns from pairs of labelled rows which of the two
    has the larger cross-entropy l: max(0, -sign(l_i - l_j) (s_i - s_j) + ``margin``), section 3.3 as summarised in
    secondary sources; h passes ``hidden`` units with ReLU, then one output s. Bought are the n largest s among
    ``candidates`` unlabelled rows drawn at random (more where the batch needs more).

    Losses are those of the current model on the rows it was trained on, as in the paper. (On digits they foretell those
    of unlabelled rows no worse than losses held out by cross-validation do.) One labelled row makes no pair: the batch
    is a draw. s is rounded to 9 digits, ties drawn by the query's generator. Time O(steps · batch · H · hidden + (|L| +
    candidates) H · hidden), whatever N and C beyond the model's own answers.

    On digits (raw, ``linear``) 10 at once from 10 labels lose 17 ± 5 points to `random`: s has a rank correlation of
    0.14 with the true losses, and 74 % of a batch is one class. (The smallest s lose 30 ± 7, the largest true losses,
    looked up, 3.3 ± 3.8.) 100 at once from 100 labels, at 0.51, lose 0.9 ± 1.9; the true losses gain 1.8 ± 1.1.

    Where we differ: in the paper the network is trained beside the model, on several of its layers, and for 120 of 200
    epochs its gradient changes them; here the model is done and has one layer to show: the weak form on frozen
    features, which changes nobody's training. Adam (rate of DeepAL+) takes the place of SGD.
    """

    margin: float = 1.0
    candidates: int = 10_000

    def __post_init__(self) -> None:
        self.check("learning-loss")
        check("learning-loss", self, {"candidates": 1}, above_0=("margin",))

    def select(self, query: Query) -> Rows:
        asked, known = candidates(query, self.candidates), np.arange(len(query.labelled))
        inputs = Inputs(query.of(np.concatenate([query.labelled, asked])).hidden)
        positions = len(known) + np.arange(len(asked))
        said = self.predicted(inputs, known, losses(query), by_margin(self.margin), positions, query.rng)
        return asked[top(said, query.n, query.rng)]

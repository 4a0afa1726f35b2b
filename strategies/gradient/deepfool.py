from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import strategy
from ...benchmark.types import Query, Rows
from ..kernels.distances import blocks
from ..kernels.head.boundaries import seen
from ..kernels.scores import top


@strategy(
    "deepfool",
    cite="Ducoffe and Precioso, Adversarial Active Learning for Deep Networks: a Margin Based Approach, 2018 "
    "(arXiv 1802.09841); Moosavi-Dezfooli, Fawzi and Frossard, DeepFool, CVPR 2016 (arXiv 1511.04599)",
    version=1,
    needs={"hidden", "head"},
)
@dataclass(frozen=True)
class DeepFool:
    """The rows that lie nearest a boundary of the model: the n smallest perturbations that change their prediction.

    The model is linear in h (H,), what its last layer sees, so the smallest is known:
    min_k (f_best - f_k) / |w_best - w_k| with the logits f_k = w_k·h + b_k of the classes that have labels. (DeepFool
    finds it step by step, for any network.) Two classes of equal weights have no boundary between them; where there is
    no boundary at all the batch is drawn, and so are ties.

    O(U H C + C² H), a block of logits at a time. Where we differ: DFAL perturbs the image and adds the perturbed images
    with the bought labels to the training; here it is h that is perturbed, and rows are only bought.
    """

    def score(self, query: Query) -> NDArray[Any]:
        from scipy.spatial.distance import cdist  # noqa: PLC0415 - a fifth of a second that others should not pay

        (weights, bias), hidden = seen(query.head), query.hidden
        lengths, nearest = cdist(weights.T, weights.T), np.empty(len(hidden), np.float32)
        for part in blocks(len(hidden)):
            logits = hidden[part].astype(np.float64) @ weights + bias
            apart = lengths[logits.argmax(axis=1)]
            gaps = logits.max(axis=1, keepdims=True) - logits
            nearest[part] = np.divide(gaps, apart, out=np.full_like(gaps, np.inf), where=apart > 0).min(axis=1)
        return -nearest  # in single precision, so that equal rows tie

    def select(self, query: Query) -> Rows:
        return query.unlabelled[top(self.score(query), query.n, query.rng)]

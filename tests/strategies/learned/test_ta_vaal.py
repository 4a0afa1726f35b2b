"""TA-VAAL against the same two networks by autograd."""

import numpy as np
import pytest
from support.games import judged
from support.loss_nets import cross_entropy, odds, predicted
from support.queries import cloud, query, random_probs

from albench.benchmark import device
from albench.strategies.kernels.nets.ranking import LossNet
from albench.strategies.learned.ta_vaal import TAVAAL


@pytest.mark.parametrize("place", ["cpu", "torch"])
def test_the_rows_that_look_least_labelled_for_their_rank(place: str) -> None:
    probs = random_probs(5, 40, classes=3)
    asked = query(cloud(5, 40, dims=4), 6, [30, 2, 9, 17, 4], probs, seed=8)
    rule = TAVAAL(latent=3, hidden=8, batch=5, steps=12, candidates=25, ranker_steps=30)
    rng = np.random.default_rng(8)
    rows = np.concatenate([asked.labelled, rng.choice(asked.unlabelled, 25, replace=False)])
    true = cross_entropy(probs[asked.labelled], asked.labels)
    r = 1 / (1 + np.exp(-predicted(asked.features[rows], true, odds, LossNet(steps=30), rng)))
    logits = judged(asked.features[rows], np.arange(5), np.arange(5, 30), r[:, None], rule, rng)
    with device.on(place):
        assert rule.select(asked).tolist() == rows[5:][logits.argsort()[:6]].tolist()


def test_a_batch_larger_than_the_candidates_is_chosen_among_as_many() -> None:
    asked = query(cloud(0, 40), 25, [1, 2], random_probs(0, 40))
    assert len(set(TAVAAL(candidates=5, steps=2).select(asked).tolist())) == 25


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="ta-vaal: candidates is 0; it must be at least 1"):
        TAVAAL(candidates=0)
    with pytest.raises(ValueError, match="ta-vaal: steps is 0; it must be at least 1"):
        TAVAAL(steps=0)

"""Learning loss against the same network by autograd."""

import numpy as np
import pytest
from support.loss_nets import cross_entropy, margin, predicted
from support.queries import cloud, query, random_probs

from albench.benchmark import device
from albench.strategies.kernels.nets.ranking import SMALLEST, losses
from albench.strategies.learned.learning_loss import LearningLoss


@pytest.mark.parametrize("place", ["cpu", "torch"])
@pytest.mark.parametrize("batch", [4, 128])
def test_the_rows_with_the_largest_predicted_loss(place: str, batch: int) -> None:
    probs = random_probs(2, 50, classes=3)
    asked = query(cloud(2, 50, dims=5), 7, [30, 2, 9, 17, 5, 40, 8], probs, seed=6)
    rule = LearningLoss(candidates=20, batch=batch, hidden=9, epochs=8, margin=0.4)
    rng = np.random.default_rng(6)
    rows = np.concatenate([asked.labelled, rng.choice(asked.unlabelled, 20, replace=False)])
    true = cross_entropy(probs[asked.labelled], asked.labels)
    said = predicted(asked.features[rows], true, margin(0.4), rule, rng)[7:]
    with device.on(place):
        assert rule.select(asked).tolist() == rows[7:][(-said).argsort()[:7]].tolist()


def test_it_learns_where_losses_are_large() -> None:
    points = cloud(0, 200, dims=2)
    sure = 1 / (1 + np.exp(-4 * points[:, 0]))  # of the right class: the farther left, the larger the loss
    truth = np.arange(200) % 3
    probs = np.where(np.eye(3)[truth] == 1, sure[:, None], (1 - sure[:, None]) / 2)
    picks = LearningLoss().select(query(points, 10, range(40), probs))
    assert points[picks, 0].max() < np.median(points[:, 0])


def test_a_pair_of_equal_losses_teaches_nothing_and_a_single_row_neither() -> None:
    for labelled in ([3], [3, 6]):
        probs = np.full((12, 3), 1 / 3)
        sets = [LearningLoss().select(query(np.zeros((12, 2)), 2, labelled, probs, seed=s)).tolist() for s in range(20)]
        assert len({tuple(picks) for picks in sets}) > 10


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    probs = np.eye(3)[[1, 1, 1, 1]]
    assert losses(query(np.zeros((4, 2)), 1, [0, 1], probs)).tolist() == [-np.log(SMALLEST), 0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"margin": 0.0}, "learning-loss: margin is 0.0; it must be above 0"),
        ({"batch": 1}, "learning-loss: batch is 1; it must be at least 2"),
        ({"candidates": 0}, "learning-loss: candidates is 0; it must be at least 1"),
        ({"rate": 0.0}, "learning-loss: rate is 0.0; it must be above 0"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearningLoss(**parameters)  # type: ignore[arg-type]  # a grid may say anything

"""WAAL's query against the same critic by autograd."""

import numpy as np
import pytest
import torch
from support.nets import ByAutograd, seen
from support.queries import cloud, query, random_probs

from albench.benchmark import device
from albench.benchmark.registry import marks_of
from albench.benchmark.types import Floats, Query
from albench.strategies.learned.waal import WAAL


def d(asked: Query, rule: WAAL, gamma: float) -> Floats:
    """Return the critic on the unlabelled rows, (U,), after training."""
    rng, x = asked.rng, seen(asked.features)
    net = ByAutograd((x.shape[1], rule.hidden, 1), rule.rate, rng)
    for _ in range(min(int(np.ceil(rule.epochs * len(asked.unlabelled) / rule.batch)), rule.steps)):
        known = x[asked.labelled[rng.integers(len(asked.labelled), size=rule.batch)]]
        others = x[asked.unlabelled[rng.integers(len(asked.unlabelled), size=rule.batch)]]
        between = others + torch.tensor(rng.random((rule.batch, 1))) * (known - others)
        rows = torch.cat([between, known, others]).requires_grad_()
        said = torch.sigmoid(net(rows))
        (slopes,) = torch.autograd.grad(said.sum(), [rows], create_graph=True)
        apart = said[2 * rule.batch :].mean() - gamma * said[rule.batch : 2 * rule.batch].mean()
        net.learn(rule.penalty * (slopes.norm(dim=1) - 1).square().mean() - apart)
    return np.asarray(torch.sigmoid(net(x[asked.unlabelled.copy()]))[:, 0].detach().numpy())


@pytest.mark.parametrize("place", ["cpu", "torch"])
@pytest.mark.parametrize("gamma", [None, 1.0])
def test_the_rows_with_the_smallest_sum(place: str, gamma: float | None) -> None:
    probs = random_probs(3, 40).astype(np.float32)
    asked = [query(cloud(3, 40, dims=4), 6, [30, 2, 9, 17], probs.astype(np.float64), seed=2) for _ in range(2)]
    rule = WAAL(hidden=7, batch=6, steps=15, rate=0.02, gamma=gamma)
    logs = -np.log(probs[asked[0].unlabelled].astype(np.float64))
    total = (np.sqrt((logs**2).sum(axis=1)) + logs.sum(axis=1)) / 2 - 10 * d(asked[0], rule, gamma or 4 / 36)
    with device.on(place):
        assert rule.select(asked[1]).tolist() == asked[1].unlabelled[total.argsort()[:6]].tolist()


def test_without_the_critic_it_is_an_uncertainty() -> None:
    probs = np.array([[0.98, 0.01, 0.01], [0.34, 0.33, 0.33], [0.5, 0.25, 0.25], [1, 0, 0], [0.7, 0.2, 0.1]])
    picks = WAAL(selection=0.0, steps=1).select(query(np.zeros((5, 2)), 4, [0], probs))
    assert picks.tolist() == [1, 2, 4, 3]


def test_the_plain_distance_finds_the_cloud_without_labels() -> None:
    points = cloud(0, 120) / 4 + np.repeat([[2, 0, 0], [0, 2, 0], [0, 0, 2]], 40, axis=0)
    rule = WAAL(gamma=1.0)
    assert (rule.select(query(points, 10, range(20), np.full((120, 3), 1 / 3))) >= 40).all()


def test_it_does_not_change_the_training_and_is_not_marked() -> None:
    assert marks_of(WAAL()) == ()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"selection": -1.0}, "waal: selection is -1.0; it must be at least 0"),
        ({"penalty": -1.0}, "waal: penalty is -1.0; it must be at least 0"),
        ({"gamma": -1.0}, "waal: gamma is -1.0; it must be at least 0, or null"),
        ({"hidden": 0}, "waal: hidden is 0; it must be at least 1"),
        ({"rate": 0.0}, "waal: rate is 0.0; it must be above 0"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WAAL(**parameters)  # type: ignore[arg-type]  # a grid may say anything

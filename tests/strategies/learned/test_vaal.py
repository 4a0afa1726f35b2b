"""VAAL against the same game by autograd."""

import numpy as np
import pytest
from support.games import judged
from support.queries import cloud, query

from albench.benchmark import device
from albench.strategies.learned.vaal import VAAL

SMALL = VAAL(latent=3, hidden=8, batch=5, steps=12, beta=0.5, adversary=0.7)


@pytest.mark.parametrize("rule", [SMALL, VAAL(latent=2, hidden=4, batch=16, epochs=2, vae_steps=1)], ids=str)
@pytest.mark.parametrize("place", ["cpu", "torch"])
def test_the_rows_that_look_least_labelled(rule: VAAL, place: str) -> None:
    asked = query(cloud(1, 40, dims=5), 6, [30, 2, 9, 17], seed=4)
    nothing = np.empty((40, 0))
    logits = judged(asked.features, asked.labelled, asked.unlabelled, nothing, rule, np.random.default_rng(4))
    with device.on(place):
        assert rule.select(asked).tolist() == asked.unlabelled[logits.argsort()[:6]].tolist()


def test_a_cloud_without_labels_comes_first() -> None:
    points = cloud(0, 120) / 4 + np.repeat([[4, 0, 0], [0, 4, 0], [0, 0, 4]], 40, axis=0)
    picks = VAAL().select(query(points, 10, range(20)))
    assert (picks >= 40).all()


def test_without_labels_the_batch_is_a_draw() -> None:
    sets = {frozenset(VAAL(steps=1).select(query(cloud(0, 12), 3, seed=s)).tolist()) for s in range(20)}
    assert len(sets) > 10


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"latent": 0}, "vaal: latent is 0; it must be at least 1"),
        ({"beta": -1.0}, "vaal: beta is -1.0; it must be at least 0"),
        ({"rate": 0.0}, "vaal: rate is 0.0; it must be above 0"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VAAL(**parameters)  # type: ignore[arg-type]  # a grid may say anything

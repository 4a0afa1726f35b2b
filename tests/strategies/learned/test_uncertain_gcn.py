"""UncertainGCN against the network by autograd on the dense graph."""

import numpy as np
import pytest
from support.graph_nets import by_autograd
from support.queries import cloud, query, random_probs

from albench.strategies.kernels.distances import unit_rows
from albench.strategies.learned.uncertain_gcn import UncertainGCN


@pytest.mark.parametrize("margin", [0.1, 0.6])
def test_the_rows_whose_score_is_nearest_to_the_margin(margin: float) -> None:
    asked = query(cloud(3, 60, dims=6), 8, [3, 40, 11], random_probs(3, 60), seed=3)
    rule = UncertainGCN(candidates=30, margin=margin)
    rng = np.random.default_rng(3)
    nodes = np.concatenate([asked.labelled, rng.choice(asked.unlabelled, 30, replace=False)])
    _, s = by_autograd(unit_rows(asked.features[nodes]).astype(np.float64), 3, rule, rng)
    nearest = 3 + np.abs(s[3:] - margin).argsort()
    assert rule.select(asked).tolist() == nodes[nearest[:8]].tolist()


def test_equal_rows_come_in_any_order() -> None:
    points = np.repeat(cloud(0, 4), 6, axis=0)
    firsts = [UncertainGCN(epochs=3).select(query(points, 1, [0], random_probs(0, 24), seed=s))[0] for s in range(30)]
    assert len(set(firsts)) > 8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"margin": 1.5}, "uncertain-gcn: margin is 1.5; it must be at least 0 and at most 1"),
        ({"hidden": 0}, "uncertain-gcn: candidates and hidden must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UncertainGCN(**parameters)  # type: ignore[arg-type]  # a grid may say anything

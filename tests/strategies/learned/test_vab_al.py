"""VaB-AL against Bayes' rule on the same autoencoder by autograd."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nets import ByAutograd, elbo, halves, learn, seen
from support.queries import cloud, query, random_probs

from albench.benchmark import device
from albench.benchmark.types import Floats, Query, Rows
from albench.strategies.learned.vab_al import VaBAL, mistakes, posterior


def by_bayes(asked: Query, rows: Rows, predicted: list[int], rule: VaBAL, rng: np.random.Generator) -> Floats:
    """Return p(wrong | x) of the rows that are not labelled; ``rows`` are the labelled ones, then the candidates."""
    L, C, G, x = len(asked.labelled), asked.n_classes, rule.group, seen(asked.features[rows])
    encoder = ByAutograd((x.shape[1], rule.hidden, 2 * C * G), rule.rate, rng)
    decoder = ByAutograd((C * G, rule.hidden, x.shape[1]), rule.rate, rng)
    classes = torch.tensor(predicted)

    def without(z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        groups = z.reshape(-1, C, G)
        return (groups * (torch.arange(C) != c[:, None])[:, :, None]).reshape(len(z), -1)

    for _ in range(min(int(np.ceil(rule.epochs * len(predicted) / rule.batch)), rule.steps)):
        drawn = rng.integers(len(predicted), size=rule.batch)
        some, c = x[L + drawn], classes[drawn]
        mean, log_variance = halves(encoder(some))
        z = mean + torch.tensor(rng.standard_normal((rule.batch, C * G))) * (log_variance / 2).exp()
        kl = elbo(some, some, mean, log_variance)
        error = (some - decoder(without(z, c))).square().sum(dim=1) / 2 / x.shape[1]
        named = torch.nn.functional.cross_entropy(-z.reshape(-1, C, G).square().sum(dim=2), c)
        learn([encoder, decoder], (error + rule.variance * kl).mean() + rule.pull * named)
    names, log = np.zeros((len(rows), C)), np.zeros((len(rows), C))
    for _ in range(rule.draws):
        mean, log_variance = halves(encoder(x))
        z = mean + torch.tensor(rng.standard_normal((len(rows), C * G))) * (log_variance / 2).exp()
        for i, k in enumerate(z.reshape(-1, C, G).square().sum(dim=2).argmin(dim=1).tolist()):
            names[i, k] += 1 / rule.draws
        for k in range(C):
            error = (x - decoder(without(z, torch.full((len(rows),), k)))).square().sum(dim=1)
            log[:, k] -= (error / (2 * rule.variance) / rule.draws).detach().numpy()
    wrong_of, all_of, wrong_in_all = np.zeros(C), np.zeros(C), 0.0
    for i in range(L):
        for k in range(C):
            all_of[k] += names[i, k]
            if asked.labels[i] != k:
                wrong_of[k] += names[i, k]
                wrong_in_all += names[i, k] / L
    likely = np.exp(log[L:] - log[L:].max(axis=1, keepdims=True)) * names[L:].mean(axis=0)
    return np.asarray((likely * (wrong_of + wrong_in_all) / (all_of + 1)).sum(axis=1) / likely.sum(axis=1))


@pytest.mark.parametrize("place", ["cpu", "torch"])
def test_the_rows_most_probably_wrong(place: str) -> None:
    probs = random_probs(7, 50, classes=3)
    asked = query(cloud(7, 50, dims=5), 6, [30, 2, 9, 17, 4, 44], probs, seed=5, truth=(np.arange(50) % 3).tolist())
    rule = VaBAL(candidates=30, group=2, hidden=8, steps=25, batch=8, variance=1.0, draws=3)
    rng = np.random.default_rng(5)
    rows = np.concatenate([asked.labelled, rng.choice(asked.unlabelled, 30, replace=False)])
    score = by_bayes(asked, rows, probs[rows[6:]].argmax(axis=1).tolist(), rule, rng)
    with device.on(place):
        assert rule.select(asked).tolist() == rows[6:][(-score).argsort()[:6]].tolist()


def test_the_class_that_is_often_wrong_comes_first() -> None:
    """The model takes two clouds for class 1; of the labelled rows it names so half are of class 2."""
    cluster = np.arange(90) % 3
    points = 6 * np.eye(3)[cluster] + cloud(0, 90)
    probs = np.eye(3)[[0, 1, 1]][cluster]
    asked = query(points, 10, range(24), probs, truth=cluster.tolist())
    assert np.count_nonzero(cluster[VaBAL().select(asked)]) == 10


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_what_is_said_are_probabilities(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    named, labels = rng.dirichlet(np.full(classes, 0.3), size=9), rng.integers(classes, size=9)
    wrong, prior = mistakes(named, labels), rng.dirichlet(np.full(classes, 0.2)) * (rng.random(classes) < 0.8)
    prior[0] += 0.1
    p = posterior(wrong, rng.normal(scale=500, size=(6, classes)), prior)
    named_at_all = wrong[prior > 0]
    assert (p >= named_at_all.min() - 1e-12).all()
    assert (p <= named_at_all.max() + 1e-12).all()
    assert ((wrong >= -1e-12) & (wrong <= 1 + 1e-12)).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"group": 0}, "vab-al: group is 0; it must be at least 1"),
        ({"variance": 0.0}, "vab-al: variance is 0.0; it must be above 0"),
        ({"pull": -1.0}, "vab-al: pull is -1.0; it must be at least 0"),
        ({"candidates": 0}, "vab-al: candidates is 0; it must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VaBAL(**parameters)  # type: ignore[arg-type]  # a grid may say anything

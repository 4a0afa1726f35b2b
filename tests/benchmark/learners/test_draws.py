"""Passes of the linear learner: each kind of draw against its definition."""

from dataclasses import replace
from itertools import islice
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.datasets import load_digits

from albench.benchmark import registry
from albench.benchmark.grid.params import choose
from albench.benchmark.learners.heads import draws
from albench.benchmark.learners.linear import Linear, LinearModel
from albench.benchmark.registry import part_of
from albench.benchmark.types import Features, Floats, Labels, Lesson
from albench.strategies.kernels.sampling import resampled

KINDS = ("laplace", "bootstrap", "dropout")
Passes = Literal["none", "laplace", "bootstrap", "dropout"]


def digits(n: int) -> tuple[Features, Labels]:
    x, y = load_digits(return_X_y=True)
    return (x[:n] / 16).astype(np.float32), y[:n].astype(np.int64)


def linear(passes: Passes, n: int = 60, **more: float) -> tuple[LinearModel, Features, Labels]:
    x, y = digits(n)
    return Linear(passes=passes, **more).fit(Lesson.of(x, y, 11, np.random.default_rng(0))), x, y


def hessian(table: Floats, weights: Floats, prior: float) -> Floats:
    """The second derivatives (K·P, K·P) of Σ cross-entropy + prior/2 · ‖weights‖², by automatic differentiation."""
    rows, labels = torch.from_numpy(table), torch.zeros(len(table), dtype=torch.long)  # they do not enter

    def loss(flat: torch.Tensor) -> torch.Tensor:
        logits = rows @ flat.reshape(weights.shape)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum") + prior / 2 * (flat**2).sum()

    H = torch.autograd.functional.hessian(loss, torch.from_numpy(weights.ravel()))  # type: ignore[no-untyped-call] # torch left it untyped
    return np.asarray(H.numpy())


def covariance(spread: object, weights: Floats) -> Floats:
    """What a map of white noise gives it as covariance."""
    assert callable(spread)
    units = np.eye(weights.size).reshape(-1, *weights.shape)
    columns = np.stack([spread(unit).ravel() for unit in units], axis=1)
    return np.asarray(columns @ columns.T)


def problem(M: int, D: int, P: int) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(M)
    table = np.hstack([rng.normal(size=(M, D)), np.ones((M, 1))])
    weights = rng.normal(size=(D + 1, P))
    return table, weights, softmax(table @ weights, axis=1)


@pytest.mark.parametrize(("M", "D", "P"), [(3, 4, 3), (40, 4, 3), (20, 3, 2), (5, 2, 1)])
def test_the_exact_gaussian_has_the_hessian_of_the_loss_as_its_precision(M: int, D: int, P: int) -> None:
    table, weights, p = problem(M, D, P)
    found = covariance(draws._exact(table, p, 0.5), weights)
    np.testing.assert_allclose(found, np.linalg.inv(hessian(table, weights, 0.5)), atol=1e-10)


def test_one_kronecker_product_is_exact_for_one_row() -> None:
    table, weights, p = problem(1, 4, 3)
    found = covariance(draws._kronecker(table, p, 0.5), weights)
    np.testing.assert_allclose(found, np.linalg.inv(hessian(table, weights, 0.5)), atol=1e-10)


@pytest.mark.parametrize(("M", "D"), [(3, 6), (30, 4)])
def test_the_kronecker_product_has_the_partial_traces_of_the_hessian(M: int, D: int) -> None:
    table, weights, p = problem(M, D, 3)
    of_labels = np.linalg.inv(covariance(draws._kronecker(table, p, 0.5), weights)) - 0.5 * np.eye(weights.size)
    exact = hessian(table, weights, 0.5) - 0.5 * np.eye(weights.size)
    for over in ("kpkq", "kplp"):
        ours, theirs = (np.einsum(over, H.reshape(D + 1, 3, D + 1, 3)) for H in (of_labels, exact))
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_two_classes_have_the_prior_of_the_one_vector_they_share() -> None:
    x = np.zeros((2, 1), np.float32)  # the labels say nothing of a feature that is always 0
    model = Linear(C=4.0, passes="laplace").fit(Lesson.of(x, np.array([0, 1]), 2, np.random.default_rng(0)))
    assert model.drawn is not None
    weights = np.stack([*islice(model.drawn(np.random.default_rng(1)), 4000)])
    assert np.var(weights[:, 0, 1] - weights[:, 0, 0]) == pytest.approx(4.0, rel=0.1)


def test_a_resample_has_the_size_of_the_labels_and_every_class() -> None:
    targets = np.array([0, 0, 0, 0, 1, 0, 0])
    found = [resampled(np.random.default_rng(seed), targets) for seed in range(200)]
    lost = [len(rows) - len(targets) for rows in found]
    assert {*lost} == {0, 1}  # what fell out came in addition
    assert all({*targets[rows]} == {0, 1} for rows in found)
    times = np.bincount(np.concatenate(found), minlength=7)
    assert np.ptp(np.delete(times, 4)) < 80 < 2 * times.min()  # drawn about 200 times each, none left out


def test_bootstrap_members_are_fits_on_resamples_made_when_they_are_asked_for() -> None:
    x, y = digits(30)
    fitted: list[int] = []

    def fit(features: Features, targets: Labels) -> Floats:
        fitted.append(len(targets))
        return np.zeros((65, 10))

    endless = draws.bootstrap(np.random.default_rng(0), x, y, fit)
    assert not fitted
    next(endless)
    assert len(fitted) == 1
    model, x, y = linear("bootstrap")
    rows = resampled(np.random.default_rng(5), y)
    (member,) = model.draws(1, np.random.default_rng(5))
    again = Linear().fit(Lesson.of(x[rows], y[rows], 11, np.random.default_rng(0)))
    np.testing.assert_array_equal(member(x), again.scores(x))


def test_dropout_leaves_the_same_features_out_for_all_rows() -> None:
    model, x, _ = linear("dropout", p=0.3)
    (draw,) = model.draws(1, np.random.default_rng(5))
    kept = np.random.default_rng(5).random(64) >= 0.3
    assert 0.5 < kept.mean() < 0.9
    np.testing.assert_allclose(draw(x), model.scores(x * kept.astype(np.float32) / np.float32(0.7)), atol=1e-5)


@pytest.mark.parametrize("passes", KINDS)
def test_the_first_draws_do_not_depend_on_how_many_there_are(passes: Passes) -> None:
    model, x, _ = linear(passes)
    few, more = (model.draws(K, np.random.default_rng(3)) for K in (3, 4))
    for one, other in zip(few, more, strict=False):
        np.testing.assert_array_equal(one(x), other(x))


def test_the_default_is_the_learner_of_before_and_others_say_so() -> None:
    plugin = registry.learners.get("linear")
    assert part_of(Linear(), plugin).identity() == ["linear", {"C": 1.0}, plugin.version]
    assert "passes" not in Linear().gives
    for passes in KINDS:
        problems: list[str] = []
        choice = choose(registry.learners, {"name": "linear", "passes": passes}, "learners[0]", problems)
        assert choice is not None
        assert choice.part.label == f"linear(passes={passes})"
        assert "passes" in choice.value.gives
    assert choose(registry.learners, {"name": "linear", "passes": "laplase"}, "learners[0]", problems) is None
    assert choose(registry.learners, {"name": "linear", "passes": "laplace", "p": 0.2}, "x", problems) is None
    assert len(problems) == 2
    with pytest.raises(ValueError, match="passes: none"):
        replace(linear("none")[0]).draws(1, np.random.default_rng(0))

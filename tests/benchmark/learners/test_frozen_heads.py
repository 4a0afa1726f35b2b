"""The published heads on frozen features against torch's own modules and optimisers in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.datasets import load_digits

from albench.benchmark import device
from albench.benchmark.learners.alfm_head import ALFMHead
from albench.benchmark.learners.heads.layer import Patience, Schedule, fitted
from albench.benchmark.learners.heads.training import batches
from albench.benchmark.learners.laplace_head import LaplaceHead, LaplaceModel
from albench.benchmark.types import Features, Floats, Labels, Learner, Lesson, View

HEADS: list[Learner] = [ALFMHead(epochs=30), LaplaceHead(epochs=30)]


def digits(M: int) -> tuple[Features, Labels]:
    """Rows of digits from -1 to 1; class 9 has none."""
    x, y = load_digits(return_X_y=True)
    return (x[y < 9][:M] / 8 - 1).astype(np.float32), y[y < 9][:M].astype(np.int64)


def lesson(M: int = 100) -> Lesson:
    return Lesson.of(*digits(M), 10, np.random.default_rng(3))


class Torchs:
    """A linear layer of torch's in double precision, on the same weights, batches and draws as ours."""

    def __init__(self, M: int, batch: int) -> None:
        x, y = digits(M)
        rng = np.random.default_rng(3)
        first = (rng.uniform(-1, 1, (65, 10)) / 8).astype(np.float32)[:, :9].astype(np.float64)
        self.draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
        self.layer = torch.nn.Linear(64, 9, dtype=torch.float64)
        self.layer.weight.data, self.layer.bias.data = (
            torch.from_numpy(first[:-1].T.copy()),
            torch.from_numpy(first[-1]),
        )
        self.x, self.y = torch.from_numpy(x).double(), torch.from_numpy(y)
        self._coming, self._epoch = batches(M, batch, self.draws), max(1, M // batch)

    def epoch(self) -> Iterator[torch.Tensor]:
        return (next(self._coming) for _ in range(self._epoch))

    def step(self, optimiser: torch.optim.Optimizer, seen: torch.Tensor, rows: torch.Tensor) -> None:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(self.layer(seen), self.y[rows]).backward()  # type: ignore[no-untyped-call] # torch left it untyped
        optimiser.step()


@pytest.mark.parametrize("batch", [32, 4096])
def test_alfms_head_is_torchs_dropout_batch_norm_and_adamw(batch: int) -> None:
    theirs, ours = Torchs(100, batch), ALFMHead(epochs=7, batch=batch).fit(lesson())
    norm = torch.nn.BatchNorm1d(64, affine=False).double()
    adamw = torch.optim.AdamW(theirs.layer.parameters(), lr=1e-2, weight_decay=1e-2)
    for _ in range(7):
        for rows in theirs.epoch():
            kept = torch.rand((len(rows), 64), generator=theirs.draws) >= 0.75
            theirs.step(adamw, norm(theirs.x[rows] * kept / 0.25), rows)
    norm.eval()
    with torch.no_grad():
        hidden = norm(theirs.x)
        probs = theirs.layer(hidden).softmax(1)
    x, _ = digits(100)
    np.testing.assert_allclose(ours.hidden(x), hidden.numpy(), atol=1e-4)
    np.testing.assert_allclose(ours.scores(x)[:, :9], probs.numpy(), atol=1e-4)


def test_a_pass_of_alfms_head_drops_features_of_the_embedding() -> None:
    model, (x, _) = ALFMHead(epochs=5).fit(lesson()), digits(100)
    (draw,) = model.draws(1, np.random.default_rng(5))
    mask = ((np.random.default_rng(5).random(64) >= 0.75) / 0.25).astype(np.float32)
    np.testing.assert_array_equal(draw(x), model.scores(x * mask))


def test_training_ends_when_its_loss_has_not_fallen_for_long_enough() -> None:
    patience = Patience(3)
    losses = [1.0, 0.9995, 0.9991, 0.99, 0.9895, 0.9891, 0.9892]
    assert [patience.ends(loss) for loss in losses] == [False] * 6 + [True]
    short, long = (fitted(lesson(), Schedule(n, 100, "adamw", 1e-9, 0.0, patience=4)) for n in (5, 50))
    np.testing.assert_array_equal(short[0], long[0])


def test_the_laplace_heads_layer_is_torchs_sgd_by_a_cosine() -> None:
    theirs, ours = Torchs(100, 32), LaplaceHead(epochs=9, batch=32, mean_field=0.0).fit(lesson())
    sgd = torch.optim.SGD(theirs.layer.parameters(), lr=1e-2, momentum=0.9, nesterov=True, weight_decay=5e-4)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=9)
    for _ in range(9):
        for rows in theirs.epoch():
            theirs.step(sgd, theirs.x[rows], rows)
        falling.step()
    with torch.no_grad():
        probs = theirs.layer(theirs.x).softmax(1)
    np.testing.assert_allclose(ours.scores(digits(100)[0])[:, :9], probs.numpy(), atol=1e-5)


def posterior(model: LaplaceModel, x: Features, prior: float) -> tuple[Floats, Floats]:
    """Return rows with a 1 (M, D + 1) and the covariance (D + 1, D + 1) after labels of ``x``, in double precision."""
    rows = np.hstack([x, np.ones((len(x), 1))]).astype(np.float64)
    p = softmax(rows @ model.weights[:, :9], axis=1).max(axis=1)
    return rows, np.linalg.inv(prior * np.eye(65) + (rows * (p * (1 - p))[:, None]).T @ rows)


@pytest.mark.parametrize("M", [20, 100])  # fewer rows than features, and more
def test_the_mean_field_is_that_of_the_posterior(M: int) -> None:
    model, (x, _) = LaplaceHead(epochs=30, prior=0.3).fit(lesson(M)), digits(200)
    _, covariance = posterior(model, x[:M], 0.3)
    rows, _ = posterior(model, x, 0.3)
    variance = np.einsum("nd,de,ne->n", rows, covariance, rows)
    expected = softmax(rows @ model.weights[:, :9] / np.sqrt(1 + 0.4 * variance)[:, None], axis=1)
    np.testing.assert_allclose(model.scores(x)[:, :9], expected, atol=1e-5)
    assert variance[:M].mean() < variance[M:].mean()


def test_draws_of_the_laplace_head_have_the_posteriors_covariance() -> None:
    model, (x, _) = LaplaceHead(epochs=30).fit(lesson()), digits(100)
    _, covariance = posterior(model, x, 1.0)
    drawn = np.stack([weights_of(draw) - model.weights for draw in model.draws(2000, np.random.default_rng(0))])
    found: NDArray[Any] = np.einsum("kdc,kec->de", drawn, drawn) / (2000 * 10)
    np.testing.assert_allclose(found, covariance, atol=0.04)


def weights_of(draw: Any) -> Features:
    weights: Features = draw.__self__.weights
    return weights


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_what_lies_on_a_device_is_answered_there_with_the_same(head: Any) -> None:
    here, (x, y) = head.fit(lesson()), digits(100)
    with device.on("torch"):
        there = head.fit(Lesson.of(x, y, 10, np.random.default_rng(3)))
        inputs = View(x).take(np.arange(50))
        scores, draw = there.scores(inputs), there.draws(1, np.random.default_rng(0))[0](inputs)
        said = (scores, draw, there.hidden(inputs), *there.head())
        assert all(isinstance(part, torch.Tensor) for part in said)
    np.testing.assert_allclose(scores.numpy(), here.scores(x[:50]), atol=1e-5)
    np.testing.assert_allclose(draw.numpy(), here.draws(1, np.random.default_rng(0))[0](x[:50]), atol=1e-5)


@pytest.mark.parametrize(
    ("head", "wrong"),
    [
        (ALFMHead, {"epochs": 0}),
        (ALFMHead, {"batch": 1}),
        (ALFMHead, {"patience": 0}),
        (ALFMHead, {"rate": 0.0}),
        (ALFMHead, {"decay": -1.0}),
        (ALFMHead, {"p": 1.0}),
        (LaplaceHead, {"epochs": 0}),
        (LaplaceHead, {"rate": float("nan")}),
        (LaplaceHead, {"prior": 0.0}),
        (LaplaceHead, {"mean_field": -0.1}),
    ],
    ids=str,
)
def test_what_makes_no_head_is_refused(head: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; it must be"):
        head(**wrong)

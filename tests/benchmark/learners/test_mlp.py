"""The perceptron: its network against torch's, its draws, its devices."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from albench.benchmark import device
from albench.benchmark.learners.heads import training
from albench.benchmark.learners.heads.perceptron import Perceptron
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.types import Features, Labels, Lesson, View


def digits(n: int) -> tuple[Features, Labels]:
    x, y = load_digits(return_X_y=True)
    return x[:n].astype(np.float32), y[:n].astype(np.int64)


def fitted(n: int = 100, seed: int = 0, **parameters: object) -> tuple[Perceptron, Features]:
    x, y = digits(n)
    learner = MLP(**{"steps": 60, **parameters})  # type: ignore[arg-type] # parameters of the test, by name
    return learner.fit(Lesson.of(x, y, 10, np.random.default_rng(seed))), x


def test_it_is_adam_on_the_cross_entropy() -> None:
    """From the same weights and batches, torch's own modules and optimiser come to the same weights."""
    rng, recipe = np.random.default_rng(0), training.Recipe(steps=25, batch=16, rate=1e-2, decay=0.1, p=0.0)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(3, size=40)
    ours = training.trained(x, y, [5, 7, 3], recipe, np.random.default_rng(1))

    draws = torch.Generator().manual_seed(int(np.random.default_rng(1).integers(2**63)))
    first, second = torch.nn.Linear(5, 7), torch.nn.Linear(7, 3)
    for layer in (first, second):
        torch.nn.init.zeros_(layer.bias)
        drawn = torch.randn(layer.in_features, layer.out_features, generator=draws)
        layer.weight.data = (drawn * (2 / layer.in_features) ** 0.5).T
    adam = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=recipe.rate, weight_decay=recipe.decay)
    batches = training.batches(40, 16, draws)
    for step in range(25):
        adam.param_groups[0]["lr"] = recipe.rate * (1 - step / 25)
        rows = next(batches)
        out = second(torch.relu(first(torch.from_numpy(x)[rows])))
        adam.zero_grad()
        torch.nn.functional.cross_entropy(out, torch.from_numpy(y)[rows]).backward()  # type: ignore[no-untyped-call] # torch left it untyped
        adam.step()
    for (W, b), layer in zip(ours, (first, second), strict=True):
        np.testing.assert_allclose(W, layer.weight.detach().numpy().T, atol=1e-4)
        np.testing.assert_allclose(b, layer.bias.detach().numpy(), atol=1e-4)


def test_an_epoch_has_every_row_once_but_for_what_fills_no_batch() -> None:
    batches = training.batches(20, 6, torch.Generator().manual_seed(0))
    epoch = torch.cat([next(batches) for _ in range(3)])
    assert len(set(epoch.tolist())) == 18
    few = training.batches(4, 6, torch.Generator().manual_seed(0))
    assert sorted(next(few).tolist()) == sorted(next(few).tolist()) == [0, 1, 2, 3]


def test_scale_and_offset_of_the_features_do_not_matter() -> None:
    x, y = digits(100)
    one, other = (MLP(steps=60).fit(Lesson.of(z, y, 10, np.random.default_rng(0))) for z in (x, 64 * x + 512))
    np.testing.assert_allclose(one.scores(x), other.scores(64 * x + 512), atol=1e-4)


def test_seeds_give_other_networks_and_all_parameters_count() -> None:
    base, x = fitted()
    others = [{"seed": 1}, {"width": 64}, {"depth": 2}, {"steps": 59}, {"decay": 0.1}, {"passes": "dropout"}]
    for other in others:
        assert not np.array_equal(fitted(**other)[0].scores(x), base.scores(x))  # type: ignore[arg-type] # as above


def test_a_draw_drops_the_same_units_for_all_rows() -> None:
    model, x = fitted(passes="dropout", p=0.3)
    (draw,) = model.draws(1, np.random.default_rng(5))
    mask = (np.random.default_rng(5).random(256) >= 0.3) / 0.7
    weights, bias = model.head()
    odds = np.exp((model.hidden(x) * mask) @ weights + bias)
    np.testing.assert_allclose(draw(x), odds / odds.sum(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("rate", ["cyclic", "constant"])
def test_snapshots_are_taken_while_the_training_goes_on(rate: str) -> None:
    """The fitted network is that without passes; torch's own optimiser goes on from it to the same snapshots."""
    plain, _ = fitted()
    model, _ = fitted(passes="snapshots", cycle=15, rate=rate)
    x, _ = digits(300)
    np.testing.assert_array_equal(model.scores(x), plain.scores(x))
    found = [draw(x[100:300]) for draw in model.draws(3, np.random.default_rng(5))]

    rows = torch.from_numpy((x[:100] - model.centre) / np.float32(model.scale))
    y = torch.from_numpy(digits(100)[1])
    parts = [torch.tensor(part).requires_grad_() for layer in model.layers for part in layer]
    adam = torch.optim.Adam(parts, lr=1e-3, weight_decay=1e-4)
    draws = torch.Generator().manual_seed(int(np.random.default_rng(5).integers(2**63)))
    batches = training.batches(100, 128, draws)
    for cycle in range(3):
        for step in range(15):
            adam.param_groups[0]["lr"] = 1e-3 * (1 - step / 15) if rate == "cyclic" else 1e-3
            W, b, V, c = parts
            chosen = next(batches)
            out = torch.relu(rows[chosen] @ W + b) @ V + c
            adam.zero_grad()
            torch.nn.functional.cross_entropy(out, y[chosen]).backward()  # type: ignore[no-untyped-call] # torch left it untyped
            adam.step()
        seen = torch.from_numpy((x[100:300] - model.centre) / np.float32(model.scale))
        with torch.no_grad():
            expected = torch.softmax(torch.relu(seen @ W + b) @ V + c, dim=1).numpy()
        np.testing.assert_allclose(found[cycle], expected, atol=1e-4)
    assert not np.allclose(found[0], found[1], atol=1e-4)
    again = pickle.loads(pickle.dumps(model)).draws(3, np.random.default_rng(5))  # noqa: S301 - our own
    np.testing.assert_array_equal(again[2](x[100:300]), found[2])


def test_what_lies_on_a_device_is_answered_there_with_the_same() -> None:
    here, x = fitted(passes="dropout")
    with device.on("torch"):
        there, _ = fitted(passes="dropout")
        inputs = View(x).take(np.arange(50))
        scores, draw = there.scores(inputs), there.draws(1, np.random.default_rng(0))[0](inputs)
        assert isinstance(scores, torch.Tensor)
        assert isinstance(draw, torch.Tensor)
        assert isinstance(there.hidden(inputs), torch.Tensor)
        assert all(isinstance(part, torch.Tensor) for part in there.head())
    np.testing.assert_allclose(scores.numpy(), here.scores(x[:50]), atol=1e-5)
    np.testing.assert_allclose(draw.numpy(), here.draws(1, np.random.default_rng(0))[0](x[:50]), atol=1e-5)


def test_images_are_seen_as_their_bytes_and_blocks_are_no_matter() -> None:
    x, y = digits(100)
    images = x.astype(np.uint8).reshape(-1, 8, 8, 1)
    one = MLP(steps=60).fit(Lesson.of(x, y, 10, np.random.default_rng(0)))
    other = MLP(steps=60, sees="images").fit(Lesson.of(images, y, 10, np.random.default_rng(0)))
    np.testing.assert_array_equal(one.scores(x), other.scores(images))
    many = np.tile(images, (50, 1, 1, 1))  # more than are held as float32 at once
    np.testing.assert_allclose(other.scores(many), np.tile(other.scores(images), (50, 1)), atol=1e-5)


def test_a_model_travels_between_processes() -> None:
    model, x = fitted()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).scores(x), model.scores(x))  # noqa: S301 - our own


@pytest.mark.parametrize("wrong", [{"width": 0}, {"depth": 0}, {"steps": 0}, {"cycle": 0}, {"decay": -1.0}, {"p": 1.0}])
def test_what_makes_no_network_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="legal"):
        MLP(**wrong)  # type: ignore[arg-type] # wrong on purpose

"""Networks of images: their training against a plain loop of torch's in float64, their draws, their devices."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from support.trials import make_pool, make_trial
from torch import nn

from albench.benchmark import device, registry
from albench.benchmark.bench import Bench
from albench.benchmark.grid.params import choose
from albench.benchmark.learners.networks import training
from albench.benchmark.learners.networks.network import Network
from albench.benchmark.learners.networks.recipes import RECIPES, Name, recipe
from albench.benchmark.learners.networks.scratch import Scratch, brightness
from albench.benchmark.learners.networks.views import NUMBERS
from albench.benchmark.learners.resnet18 import ResNet18
from albench.benchmark.learners.wrn import WRN
from albench.benchmark.types import Labels, Lesson, View

SMALL = ResNet18("udal", epochs=2, batch=16, width=4)


def digits(n: int, channels: int = 1) -> tuple[NDArray[np.uint8], Labels]:
    x, y = load_digits(return_X_y=True)
    images = np.repeat((x[:n] * 15).astype(np.uint8).reshape(-1, 8, 8, 1), channels, axis=3)
    images.setflags(write=False)
    return images, y[:n].astype(np.int64)


def fitted(learner: Scratch = SMALL, n: int = 60, seed: int = 0) -> tuple[Network, NDArray[np.uint8]]:
    images, y = digits(n)
    return learner.fit(Lesson.of(images, y, 10, np.random.default_rng(seed))), images


def seen(image: NDArray[np.uint8], numbers: list[float], kind: str) -> NDArray[np.uint8]:
    """One view of one image (8, 8, channels), by numpy: a margin of 1."""
    if kind == "none":
        return image
    down, right = (math.floor(3 * number) for number in numbers[:2])
    view = np.pad(image, ((1, 1), (1, 1), (0, 0)))[down : down + 8, right : right + 8]
    return view[:, ::-1] if kind == "crop-flip" and numbers[2] < 0.5 else view


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_is_a_plain_loop_of_torchs(name: Name) -> None:
    """From the same weights and draws, in float64, with torch's modules and its optimisers as they are by default.

    In single precision a rectifier may fall on the other side of 0: weights are compared by how far they moved.
    """
    images, y = digits(40, channels=3)
    images = (images + np.arange(3)).astype(np.uint8)
    changed = {"epochs": 2, "batch": 16, "fill": 16, "decay": 0.1}
    gentler = {"augment": "crop-flip", "rate": 0.01} if name == "realistic-al" else {}  # else roundings grow
    recipe_ = recipe(name, 3, changed | gentler)
    build = ResNet18(name, width=4).build(3, pool=recipe_.pool, large=False)
    task = training.Task(build, images, y % 4 + 1, 6, **brightness(View(images)), recipe=recipe_)
    ours = task.trained(np.random.default_rng(1), np.random.default_rng(2))

    body, head = training.begun(build, (8, 8, 3), 6, np.random.default_rng(1))
    body.double()
    head.double()
    before = {name: p.clone() for name, p in [*body.state_dict().items(), ("head", head.weight.detach())]}
    every = [*body.parameters(), *head.parameters()]
    decayed = [{"params": [p], "weight_decay": recipe_.decay * (recipe_.decay_all or p.ndim > 1)} for p in every]
    made: dict[str, Any] = {
        "nesterov": lambda: torch.optim.SGD(decayed, lr=1.0, momentum=0.9, nesterov=True),
        "sgd": lambda: torch.optim.SGD(decayed, lr=1.0, momentum=0.9),
        "adam": lambda: torch.optim.Adam(decayed, lr=1.0),
    }
    optimiser = made[recipe_.optimiser]()
    draws = torch.Generator().manual_seed(int(np.random.default_rng(2).integers(2**63)))
    for rows, numbers, kept, rate in training.plan(40, 32, recipe_, draws):
        batch = np.stack([seen(images[r], u, recipe_.augment) for r, u in zip(rows, numbers.tolist(), strict=True)])
        x = torch.from_numpy((batch - task.centre.astype(float)) / task.scale.astype(float)).permute(0, 3, 1, 2)
        hidden = body(x)
        if recipe_.p:
            hidden = hidden * kept / (1 - recipe_.p)
        logits = head(hidden)[:, 1:5]  # the classes with labels
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(y)[rows] % 4)
        for group in optimiser.param_groups:
            group["lr"] = float(rate)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch left it untyped
        optimiser.step()
    expected = body.state_dict() | {"head": head.weight.detach()}
    found = {**ours.weights, "head": torch.from_numpy(ours.last[0].T.copy())}
    for part in ("conv1.weight", "bn1.weight", "layer4.1.conv2.weight", "layer4.1.bn2.bias", "head"):
        there = slice(1, 5) if part == "head" else slice(None)
        moved = torch.linalg.vector_norm(expected[part][there] - before[part][there])
        assert torch.linalg.vector_norm(found[part][there] - expected[part][there]) < 0.02 * moved, part
    assert (ours.last[1] == -np.inf).tolist() == [True, False, False, False, False, True]


@pytest.mark.parametrize(
    ("name", "M", "steps"),
    [
        *(("typiclust", M, (1, 100)) for M in (1, 10, 60, 99, 100, 199)),
        ("typiclust", 1000, (10, 100)),
        ("deepal-plus", 1, (1, 2)),
        ("deepal-plus", 100, (1, 100)),
        ("deepal-plus", 300, (3, 100)),
        ("realistic-al", 50, (6, 916)),
        ("realistic-al", 11_000, (11, 1000)),
        ("udal", 4992, (156, 32)),
    ],
)
def test_an_epoch_has_the_steps_of_the_harness(name: Name, M: int, steps: tuple[int, int]) -> None:
    assert RECIPES[name].batches(M) == steps
    rows = [rows for rows, *_ in training.plan(M, 4, replace(RECIPES[name], epochs=1), torch.Generator())]
    assert [len(part) for part in rows] == [steps[1]] * steps[0]
    taken = np.bincount(torch.cat(rows), minlength=M)
    assert np.ptp(taken) <= 1  # all rows as often, but for what fills no batch


def test_rates_are_those_of_the_harness() -> None:
    typiclust, udal = RECIPES["typiclust"], RECIPES["udal"]
    assert [typiclust.rate_in(e) for e in (0, 100)] == [0.025, pytest.approx(0.0125)]
    assert typiclust.rate_in(199) < 1e-5
    assert [udal.rate_in(e) for e in (0, 4, 9, 10)] == pytest.approx([0.001, 0.005, 0.01, 0.01])
    assert {RECIPES["deepal-plus"].rate_in(e) for e in range(30)} == {1e-3}
    assert replace(udal, epochs=4).rate_in(0) == 0.01  # ten epochs of two hundred


def test_grey_images_are_not_mirrored_and_what_is_said_holds() -> None:
    assert recipe("typiclust", 1, {}).augment == "crop"
    assert recipe("typiclust", 3, {"epochs": None, "width": 3}) == RECIPES["typiclust"]
    grey = recipe("deepal-plus", 1, {})
    assert (grey.augment, grey.epochs) == ("none", 20)
    assert recipe("deepal-plus", 1, {"augment": "crop-flip"}).augment == "crop-flip"
    assert set(NUMBERS) >= {one.augment for one in RECIPES.values()}


def test_initial_weights_have_the_variances_of_the_recipes() -> None:
    """Of kernels 2 / fan-out, of the head 1 / (3 H); 10,000 numbers tell theirs to a few per cent."""
    body, head = training.begun(ResNet18().build(3, pool=True, large=False), (32, 32, 3), 100, np.random.default_rng(0))
    parts = body.state_dict()
    for name, fan_out in (("layer2.0.conv1.weight", 128 * 9), ("layer2.0.downsample.0.weight", 128)):
        assert float(parts[name].var()) == pytest.approx(2 / fan_out, rel=0.1)
    assert float(head.weight.detach().var()) == pytest.approx(1 / (3 * 512), rel=0.1)
    assert not head.bias.any()


def test_each_round_of_a_trial_starts_from_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, plain = list[dict[str, torch.Tensor]](), training.begun

    def kept(*arguments: Any) -> tuple[nn.Module, nn.Linear]:
        body, head = plain(*arguments)
        begun.append({name: part.clone() for name, part in [*body.state_dict().items(), *head.state_dict().items()]})
        return body, head

    monkeypatch.setattr(training, "begun", kept)
    images, _ = digits(60)
    pool = replace(make_pool(60), images=images, test_images=images)
    models = []
    for round_, seed in ((0, 0), (3, 0), (3, 1)):
        trial, rows = make_trial(seed=seed), np.arange(10 + round_)
        models.append(Bench(trial, pool, SMALL).fit(trial.names("fit", round_), rows, pool.labels[rows], rows))
    first, later, other = begun
    assert all(torch.equal(first[name], later[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
    assert not torch.equal(cast(Network, models[0]).weights["conv1.weight"], first["conv1.weight"])


def test_a_draw_drops_the_same_units_for_all_rows_and_asks_the_body_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = fitted(replace(SMALL, passes="dropout", p=0.3))
    asked, plain = list[int](), Network._body_of

    def counted(self: Network, inputs: NDArray[np.uint8]) -> torch.Tensor:
        asked.append(len(inputs))
        return plain(self, inputs)

    monkeypatch.setattr(Network, "_body_of", counted)
    draws = model.draws(3, np.random.default_rng(5))
    said = [draw(images) for draw in draws]
    assert asked == [60]
    mask = (np.random.default_rng(5).random(32) >= 0.3) / np.float32(0.7)
    weights, bias = model.head()
    odds = np.exp((model.hidden(images) * mask) @ weights + bias)
    np.testing.assert_allclose(said[0], odds / odds.sum(axis=1, keepdims=True), atol=1e-5)
    assert not np.array_equal(said[0], said[1])


def test_an_ensemble_is_of_networks_that_are_trained_alike() -> None:
    plain, images = fitted()
    model, _ = fitted(replace(SMALL, passes="ensemble"))
    np.testing.assert_array_equal(model.scores(images), plain.scores(images))
    said = [draw(images) for draw in model.draws(2, np.random.default_rng(7))]
    assert not np.allclose(said[0], said[1], atol=1e-3)
    lesson, rng = Lesson.of(images, digits(60)[1], 10, np.random.default_rng(7)), np.random.default_rng(7)
    alone = SMALL.fit(replace(lesson, rng=rng, weights=rng))
    np.testing.assert_array_equal(alone.scores(images), said[0])
    again = pickle.loads(pickle.dumps(model)).draws(1, np.random.default_rng(7))  # noqa: S301 - our own
    np.testing.assert_array_equal(again[0](images), said[0])


def test_what_lies_on_a_device_is_answered_there_with_the_same() -> None:
    here, images = fitted(replace(SMALL, passes="dropout"))
    with device.on("torch"):
        there, _ = fitted(replace(SMALL, passes="dropout"))
        inputs = View(images).take(np.arange(50))
        scores, draw = there.scores(inputs), there.draws(1, np.random.default_rng(0))[0](inputs)
        assert all(isinstance(part, torch.Tensor) for part in (scores, draw, there.hidden(inputs), *there.head()))
    np.testing.assert_allclose(scores.numpy(), here.scores(images[:50]), atol=1e-5)
    np.testing.assert_allclose(draw.numpy(), here.draws(1, np.random.default_rng(0))[0](images[:50]), atol=1e-5)


def test_threads_and_blocks_are_no_matter() -> None:
    one, images = fitted()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        other, _ = fitted()
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(one.scores(images), other.scores(images))
    many = np.tile(images, (20, 1, 1, 1))  # more than go through at once
    np.testing.assert_allclose(one.scores(many), np.tile(one.scores(images), (20, 1)), atol=1e-5)


def test_a_model_travels_between_processes() -> None:
    model, images = fitted()
    said = model.scores(images)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).scores(images), said)  # noqa: S301 - our own


def test_large_images_begin_as_imagenets_do() -> None:
    images = np.random.default_rng(0).integers(256, size=(4, 128, 128, 3), dtype=np.uint8)
    learner = ResNet18("deepal-plus", epochs=1, width=2)
    model = learner.fit(Lesson.of(images, np.arange(4), 4, np.random.default_rng(0)))
    assert model.weights["conv1.weight"].shape[2:] == (7, 7)
    assert model.hidden(images).shape == (4, 16)


def test_a_label_says_what_is_other_than_in_the_recipe() -> None:
    problems: list[str] = []
    said = {"name": "resnet18", "recipe": "udal", "width": 8, "epochs": 5}
    choice = choose(registry.learners, said, "learners[0]", problems)
    assert choice is not None
    assert choice.part.label == "resnet18(recipe=udal, epochs=5, width=8)"
    assert choose(registry.learners, "resnet18:udall", "learners[0]", problems) is None
    assert len(problems) == 1
    assert "udal" in problems[0]


WRONG: list[dict[str, Any]] = [
    {"width": 0},
    {"epochs": 0},
    {"batch": 0},
    {"rate": 0.0},
    {"decay": -1.0},
    {"p": 1.0},
    {"p": -0.1},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_makes_no_network_is_refused(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"\b{name} is {value}; (it must be|legal:) "):
        ResNet18(**wrong)


def test_more_that_makes_none() -> None:
    with pytest.raises(ValueError, match="legal: 10, 16"):
        WRN(depth=12)
    with pytest.raises(ValueError, match="above 0"):
        ResNet18(passes="dropout", p=0.0)

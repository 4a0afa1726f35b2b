"""Pretrained networks that are trained further: against a plain loop in float64, what is frozen, where they begin."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from support.pretrained import RESNET, VIT, drawn, trained
from support.trials import make_pool, make_trial

from albench.benchmark import device
from albench.benchmark.bench import Bench
from albench.benchmark.learners.finetune import FineTune
from albench.benchmark.learners.heads.training import batches
from albench.benchmark.learners.networks import finetuning
from albench.benchmark.learners.networks.finetuning import RECIPES, FineTuning, Name, blocks_of, optimiser_of
from albench.benchmark.learners.networks.network import PIXELS, Network
from albench.benchmark.learners.networks.training import begun_head, cut
from albench.benchmark.types import Labels, Lesson, View
from albench.datasets.embeddings.timm import Timm

LAST = {"norm.weight", "norm.bias"}  # behind the last block of a vision transformer


def digits(n: int) -> tuple[NDArray[np.uint8], Labels]:
    """Return even digits, (n, 8, 8, 1)."""
    x, y = load_digits(return_X_y=True)
    images = (15 * x[y % 2 == 0][:n]).astype(np.uint8).reshape(-1, 8, 8, 1)
    images.setflags(write=False)
    return images, y[y % 2 == 0][:n].astype(np.int64)


def fitted(learner: FineTune, n: int = 24, size: int = 1) -> Network:
    images, y = digits(n)
    images = images.repeat(size, axis=1).repeat(size, axis=2)
    return learner.fit(Lesson.of(images, y, 10, np.random.default_rng(0)))


def of_file(model: str) -> dict[str, torch.Tensor]:
    return {f"network.{name}": part for name, part in load_file(drawn(model)).items()}


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_is_a_plain_loop_in_float64(name: Name) -> None:
    """From the same weights and draws, with what a recipe says written out; weights are compared by how they moved."""
    images, y = digits(40)
    recipe = replace(RECIPES[name], epochs=3, batch=16, rate=1e-3, warm_up=4 if name == "labelbench" else 0)
    encoder = Timm(VIT, drawn())
    task = FineTuning(encoder, images, y, 10, recipe)
    ours = task.trained(np.random.default_rng(1), np.random.default_rng(2))

    present, targets = np.unique(y, return_inverse=True)
    body = finetuning.begun(encoder).eval()
    H = ours.hidden(images[:1]).shape[1]
    head = cut(begun_head(H, 10, np.random.default_rng(1)), present).double()
    network: Any = body.network.double()
    before = {name: p.detach().clone() for name, p in network.named_parameters()} | {"head": head.weight.detach()}
    before["head"] = before["head"].clone()
    ranks = {p: 3 if p in LAST else int(p.split(".")[1]) + 1 if p.startswith("blocks") else 0 for p in before}
    ranks |= dict.fromkeys(LAST, 3)  # the stem is 0, the last block 3
    rates = {"labelbench": dict.fromkeys(range(4), 1e-3), "refine": {3: 1e-3, 2: 5e-4}}[name]
    groups = [{"params": [p], "top": rates[ranks[n]]} for n, p in network.named_parameters() if ranks[n] in rates]
    groups += [{"params": [*head.parameters()], "top": 1e-3 if name == "labelbench" else 1e-2}]
    made: dict[str, Any] = {
        "labelbench": lambda: torch.optim.AdamW(groups, weight_decay=1e-4),
        "refine": lambda: torch.optim.SGD(groups, lr=1.0, momentum=0.9, nesterov=True, weight_decay=5e-4),
    }
    optimiser, every = made[name](), [p for group in groups for p in cast(Any, group["params"])]
    rng = np.random.default_rng(2)
    draws = torch.Generator().manual_seed(int(rng.integers(2**63)))
    coming = batches(40, 16, draws)
    for step in range(6):  # of three epochs, two batches each
        rows = next(coming)
        share = (step + 1) / 4 if step < 4 else (1 + math.cos(math.pi * (step - 4) / 2)) / 2
        if name == "refine":
            share = (1 + math.cos(math.pi * step / 6)) / 2
        for group in optimiser.param_groups:
            group["lr"] = group["top"] * share
        x = body.prepare(torch.from_numpy(images[rows.numpy()]).permute(0, 3, 1, 2)).double()
        goal = torch.eye(5, dtype=torch.float64)[targets[rows.numpy()]]
        if name == "labelbench":
            mixed, other = rng.beta(0.1, 0.1), torch.randperm(16, generator=draws)
            x, goal = mixed * x + (1 - mixed) * x[other], mixed * goal + (1 - mixed) * goal[other]
            goal = 0.9 * goal + 0.1 / 5
        loss = -(goal * head(network(x)).log_softmax(1)).sum(1).mean()
        slopes = torch.autograd.grad(loss, every)
        norm = math.sqrt(sum(float((slope**2).sum()) for slope in slopes))
        for p, slope in zip(every, slopes, strict=True):
            p.grad = slope / max(1.0, norm) if name == "labelbench" else slope
        optimiser.step()
    assert norm > 1, "nothing was cut"
    expected = dict(network.named_parameters()) | {"head": head.weight}
    found = {n.removeprefix("network."): p for n, p in ours.weights.items()}
    found["head"] = torch.from_numpy(ours.last[0].T[present].copy())
    for part, rank in ranks.items():
        if part != "head" and rank not in rates:
            assert torch.equal(found[part], before[part].float()), part
            continue
        moved = torch.linalg.vector_norm(expected[part] - before[part])
        assert torch.linalg.vector_norm(found[part] - expected[part]) < 0.02 * moved, part
    assert (ours.last[1] == -np.inf).tolist() == [False, True] * 5


def test_rates_are_those_of_the_recipes() -> None:
    labelbench, refine = RECIPES["labelbench"], RECIPES["refine"]
    assert labelbench.steps(1000) == 40
    assert labelbench.steps(3) == 20
    assert max(labelbench.share(step, 40) for step in range(40)) == 40 / 500  # it never arrives
    assert [labelbench.share(step, 1000) for step in (499, 500, 750)] == pytest.approx([1, 1, 0.5])
    assert [refine.share(step, 100) for step in (0, 50)] == pytest.approx([1, 0.5])
    network = finetuning.begun(Timm(VIT, drawn())).network
    head = torch.nn.Linear(4, 2)

    def rates(recipe: finetuning.Recipe) -> list[float]:
        return [group["highest"] for group in optimiser_of(network, head, recipe).param_groups]

    assert rates(labelbench) == [3e-5] * 5
    assert rates(refine) == [1e-2, 1e-5, 5e-6]
    asked = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {name.rpartition(".norm1")[0] for name in asked if "norm1" in name} == {"blocks.1", "blocks.2"}
    assert "patch_embed.proj.weight" not in asked
    assert rates(replace(refine, blocks="all")) == [1e-2, 1e-5, 5e-6, 2.5e-6, 1.25e-6]


def test_blocks_are_those_of_timm_with_norms_at_the_end() -> None:
    found = blocks_of(finetuning.read(Timm(VIT, drawn())).module)
    assert [names[0].rpartition(".norm1")[0] for names in found] == ["", "blocks.0", "blocks.1", "blocks.2"]
    assert set(found[-1]) > LAST
    convolutions = blocks_of(finetuning.read(Timm(RESNET, drawn(RESNET))).module)
    assert len(convolutions) == 5
    assert all(name.startswith("layer4") for name in convolutions[-1])
    with torch.random.fork_rng(devices=[]):
        norm_alone = blocks_of(timm.create_model("test_convnext3", num_classes=0))[-1]  # timm has it as a block
    assert {"head.norm.weight", "stages.3.blocks.0.mlp.fc2.weight"} < set(norm_alone)
    assert blocks_of(torch.nn.Linear(2, 2)) == [["weight", "bias"]]


def test_frozen_blocks_keep_their_bits_and_norms_their_statistics() -> None:
    model = fitted(FineTune(RESNET, drawn(RESNET), recipe="refine", epochs=1, blocks=1, rate=0.1), n=8)
    there = of_file(RESNET)
    changed = {name for name, part in model.weights.items() if not torch.equal(part, there[name])}
    assert {name.split(".")[1] for name in changed} == {"layer4"}
    assert "network.layer4.0.bn1.weight" in changed
    assert not any("running" in name for name in changed)
    assert model.pixels == 160 * 160


def test_each_round_begins_with_the_weights_of_the_file_and_the_same_head(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, plain = list[dict[str, torch.Tensor]](), FineTuning._train

    def kept(self: FineTuning, body: torch.nn.Module, head: torch.nn.Linear, *others: Any) -> None:
        parts = [*body.state_dict().items(), ("head", head.weight.detach())]
        begun.append({name: part.clone() for name, part in parts})
        plain(self, cast(Any, body), head, *others)

    monkeypatch.setattr(FineTuning, "_train", kept)
    images, _ = digits(60)
    pool = replace(make_pool(60), images=images, test_images=images)
    learner = FineTune(VIT, drawn(), recipe="refine", blocks="all", epochs=2, rate=0.1)
    models = []
    for round_, seed in ((0, 0), (3, 0), (0, 1)):
        trial, rows = make_trial(seed=seed), np.arange(20 + round_)
        models.append(Bench(trial, pool, learner).fit(trial.names("fit", round_), rows, pool.labels[rows], rows))
    first, later, other = begun
    there = of_file(VIT)
    assert all(torch.equal(first[name], part) and torch.equal(later[name], part) for name, part in there.items())
    assert torch.equal(first["head"], later["head"])
    assert not torch.equal(first["head"], other["head"])
    name = "network.patch_embed.proj.weight"
    assert not torch.equal(cast(Network, models[0]).weights[name], there[name])


def test_it_learns_from_what_was_learned_elsewhere() -> None:
    """Chance is 0.2; the same training of the same network that has seen nothing stays behind."""
    images, y = digits(400)
    lesson = Lesson.of(images[:200], y[:200], 10, np.random.default_rng(0))
    right = []
    for weights in (trained(), drawn()):
        learner = FineTune(VIT, weights, epochs=4, batch=16, rate=2e-3, warm_up=5)
        model = learner.fit(replace(lesson, rng=np.random.default_rng(0), weights=np.random.default_rng(0)))
        right.append((model.predict(images[200:]) == y[200:]).mean())
    assert right[0] > max(0.5, right[1] + 0.2)


def test_threads_are_no_matter() -> None:
    learner = FineTune("test_vit", drawn("test_vit"), recipe="refine", blocks="all", epochs=1, rate=0.1)
    one, before = fitted(learner, n=8), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        other = fitted(learner, n=8)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(part, other.weights[name]) for name, part in one.weights.items())


def test_where_it_is_trained_is_no_matter() -> None:
    learner = FineTune(VIT, drawn(), recipe="refine", epochs=2)
    images, _ = digits(24)
    with device.on("torch"):
        scores = fitted(learner).scores(View(images).take(np.arange(24)))
        assert isinstance(scores, torch.Tensor)
    np.testing.assert_allclose(scores.numpy(), fitted(learner).scores(images), atol=1e-5)


def test_as_many_images_go_through_at_once_as_their_size_in_the_network_lets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, plain = list[int](), Network._body_of

    def counted(self: Network, inputs: NDArray[np.uint8]) -> torch.Tensor:
        asked.append(len(inputs))
        return plain(self, inputs)

    model, (images, _) = fitted(FineTune(VIT, drawn(), epochs=1)), digits(24)
    monkeypatch.setattr(Network, "_body_of", counted)
    parts = replace(model, pixels=PIXELS["cpu"] // 10).scores(images)
    np.testing.assert_allclose(parts, model.scores(images), atol=1e-5)
    assert asked == [10, 10, 4, 24]


def test_one_class_needs_no_training_and_of_no_image_every_network_says_something() -> None:
    images, y = digits(4)
    for model, H in ((VIT, 24), ("test_vit", 64)):  # timm's own cannot say anything of none
        lesson = Lesson.of(images, np.zeros_like(y), 10, np.random.default_rng(0))
        found = FineTune(model, drawn(model), recipe="refine").fit(lesson)
        assert all(torch.equal(found.weights[name], part) for name, part in of_file(model).items())
        assert found.hidden(images[:0]).shape == (0, H)
        assert (found.scores(images) == np.eye(10, dtype=np.float32)[0]).all()


def test_grey_images_and_images_of_another_size_go_in() -> None:
    model = fitted(FineTune(VIT, drawn(), recipe="refine", epochs=1), size=3)
    grey = digits(5)[0].repeat(3, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(model.scores(grey), model.scores(grey.repeat(3, axis=3)), atol=1e-6)


WRONG: list[dict[str, Any]] = [
    {"blocks": 0},
    {"epochs": 0},
    {"batch": 0},
    {"rate": 0.0},
    {"head_rate": -1.0},
    {"decay": -1.0},
    {"warm_up": -1},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_trains_nothing_is_refused(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"\b{name} is {value}; (it must be|legal:) "):
        FineTune(VIT, **wrong)

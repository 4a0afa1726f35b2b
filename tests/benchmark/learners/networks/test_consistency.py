"""FlexMatch on images against a plain loop of torch's in float64, one image after the other."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from albench.benchmark.learners.flexmatch import SLOPE, FlexMatch
from albench.benchmark.learners.networks import training
from albench.benchmark.learners.networks.consistency import plan
from albench.benchmark.learners.networks.scratch import brightness
from albench.benchmark.learners.networks.strong import strong
from albench.benchmark.types import Derived, Labels, Lesson, Rows, View
from albench.datasets.embeddings.networks.backbones import wide_resnet

SMALL = FlexMatch(steps=4, batch=8, ratio=2, threshold=0.22, rate=0.01, decay=0.1, k=1, depth=10)
LABELLED: Rows = np.arange(5, 11)


def lesson(channels: int = 3, n: int = 23) -> Lesson:
    x, y = load_digits(return_X_y=True)
    images = np.repeat((x[:n] * 15).astype(np.uint8).reshape(-1, 8, 8, 1), channels, axis=3)
    images = (images // np.arange(1, channels + 1)).astype(np.uint8)
    images.setflags(write=False)
    known: Labels = y[LABELLED].astype(np.int64)
    others = np.setdiff1d(np.arange(n), LABELLED)
    derived = Derived(images, lambda key: np.random.default_rng(0))
    rng, weights = np.random.default_rng(1), np.random.default_rng(2)
    return Lesson(View(images), LABELLED, known, others, 12, rng, derived, weights=weights)


def weak(image: NDArray[np.uint8], numbers: list[float]) -> NDArray[np.uint8]:
    down, right = (math.floor(3 * number) for number in numbers[:2])
    view = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")[down : down + 8, right : right + 8]
    return view[:, ::-1] if numbers[2] < 0.5 and image.shape[2] > 1 else view


@pytest.mark.parametrize("channels", [1, 3])
def test_a_training_is_a_plain_loop_of_torchs(channels: int) -> None:
    """In single precision a rectifier may fall on the other side of 0: weights are compared by how far they moved."""
    asked = lesson(channels)
    images, classes = asked.view.array, np.unique(asked.labels)
    ours = SMALL.fit(asked)

    asked = lesson(channels)
    build = partial(wide_resnet, 10, 1, channels, SLOPE)
    body, head = training.begun(build, (8, 8, channels), 12, asked.weights)
    body.double()
    head.double()
    every = [*body.parameters(), *head.parameters()]
    means, before = ([p.detach().clone() for p in every] for _ in range(2))
    decayed = [{"params": [p], "weight_decay": 0.1 * (p.ndim > 1)} for p in every]
    optimiser = torch.optim.SGD(decayed, lr=1.0, momentum=0.9, nesterov=True)
    light = {name: part.astype(float) for name, part in brightness(asked.view).items()}
    noted, believed = np.full(len(asked.unlabelled), -1), 0
    draws = torch.Generator().manual_seed(int(asked.rng.integers(2**63)))
    for step, (chosen, u, others, weak_u, strong_u, rate, kept) in enumerate(plan(6, 17, SMALL, draws)):
        rows = asked.unlabelled[others]
        first = [weak(images[LABELLED[i]], numbers) for i, numbers in zip(chosen, u.tolist(), strict=True)]
        second = [weak(images[row], numbers) for row, numbers in zip(rows, weak_u.tolist(), strict=True)]
        moved = np.stack([weak(images[row], numbers) for row, numbers in zip(rows, strong_u.tolist(), strict=True)])
        third = strong(torch.from_numpy(moved), strong_u[:, 3:]).numpy()
        batch = (np.concatenate([first, second, third]) - light["centre"]) / light["scale"]
        logits = head(body(torch.from_numpy(batch).permute(0, 3, 1, 2)))[:, classes]
        loss = nn.functional.cross_entropy(logits[:8], torch.from_numpy(np.searchsorted(classes, asked.labels))[chosen])
        probs = torch.softmax(logits[8:24], dim=1).detach().numpy()
        counts = Counter(noted.tolist())
        for i, p in enumerate(probs):
            beta = counts[int(p.argmax())] / max(counts.values())
            if p.max() >= 0.22 * beta / (2 - beta):
                loss = loss - torch.log_softmax(logits[24 + i], dim=0)[int(p.argmax())] / 16
                believed += 1
        sure = probs.max(axis=1) >= 0.22
        noted[others[sure]] = probs.argmax(axis=1)[sure]
        assert float(rate) == pytest.approx(0.01 * math.cos(7 * math.pi * step / (16 * 4)))
        assert float(kept) == pytest.approx((1 + step) / (10 + step))
        for group in optimiser.param_groups:
            group["lr"] = float(rate)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch left it untyped
        optimiser.step()
        means = [float(kept) * m + (1 - float(kept)) * p.detach() for m, p in zip(means, every, strict=True)]
    assert 0 < believed < 64  # else the thresholds were not asked
    names = [name for name, _ in body.named_parameters()]
    found = [*(ours.weights[name] for name in names), torch.from_numpy(ours.last[0].T.copy())]
    for name, theirs, mean, start in zip([*names, "head"], found, means[:-1], before[:-1], strict=True):
        there: Any = classes if name == "head" else slice(None)
        moved_by = torch.linalg.vector_norm(mean[there] - start[there])
        assert torch.linalg.vector_norm(theirs[there] - mean[there]) < 0.02 * moved_by, name


def test_rows_without_labels_lift_what_few_labels_teach() -> None:
    asked, (x, y) = lesson(1, n=300), load_digits(return_X_y=True)
    tests = (x[300:600] * 15).astype(np.uint8).reshape(-1, 8, 8, 1)
    learner = FlexMatch(steps=60, batch=16, ratio=4, k=1, depth=10)
    right = []
    for others in (asked.unlabelled, asked.unlabelled[:0]):
        own = replace(asked, unlabelled=others, rng=np.random.default_rng(0), weights=np.random.default_rng(0))
        right.append((learner.fit(own).predict(tests) == y[300:600]).mean())
    assert right[0] > right[1] + 0.03


def test_batches_are_whole_and_an_epoch_takes_each_row_once() -> None:
    steps = list(plan(200, 30, FlexMatch(steps=6, batch=64), torch.Generator()))
    assert {len(step[0]) for step in steps} == {64}
    assert torch.unique(torch.cat([step[0] for step in steps[:3]])).shape == (192,)
    assert [sorted(step[2].tolist()) for step in steps] == [list(range(30))] * 6  # all that there are
    assert [len(step[2]) for step in plan(200, 0, FlexMatch(steps=2), torch.Generator())] == [0, 0]
    assert FlexMatch().rate_in(2**20) == pytest.approx(0.03 * math.cos(7 * math.pi / 16))
    assert FlexMatch().kept_in(10**5) == 0.999


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"threshold": 1.5}, {"rate": 0.0}, {"decay": -1.0}, {"k": 0}], ids=str)
def test_what_makes_no_training_is_refused(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"\b{name} is {value}; (it must be|legal:) "):
        FlexMatch(**wrong)

"""What every learner promises, those that other packages bring along too: none is named here but for its parameters."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from support import pretrained

from albench.benchmark import registry
from albench.benchmark.conformance.checks import OF_LEARNERS, check_learner
from albench.benchmark.learners.finetune import FineTune
from albench.benchmark.learners.flexmatch import FlexMatch
from albench.benchmark.learners.flexmatch_head import FlexMatchHead
from albench.benchmark.learners.label_propagation import LabelPropagation
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.learners.pseudo_label import PseudoLabel
from albench.benchmark.learners.resnet18 import ResNet18
from albench.benchmark.learners.resnet50 import ResNet50
from albench.benchmark.learners.wrn import WRN
from albench.benchmark.lesson import sees
from albench.benchmark.query import FROM_THE_MODEL
from albench.benchmark.types import (
    Features,
    Labels,
    Learner,
    Lesson,
)

FEW: Any = {"recipe": "udal", "epochs": 8, "batch": 16, "rate": 0.03, "augment": "none"}
SHORT: list[Learner] = [
    ResNet18(**{**FEW, "epochs": 1}, width=4, passes="dropout", p=0.2),
    ResNet50(**{**FEW, "epochs": 1}, width=2),
    FlexMatch(steps=3, batch=8, ratio=2, k=1, depth=10),
    FineTune(pretrained.VIT, pretrained.drawn(), epochs=2, warm_up=2),
    FineTune(pretrained.VIT, pretrained.drawn(), recipe="refine", epochs=2),
]
"""Trained for too short to learn anything: they keep their other promises in seconds."""
OTHERS: dict[str, list[Learner]] = {
    "finetune": SHORT[3:],
    "flexmatch": SHORT[2:3],
    "flexmatch-head": [FlexMatchHead(views=2), FlexMatchHead(steps=100, width=32)],
    "pseudo-label": [PseudoLabel(), PseudoLabel(steps=100, width=32, threshold=0.9)],
    "label-propagation": [LabelPropagation(neighbours=20, steps=100), LabelPropagation("simeoni", steps=100)],
    "linear": [Linear(), Linear(passes="laplace"), Linear(passes="bootstrap"), Linear(passes="dropout")],
    "mlp": [
        MLP(steps=60),
        MLP(steps=60, depth=2, passes="dropout", p=0.2),
        MLP(steps=60, sees="images"),
        MLP(steps=60, passes="snapshots", cycle=20),
        MLP(steps=60, passes="snapshots", cycle=5, rate="constant"),
    ],
    "resnet18": SHORT[:1],
    "resnet50": SHORT[1:2],
    "wrn": [WRN(**FEW, k=1, depth=10)],
}
"""Where not the defaults alone are tested."""


def learners() -> list[Any]:
    named = registry.learners.names()
    found = [learner for name in named for learner in OTHERS.get(name) or [registry.learners.get(name).cls()]]
    return [pytest.param(learner, id=re.sub(r"'/\S*/", "'", str(learner))) for learner in found]


def digits(learner: Learner, n: int = 80) -> tuple[Features, Labels]:
    """Rows of digits as the learner sees them, of the even classes alone."""
    x, y = load_digits(return_X_y=True)
    x, y = x[y % 2 == 0][:n], y[y % 2 == 0][:n].astype(np.int64)
    seen = x.astype(np.uint8).reshape(-1, 8, 8, 1) if sees(learner) == "images" else (x / 16).astype(np.float32)
    seen.setflags(write=False)
    return seen, y


def _seen(learner: Learner, rows: NDArray[np.float64]) -> NDArray[Any]:
    """Rows around 0 as the learner sees them, read-only."""
    as_images = sees(learner) == "images"
    seen = (128 + 30 * rows[:, None, :, None]).astype(np.uint8) if as_images else rows.astype(np.float32)
    seen.setflags(write=False)
    return seen


def fit(learner: Learner, x: Any, y: Labels, n_classes: int = 10) -> Any:
    return learner.fit(Lesson.of(x, y, n_classes, np.random.default_rng(0)))


@pytest.mark.parametrize("learner", learners())
def test_every_registered_learner_conforms(learner: Learner) -> None:
    results = check_learner(learner)
    assert len(results) == len(OF_LEARNERS)
    assert [f"{r.name}: {r.message}" for r in results if not r.passed] == []


@pytest.mark.parametrize("learner", learners())
@settings(max_examples=10)
@given(
    n=st.integers(1, 30),
    d=st.integers(1, 6),
    classes=st.integers(2, 5),
    seen=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_answers_are_of_the_classes_seen_and_the_same_again(
    learner: Learner, n: int, d: int, classes: int, seen: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, queries = _seen(learner, rng.normal(size=(n, d))), _seen(learner, rng.normal(size=(17, d)))
    y = rng.choice(rng.permutation(classes)[:seen], size=n).astype(np.int64)
    model, again = fit(learner, x, y, classes), fit(learner, x, y, classes)
    assert learner.gives <= set(FROM_THE_MODEL)
    predicted, scores = model.predict(queries), model.scores(queries)
    assert predicted.dtype == np.int64
    assert set(predicted) <= set(y)
    assert (scores.shape, scores.dtype) == ((17, classes), np.float32)
    np.testing.assert_array_equal(scores, again.scores(queries))
    if "probabilities" in learner.gives:
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
        assert not scores[:, np.setdiff1d(np.arange(classes), y)].any()


@pytest.mark.parametrize(
    "learner", [*(param for param in learners() if param.values[0] not in SHORT), ResNet18(**FEW, width=8)]
)
def test_learns(learner: Learner) -> None:
    x, y = digits(learner, 400)
    accuracy = (fit(learner, x[:200], y[:200]).predict(x[200:]) == y[200:]).mean()
    assert accuracy > 0.9  # chance is 0.2

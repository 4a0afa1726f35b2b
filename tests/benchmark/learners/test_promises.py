"""What every learner promises, those that other packages bring along too: none is named here but for its parameters."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.datasets import load_digits

from albench.benchmark import registry
from albench.benchmark.bench import Bench
from albench.benchmark.conformance.state import states
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.lesson import Headed, Hidden, Stochastic, sees
from albench.benchmark.query import FROM_THE_MODEL
from albench.benchmark.seeds import generator
from albench.benchmark.types import (
    Budget,
    Count,
    Derived,
    Features,
    Labels,
    Learner,
    Lesson,
    Part,
    Pool,
    Segment,
    Trial,
)

OTHERS: dict[str, list[Learner]] = {
    "linear": [Linear(), Linear(passes="laplace"), Linear(passes="bootstrap"), Linear(passes="dropout")],
    "mlp": [
        MLP(steps=60),
        MLP(steps=60, depth=2, passes="dropout", p=0.2),
        MLP(steps=60, sees="images"),
        MLP(steps=60, passes="snapshots", cycle=20),
        MLP(steps=60, passes="snapshots", cycle=5, rate="constant"),
    ],
}
"""Where not the defaults alone are tested."""


def learners() -> list[Any]:
    named = registry.learners.names()
    found = [learner for name in named for learner in OTHERS.get(name) or [registry.learners.get(name).cls()]]
    return [pytest.param(learner, id=str(learner)) for learner in found]


def giving(need: str) -> list[Any]:
    return [param for param in learners() if need in cast(Learner, param.values[0]).gives]


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


@pytest.mark.parametrize("learner", learners())
def test_learns(learner: Learner) -> None:
    x, y = digits(learner, 400)
    accuracy = (fit(learner, x[:200], y[:200]).predict(x[200:]) == y[200:]).mean()
    assert accuracy > 0.9  # chance is 0.2


@pytest.mark.parametrize("learner", learners())
def test_hidden_labels_and_the_test_set_are_not_read(learner: Learner) -> None:
    x, y = digits(learner)
    features = x if x.ndim == 2 else np.zeros((len(x), 2), np.float32)
    trial = Trial(
        dataset=Part("made"),
        embedding=Part("made"),
        learner=Part("made"),
        strategy=Part("made"),
        budget=Budget("b", Count(30), (Segment(Count(5), 1),)),
        seed=0,
        fingerprint="made",
    )

    def scores(hidden: Labels, test: Features, test_labels: Labels) -> Features:
        images = (x, np.zeros_like(x[:3])) if sees(learner) == "images" else (None, None)
        derived = Derived(features, lambda key: generator("test", key))
        names = tuple(map(str, range(10)))
        bench = Bench(trial, Pool(features, hidden, test, test_labels, names, derived, *images), learner)
        rows = np.arange(30)
        model = bench.fit(trial.names("fit", 0), rows, hidden[rows], np.arange(30, len(x)))
        return np.asarray(model.scores(x))

    poison = np.where(np.arange(len(y)) < 30, y, -(10**6))
    whole = scores(y, features[:3].copy(), y[:3].copy())
    spoilt = scores(poison, np.full_like(features[:3], np.nan), np.full(3, -(10**6)))
    np.testing.assert_array_equal(whole, spoilt)


@pytest.mark.parametrize("learner", learners())
def test_nothing_is_drawn_from_what_everybody_shares(learner: Learner) -> None:
    import torch  # else its generator is not looked at

    x, y = digits(learner)
    before, threads = states(), torch.get_num_threads()
    model = fit(learner, x, y)
    model.scores(x)
    if "passes" in learner.gives:
        cast(Stochastic, model).draws(2, np.random.default_rng(0))[1](x)
    assert states() == before
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("learner", giving("head"))
def test_the_head_on_what_is_hidden_gives_the_probabilities(learner: Learner) -> None:
    x, y = digits(learner)
    model = fit(learner, x, y)
    (weights, bias), hidden = cast(Headed, model).head(), cast(Hidden, model).hidden(x)
    assert hidden.dtype == weights.dtype == bias.dtype == np.float32
    assert (bias == -np.inf).tolist() == [c % 2 == 1 for c in range(10)]
    np.testing.assert_allclose(softmax(hidden @ weights + bias, axis=1), model.scores(x), atol=1e-5)


@pytest.mark.parametrize("learner", giving("passes"))
def test_passes_differ_and_are_probabilities_around_those_of_the_model(learner: Learner) -> None:
    x, y = digits(learner, 160)
    model, x = fit(learner, x[:80], y[:80]), x[80:]
    draws = cast(Stochastic, model).draws(40, np.random.default_rng(0))
    passes = np.stack([draw(x) for draw in draws])
    assert passes.dtype == np.float32
    assert len(np.unique(passes[:, :, 0], axis=0)) == 40
    np.testing.assert_allclose(passes.sum(axis=2), 1, atol=1e-5)
    assert not passes[:, :, 1::2].any()
    mean, probs = passes.mean(axis=0), model.scores(x)
    assert (mean.argmax(axis=1) == probs.argmax(axis=1)).mean() > 0.9
    assert np.abs(mean - probs).mean() < 0.07
    np.testing.assert_allclose(draws[3](x[7:20]), passes[3, 7:20], atol=1e-5)  # whatever the block
    first = cast(Stochastic, model).draws(3, np.random.default_rng(0))
    np.testing.assert_array_equal(np.stack([draw(x) for draw in first]), passes[:3])


@pytest.mark.parametrize("learner", giving("passes"))
def test_passes_of_one_class_are_sure_of_it(learner: Learner) -> None:
    x, y = digits(learner, 4)
    model = fit(learner, x, np.zeros_like(y))
    for draw in cast(Stochastic, model).draws(3, np.random.default_rng(0)):
        assert (draw(x)[:, 0] == 1).all()


@pytest.mark.parametrize("learner", giving("hidden"))
def test_of_no_rows_a_model_says_nothing(learner: Learner) -> None:
    x, y = digits(learner)
    model = fit(learner, x, y)
    assert len(cast(Hidden, model).hidden(x[:0])) == len(model.scores(x[:0])) == 0

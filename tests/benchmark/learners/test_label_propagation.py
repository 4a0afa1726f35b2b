"""Label propagation against its closed form and a dense transcription, and the head that learns what it says."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from albench.benchmark.learners.heads import propagation
from albench.benchmark.learners.heads.semi import Head, weighted
from albench.benchmark.learners.heads.training import Recipe
from albench.benchmark.learners.label_propagation import LabelPropagation
from albench.benchmark.learners.linear import Linear
from albench.benchmark.types import Arrays, Derived, Features, Floats, Labels, Learner, Lesson, Rows, View

N, P = 200, 4
LABELLED: Rows = np.array([3, 50, 51, 120, 199, 7])
TARGETS: Labels = np.array([0, 1, 2, 3, 1, 0])


def points() -> Features:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(P, 6))
    return (centres[np.arange(N) % P] + 0.7 * rng.normal(size=(N, 6))).astype(np.float32)


def lesson(features: Features, rows: Rows, labels: Labels, n_classes: int, derived: Derived | None = None) -> Lesson:
    unlabelled = np.setdiff1d(np.arange(len(features)), rows)
    own = Derived(features, lambda key: np.random.default_rng(0))
    return Lesson(View(features), rows, labels, unlabelled, n_classes, np.random.default_rng(0), derived or own)


def dense(features: Features, k: int, affinity: Callable[[Floats], Floats]) -> Floats:
    """S by the definition, from all pairs."""
    units = features.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    far = cdist(units, units)
    A = np.zeros((len(far), len(far)))
    for i, row in enumerate(far):
        near = [j for j in np.argsort(row, kind="stable") if j != i][:k]
        A[i, near] = affinity(row[near])
    W = A + A.T
    return W / np.sqrt(np.outer(W.sum(axis=1), W.sum(axis=1)))


def test_the_closed_form_of_diffusion() -> None:
    x = points()
    S = dense(x, 10, lambda far: (1 - far**2 / 2) ** 3)
    Y = np.zeros((N, P))
    for row, c in zip(LABELLED, TARGETS, strict=True):
        Y[row, c] = 1 / np.count_nonzero(c == TARGETS)
    F = np.maximum(np.linalg.solve(np.eye(N) - 0.99 * S, Y), 0)
    graph = propagation.graph(
        Derived(x, lambda key: np.random.default_rng(0)), "cos", 10, lambda far: (1 - far**2 / 2) ** 3
    )
    np.testing.assert_allclose(graph.toarray(), S, atol=1e-6)
    np.testing.assert_allclose(propagation.diffused(graph, LABELLED, TARGETS, P, 0.99, 500), F, rtol=1e-3, atol=1e-5)

    shares = F / F.sum(axis=1, keepdims=True)
    entropy = -np.sum(np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1)), 0), axis=1)
    certain = (1 - entropy / np.log(P)) / (1 - entropy / np.log(P)).max()
    certain[LABELLED] = 1
    learner = LabelPropagation("simeoni", neighbours=10, iterations=500)
    classes, weights = learner.guess(lesson(x, LABELLED, TARGETS, P), TARGETS)
    np.testing.assert_allclose(weights, certain, atol=1e-4)
    others = np.setdiff1d(np.arange(N), LABELLED)
    np.testing.assert_array_equal(classes[others], F[others].argmax(axis=1))
    np.testing.assert_array_equal(classes[LABELLED], TARGETS)


def test_a_dense_transcription_of_clamped_propagation() -> None:
    x = points()
    S = dense(x, 30, lambda far: np.clip(0.25 * (4 - far**2), 0, 1) ** 2)
    Y = np.eye(P)[TARGETS]
    F = np.zeros((N, P))
    F[LABELLED] = Y
    for _ in range(100):
        F = 0.9 * S @ F
        F[LABELLED] = Y
    learner = LabelPropagation(neighbours=30, gamma=2.0)
    asked = lesson(x, LABELLED, TARGETS, P)
    classes, _ = learner.guess(asked, TARGETS)
    graph = propagation.graph(asked.derived, "alfm/2.0", 30, lambda far: pytest.fail("the graph was made again"))
    found = propagation.clamped(graph, LABELLED, TARGETS, P, 0.9, 100)
    np.testing.assert_allclose(found, F, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(classes, F.argmax(axis=1))


def test_certainty_is_one_of_a_single_class_and_zero_where_nothing_arrives() -> None:
    F = np.array([[2, 0, 0], [1, 1, 1], [0, 0, 0], [1, 1, 0]], np.float32)
    np.testing.assert_allclose(propagation.certainty(F), [1, 0, 0, 1 - np.log(2) / np.log(3)], atol=1e-6)
    np.testing.assert_array_equal(propagation.certainty(F[:, :1]), 1)


def test_the_graph_is_made_once_per_pool() -> None:
    x, made = points(), list[str]()

    def keep(key: str, compute: Callable[[], Arrays]) -> Arrays:
        made.append(key)
        return compute()

    derived = Derived(x, lambda key: np.random.default_rng(0), keep)
    for form in ("alfm", "simeoni", "alfm"):
        LabelPropagation(form, steps=1).fit(lesson(x, LABELLED, TARGETS, P, derived))
    assert sorted(made) == ["label-graph/1/alfm/1.0/500", "label-graph/1/simeoni/3.0/50", "scaling/1"]


def test_the_head_learns_the_weighted_cross_entropy() -> None:
    """One step's slope against autograd of the formula in double precision."""
    x, rng = points(), np.random.default_rng(1)
    weights, classes = rng.random(N).astype(np.float32), np.arange(N) % P
    head = Head(lesson(x, LABELLED, TARGETS, P), Recipe(1, N, 1e-3, 0.0, 0.0))
    (slope,) = torch.autograd.grad(weighted(head, np.arange(N), classes, weights)(), head.run._theta)
    W, b = (torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in head.run.layers()[0])
    inputs = torch.tensor(x.astype(np.float64) - x.mean(axis=0, dtype=np.float64))
    logits = inputs / inputs.square().mean().sqrt() @ W + b
    said = torch.log_softmax(logits, dim=1)[torch.arange(N), torch.tensor(classes)]
    (-(torch.tensor(weights) * said).mean()).backward()  # type: ignore[no-untyped-call] # torch left it untyped
    assert W.grad is not None
    assert b.grad is not None
    np.testing.assert_allclose(slope, torch.cat([W.grad.flatten(), b.grad]), atol=1e-6)


def test_few_labels_go_further_than_in_a_head_on_them_alone() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x.astype(np.float32), y.astype(np.int64)
    rows = np.random.default_rng(0).permutation(1200)[:30]
    pool, derived = x[:1200], Derived(x[:1200], lambda key: np.random.default_rng(0))
    learners: list[Learner] = [Linear(), LabelPropagation(neighbours=20), LabelPropagation("simeoni")]
    models = [learner.fit(lesson(pool, rows, y[rows], 10, derived)) for learner in learners]
    alone, *spread = [(model.predict(x[1200:]) == y[1200:]).mean() for model in models]
    assert min(spread) > alone + 0.03


@pytest.mark.parametrize(
    "wrong", [{"neighbours": 0}, {"alpha": 1.0}, {"alpha": 0.0}, {"gamma": 0.0}, {"iterations": 0}, {"steps": 0}]
)
def test_what_spreads_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"label-propagation: .* must be"):
        LabelPropagation(**wrong)  # type: ignore[arg-type] # wrong on purpose

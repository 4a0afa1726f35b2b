"""FlexMatch: thresholds against a plain count of rows, the loss against its gradient written out; pseudo-labels."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from albench.benchmark.learners.flexmatch_head import FlexMatchHead
from albench.benchmark.learners.heads.semi import Head
from albench.benchmark.learners.heads.thresholds import Thresholds, believed
from albench.benchmark.learners.heads.training import Recipe
from albench.benchmark.learners.pseudo_label import PseudoLabel
from albench.benchmark.types import Derived, Floats, Labels, Lesson, Pool, Rows, View

N, D, P = 60, 5, 3
LABELLED: Rows = np.arange(0, 12)
UNLABELLED: Rows = np.arange(12, N)


@given(seed=st.integers(0, 999), threshold=st.floats(0.4, 0.99), batches=st.integers(1, 6))
def test_thresholds_follow_a_plain_count_of_made_up_confidences(seed: int, threshold: float, batches: int) -> None:
    rng, U = np.random.default_rng(seed), 12
    found = Thresholds(U, P, threshold, "cpu")
    noted = dict.fromkeys(range(U), -1)
    for _ in range(batches):
        rows = rng.permutation(U)[:7]
        probs = softmax(3 * rng.normal(size=(7, P)), axis=1)
        counts = Counter(noted.values())
        beta = [counts[c] / max(counts.values()) for c in range(P)]
        expected = [p.max() >= threshold * beta[c] / (2 - beta[c]) for p, c in zip(probs, probs.argmax(1), strict=True)]
        guess, mask = found(torch.tensor(rows), torch.tensor(probs))
        assert guess.tolist() == probs.argmax(axis=1).tolist()
        assert mask.tolist() == expected
        noted |= {int(row): int(p.argmax()) for row, p in zip(rows, probs, strict=True) if p.max() >= threshold}
    assert found._noted.tolist() == [P if c < 0 else c for c in noted.values()]


def lesson(views: int = 2) -> Lesson:
    rng = np.random.default_rng(0)
    hidden = np.arange(N) % P
    x = (2 * np.eye(P, D)[hidden] + rng.normal(size=(N, D))).astype(np.float32)
    weak, strong = (
        tuple(View((x + noise * rng.normal(size=x.shape)).astype(np.float16)) for _ in range(views))
        for noise in (0.1, 0.5)
    )
    derived = Derived(x, lambda key: np.random.default_rng(0))
    known: Labels = hidden[LABELLED]
    own = np.random.default_rng(0)
    return Lesson(View(x), LABELLED, known, UNLABELLED, P, own, derived, weak=weak, strong=strong)


def gradient(inputs: Floats, probs: Floats, targets: Labels, weights: Floats) -> Floats:
    """The slope of Σ weight · cross-entropy at weights (D, P) and biases (P,), written out."""
    wrong = weights[:, None] * (probs - np.eye(P)[targets])
    return np.concatenate([(inputs.T @ wrong).ravel(), wrong.sum(axis=0)])


def test_the_slope_of_a_step_is_that_of_the_formula_in_double_precision() -> None:
    """Both batches are all rows; the second turn is judged by what the first one noted, in the other views."""
    asked = lesson()
    head = Head(asked, Recipe(1, 128, 3e-3, 0.0, 0.0))
    (W, b), x = (part.astype(np.float64) for part in head.run.layers()[0]), asked.view.array.astype(np.float64)
    scale = np.sqrt(np.square(x - x.mean(axis=0)).mean())

    def seen(view: View, rows: Rows) -> tuple[Floats, Floats]:
        inputs = (view.array[rows].astype(np.float64) - x.mean(axis=0)) / scale
        return inputs, softmax(inputs @ W + b, axis=1)

    threshold = float(np.quantile(seen(asked.weak[0], UNLABELLED)[1].max(axis=1), 0.25))  # few remain unused
    loss = FlexMatchHead(threshold=threshold, views=2).loss(head, asked)
    noted, used = np.full(len(UNLABELLED), -1), []
    for weak, strong in zip(asked.weak, asked.strong, strict=True):
        (slope,) = torch.autograd.grad(loss(), head.run._theta)
        counts = Counter(noted.tolist())
        beta = np.array([counts[c] / max(counts.values()) for c in range(P)])
        _, probs = seen(weak, UNLABELLED)
        guess, confidence = probs.argmax(axis=1), probs.max(axis=1)
        mask = confidence >= threshold * (beta / (2 - beta))[guess]
        used.append(int(mask.sum()))
        noted = np.where(confidence >= threshold, guess, noted)
        expected = gradient(*seen(weak, LABELLED), asked.labels, np.full(len(LABELLED), 1 / len(LABELLED)))
        expected += gradient(*seen(strong, UNLABELLED), guess, mask / len(UNLABELLED))
        np.testing.assert_allclose(slope, expected, atol=2e-6)
    assert used[0] == len(UNLABELLED) > used[1]  # the warm-up, then a choice


def test_pseudo_labels_are_the_classes_a_head_is_sure_of_itself() -> None:
    logits = torch.tensor([[4.0, 0, 0], [0.1, 0, 0], [0, 0, 5]], dtype=torch.float64, requires_grad=True)
    probs = softmax(logits.detach().numpy(), axis=1)
    expected = -(np.log(probs[0, 0]) + np.log(probs[2, 2])) / 2
    assert believed(logits, 0.9).item() == pytest.approx(expected)
    assert believed(logits, 0.9999).item() == 0


@pytest.mark.parametrize("learner", [FlexMatchHead(steps=60, views=2), PseudoLabel(threshold=0.6, steps=60, warm_up=1)])
def test_the_inputs_of_unlabelled_rows_are_learned_from(learner: FlexMatchHead | PseudoLabel) -> None:
    whole = lesson()
    fewer = Lesson.of(whole.view.array[LABELLED], whole.labels, P, np.random.default_rng(0))
    x = whole.view.array
    models = [learner.fit(each) for each in (whole, lesson(), fewer)]
    np.testing.assert_array_equal(models[0].scores(x), models[1].scores(x))
    assert not np.allclose(models[0].scores(x), models[2].scores(x), atol=0.01)


def test_a_pool_gives_as_many_of_its_views_as_are_asked_for() -> None:
    asked = lesson(views=3)
    views = np.stack([[view.array for view in kind] for kind in (asked.weak, asked.strong)])
    x, labels = asked.view.array, np.arange(N) % P
    pool = Pool(x, labels, x[:2], labels[:2], ("a", "b", "c"), asked.derived, views=views)
    weak, strong = pool.transformed(2)
    np.testing.assert_array_equal(np.stack([weak, strong]), views[:, :2])
    assert pool.transformed(2)[0][0] is weak[0]  # a GPU holds it once
    with pytest.raises(ValueError, match="without 4 views"):
        pool.transformed(4)


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [(FlexMatchHead, {"views": 0}), (FlexMatchHead, {"threshold": 0.0}), (PseudoLabel, {"warm_up": 0})],
)
def test_what_learns_from_nothing_is_refused(cls: type[FlexMatchHead | PseudoLabel], wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        cls(**wrong)  # type: ignore[arg-type] # wrong on purpose

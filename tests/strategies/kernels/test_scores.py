"""What is one score a row against its formula in double precision, numpy and tensor alike."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.queries import random_passes

from albench.benchmark.types import Array, Floats
from albench.strategies.kernels.scores import entropy, expected_entropy, least_confidence, margin, mutual_information

SEEDS = st.integers(0, 10**6)


def entropy_of(p: list[float]) -> float:
    return -math.fsum(x * math.log(x) for x in p if x > 0)


def disagreement(p: Floats) -> float:
    """Return BALD's score of one row's passes (K, C), as its definition says it."""
    return entropy_of(p.mean(axis=0).tolist()) - math.fsum(entropy_of(row) for row in p.tolist()) / len(p)


def probabilities(seed: int, classes: int) -> NDArray[np.float32]:
    p = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), size=30).astype(np.float32)
    p[0], p[1] = np.eye(classes)[0], 1 / classes
    return p


BY_ROW: dict[Callable[[Array], Array], Callable[[list[float]], float]] = {
    least_confidence: lambda p: 1 - max(p),
    margin: lambda p: 1 - sorted(p)[-1] + sorted(p)[-2],
    entropy: entropy_of,
}


@pytest.mark.parametrize("score", BY_ROW)
@settings(deadline=None)
@given(SEEDS, st.integers(2, 12))
def test_scores_of_probabilities(score: Callable[[Array], Array], seed: int, classes: int) -> None:
    p = probabilities(seed, classes)
    ours = score(p)
    assert np.allclose(ours, [BY_ROW[score](row) for row in p.tolist()], rtol=1e-6, atol=1e-7)
    assert ours.argmin() == 0  # the surest
    assert np.allclose(ours, score(torch.from_numpy(p)).numpy(), rtol=1e-6, atol=1e-7)


@settings(deadline=None)
@given(SEEDS, st.integers(2, 6), st.integers(1, 12))
def test_mutual_information_of_passes(seed: int, classes: int, K: int) -> None:
    passes = random_passes(seed, K, 20, classes)
    passes[:, 0], passes[:, 1] = np.eye(classes)[0], passes[0, 1]  # sure, and of one mind
    passes[:, 2] = np.eye(classes)[np.arange(K) % classes]  # each sure of another class
    ours = mutual_information(passes.astype(np.float32))
    assert np.allclose(ours, [disagreement(passes[:, i]) for i in range(20)], atol=1e-12)
    assert np.allclose(
        expected_entropy(passes), [np.mean([entropy_of(p) for p in row]) for row in passes.swapaxes(0, 1).tolist()]
    )
    assert ours.min() >= 0
    assert ours.max() <= math.log(classes) + 1e-12
    assert ours[:2].tolist() == [0, 0]
    assert ours[2] == pytest.approx(math.log(classes) if K % classes == 0 else ours[2])
    assert np.allclose(ours, mutual_information(torch.from_numpy(passes.astype(np.float32))).numpy(), atol=1e-12)


def test_a_disagreement_that_single_precision_would_lose() -> None:
    passes = np.array([[[0.5, 0.5]], [[0.5 + 2**-18, 0.5 - 2**-18]]], dtype=np.float32)
    assert mutual_information(passes)[0] == pytest.approx(2 * 2**-38, rel=1e-4)  # twice the variance of p


def test_margin_of_decision_values_where_classes_have_no_labels() -> None:
    values = np.array([[1.0, 3.0, -np.inf], [2.0, -np.inf, -np.inf]], dtype=np.float32)
    assert margin(values).tolist() == margin(torch.from_numpy(values)).tolist() == [-1.0, -np.inf]

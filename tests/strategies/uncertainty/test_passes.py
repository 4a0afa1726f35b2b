"""One score a row from the passes of a model, against the formulas written out."""

import math
import statistics
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queries import query, random_passes

from albench.benchmark.registry import strategies
from albench.benchmark.types import Floats, Scored
from albench.strategies.kernels import scores
from albench.strategies.uncertainty.bald import BALD
from albench.strategies.uncertainty.dbal import DBAL
from albench.strategies.uncertainty.mean_std import MeanSTD
from albench.strategies.uncertainty.variation_ratio import VariationRatio

SEEDS = st.integers(0, 10**6)
NOWHERE = np.zeros((12, 2))
Rows = list[list[float]]


def entropy_of_the_mean(passes: Rows) -> float:
    means = [statistics.fmean(c) for c in zip(*passes, strict=True)]
    return -math.fsum(m * math.log(m) for m in means if m > 0)


def mean_deviation(passes: Rows) -> float:
    return statistics.fmean(statistics.pstdev(c) for c in zip(*passes, strict=True))


def disagreement(passes: Rows) -> float:
    (_, most), *_ = Counter(p.index(max(p)) for p in passes).most_common(1)
    return 1 - most / len(passes)


RULES: list[tuple[Callable[[int], Scored], Callable[[Rows], float]]] = [
    (DBAL, entropy_of_the_mean),
    (MeanSTD, mean_deviation),
    (VariationRatio, disagreement),
]


@pytest.mark.parametrize(("rule", "formula"), RULES)
@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, K=st.integers(2, 7), classes=st.integers(2, 5))
def test_the_rows_of_largest_score_are_bought(
    rule: Callable[[int], Scored], formula: Callable[[Rows], float], seed: int, K: int, classes: int
) -> None:
    passes = random_passes(seed, K, 12, classes)
    passes[:, 3] = np.eye(classes)[0]  # sure
    passes[:, 4] = 1 / classes  # unsure in all passes alike
    asked = query(NOWHERE, 4, labelled=[0, 7], passes=passes, seed=seed)
    direct = np.array([formula(passes[:, i].tolist()) for i in range(12)])
    assert np.allclose(rule(K).score(asked), np.delete(direct, [0, 7]), atol=1e-6)
    rest = np.delete(np.arange(12), [0, 7])
    picks = rule(K).select(asked)
    assert np.allclose(np.sort(direct[picks]), np.sort(direct[rest])[-4:], atol=1e-6)
    assert len(set(picks.tolist())) == 4
    assert direct[3] == 0
    assert 3 not in picks or direct[picks].min() < 1e-6


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(2, 7), st.integers(2, 5))
def test_scores_stay_within_their_bounds(seed: int, K: int, classes: int) -> None:
    passes = np.random.default_rng(seed).dirichlet(np.full(classes, 0.05), size=(K, 40)).astype(np.float32)
    asked = query(np.zeros((40, 2)), 1, passes=passes.astype(np.float64))
    dbal, deviation, ratio, bald = (rule(K).score(asked) for rule in (DBAL, MeanSTD, VariationRatio, BALD))
    assert dbal.max() <= math.log(classes) + 1e-6
    assert (dbal >= bald - 1e-6).all()  # the label tells at most all that it holds
    assert 0 <= deviation.min() <= deviation.max() <= 0.5
    assert 0 <= ratio.min() <= ratio.max() <= 1 - math.ceil(K / classes) / K


def test_a_gpu_would_say_the_same() -> None:
    passes = random_passes(0, 5, 12).astype(np.float32)
    for f in (scores.average, scores.variance, scores.votes, scores.variation_ratio):
        there = f(torch.from_numpy(passes))
        assert there.dtype == torch.float64
        np.testing.assert_allclose(there.numpy(), f(passes), atol=1e-15)


def test_passes_that_are_one_have_exactly_no_variance() -> None:
    passes = np.repeat(random_passes(3, 1, 500, 7).astype(np.float32), 10, axis=0)
    assert not scores.variance(passes).any()
    assert np.array_equal(scores.average(passes), passes[0])


def test_equal_votes_are_drawn() -> None:
    passes: Floats = np.tile(np.eye(3)[[0, 0, 1, 2]][:, None], (1, 12, 1))  # half of the votes in every row
    sets = {tuple(VariationRatio(4).select(query(NOWHERE, 3, passes=passes, seed=s)).tolist()) for s in range(20)}
    assert len(sets) > 15
    assert VariationRatio(4).score(query(NOWHERE, 3, passes=passes)).tolist() == [0.5] * 12


@pytest.mark.parametrize("name", ["dbal", "mean-std", "variation-ratio", "balanced-entropy"])
def test_one_pass_is_refused_and_passes_are_needed(name: str) -> None:
    plugin = strategies.get(name)
    assert plugin.needs == {"passes"}
    with pytest.raises(ValueError, match=f"{name}: passes is 1; it must be at least 2"):
        plugin.cls(passes=1)

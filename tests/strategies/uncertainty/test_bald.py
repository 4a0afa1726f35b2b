"""Rules on the passes of a model against their definitions, summed over every configuration of labels."""

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from support.queries import query, random_passes

from albench.benchmark.registry import strategies
from albench.benchmark.types import Array, Floats, Strategy
from albench.strategies.kernels import joint
from albench.strategies.kernels.distances import Positions
from albench.strategies.kernels.joint import (
    information_at_most,
    information_beyond,
    information_nearly,
    information_of,
    information_on_targets,
    merged,
    tangents,
    with_label,
)
from albench.strategies.kernels.scores import settled
from albench.strategies.uncertainty import batchbald
from albench.strategies.uncertainty.bald import BALD
from albench.strategies.uncertainty.batchbald import BatchBALD
from albench.strategies.uncertainty.epig import EPIG

SEEDS = st.integers(0, 10**6)
NOWHERE = np.zeros((12, 2))


def entropy_of(p: list[float]) -> float:
    return -math.fsum(x * math.log(x) for x in p if x > 0)


def batch_information(p: Floats, rows: list[int]) -> float:
    """Return I(labels of the rows; model) from passes (K, N, C): every configuration of labels is visited."""
    K = len(p)
    configurations = list(product(range(p.shape[2]), repeat=len(rows)))
    joint_of = [
        [math.prod(p[k, i, y] for i, y in zip(rows, ys, strict=True)) for ys in configurations] for k in range(K)
    ]
    given_the_model = math.fsum(entropy_of(p[k, i].tolist()) for k in range(K) for i in rows) / K
    return entropy_of(np.mean(joint_of, axis=0).tolist()) - given_the_model


def pair_information(p: Floats, i: int, j: int) -> float:
    """Return I(label of i; label of j) as the divergence of their joint distribution from independence."""
    together = np.mean([np.outer(p[k, i], p[k, j]) for k in range(len(p))], axis=0)
    apart = np.outer(together.sum(axis=1), together.sum(axis=0))
    return math.fsum(q * math.log(q / a) for q, a in zip(together.ravel(), apart.ravel(), strict=True) if q > 0)


def exactly(p: Floats) -> Floats:
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_bald_takes_the_rows_that_say_most_of_the_model(seed: int) -> None:
    passes = random_passes(seed, 5, 12)
    scores = [batch_information(exactly(passes), [i]) for i in range(12)]
    asked = query(NOWHERE, 4, labelled=[0, 7], passes=passes, seed=seed)
    rest = [i for i in np.argsort(scores)[::-1].tolist() if i not in (0, 7)]
    assert BALD(5).select(asked).tolist() == rest[:4]
    assert np.allclose(BALD(5).score(asked), np.delete(scores, [0, 7]), atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1, 4))
def test_epig_is_the_mean_information_on_targets(seed: int, M: int) -> None:
    passes = random_passes(seed, 4, 12)
    targets = random_passes(seed + 1, 4, M)
    both = exactly(np.concatenate([passes, targets], axis=1))
    direct = [np.mean([pair_information(both, i, 12 + j) for j in range(M)]) for i in range(12)]
    ours = information_on_targets(passes.astype(np.float32), targets.astype(np.float32))
    assert np.allclose(ours, direct, atol=1e-12)
    assert ours.min() >= 0
    targets.setflags(write=False)  # as they come from a query
    tensors = information_on_targets(torch.from_numpy(passes.astype(np.float32)), targets)
    assert np.allclose(tensors.numpy(), direct, atol=1e-12)


def test_epig_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    passes, targets = random_passes(0, 4, 12), random_passes(1, 4, 7)
    whole = information_on_targets(passes, targets)
    for entries in (9, 9 * 3, 9 * 7 * 5):  # one pair, three targets of a row, five rows at once
        monkeypatch.setattr(joint, "ENTRIES", entries)
        assert np.allclose(information_on_targets(passes, targets), whole, atol=1e-14)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_epig_takes_the_rows_that_say_most_of_drawn_rows(seed: int) -> None:
    passes = random_passes(seed, 4, 12)
    rest = np.delete(np.arange(12), [0, 7])
    targets = np.random.default_rng(seed).choice(rest, 3, replace=False)
    scores = [np.mean([pair_information(exactly(passes), i, j) for j in targets.tolist()]) for i in rest.tolist()]
    picks = EPIG(passes=4, targets=3).select(query(NOWHERE, 4, labelled=[0, 7], passes=passes, seed=seed))
    assert picks.tolist() == rest[np.argsort(scores)[::-1][:4]].tolist()


def test_a_target_tells_nothing_where_passes_do_not_differ() -> None:
    passes = np.repeat(random_passes(3, 1, 12), 7, axis=0)
    assert information_on_targets(passes, passes[:, :3]).tolist() == [0] * 12
    assert information_at_most(passes, tangents(passes[:, :3])).tolist() == [0] * 12


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.sampled_from([0.02, 0.3, 1.0, 20.0]), st.integers(2, 5))
def test_what_targets_tell_is_bounded(seed: int, alpha: float, K: int) -> None:
    """Also where a class is impossible in all passes, and in some."""
    p = np.random.default_rng(seed).dirichlet(np.full(4, alpha), size=(K, 20))
    p[:, :3, 1], p[0, 3, 2] = 0, 0
    p[0, 4], p[1:, 4] = np.eye(4)[0], np.eye(4)[1]
    p /= p.sum(axis=2, keepdims=True)
    known = tangents(p[:, 2:9])
    exact, bound = information_on_targets(p, p[:, 2:9]), information_at_most(p, known)
    assert (bound >= exact - 1e-12).all()
    nearly = information_nearly(p, p[:, 2:9])
    assert np.abs(nearly - exact).max() < joint.NEARLY / 4
    assert np.abs(information_nearly(torch.from_numpy(p), p[:, 2:9]).numpy() - exact).max() < joint.NEARLY / 4
    tensor = information_at_most(torch.from_numpy(p), known).numpy()
    assert np.allclose(tensor, bound, atol=1e-12)


@pytest.mark.parametrize("classes", [10, 30])
def test_the_bound_on_what_targets_tell_is_near(classes: int) -> None:
    p = softmax(np.random.default_rng(classes).normal(size=(10, 130, classes)), axis=2)
    exact = information_on_targets(p[:, 100:], p[:, :100])
    ratio = information_at_most(p[:, 100:], tangents(p[:, :100])) / exact
    assert 1 <= ratio.min() <= ratio.max() < 1.35


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(1, 8), st.integers(1, 5))
def test_the_largest_scores_are_settled_and_few_are_asked_about(seed: int, n: int, look: int) -> None:
    rng = np.random.default_rng(seed)
    truth = (rng.integers(0, 6, 30) / 6).astype(np.float32)
    bounds = truth + (truth > 0) * rng.integers(0, 2, 30).astype(np.float32) / 6
    asked: list[int] = []

    def score(rows: Positions) -> Floats:
        asked.extend(rows.tolist())
        return truth[rows].astype(np.float64)

    found = settled(bounds, n, score, look)
    least = np.sort(truth)[-n]
    assert np.array_equal(np.flatnonzero(found >= least), np.flatnonzero(truth >= least))
    assert np.array_equal(found[truth >= least], truth[truth >= least])
    assert len(set(asked)) == len(asked)
    assert set(np.flatnonzero((bounds >= least) & (bounds > 0))) <= set(asked)
    assert set(asked) <= set(np.argsort(-bounds, kind="stable")[: len(asked)])


def greedy_batch(p: Floats, rows: list[int], n: int) -> list[int]:
    picks: list[int] = []
    for _ in range(n):
        picks.append(max((i for i in rows if i not in picks), key=lambda i: batch_information(p, [*picks, i])))
    return picks


@pytest.mark.parametrize("look", [1, 3, 512])
@settings(deadline=None, max_examples=15)
@given(seed=SEEDS)
def test_batchbald_is_greedy_over_every_configuration(look: int, seed: int) -> None:
    passes = random_passes(seed, 4, 12)
    rest = np.delete(np.arange(12), [0, 7]).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batchbald, "LOOK", look)
        asked = query(NOWHERE, 4, labelled=[0, 7], passes=passes, seed=seed)
        picks = BatchBALD(4).select(asked).tolist()
    assert picks == greedy_batch(exactly(passes), rest, 4)
    assert picks[0] == BALD(4).select(asked)[0]


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_gains_add_up_to_the_information_of_the_batch(seed: int) -> None:
    p = random_passes(seed, 4, 12)
    configurations, total, rng = np.full((1, 4), 1 / 4), 0.0, np.random.default_rng(seed)
    gains = []
    for i in range(4):
        gains.append(information_beyond(p, configurations))
        total += gains[-1][i]
        assert total == pytest.approx(batch_information(exactly(p), list(range(i + 1))), abs=1e-12)
        configurations = with_label(configurations, p[:, i].astype(np.float32), 100, rng)
    assert (np.diff(gains, axis=0) <= 1e-12).all()  # what a row adds falls while the batch grows
    assert np.min(gains) >= 0
    assert total <= math.log(4)
    tensor = information_beyond(torch.from_numpy(p), configurations).numpy()
    assert np.allclose(tensor, information_beyond(p, configurations), atol=1e-12)


def told_beyond(p: Floats, configurations: Floats, row: int) -> float:
    """Return what the row's label says of the pass, in the mean over the configurations: H(label) - H(label | pass)."""
    told = 0.0
    for together in configurations:
        chance = math.fsum(together)
        after = (together / chance).tolist()
        mixed = entropy_of(np.average(p[:, row], axis=0, weights=after).tolist())
        told += chance * (mixed - math.fsum(a * entropy_of(q.tolist()) for a, q in zip(after, p[:, row], strict=True)))
    return told


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_drawn_configurations_never_say_less_than_nothing(seed: int) -> None:
    p, rng = random_passes(seed, 4, 12), np.random.default_rng(seed)
    drawn = np.full((1, 4), 1 / 4)
    for i in range(3):
        drawn = with_label(drawn, p[:, i].astype(np.float32), 7, rng)
    direct = [told_beyond(p, drawn, i) for i in range(12)]
    assert min(direct) > 0
    np.testing.assert_allclose(information_beyond(p, drawn), direct, atol=1e-12)
    known = np.diag([0.2, 0.3, 0.1, 0.4])  # the labels say which pass they are from, and not all are as often drawn
    assert information_beyond(p, known).tolist() == [0] * 12


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(1, 30))
def test_merged_configurations_know_less(seed: int, n: int) -> None:
    p, rng = random_passes(seed, 4, 12), np.random.default_rng(seed)
    every = np.full((1, 4), 1 / 4)
    for i in range(4):
        every = with_label(every, p[:, i].astype(np.float32), 3**4, rng)
    few = merged(every, n)
    assert len(few) <= n
    np.testing.assert_allclose(few.sum(axis=0), every.sum(axis=0), atol=1e-15)
    assert (information_beyond(p, few) >= information_beyond(p, every) - 1e-12).all()
    assert (information_beyond(p, few) <= information_beyond(p, np.full((1, 4), 1 / 4)) + 1e-12).all()
    assert merged(every, 81) is every


@pytest.mark.parametrize(("held", "groups", "look"), [(2**27, 24, 64), (2**27, 2, 3), (0, 5, 1)])
@settings(deadline=None, max_examples=4)
@given(seed=SEEDS)
def test_the_best_of_all_rows_is_picked_where_configurations_are_drawn(
    held: int, groups: int, look: int, seed: int
) -> None:
    passes, limit = random_passes(seed, 4, 16), 20
    asked, twin = (query(np.zeros((16, 2)), 7, labelled=[0, 7], passes=passes, seed=seed) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("HELD", held), ("MERGED", groups), ("LOOK", look)):
            patch.setattr(batchbald, name, value)
        picks = BatchBALD(4, configurations=limit).select(asked).tolist()
    known, p = np.full((1, 4), 1 / 4), exactly(passes)
    for j, pick in enumerate(picks):
        gains = {i: told_beyond(p, known, i) for i in range(16) if i not in (0, 7, *picks[:j])}
        assert gains[pick] == pytest.approx(max(gains.values()), rel=1e-6)
        twin.rng.choice(1)  # the best of one
        known = with_label(known, passes[:, pick].astype(np.float32), limit, twin.rng)


def test_nothing_is_computed_once_the_labels_tell_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(configurations: Floats, n: int) -> Floats:
        asked.append(n)
        return merged(configurations, n)

    monkeypatch.setattr(batchbald, "merged", counted)
    passes = np.random.default_rng(0).dirichlet([0.1] * 3, size=(4, 300))
    sets = [BatchBALD(4).select(query(np.zeros((300, 2)), 200, passes=passes, seed=s)) for s in range(2)]
    assert len(set(sets[0].tolist())) == 200
    assert len(asked) < 2 * 60
    assert set(sets[0].tolist()) != set(sets[1].tolist())  # the rest is drawn


def test_drawn_configurations_stand_for_all() -> None:
    p, rng = random_passes(5, 4, 12), np.random.default_rng(5)
    exact = np.full((1, 4), 1 / 4)
    for i in range(5):
        exact = with_label(exact, p[:, i].astype(np.float32), 3**5, rng)
    estimates = []
    for _ in range(300):
        drawn = np.full((1, 4), 1 / 4)
        for i in range(5):
            drawn = with_label(drawn, p[:, i].astype(np.float32), 20, rng)
        assert len(drawn) == 20
        assert drawn.sum() == pytest.approx(1)
        estimates.append(information_beyond(p, drawn))
    error = np.std(estimates, axis=0) / math.sqrt(300)
    assert (np.abs(np.mean(estimates, axis=0) - information_beyond(p, exact)) < 4.5 * error).all()
    assert error.max() < 0.02


def test_impossible_labels_make_no_configurations() -> None:
    p = np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0]], dtype=np.float32)
    configurations = np.full((1, 2), 0.5)
    for _ in range(3):
        configurations = with_label(configurations, p, 100, np.random.default_rng(0))
    assert configurations.shape == (8, 2)  # of two classes, not 27 of three


def test_batchbald_does_not_buy_the_same_twice() -> None:
    passes = random_passes(1, 6, 12)
    passes[:, 1::2] = passes[:, 0::2]  # each row has a twin
    passes[:, :2] = np.eye(3)[np.arange(6) % 3][:, None]  # the best two: the passes are sure of another class each
    asked = query(NOWHERE, 3, passes=passes)
    assert sorted(BALD(6).select(asked).tolist())[:2] == [0, 1]
    assert set(BatchBALD(6).select(asked).tolist()[:1]) < {0, 1}
    assert len(set(BatchBALD(6).select(asked).tolist()) & {0, 1}) == 1
    firsts = {int(BatchBALD(6).select(query(NOWHERE, 1, passes=passes, seed=s))[0]) for s in range(20)}
    assert firsts == {0, 1}


def test_batchbald_looks_only_at_what_may_be_best(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def counted(p: Array, entropies: Array, configurations: Floats) -> Array:
        looked.append(p.shape[1] if len(configurations) > batchbald.MERGED else 0)
        return information_of(p, entropies, configurations)

    monkeypatch.setattr(batchbald, "information_of", counted)
    BatchBALD(8).select(query(np.zeros((3000, 2)), 8, passes=random_passes(2, 8, 3000)))
    assert 4 * 64 <= sum(looked) < 2000  # of five times 3,000


def test_only_candidates_take_part() -> None:
    passes = random_passes(3, 5, 12)
    best = set(BALD(5).select(query(NOWHERE, 4, passes=passes)).tolist())
    assert set(BatchBALD(5, candidates=4).select(query(NOWHERE, 4, passes=passes)).tolist()) == best
    assert set(BatchBALD(5, candidates=1).select(query(NOWHERE, 4, passes=passes)).tolist()) == best
    assert set(BatchBALD(5).select(query(NOWHERE, 4, passes=passes)).tolist()) != best


@pytest.mark.parametrize("rule", [BALD(), EPIG(), BatchBALD()], ids=str)
def test_rows_without_disagreement_are_drawn(rule: Strategy) -> None:
    passes = np.repeat(np.eye(3)[np.arange(12) % 3][None], 10, axis=0)  # every pass is as sure of the same
    sets = {tuple(rule.select(query(NOWHERE, 3, passes=passes, seed=s)).tolist()) for s in range(20)}
    assert len(sets) > 15


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BALD(1), "passes is 1; it must be at least 2"),
        (lambda: EPIG(targets=0), "targets is 0; it must be at least 1"),
        (lambda: BatchBALD(configurations=0), "configurations is 0; it must be at least 1"),
        (lambda: BatchBALD(candidates=0), "candidates is 0; it must be at least 1"),
    ],
)
def test_impossible_parameters_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["bald", "batchbald", "epig"])
def test_they_need_passes(name: str) -> None:
    assert strategies.get(name).needs == {"passes"}

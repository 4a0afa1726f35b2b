"""Strategies over many blocks, against scipy, exact enumeration, printed tables, and simulations with known truth."""

from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from albench.results.measures import ranking

Array = NDArray[np.float64]


def test_ranks_by_hand() -> None:
    assert ranking.ranks([[0.9, 0.5, 0.7], [0.5, 0.5, 0.4], [0.1, 0.1, 0.1]]).tolist() == [
        [1, 3, 2],
        [1.5, 1.5, 3],
        [2, 2, 2],
    ]
    mean = ranking.mean_ranks([[0.9, 0.5, 0.7], [0.5, 0.6, 0.4]])
    assert [(i.mean, i.n) for i in mean] == [(1.5, 2), (2, 2), (2.5, 2)]
    assert np.isnan([i.low for i in mean]).all()  # two blocks are too few for an interval
    many = ranking.mean_ranks([[0.9, 0.5, 0.7]] * 5 + [[0.5, 0.6, 0.4]])
    assert [i.low for i in many] == [1, pytest.approx(1.81, abs=0.01), pytest.approx(1.74, abs=0.01)]
    assert many[1].high == 3  # both cut to the ranks there are


@pytest.mark.parametrize("b", [6, 12, 30])
def test_95_of_100_intervals_hold_the_mean_rank(b: int) -> None:
    rng, strength = np.random.default_rng(b), np.array([0, 0, 0.3, 0.6, 1.0])
    truth = ranking.ranks(rng.normal(strength, 1, (100_000, 5))).mean(axis=0)
    found = [ranking.mean_ranks(block) for block in rng.normal(strength, 1, (2000, b, 5))]
    held = [[i.low <= true <= i.high for i, true in zip(own, truth, strict=True)] for own in found]
    assert 0.93 <= np.mean(held) <= 0.97
    assert (np.mean(held, axis=0) >= 0.92).all()


def test_friedman_is_that_of_its_formula() -> None:
    values = np.random.default_rng(0).normal([0, 0.5, 1, 0], 1, (12, 4))
    b, k = values.shape
    mean = ranking.ranks(values).mean(axis=0)
    statistic = 12 * b / (k * (k + 1)) * ((mean - (k + 1) / 2) ** 2).sum()
    assert ranking.friedman(values) == pytest.approx(scipy_stats.chi2.sf(statistic, k - 1))
    assert ranking.friedman(np.ones((5, 3))) == 1
    assert np.isnan([ranking.friedman(np.ones((5, 2))), ranking.friedman([[1, 2, 3]])]).all()


def exact_wilcoxon(d: Array) -> float:
    """Return the two-sided p-value over all 2^n signs of the differences that are not 0."""
    size = scipy_stats.rankdata(np.abs(d[d != 0]))
    sums = [float(np.dot(signs, size)) for signs in product((-1, 1), repeat=len(size))]
    return float(np.mean(np.abs(sums) >= abs(np.dot(np.sign(d[d != 0]), size)) - 1e-9))


@pytest.mark.parametrize("ties", [False, True])
def test_wilcoxon_holm_is_that_of_all_signs(ties: bool) -> None:
    values = np.random.default_rng(1).normal([0, 0.2, 0.9, 1.4], 0.5, (9, 4))
    values = np.round(values * 2) / 2 if ties else values
    pairs = list(combinations(range(4), 2))
    exact = multipletests([exact_wilcoxon(values[:, i] - values[:, j]) for i, j in pairs], method="holm")[1]
    found = ranking.wilcoxon_holm(values)
    np.testing.assert_allclose([found[i, j] for i, j in pairs], exact)
    assert (found == found.T).all()
    assert (found.diagonal() == 1).all()
    assert found.min() < 0.05 < found.max()


@pytest.mark.parametrize("blocks", [2, 30, ranking.EXACT, ranking.EXACT + 1])
def test_wilcoxon_holm_is_that_of_scipy_where_nothing_is_equal(blocks: int) -> None:
    values = np.random.default_rng(3).normal([0, 0.3], 1, (blocks, 2))
    expected = scipy_stats.wilcoxon(values[:, 0] - values[:, 1]).pvalue
    assert ranking.wilcoxon_holm(values)[0, 1] == pytest.approx(expected)


def test_equal_strategies_are_not_told_apart_and_draw_no_warning() -> None:
    values = np.repeat(np.random.default_rng(0).random((20, 1)), 3, axis=1)
    assert (ranking.wilcoxon_holm(values) == 1).all()
    assert ranking.wilcoxon_holm([[0.5], [0.4]]).tolist() == [[1]]


def test_under_the_null_some_pair_is_told_apart_in_at_most_5_of_100_studies() -> None:
    rng = np.random.default_rng(0)
    wrong = [(ranking.wilcoxon_holm(rng.normal(size=(12, 3))) <= 0.05).any() for _ in range(300)]
    assert np.mean(wrong) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("k", [2, 3, 5, 9])
def test_too_few_blocks_are_those_in_which_even_the_clearest_order_is_nothing(k: int) -> None:
    needed = ranking.blocks_needed(k)
    clear = np.arange(k) + 0.01 * np.arange(1, needed + 1)[:, None] * np.arange(k)  # no ties
    assert (ranking.wilcoxon_holm(clear)[np.triu_indices(k, 1)] <= 0.05).all()
    assert (ranking.wilcoxon_holm(clear[:-1]) > 0.05).all()


def test_the_critical_difference_is_that_of_demsar() -> None:
    q = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]  # his Table 5 (a), 2 to 10 classifiers
    for k, value in enumerate(q, 2):
        assert ranking.critical_difference(k, 14) == pytest.approx(value * np.sqrt(k * (k + 1) / (6 * 14)), abs=2e-3)
    assert ranking.critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)  # his example, section 3.2.4


def told_apart(k: int, *pairs: tuple[int, int]) -> Array:
    p = np.ones((k, k))
    for i, j in pairs:
        p[i, j] = p[j, i] = 0.01
    return p


def test_groups_by_hand() -> None:
    rank = [4.0, 1.0, 2.0, 3.0]  # best first: 1, 2, 3, 0
    assert ranking.groups(rank, told_apart(4)) == [[1, 2, 3, 0]]
    assert ranking.groups(rank, told_apart(4, (1, 0))) == [[1, 2, 3], [2, 3, 0]]
    assert ranking.groups(rank, told_apart(4, (1, 0), (1, 3), (1, 2))) == [[2, 3, 0]]
    assert ranking.groups(rank, told_apart(4, (1, 3))) == [[1, 2], [2, 3, 0]]
    assert ranking.groups(rank, told_apart(4, *combinations(range(4), 2))) == []
    assert ranking.groups([1.0, 2.0], told_apart(2)) == [[0, 1]]


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_all_longest_runs_without_a_pair_told_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = 7
    p = told_apart(k, *[pair for pair in combinations(range(k), 2) if rng.random() < 0.25])
    rank = rng.permutation(k).astype(float)
    order = np.argsort(rank)
    runs = [order[a:b].tolist() for a in range(k) for b in range(a + 2, k + 1)]
    fine = [run for run in runs if all(p[i, j] > 0.05 for i, j in combinations(run, 2))]
    longest = [run for run in fine if not any(set(run) < set(other) for other in fine)]
    assert ranking.groups(rank, p) == longest


def test_places_by_hand() -> None:
    rank = [4.0, 1.0, 2.0, 3.0]
    assert ranking.places(rank, told_apart(4)).tolist() == [[1, 4]] * 4
    assert ranking.places(rank, told_apart(4, (1, 0), (1, 3))).tolist() == [[2, 4], [1, 2], [1, 4], [2, 4]]
    everything = told_apart(4, *combinations(range(4), 2))
    assert ranking.places(rank, everything).tolist() == [[4, 4], [1, 1], [2, 2], [3, 3]]


def test_all_places_hold_the_true_ranks_at_once_in_95_of_100_studies() -> None:
    rng, strength = np.random.default_rng(0), np.array([0.0, 0.0, 1.0, 2.0])  # true ranks 3 to 4, 3 to 4, 2, 1
    held = []
    for _ in range(200):
        values = rng.normal(strength, 1, (14, 4))
        low, high = ranking.places(ranking.ranks(values).mean(axis=0), ranking.wilcoxon_holm(values)).T
        held.append((low <= [4, 4, 2, 1]).all() and (high >= [3, 3, 2, 1]).all())
    assert np.mean(held) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 200)


def test_who_beats_whom_is_the_paired_test_of_scipy() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.05, 10) + rng.normal([[0.0], [0.005], [0.03]], 0.01, (3, 10))
    found = ranking.pairwise(values)
    for i, j in product(range(3), repeat=2):
        t, p = scipy_stats.ttest_rel(values[i], values[j]) if i != j else (0, 1)
        assert found[i, j] == (np.sign(t) if p <= 0.05 else 0)
    assert set(found.ravel().tolist()) == {-1, 0, 1}


def brute_penalties(curves: Array) -> Array:
    k, _, rounds = curves.shape
    matrix = np.zeros((k, k))
    for i, j in combinations(range(k), 2):
        tests = [scipy_stats.ttest_rel(curves[i, :, r], curves[j, :, r]) for r in range(rounds)]
        differ = multipletests([test.pvalue for test in tests], method="holm")[0]
        for test, is_real in zip(tests, differ, strict=True):
            if is_real:
                matrix[(i, j) if test.statistic > 0 else (j, i)] += 1 / rounds
    return matrix


def test_the_penalty_matrix_is_that_of_one_test_after_the_other() -> None:
    rng = np.random.default_rng(2)
    blocks = [rng.normal([[[0.0]], [[0.02]], [[0.05]]], 0.03, (3, seeds, rounds)) for seeds, rounds in ((8, 5), (5, 9))]
    found = ranking.penalty_matrix(blocks)
    np.testing.assert_allclose(found, np.mean([brute_penalties(block) for block in blocks], axis=0))
    assert 0 < found[2, 0] < 1
    assert found.diagonal().tolist() == [0, 0, 0]


def test_the_penalty_matrix_of_sure_winners_and_of_twins() -> None:
    base = np.random.default_rng(0).normal(0.8, 0.05, (6, 4))
    noise = np.random.default_rng(1).normal(0, 1e-3, (6, 4))
    matrix = ranking.penalties(np.stack([base + 0.1 + noise, base, base]))
    assert matrix.tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("kind", ["walks", "few test rows", "independent rounds"])
def test_under_the_null_at_most_5_of_100_pairs_are_penalised(kind: str, seeds: int) -> None:
    rng, n, rounds = np.random.default_rng(seeds), 1000, 12
    shape = (n, 2, seeds, rounds)
    if kind == "few test rows":
        curves = rng.binomial(54, 0.95, shape) / 54
    else:
        noise = rng.normal(0, 0.01, shape)
        curves = rng.normal(0.8, 0.02, (n, 1, seeds, 1)) + (noise.cumsum(axis=3) if kind == "walks" else noise)
    wrong = np.mean([ranking.penalties(pair).any() for pair in curves])
    assert wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / n)


def test_the_interquartile_mean_by_hand() -> None:
    assert ranking.iqm([9.0, 1, 2, 3, 100, 4, 0, 5]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert ranking.iqm([[1.0, 2.0, 3.0], [1.0, 2.0, 6.0]]).tolist() == [2, 3]
    values = np.random.default_rng(0).random((3, 101))
    np.testing.assert_allclose(ranking.iqm(values), scipy_stats.trim_mean(values, 0.25, axis=1))


def test_95_of_100_intervals_hold_the_interquartile_mean_and_its_paired_difference() -> None:
    rng, n_blocks, seeds = np.random.default_rng(0), 8, 6
    blocks = np.linspace(0.6, 0.9, n_blocks)[:, None]

    def draw(n: int) -> Array:
        luck = rng.normal(0, 0.03, (n_blocks, 1, n))
        return blocks[:, :, None] + luck + rng.normal([[0.0], [0.01]], 0.01, (n_blocks, 2, n))

    truth = ranking.iqm(np.concatenate(list(draw(100_000)), axis=1))
    found = [
        ranking.iqm_intervals(list(draw(seeds)), 0, rng, draws=1000) for _ in range(2000)
    ]  # 200 draws cut 1 point too much
    means = [found_.means[1].low <= truth[1] <= found_.means[1].high for found_ in found]
    gains = [found_.differences[1].low <= truth[1] - truth[0] <= found_.differences[1].high for found_ in found]
    assert 0.93 <= np.mean(means) <= 0.97
    assert 0.93 <= np.mean(gains) <= 0.97
    assert np.median([f.differences[1].half_width for f in found]) < np.median([f.means[1].half_width for f in found])


def test_a_generator_fixes_the_bootstrap_and_the_global_one_has_no_say() -> None:
    blocks = [np.random.default_rng(b).random((3, 4 + b)) for b in range(3)]
    one, other = (ranking.iqm_intervals(blocks, 1, np.random.default_rng(5)) for _ in range(2))
    assert one.means == other.means
    assert one.means[0] != ranking.iqm_intervals(blocks, 1, np.random.default_rng(6)).means[0]
    assert [i.n for i in one.means] == [15] * 3
    assert (one.differences[1].mean, one.differences[1].low, one.differences[1].high) == (0, 0, 0)
    single = ranking.iqm_intervals([*blocks, np.ones((3, 1))], 1, np.random.default_rng(5))
    assert np.isnan([single.means[0].low, single.differences[0].high]).all()  # one seed says nothing of its spread


def test_the_profile_is_the_share_of_runs_above() -> None:
    blocks = [np.array([[0.5, 0.6], [0.7, 0.7]]), np.array([[0.9, 0.8, 0.7], [0.6, 0.6, 0.6]])]
    taus, shares = ranking.profile(blocks, points=5)
    pooled = np.concatenate(blocks, axis=1)
    np.testing.assert_allclose(shares, [[(row > tau).mean() for tau in taus] for row in pooled])
    assert shares[:, 0].tolist() == [1, 1]
    assert shares[:, -1].tolist() == [0, 0]

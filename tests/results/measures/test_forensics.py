"""What the picks say: against sets, exact distributions, and rules whose behaviour is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from albench.benchmark.types import FULL_DATA, Budget, Count, Outcome, Part, Round, Scores, Trial, TrialEnd
from albench.results.measures import evidence, forensics
from albench.results.measures.forensics import Place, Trail, between_seeds, overlaps, tail, with_random
from albench.results.record import schema
from albench.results.record.store import RunStore
from albench.results.report.blocks import Block
from albench.results.report.sections.picks import forensics as section
from albench.results.report.sections.picks.forensics import NEEDED

NAMES = ("d", "e", "l", "b")


def trail(start: Sequence[int], *batches: Sequence[int], first: int = 1) -> Trail:
    """Initial labels, then batches; the strategy's own begin in round ``first``."""
    parts = [start, *batches]
    rounds = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Trail(np.array([row for part in parts for row in part], dtype=np.int64), rounds, first)


def place(size: int | None, one_split: bool = True, **trails: Sequence[Trail]) -> Place:
    return Place(NAMES, {name: dict(enumerate(of)) for name, of in trails.items()}, size, one_split)


def drawn(rng: np.random.Generator, size: int, start: int, n: int, weights: Any = None) -> Trail:
    """Random initial labels, then n rows: uniform, or by weights."""
    initial = rng.choice(size, start, replace=False)
    free = np.setdiff1d(np.arange(size), initial)
    p = None if weights is None else weights[free] / weights[free].sum()
    return trail(initial.tolist(), rng.choice(free, n, replace=False, p=p).tolist())


# --- overlaps --------------------------------------------------------------------------------------------------------


def test_the_overlap_is_that_of_the_sets_over_the_seeds_both_have() -> None:
    a = [trail([0], [1, 2], [3, 4]), trail([9], [1, 2], [3, 4])]
    b = [trail([0], [1, 3], [5, 6]), trail([9], [1, 2], [4, 3]), trail([8], [1, 2], [3, 4])]
    values, n = overlaps(place(100, a=a, b=b), ["a", "b", "c"])
    assert values[0, 1] == values[1, 0] == pytest.approx(np.mean([2 / 6, 1]))
    assert n.tolist() == [[2, 2, 0], [2, 3, 0], [0, 0, 0]]
    assert values[0, 0] == values[1, 1] == 1
    assert np.isnan(values[2]).all()


def test_a_first_batch_bought_as_random_is_not_compared() -> None:
    a, b = trail([], [1, 2], [3, 4], first=2), trail([], [5, 6], [3, 4])
    assert forensics.jaccard(a, b) == forensics.jaccard(b, a) == 1


# --- chance ----------------------------------------------------------------------------------------------------------


def sums(*of: tuple[int, int, int]) -> tuple[np.ndarray[Any, Any], float, float]:
    """Exact distribution, mean and variance of a sum of hypergeometric counts (free, a, b)."""
    parts = [stats.hypergeom(*each) for each in of]
    total = np.ones(1)
    for part, (_, a, b) in zip(parts, of, strict=True):
        total = np.convolve(total, part.pmf(np.arange(min(a, b) + 1)))
    return total, sum(part.mean() for part in parts), sum(part.var() for part in parts)


@pytest.mark.parametrize(
    "of",
    [[(1000, 10, 10)], [(1000, 10, 10)] * 45, [(100, 40, 40)], [(100, 40, 40), (90, 30, 45)], [(5000, 500, 500)] * 9],
)
def test_the_tail_is_that_of_the_exact_distribution(of: list[tuple[int, int, int]]) -> None:
    exact, mean, variance = sums(*of)
    errors = [abs(tail(k, mean, variance) - exact[k:].sum()) for k in range(len(exact))]
    assert max(errors) < 0.01
    assert tail(0, mean, variance) == 1
    assert isnan(tail(10, 10.0, 0.0))  # all of the pool is bought: nothing can vary


def test_between_seeds_counts_pairs_and_expects_what_the_pairs_do() -> None:
    rng = np.random.default_rng(0)
    trails = [drawn(rng, 60, 5, 12) for _ in range(6)]
    found = between_seeds(place(60, x=trails), "x")
    assert found is not None
    pairs = list(combinations(trails, 2))
    shared = [len(set(a.own.tolist()) & set(b.own.tolist())) for a, b in pairs]
    means = [stats.hypergeom(55, len(set(b.own.tolist()) - set(a.before(1).tolist())), 12).mean() for a, b in pairs]
    assert (found.seen, found.n) == (sum(shared), 15)
    assert found.expected == pytest.approx(sum(means), rel=1e-12)


@pytest.mark.parametrize(("size", "start", "n", "least"), [(500, 10, 60, 0.035), (60, 6, 20, 0.035), (200, 0, 5, 0.0)])
def test_random_repeats_rows_more_than_chance_as_often_as_promised(size: int, start: int, n: int, least: float) -> None:
    """Of 1,000 random rules 5 % do; fewer where counts are small, as they jump."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(1000):
        here = place(size, random=[drawn(rng, size, start, n) for _ in range(5)])
        repeats = between_seeds(here, "random")
        assert repeats is not None
        found.append(repeats.p <= forensics.ALPHA)
    assert least <= np.mean(found) <= 0.065


def near(size: int, n: int, seeds: int, weights: Any, repeats: int = 200) -> float:
    """Return how often a rule that draws ``n`` rows by weights is called near-random."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(repeats):
        repeats_ = between_seeds(place(size, x=[drawn(rng, size, 5, n, weights) for _ in range(seeds)]), "x")
        assert repeats_ is not None
        found.append(repeats_.is_near)
    return float(np.mean(found))


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize(("size", "n"), [(1000, 50), (1000, 200), (100, 30), (100, 50)])
def test_a_rule_that_prefers_a_third_of_the_pool_is_not_called_near_random(size: int, n: int, seeds: int) -> None:
    assert near(size, n, seeds, np.where(np.arange(size) < size / 3, 3.0, 1.0)) <= 0.06


@pytest.mark.parametrize(("size", "n", "seeds"), [(1000, 200, 5), (1000, 200, 10), (100, 30, 10), (100, 50, 10)])
def test_random_is_called_near_random_with_enough_seeds(size: int, n: int, seeds: int) -> None:
    assert near(size, n, seeds, None) >= 0.88
    assert near(size, n, 2, None) < 0.4


@pytest.mark.parametrize(
    "of", [[(1000, 100, 100)] * 10, [(100, 40, 40)] * 3, [(100, 50, 50)] * 9, [(5000, 50, 50)] * 45]
)
def test_the_bound_of_near_random_is_that_of_exact_distributions(of: list[tuple[int, int, int]]) -> None:
    exact = np.ones(1)
    for free, a, b in of:
        part = stats.nchypergeom_fisher(free, a, b, forensics.NEAR)
        exact = np.convolve(exact, part.pmf(np.arange(min(a, b) + 1)))
    _, mean, variance = sums(*of)
    here = place(of[0][0])
    found = [forensics._chance(here, k, mean, variance, 1).p_near - exact[: k + 1].sum() for k in range(len(exact))]
    assert min(found) > -0.01  # never much less than the exact chance
    assert max(found) < 0.1  # more where picks are few: the slope falls behind


def test_a_rule_that_prefers_rows_is_not_near_random_but_shares_no_more_with_random() -> None:
    rng, size = np.random.default_rng(2), 400
    weights = np.linspace(1, 4, size) ** 2
    above, follows = [], []
    for _ in range(100):
        random = [drawn(rng, size, 0, 40) for _ in range(10)]
        here = place(size, x=[drawn(rng, size, 0, 40, weights) for _ in range(10)], random=random)
        repeats = between_seeds(here, "x")
        assert repeats is not None
        above.append(repeats.p <= forensics.ALPHA)
        follows.append(with_random(here, "x").p <= forensics.ALPHA)
    assert np.mean(above) > 0.9
    assert np.mean(follows) < 0.12  # 5 % of 100


def test_a_rule_that_uses_the_draws_of_random_is_seen() -> None:
    rng = np.random.default_rng(3)
    random = [drawn(rng, 1000, 0, 20) for _ in range(10)]
    other = [drawn(rng, 1000, 0, 20) for _ in range(10)]
    half = [trail([], [*np.setdiff1d(a.rows, b.rows)[:10], *b.rows[:10]]) for a, b in zip(other, random, strict=True)]
    here = place(1000, random=random, half=half, other=other)
    assert with_random(here, "half").p < 1e-6
    assert with_random(here, "half").expected == pytest.approx(10 * 20 * 20 / 1000)
    assert with_random(here, "other").p > 0.01


def test_what_is_not_known_is_not_said() -> None:
    trails = [trail([0], [1, 2]), trail([3], [1, 2])]
    assert between_seeds(place(100, one_split=False, x=trails), "x") is None
    unknown = between_seeds(place(None, x=trails, random=trails), "x")
    assert unknown is not None
    assert (unknown.seen, isnan(unknown.expected), isnan(unknown.p)) == (2, True, True)
    assert isnan(with_random(place(None, x=trails, random=trails), "x").p)
    single = between_seeds(place(100, x=trails[:1]), "x")
    assert single is not None
    assert (single.n, isnan(single.p)) == (0, True)


def test_the_rows_that_come_first() -> None:
    trails = [trail([0], [5, 7], [1]), trail([0], [7, 3], [1]), trail([1], [3, 7], [5])]
    assert forensics.first_rows(place(100, x=trails), "x", most=3) == [(7, 3), (3, 2), (5, 1)]
    assert forensics.first_rows(place(100, one_split=False, x=trails), "x") == []


# --- from a run ------------------------------------------------------------------------------------------------------


def add(store: RunStore, strategy: str, seed: int, batches: Sequence[Sequence[int]], budget: str = "low") -> None:
    """Write a trial of a pool of 40 rows, of which each fourth is of class 1; the first batch is the initial labels."""
    schedule = Budget(budget, Count(len(budget)), ())
    trial = Trial(Part("d"), Part("e"), Part("l"), Part(strategy), schedule, seed, "f")
    rows: list[int] = []
    for r, batch in enumerate(batches):
        rows += batch
        counts = np.bincount([row % 4 == 0 for row in rows], minlength=2).astype(np.int32)
        scores = Scores(0.5 + r / 100, 0.5, 0.5, None, None)
        who: Any = "strategy" if r else "initial"
        round_ = Round(r, np.array(batch), len(rows), counts, who, scores, 0, 0, 0, 0)
        store.add_rounds([schema.round_row(trial, round_, 7)])
    store.add_trials([schema.trial_row(trial, TrialEnd(trial.trial_id, Outcome.DONE), 7)])


def write(
    path: Path, strategies: Mapping[str, Sequence[Sequence[Sequence[int]]]], first_seed: int = 0, **manifest: Any
) -> evidence.Evidence:
    facts = {"grid_id": "g", "name": "tiny", "fingerprints": {"f": "d/e"}}
    with RunStore.create(path, "name: tiny", {**facts, **manifest}) as store:
        for name, seeds in strategies.items():
            for seed, batches in enumerate(seeds, first_seed):
                add(store, name, seed, batches)
        add(store, "random", 0, [range(40)], budget=FULL_DATA)
    return evidence.Evidence.of(evidence.read_runs([path]))


def seeds(rng: np.random.Generator, n: int) -> list[list[list[int]]]:
    return [rng.permutation(40)[:12].reshape(3, 4).tolist() for _ in range(n)]


def test_the_section_names_who_buys_as_random_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    random = seeds(rng, 5)
    fixed = [[of[0], *np.setdiff1d(np.arange(20), of[0])[:8].reshape(2, 4).tolist()] for of in random]
    found = section.blocks(write(tmp_path / "r", {"random": random, "copy": random, "fixed": fixed}))
    assert found[0].items == (
        "copy buys what random buys: 1 of 1 setting (d/e/l, low)",
        "With 5 seeds it cannot be told whether near-random: copy (1 of 1 setting)",
    )
    overlap, chance, first, classes = found[1:]
    assert overlap.columns == ("strategy", "random", "copy", "fixed")
    assert overlap.rows[0][:3] == ("random", "1.00", "1.00")
    assert {row[0]: row[3:6] for row in chance.rows}["copy"] == ("8.0", "1.8", "<0.001")
    assert {row[0]: row[8] for row in chance.rows}["fixed"] == "<0.001"
    names = [f"{name}-d-e-l-low" for name in ("overlap", "chance", "first", "classes")]
    assert [block.name for block in found[1:]] == names
    often = sorted(Counter(row for of in fixed for row in of[1]).items(), key=lambda of: (-of[1], of[0]))[:5]
    assert {row[0]: row[2:] for row in first.rows}["fixed"] == tuple(f"{row} ({n})" for row, n in often)
    assert [block.figure.name for block in (overlap, classes) if block.figure] == [overlap.name, classes.name]
    assert classes.columns == ("strategy", "4 labels", "8 labels", "12 labels")


def test_classes_are_those_of_the_labels_so_far(tmp_path: Path) -> None:
    batches = [[1, 4], [2, 3], [5, 6], [8, 9]]  # class 1: rows 4 and 8
    read = write(tmp_path / "r", {"random": [batches]})
    shares = forensics.class_shares(read.finished)
    assert shares["n_labelled"].tolist() == [2, 6, 8]
    assert [of.tolist() for of in shares["shares"]] == [[0.5, 0.5], pytest.approx([5 / 6, 1 / 6]), [0.75, 0.25]]
    assert shares["balance"].tolist() == pytest.approx(stats.entropy([[0.5, 5 / 6, 0.75], [0.5, 1 / 6, 0.25]], base=2))


def test_rows_count_until_half_of_the_pool_is_labelled(tmp_path: Path) -> None:
    """To the end both rules have bought the same 40 rows; by half, nothing in common."""
    up, down = list(range(2, 40)), list(range(39, 1, -1))
    batches = [[[0, 1], *(rows[i : i + 6] for i in range(0, 38, 6))] for rows in (up, down)]
    read = write(tmp_path / "r", {"random": [batches[0]], "x": [batches[1]]})
    (found,) = forensics.places(read.finished, {})
    assert {name: len(of[0].own) for name, of in found.trails.items()} == {"random": 18, "x": 18}
    assert overlaps(found, ["random", "x"])[0][0, 1] == 0
    whole = write(tmp_path / "s", {"random": [[[0, 1], up]], "x": [[[0, 1], down]]})
    (found,) = forensics.places(whole.finished, {})
    assert {name: len(of[0].own) for name, of in found.trails.items()} == {"random": 38, "x": 38}  # one batch only
    assert isnan(with_random(found, "x").p)


def test_rows_of_a_resampled_dataset_are_not_compared_between_seeds(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    read = write(tmp_path / "r", {"random": seeds(rng, 3), "x": seeds(rng, 3)}, fingerprints={"1": "d/e", "2": "d/e"})
    assert_nothing_is_compared_between_seeds(section.blocks(read))


@pytest.mark.parametrize("prints", [[{"1": "d/e"}, {"2": "d/e"}], [{"1": "d/e"}, {}], [{"1": "d/e"}, None], [{}, {}]])
def test_rows_of_several_runs_are_compared_where_all_of_them_tell_the_same_split(
    prints: list[dict[str, str] | None], tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    paths = [tmp_path / name for name in "rs"]
    for path, fingerprints, seed in zip(paths, prints, (0, 3), strict=True):
        write(path, {"random": seeds(rng, 3), "x": seeds(rng, 3)}, seed, fingerprints=fingerprints)
    together = evidence.Evidence.of(evidence.read_runs(paths))
    assert together.summary.of(*next((s, "low") for s in together.summary.settings()))[0].n == 6
    assert_nothing_is_compared_between_seeds(section.blocks(together))


def test_rows_of_several_runs_on_one_split_are_compared(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    paths = [tmp_path / name for name in "rs"]
    for path, seed in zip(paths, (0, 3), strict=True):
        write(path, {"random": seeds(rng, 3), "x": seeds(rng, 3)}, seed)
    imported = tmp_path / "imported"
    RunStore.create(imported, "", {"grid_id": "i", "name": "i", "imported from": "a.csv"}).close()
    found = section.blocks(evidence.Evidence.of(evidence.read_runs([*paths, imported])))
    assert all("-" not in row[6:] for row in found[2].rows)
    assert any("Bought first" in block.title for block in found)


def assert_nothing_is_compared_between_seeds(found: list[Block]) -> None:
    assert found[0].items == (f"Near-random or not could not be tested in 1 of 1 setting (d/e/l, low): {NEEDED}",)
    assert "Seeds may have splits of their own" in found[2].text
    assert {row[6:] for row in found[2].rows} == {("-", "-", "-")}
    assert not any("Bought first" in block.title for block in found)


def test_without_the_size_of_the_pool_near_random_is_not_tested(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    read = write(tmp_path / "r", {"random": seeds(rng, 3), "x": seeds(rng, 3)})
    unbound = read.runs.rounds.query("budget != @FULL_DATA")
    summary = section.blocks(evidence.Evidence.of(replace(read.runs, rounds=unbound)))[0]
    assert summary.items == (f"Near-random or not could not be tested in 1 of 1 setting (d/e/l, low): {NEEDED}",)


def test_what_is_shown_either_way_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    random, other = seeds(rng, 40), seeds(rng, 40)
    fixed = [[of[0], *np.setdiff1d(np.arange(20), of[0])[:8].reshape(2, 4).tolist()] for of in random]
    found = section.blocks(write(tmp_path / "r", {"random": random, "other": other, "fixed": fixed}))
    near = "other is near-random, comes back to rows from seed to seed hardly more than chance: 1 of 1 setting"
    assert found[0].items == (f"{near} (d/e/l, low)",)
    found = section.blocks(write(tmp_path / "s", {"random": random, "fixed": fixed}))
    assert found[0].items == ("No strategy buys what random buys, or as random does.",)
    assert section.blocks(write(tmp_path / "t", {"random": random}))[0].items == ()


def test_a_run_without_picks_says_so(tmp_path: Path) -> None:
    read = write(tmp_path / "r", {"random": [[[0], [1]]]})
    read.runs.rounds["selected"] = pd.Series([np.empty(0, np.int64)] * len(read.rounds), dtype=object)
    (block,) = section.blocks(evidence.Evidence.of(read.runs))
    assert "hold no picks" in block.text

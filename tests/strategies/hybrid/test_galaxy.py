"""GALAXY against a plain walk along the lines, and what the bisection is for."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queries import query

from albench.benchmark.types import Floats, Query
from albench.strategies.hybrid.galaxy import Galaxy


def asked(probs: Floats, truth: Sequence[int], labelled: Sequence[int], n: int, seed: int = 0) -> Query:
    return query(probs, n, labelled, probs.astype(np.float32), seed, truth=truth)


def walk(query: Query, truth: Sequence[int], seed: int) -> list[int]:
    """GALAXY as one would say it aloud, with the draws of the rule."""
    rng = np.random.default_rng(seed)
    rows = [*query.labelled.tolist(), *query.unlabelled.tolist()]
    by_chance = rng.permutation(len(rows))
    probs = query.of(np.array(rows)).probs
    known, picks = set(query.labelled.tolist()), []
    for _ in range(query.n):
        k = int(rng.integers(query.n_classes))
        keys = [(p[k] - p.max(), p.max(), by_chance[i], rows[i]) for i, p in enumerate(probs)]
        line = [row for *_, row in sorted(keys)]
        places = [place for place, row in enumerate(line) if row in known]
        pairs = [(a, b) for a, b in pairwise(places) if (truth[line[a]] == k) != (truth[line[b]] == k)]
        open_ = [(a, b) for a, b in pairs if b - a > 1]
        if open_:
            shortest = min(b - a for a, b in open_)
            a, b = open_[rng.choice([i for i, (a, b) in enumerate(open_) if b - a == shortest])]
            run = line[a + 1 : b]
            row = run[(len(run) - int(rng.integers(2))) // 2]
        else:
            free = [place for place, row in enumerate(line) if row not in known]
            away = [min([min(abs(place - a), abs(place - b)) for a, b in pairs], default=0) for place in free]
            row = line[rng.choice([p for p, distance in zip(free, away, strict=True) if distance == min(away)])]
        known.add(row)
        picks.append(row)
    return picks


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), size=st.integers(4, 40), classes=st.integers(2, 5), rough=st.booleans())
def test_galaxy_walks_the_lines(seed: int, size: int, classes: int, rough: bool) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(classes), size=size)
    if rough:  # equal rows, and rows of equal margin
        probs = np.round(2 * probs) + 0.5
        probs /= probs.sum(axis=1, keepdims=True)
    truth = [int(rng.choice(classes, p=p)) for p in probs]
    labelled = rng.permutation(size)[: rng.integers(1, size)].tolist()
    n = int(rng.integers(1, size - len(labelled) + 1))
    assert Galaxy().select(asked(probs, truth, labelled, n, seed)).tolist() == walk(
        asked(probs, truth, labelled, n, seed), truth, seed
    )


def on_a_line(size: int) -> Floats:
    """Two classes; the row number is the order along the line of class 1."""
    p = (np.arange(size) + 1) / (size + 1)
    return np.column_stack([1 - p, p])


@pytest.mark.parametrize("seed", range(5))
def test_the_boundary_is_found_by_bisection(seed: int) -> None:
    truth = [0] * 397 + [1] * 603
    picks = Galaxy().select(asked(on_a_line(1000), truth, [0, 999], 10, seed)).tolist()
    known = [0, 999, *picks]
    assert max(row for row in known if not truth[row]) == 396  # 10 labels say where one in 1,000 does not tell
    assert min(row for row in known if truth[row]) == 397


def test_when_the_boundary_is_known_its_neighbours_follow() -> None:
    truth = [0] * 10 + [1] * 10
    picks = Galaxy().select(asked(on_a_line(20), truth, [9, 10], 6)).tolist()
    assert set(picks) == {6, 7, 8, 11, 12, 13}
    assert {8, 11} == set(picks[:2])


def test_of_two_runs_the_shorter_is_halved() -> None:
    truth = [0] * 10 + [1] * 10 + [0] * 10
    for seed in range(10):  # between 0 and 19 lie 18 rows, between 19 and 29 only 9
        assert Galaxy().select(asked(on_a_line(30), truth, [0, 19, 29], 1, seed)).tolist() == [24]


def test_without_both_sides_any_row_is_drawn() -> None:
    queries = [asked(on_a_line(12), [1] * 12, [3, 7], 1, seed) for seed in range(150)]
    assert {int(Galaxy().select(q)[0]) for q in queries} == set(range(12)) - {3, 7}


def test_classes_are_drawn_evenly_and_the_rare_one_is_sought() -> None:
    """One class in fifty: its labels are most of what is bought around it (the paper's reason for the rule)."""
    rng = np.random.default_rng(0)
    truth = (rng.random(2000) < 0.02).astype(np.int64)
    p = 1 / (1 + np.exp(-(4 * truth - 3.5 + rng.normal(size=2000))))
    start = [int(np.flatnonzero(truth)[0]), *np.flatnonzero(truth == 0)[:20].tolist()]
    picks = Galaxy().select(asked(np.column_stack([1 - p, p]), truth.tolist(), start, 60))
    assert truth[picks].mean() > 5 * truth.mean()

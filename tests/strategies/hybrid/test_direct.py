"""DIRECT against a plain walk along the lines, and what the separation is for."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queries import query

from albench.benchmark.types import Floats, Query
from albench.strategies.hybrid.direct import Direct


def asked(probs: Floats, truth: Sequence[int], labelled: Sequence[int], n: int, seed: int = 0) -> Query:
    return query(probs, n, labelled, probs.astype(np.float32), seed, truth=truth)


def on_a_line(size: int) -> Floats:
    """Two classes; the row number is the order along the line of class 1, the surest last."""
    p = (np.arange(size) + 1) / (size + 1)
    return np.column_stack([1 - p, p])


def walk(query: Query, explore: float, which: str, seed: int) -> list[int]:
    """DIRECT as one would say it aloud, with the draws of the rule."""
    rng, C = np.random.default_rng(seed), query.n_classes
    rows = [*query.labelled.tolist(), *query.unlabelled.tolist()]
    label = dict(zip(query.labelled.tolist(), query.labels.tolist(), strict=True))
    chance, probs = rng.permutation(len(rows)), query.of(np.array(rows)).probs

    def line(k: int) -> list[int]:
        keys = [(p.max() - p[k], -p.max(), chance[i], rows[i]) for i, p in enumerate(probs)]
        return [row for *_, row in sorted(keys)]

    taken: list[int] = []
    counts, order = Counter(label.values()), rng.permutation(C)
    budget = int(explore * query.n)
    for i, k in enumerate(sorted(range(C), key=lambda k: (counts[k], order[k]))):
        share = budget // C + (i < budget % C)
        seen = [(place, label[row] == k) for place, row in enumerate(line(k)) if row in label]
        while len(seen) > 1 and seen[0][1] and seen[1][1]:
            del seen[0]
        while len(seen) > 1 and not seen[-1][1] and not seen[-2][1]:
            del seen[-1]
        start = seen[0][0] if seen and seen[0][1] else -1
        end = seen[-1][0] if seen and not seen[-1][1] else len(rows)
        gap = [row for row in line(k)[start + 1 : end] if row not in label and row not in taken] if share else []
        taken += rng.choice(np.array(gap, np.int64), min(share, len(gap)), replace=False).tolist()
    left = query.n - len(taken)
    for i, k in enumerate(rng.permutation(C)):
        on = line(k)
        right = [
            sum(label.get(row) == k for row in on[:cut]) - sum(label.get(row, k) != k for row in on[:cut])
            for cut in range(len(on) + 1)
        ]
        best = [place for place, how_many in enumerate(right) if how_many == max(right)]
        own = sum(p[k] == p.max() for p in probs)
        cut = min(best, key=lambda place: (abs(place - own), place)) if which == "model" else best[0]
        walked = [place for step in range(len(on) + 1) for place in (cut - 1 - step, cut + step)]
        free = [on[p] for p in walked if 0 <= p < len(on) and on[p] not in label and on[p] not in taken]
        taken += free[: left // C + (i < left % C)]
    return taken


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(4, 40),
    classes=st.integers(2, 5),
    rough=st.booleans(),
    explore=st.sampled_from([0.0, 0.5, 1.0]),
    cut=st.sampled_from(["model", "first"]),
)
def test_direct_walks_the_lines(
    seed: int, size: int, classes: int, rough: bool, explore: float, cut: Literal["model", "first"]
) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(classes), size=size)
    if rough:  # equal rows, and rows of equal margin
        probs = np.round(2 * probs) + 0.5
        probs /= probs.sum(axis=1, keepdims=True)
    truth = [int(rng.choice(classes, p=p)) for p in probs]
    labelled = rng.permutation(size)[: rng.integers(1, size)].tolist()
    n = int(rng.integers(1, size - len(labelled) + 1))
    picks = Direct(explore, cut).select(asked(probs, truth, labelled, n, seed)).tolist()
    assert picks == walk(asked(probs, truth, labelled, n, seed), explore, cut, seed)


@pytest.mark.parametrize(
    ("cut", "rows"),
    [("model", {*range(40, 60)}), ("first", {*range(10, 20), *range(80, 90)})],
    ids=["model", "first"],
)
def test_half_of_a_batch_lies_in_the_gap_and_half_at_the_cut(cut: Literal["model", "first"], rows: set[int]) -> None:
    truth = [0] * 50 + [1] * 50
    picks = Direct(cut=cut).select(asked(on_a_line(100), truth, [*range(10), *range(90, 100)], 16)).tolist()
    assert set(picks[:8]) <= set(range(10, 90))
    assert set(picks[8:]) <= rows


def test_one_wrong_label_does_not_move_the_separation() -> None:
    """Noise: of 40 labels one on the far side is wrong; the cut stays between the classes."""
    truth = [0] * 50 + [1] * 50
    truth[2] = 1
    labelled = [*range(0, 48, 2), *range(52, 100, 2)]
    picks = Direct(explore=0.0).select(asked(on_a_line(100), truth, labelled, 4)).tolist()
    assert all(44 <= row <= 56 for row in picks)


def test_rare_classes_get_as_many_as_common_ones() -> None:
    """One class in fifty: what is bought around its separation is richer in it than the pool (the paper's reason)."""
    rng = np.random.default_rng(0)
    truth = (rng.random(2000) < 0.02).astype(np.int64)
    p = 1 / (1 + np.exp(-(4 * truth - 3.5 + rng.normal(size=2000))))
    start = [*np.flatnonzero(truth)[:4].tolist(), *np.flatnonzero(truth == 0)[:20].tolist()]
    picks = Direct(explore=0.0).select(asked(np.column_stack([1 - p, p]), truth.tolist(), start, 60))
    assert truth[picks].mean() > 5 * truth.mean()


@pytest.mark.parametrize("explore", [-0.1, 1.5])
def test_impossible_parameters_are_refused(explore: float) -> None:
    with pytest.raises(ValueError, match=f"direct: explore is {explore}; it must be from 0 to 1"):
        Direct(explore)

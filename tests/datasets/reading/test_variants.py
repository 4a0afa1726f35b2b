from __future__ import annotations

import dataclasses
import math
from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from albench.benchmark.types import Labels, Rows
from albench.datasets.reading.base import DataError, Images, Inputs, Split
from albench.datasets.reading.variants import Subset, Variants
from albench.datasets.wine import Wine


def split_of(counts: list[int], train: Inputs | None = None) -> Split:
    """A shuffled pool with so many rows of each class; a row's one feature is its number."""
    labels = np.random.default_rng(len(counts)).permutation(np.repeat(np.arange(len(counts)), counts))
    if train is None:
        train = np.arange(len(labels), dtype=np.float32)[:, None]
    names = tuple(f"c{c}" for c in range(len(counts)))
    return Split("table", train, labels, np.zeros((3, 1), np.float32), np.arange(3) % len(counts), names)


def sizes(split: Split) -> list[int]:
    return [int((split.train_labels == c).sum()) for c in range(len(split.class_names))]


def varied(split: Split, **said: Any) -> Split:
    return Variants(**said).vary(split, "name", "label")


def rows_of(split: Split) -> Rows:
    return split.train[:][:, 0].astype(np.int64)


# --- which rows stay


@pytest.mark.parametrize(
    ("classes", "rows", "ratio", "head", "total"),
    [  # published sizes of long-tailed CIFAR-10 and CIFAR-100
        (10, 5000, 100, [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50], 12406),
        (10, 5000, 10, [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500], 20431),
        (100, 500, 100, [500, 477, 455, 434], 10847),
    ],
)
def test_long_tailed_cifar(classes: int, rows: int, ratio: float, head: list[int], total: int) -> None:
    found = sizes(varied(split_of([rows] * classes), long_tail=ratio))
    assert (found[: len(head)], sum(found)) == (head, total)


def test_step_halves_the_classes() -> None:
    assert sizes(varied(split_of([30] * 2), step=10)) == [30, 3]
    assert sizes(varied(split_of([50] * 4), step=7)) == [50, 50, 7, 7]
    assert sizes(varied(split_of([50] * 5), step=10)) == [50, 50, 50, 5, 5]


def test_a_size_that_is_a_whole_number_is_no_rounding_error_below_it() -> None:
    assert sizes(varied(split_of([64] * 7), long_tail=64)) == [64, 32, 16, 8, 4, 2, 1]


def oracle(counts: list[int], ratio: int, *, long_tail: bool) -> list[int]:
    """Sizes by trying every n_max, in 40 digits."""
    C = len(counts)
    if long_tail:
        factors = [Decimal(ratio) ** (Decimal(-c) / Decimal(C - 1)) for c in range(C)]
    else:
        factors = [Decimal(1) / ratio if c >= (C + 1) // 2 else Decimal(1) for c in range(C)]
    best: list[int] = []
    for n_max in range(1, max(counts) + 1):
        exact = [(n_max * f).quantize(Decimal("1e-9")) for f in factors]
        tried = [max(1, int(e.to_integral_value(ROUND_FLOOR))) for e in exact]
        if all(t <= count for t, count in zip(tried, counts, strict=True)):
            best = tried
    return best


@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.integers(2, 50), st.booleans())
def test_classes_are_as_large_as_the_pool_allows(counts: list[int], ratio: int, long_tail: bool) -> None:
    split = split_of(counts)
    found = varied(split, **{"long_tail" if long_tail else "step": ratio})
    assert sizes(found) == oracle(counts, ratio, long_tail=long_tail)
    rows = rows_of(found)
    assert (np.diff(rows) > 0).all()  # in their order, none twice
    assert np.array_equal(found.train_labels, split.train_labels[rows])
    assert found.test is split.test
    assert found.test_labels is split.test_labels


def test_per_class_keeps_so_many() -> None:
    split = split_of([9, 5, 30])
    found = varied(split, per_class=5)
    assert sizes(found) == [5, 5, 5]
    assert (np.diff(rows_of(found)) > 0).all()
    assert np.array_equal(found.train_labels, split.train_labels[rows_of(found)])


def test_smaller_classes_are_part_of_larger_ones() -> None:
    split = split_of([40] * 4)
    for what, steps in {"per_class": (30, 20, 5), "long_tail": (2, 5, 20), "step": (2, 5, 20)}.items():
        kept = [set(rows_of(varied(split, **{what: value}))) for value in steps]
        assert set(rows_of(split)) > kept[0] > kept[1] > kept[2]


def test_a_class_keeps_its_rows_whatever_the_others_hold() -> None:
    whole = split_of([30, 30, 30])
    some = np.flatnonzero(whole.train_labels != 2)
    without = dataclasses.replace(whole, train=whole.train[some], train_labels=whole.train_labels[some])
    kept = varied(whole, per_class=10), varied(dataclasses.replace(without, class_names=("c0", "c1")), per_class=10)
    of_both = [row for row in rows_of(kept[0]) if whole.train_labels[row] != 2]
    assert of_both == rows_of(kept[1]).tolist()


def test_all_rows_are_the_same_data() -> None:
    split = split_of([20, 20])
    assert varied(split, per_class=20) is split


def test_golden_draws() -> None:
    split = split_of([6, 6, 6])
    assert rows_of(varied(split, per_class=2)).tolist() == [1, 2, 3, 8, 9, 17]
    assert rows_of(varied(split, long_tail=4)).tolist() == [1, 4, 7, 9, 10, 11, 13, 14, 15, 17]
    before, after = split.train_labels, varied(split, noise=0.25).train_labels
    wrong = np.flatnonzero(before != after)
    assert (wrong.tolist(), after[wrong].tolist()) == ([2, 14, 16, 17], [0, 0, 2, 2])


def test_draws_depend_on_the_name_of_the_dataset_alone() -> None:
    split = split_of([50, 50])
    for said in ({"per_class": 20}, {"long_tail": 2.0}, {"step": 2.0}, {"noise": 0.3}):
        variant = Variants(**said)
        found = [variant.vary(split, *names) for names in (("a", "x"), ("a", "y"), ("b", "x"))]
        a, b, c = ((rows_of(one).tolist(), one.train_labels.tolist()) for one in found)
        assert a == b != c


def test_the_order_is_per_class_then_imbalance_then_noise() -> None:
    split = split_of([60, 80, 70])
    at_once = varied(split, per_class=50, step=5, noise=0.2)
    one_by_one = varied(varied(varied(split, per_class=50), step=5), noise=0.2)
    assert sizes(varied(split, per_class=50, step=5)) == [50, 50, 10]
    assert np.array_equal(rows_of(at_once), rows_of(one_by_one))
    assert np.array_equal(at_once.train_labels, one_by_one.train_labels)


# --- wrong labels

POOLS = st.lists(st.integers(0, 30), min_size=2, max_size=6).filter(any)
SHARES = st.floats(0, 1, exclude_max=True)


@given(POOLS, SHARES)
def test_symmetric_noise_is_an_exact_share_of_all_rows(counts: list[int], noise: float) -> None:
    split = split_of(counts)
    found = varied(split, noise=noise)
    assert (found.train_labels != split.train_labels).sum() == round(noise * sum(counts))
    assert set(found.train_labels) <= set(range(len(counts)))
    assert found.train is split.train
    assert found.test_labels is split.test_labels


@given(POOLS, SHARES.filter(bool))
def test_asymmetric_noise_is_an_exact_share_of_each_class(counts: list[int], noise: float) -> None:
    split = split_of(counts)
    found = varied(split, noise=noise, noise_kind="asymmetric")
    pairs = Counter(zip(split.train_labels.tolist(), found.train_labels.tolist(), strict=True))
    expected: Counter[tuple[int, int]] = Counter()
    for c, count in enumerate(counts):
        wrong = round(noise * count)
        expected += Counter({(c, c): count - wrong, (c, (c + 1) % len(counts)): wrong})
    assert pairs == expected


def test_symmetric_noise_is_uniform_over_the_other_classes() -> None:
    split = split_of([3000] * 4)
    found = varied(split, noise=0.5)
    pairs = np.zeros((4, 4))
    np.add.at(pairs, (split.train_labels, found.train_labels), 1)
    assert pairs.sum() - np.trace(pairs) == 6000
    wrong = pairs[~np.eye(4, dtype=bool)]
    assert np.abs(wrong - 500).max() < 5 * math.sqrt(500)


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_the_wrong_labels_of_little_noise_are_among_those_of_more(kind: str) -> None:
    split = split_of([100] * 3)
    before: Labels = split.train_labels
    for noise in (0.1, 0.2, 0.4):
        after = varied(split, noise=noise, noise_kind=kind).train_labels
        wrong = before != split.train_labels
        assert np.array_equal(after[wrong], before[wrong])
        before = after


def test_the_labels_of_the_source_are_left_alone() -> None:
    split = split_of([10, 10])
    split.train_labels.setflags(write=False)
    before = split.train_labels.copy()
    varied(split, noise=0.5)
    varied(split, noise=0.5, noise_kind="asymmetric")
    assert np.array_equal(split.train_labels, before)


# --- images that are decoded when asked for


@dataclass
class Lazy:
    """N images of 2 x 2 whose pixels are the row's number; it remembers which were decoded."""

    n: int
    decoded: list[int] = dataclasses.field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.n, 2, 2, 1)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: slice | Rows) -> NDArray[np.uint8]:
        asked = np.arange(self.n)[rows]
        self.decoded += asked.tolist()
        return np.tile(asked.astype(np.uint8)[:, None, None, None], (1, 2, 2, 1))

    def digest(self) -> str:
        return f"lazy-{self.n}"


def test_lazy_images_stay_lazy() -> None:
    images = Lazy(60)
    split = dataclasses.replace(split_of([20, 20, 20], images), kind="images")
    found = varied(split, per_class=10, step=2, noise=0.2)
    assert isinstance(found.train, Subset)
    assert isinstance(found.train, Images)
    assert images.decoded == []
    eager = varied(dataclasses.replace(split, train=Lazy(60)[:]), per_class=10, step=2, noise=0.2)
    assert found.train.shape == eager.train.shape == (25, 2, 2, 1)
    assert len(found.train) == 25
    for rows in (slice(3, 9), np.array([7, 2, 2, 24]), slice(None)):
        images.decoded.clear()
        assert np.array_equal(found.train[rows], eager.train[rows])
        assert len(images.decoded) == len(eager.train[rows])


def test_the_digest_of_some_images_covers_images_rows_and_order() -> None:
    chosen = np.array([1, 4, 5]), np.array([1, 4, 6]), np.array([4, 1, 5])
    digests = {Subset(Lazy(n), rows).digest() for n in (10, 11) for rows in chosen}
    assert len(digests) == 6


# --- what is refused


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"per_class": 0}, "per_class is 0; legal: a number of rows, at least 1"),
        ({"long_tail": 0.5}, "long_tail is 0.5; legal: the largest class over the smallest, at least 1"),
        ({"step": math.inf}, "step is inf; legal: the largest class over the smallest, at least 1"),
        ({"step": math.nan}, "step is nan; legal: the largest class over the smallest, at least 1"),
        ({"long_tail": 2.0, "step": 3.0}, "long_tail (2.0) and step (3.0) exclude each other; give one of them"),
        ({"noise": 1.0}, "noise is 1.0; legal: a share of the labels, at least 0 and below 1"),
        ({"noise": -0.1}, "noise is -0.1; legal: a share of the labels, at least 0 and below 1"),
        (
            {"noise": 0.1, "noise_kind": "assymetric"},
            "unknown noise_kind 'assymetric'; did you mean 'asymmetric'? legal: symmetric, asymmetric",
        ),
        (
            {"noise_kind": "asymmetric"},
            "noise_kind is 'asymmetric' and noise 0; give the share of labels that are wrong",
        ),
    ],
)
def test_illegal_values(said: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the whole text is compared
        Wine(**said)
    assert str(caught.value) == line


def test_the_other_checks_of_a_dataset_stay() -> None:
    with pytest.raises(ValueError, match=r"^test is 2\.0; "):
        Wine(test=2.0)


@dataclass(frozen=True)
class Forgetful(Variants):
    def __post_init__(self) -> None:
        pass


def test_a_dataset_that_forgot_the_check_is_checked_all_the_same() -> None:
    with pytest.raises(ValueError, match="noise is 3"):
        Forgetful(noise=3).vary(split_of([5, 5]), "name", "label")


@pytest.mark.parametrize(
    ("counts", "said", "line"),
    [
        ([9, 4, 5], {"per_class": 5}, "per_class is 5, class 'c1' has 4 rows in the pool; legal: at most 4"),
        ([9, 0, 5], {"long_tail": 2}, "class 'c1' has no row in the pool; long_tail needs at least 1 of each class"),
        ([9, 3, 0], {"step": 2}, "class 'c2' has no row in the pool; step needs at least 1 of each class"),
    ],
)
def test_too_few_rows(counts: list[int], said: dict[str, Any], line: str) -> None:
    with pytest.raises(DataError) as caught:
        varied(split_of(counts), **said)
    assert caught.value.messages == [f"label: {line}"]

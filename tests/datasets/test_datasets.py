from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.data import FILL

from albench.benchmark.registry import datasets
from albench.datasets.digits import Digits
from albench.datasets.reading.base import Dataset, Split, split_rows
from albench.datasets.reading.loading import load, validate
from albench.datasets.wdbc import Wdbc
from albench.datasets.wine import Wine

# --- datasets in one piece


def test_the_plugins_are_found_and_cited() -> None:
    assert {"arrays", "digits", "folder", "wdbc", "wine"} <= set(datasets.names())
    for name in ("digits", "wdbc", "wine"):
        assert datasets.get(name).cite
        assert datasets.get(name).notes["licence"]


@pytest.mark.parametrize(
    ("dataset", "train", "test", "classes"),
    [
        (Digits(), (1257, 8, 8, 1), (540, 8, 8, 1), 10),
        (Wdbc(), (398, 30), (171, 30), 2),
        (Wine(), (124, 13), (54, 13), 3),
        (Wdbc("resampled", 0.4), (341, 30), (228, 30), 2),  # Lu et al.: 322 points of a curve from 20 labels on
    ],
)
def test_documented_sizes(dataset: Dataset, train: tuple[int, ...], test: tuple[int, ...], classes: int) -> None:
    split = load(dataset, 0).split
    assert (split.train.shape, split.test.shape, len(split.class_names)) == (train, test, classes)


def test_digits_are_the_source_in_255_steps() -> None:
    from sklearn.datasets import load_digits

    split = Digits().load(0)
    ours = np.concatenate([split.train, split.test])[..., 0].reshape(-1, 64)
    theirs = np.round(load_digits().data * 255 / 16)
    assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs.astype(np.uint8)))


@pytest.mark.parametrize("kind", [Digits, Wdbc, Wine])
def test_rows_keep_their_labels(kind: type[Digits] | type[Wdbc] | type[Wine]) -> None:
    from sklearn import datasets as source

    x, y = {"Digits": source.load_digits, "Wdbc": source.load_breast_cancer, "Wine": source.load_wine}[kind.__name__](
        return_X_y=True
    )
    if kind is Digits:
        x = np.rint(x * (255 / 16))
    label_of_row = {tuple(row): label for row, label in zip(x.astype(np.float32), y, strict=True)}
    split = kind("resampled").load(3)
    rows = np.concatenate([split.train, split.test]).reshape(len(x), -1).astype(np.float32)
    labels = np.concatenate([split.train_labels, split.test_labels])
    assert [label_of_row[tuple(row)] for row in rows] == list(labels)


def test_the_fixed_split_ignores_the_seed_and_the_resampled_one_does_not() -> None:
    assert not Wine().resampled
    assert load(Wine(), 0).content == load(Wine(), 1).content
    resampled = Wine("resampled")
    assert resampled.resampled
    assert load(resampled, 0).content == load(resampled, 0).content
    assert load(resampled, 0).content != load(resampled, 1).content


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    test=st.floats(0.05, 0.95),
    stratify=st.booleans(),
    seed=st.integers(0, 9),
)
def test_split_rows_cuts_without_loss(labels: list[int], test: float, stratify: bool, seed: int) -> None:
    y = np.array(labels)
    train_rows, test_rows = split_rows(y, test, stratify=stratify, rng=np.random.default_rng(seed))
    assert sorted([*train_rows, *test_rows]) == list(range(len(y)))
    assert list(train_rows) == sorted(train_rows)
    assert list(test_rows) == sorted(test_rows)
    assert len(test_rows) == int(np.ceil(test * len(y)))
    if stratify:
        for c in set(labels):
            exact = len(test_rows) * labels.count(c) / len(labels)
            assert abs(int((y[test_rows] == c).sum()) - exact) < 1


def test_an_unstratified_split_is_uniform() -> None:
    y = np.zeros(10, dtype=np.int64)
    hits = np.zeros(10)
    for seed in range(600):
        hits[split_rows(y, 0.3, stratify=False, rng=np.random.default_rng(seed))[1]] += 1
    assert np.abs(hits - 180).max() < 5 * np.sqrt(600 * 0.3 * 0.7)


@pytest.mark.parametrize("test", [0.0, 1.0, -0.5])
def test_an_impossible_share(test: float) -> None:
    with pytest.raises(ValueError, match=rf"^test is {test}; legal: a share of the rows, above 0 and below 1$"):
        Wine(test=test)


def test_an_unknown_kind_of_split() -> None:
    with pytest.raises(
        ValueError, match=r"^unknown split 'resample'; did you mean 'resampled'\? legal: fixed, resampled$"
    ):
        Wine("resample")  # type: ignore[arg-type]  # the typo is the point


# --- the check of every split


def good(**changes: Any) -> Split:
    values: dict[str, Any] = {
        "kind": "features",
        "train": np.ones((3, 2), np.float32),
        "train_labels": np.array([0, 1, 0]),
        "test": np.ones((2, 2), np.float32),
        "test_labels": np.array([1, 0]),
        "class_names": ("a", "b"),
    }
    return Split(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"train_labels": np.array([0, 1])}, "train has 3 rows, train_labels 2"),
        ({"test_labels": np.array([2, -1])}, "test_labels: 2 outside 0..1, first 2 in row 0"),
        ({"test": np.ones((2, 3), np.float32)}, "train has 2 features, test 3"),
        ({"class_names": ("a", "a")}, "class name 'a' is given twice"),
        ({"train": np.ones((3, 2))}, "train is float64 of shape (3, 2); features are float32 with 2 axes, none empty"),
        (
            {"test": np.ones((0, 2), np.float32)},
            "test is float32 of shape (0, 2); features are float32 with 2 axes, none empty",
        ),
        (
            {"train_labels": np.array([0.0, 1, 0])},
            "train_labels is float64 of shape (3,); labels are int64 with 1 axis",
        ),
    ],
)
def test_faults_of_a_split(changes: dict[str, Any], problem: str) -> None:
    assert validate(good(**changes)) == [problem]


def test_a_good_split_has_no_faults_and_one_class_is_too_few() -> None:
    assert validate(good()) == []
    zeros = {"train_labels": np.zeros(3, np.int64), "test_labels": np.zeros(2, np.int64)}
    assert validate(good(class_names=("a",), **zeros)) == ["only 1 class; at least 2 are needed"]


def test_values_that_are_not_finite_are_counted() -> None:
    train = np.array([[0, 1], [np.nan, np.inf], [-np.inf, 0]], np.float32)
    assert validate(good(train=train)) == [f"train: 3 values are NaN or infinite, first nan in row 1, column 0{FILL}"]


def test_a_class_without_a_name_in_the_registry_cannot_be_loaded() -> None:
    class Undeclared:
        resampled = False

        def load(self, seed: int) -> Split:
            return good()

    with pytest.raises(TypeError, match=r"Undeclared is not a declared dataset; use the decorator$"):
        load(Undeclared(), 0)

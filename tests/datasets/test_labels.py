"""Labels as people save them: read right, or refused with how to convert; no label is no class."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from support.data import messages

from albench.datasets.arrays import Arrays
from albench.datasets.reading.base import Split, warn
from albench.datasets.reading.loading import load

CODES, TESTED = np.array([0, 1, 2, 0, 1, 2]), np.array([2, 0, 1])
NAMES = np.array(["a", "b", "c"])
HOLES = np.array([0, 1, -1, 0, -1, 2])
TAIL = "which says that there is none"


def written(folder: Path, train: NDArray[Any], test: NDArray[Any], **more: Any) -> str:
    arrays: dict[str, Any] = {
        "train": np.arange(12.0).reshape(6, 2),
        "test": np.ones((3, 2)),
        "train_labels": train,
        "test_labels": test,
    }
    np.savez(folder / "x.npz", **arrays, **more)
    return str(folder / "x.npz")


def read(path: str, **more: Any) -> Split:
    return load(Arrays(path, **more), 0).split


@pytest.mark.parametrize(
    ("train", "test", "names"),
    [
        (CODES.astype(float), TESTED, "012"),
        (CODES.astype(np.float16), TESTED.astype(float), "012"),
        (NAMES[CODES].astype("S"), NAMES[TESTED], "abc"),
        (CODES + 1, (TESTED + 1).astype("u1"), "123"),
        (CODES.astype(">i4"), TESTED, "012"),
    ],
)
def test_labels_of_any_type_are_the_same_classes(
    tmp_path: Path, train: NDArray[Any], test: NDArray[Any], names: str
) -> None:
    split = read(written(tmp_path, train, test))
    assert (list(split.train_labels), list(split.test_labels)) == (list(CODES), list(TESTED))
    assert split.class_names == tuple(names)


@pytest.mark.parametrize("kinds", [("u8", "u8"), ("i8", "u8"), ("u8", "i8")])
def test_large_numbers_are_not_merged(tmp_path: Path, kinds: tuple[str, str]) -> None:
    base = 2**60 if "i8" in kinds else 2**63
    train, test = (
        (np.array([base + int(n) for n in some], kind)) for some, kind in zip((CODES, TESTED), kinds, strict=True)
    )
    split = read(written(tmp_path, train, test))
    assert split.class_names == tuple(str(base + n) for n in range(3))
    assert list(split.test_labels) == list(TESTED)


def test_minus_one_and_one_are_two_classes_where_both_are_tested(tmp_path: Path) -> None:
    signs = np.array([-1, 1])
    assert read(written(tmp_path, signs[CODES % 2], signs[TESTED % 2])).class_names == ("-1", "1")
    (line,) = messages(Arrays(written(tmp_path, signs[CODES % 2], np.ones(3, int))))
    assert f"train_labels: 4 of 6 labels are -1 (first in row 0), {TAIL}; " in line


@pytest.mark.parametrize(
    ("train", "test", "shown", "word"),
    [
        (HOLES, TESTED, "-1", -1),
        (HOLES, np.array([-1, 0, 1]), "-1", -1),
        (np.where(HOLES < 0, -9999, HOLES), TESTED, "-9999", -9999),
        (np.where(HOLES < 0, np.nan, HOLES), TESTED.astype(float), "nan", "nan"),
        (np.where(HOLES < 0, -1.0, HOLES), TESTED, "-1", -1),
        (np.where(HOLES < 0, "", NAMES[HOLES]), NAMES[TESTED], "''", ""),
        (np.where(HOLES < 0, "None", NAMES[HOLES]), NAMES[TESTED], "'None'", "None"),
        (np.where(HOLES < 0, b"NaT", NAMES[HOLES].astype("S")), NAMES[TESTED], "'NaT'", "NaT"),
        (HOLES.astype(str), TESTED.astype(str), "'-1'", -1),
    ],
)
def test_no_label_is_no_class(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    train: NDArray[Any],
    test: NDArray[Any],
    shown: str,
    word: int | str,
) -> None:
    path = written(tmp_path, train, test)
    (line,) = messages(Arrays(path))
    count = f"2 of 6 labels are {shown} (first in row 2), {TAIL}"
    assert line.startswith(f"{path}: train_labels: {count}; `unlabelled: {word or chr(34) * 2}` leaves such rows out; ")
    warn.cache_clear()
    with caplog.at_level(logging.WARNING, "albench"):
        split = read(path, unlabelled=word)
    assert np.array_equal(split.train[:], np.arange(12, dtype=np.float32).reshape(6, 2)[HOLES >= 0])
    assert (list(split.train_labels), len(split.class_names)) == ([0, 1, 0, 2], 3)
    assert len(split.test) == len(split.test_labels) == 3 - (test == word).sum()
    assert caplog.messages[0].endswith(f"2 of 6 rows of train have no label (unlabelled: {word}) and are left out")


def test_a_name_that_is_listed_is_a_class(tmp_path: Path) -> None:
    names = np.array(["None", "b", "B"])
    split = read(written(tmp_path, names[CODES], names[[0, 1, 1]], class_names=names))
    assert split.class_names == ("None", "b", "B")


def test_unlabelled_that_no_row_has(tmp_path: Path) -> None:
    path = written(tmp_path, CODES, TESTED)
    assert messages(Arrays(path, unlabelled=-1)) == [
        f"{path}: train_labels: no label is '-1' (unlabelled); labels: 0, 1, 2"
    ]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (np.array(["a", "A", "b", "a", "A", "b"]), np.array(["a", "b", "b"])),
        (np.array(["a", "a ", "b", "a", "a", "b"]), np.array(["a", "a ", "b"])),
        (np.array(["\u00e9", "e\u0301", "b", "b", "b", "b"]), np.array(["\u00e9", "e\u0301", "b"])),
    ],
)
def test_one_class_in_two_spellings(tmp_path: Path, train: NDArray[Any], test: NDArray[Any]) -> None:
    path = written(tmp_path, train, test)
    (line,) = messages(Arrays(path))
    assert line.endswith(" look like one class; spell it in one way, or list both in class_names")


def test_letters_are_classes_where_both_cases_are_tested(tmp_path: Path) -> None:
    letters = np.array(["a", "A", "b"])
    assert read(written(tmp_path, letters[CODES], letters[TESTED])).class_names == ("A", "a", "b")


@pytest.mark.parametrize(
    ("train", "fault"),
    [
        (
            np.eye(3)[CODES],
            "has shape (6, 3); needed is one value per row, at least one; of one-hot labels, x.argmax(axis=1) is that",
        ),
        (CODES[:, None], "has shape (6, 1); needed is one value per row, at least one; x[:, 0] is that"),
        (CODES + 0.5, "holds 0.5; labels are whole numbers or text; np.digitize makes classes of a quantity"),
        (
            np.where(CODES > 1, np.inf, 0),
            "holds inf; labels are whole numbers or text; np.digitize makes classes of a quantity",
        ),
        (
            CODES + 2.0**53 + 2,
            "holds 9007199254740996 as float64, which merges those beyond 9007199254740992; give integers or text",
        ),
        (CODES.astype("M8[D]"), "holds datetime64[D], not integers or text; x.astype(str) makes text of it"),
        (np.array(["a", "\ud800"])[CODES % 2], "holds text that is not UTF-8 ("),
        (np.array([b"a", b"\xff"])[CODES % 2], "holds text that is not UTF-8 ("),
    ],
)
def test_what_is_no_label_says_how_to_convert_it(tmp_path: Path, train: NDArray[Any], fault: str) -> None:
    path = written(tmp_path, train, TESTED)
    assert messages(Arrays(path))[0].startswith(f"{path}: train_labels {fault}")


def test_integers_count_into_class_names_from_zero(tmp_path: Path) -> None:
    path = written(tmp_path, CODES % 2 + 1, TESTED % 2 + 1, class_names=NAMES)
    assert messages(Arrays(path)) == [
        f"{path}: train_labels: integers count into class_names from 0, and no label is 0; subtract 1, say"
    ]


@pytest.mark.parametrize(
    ("labels", "word"),
    [(pa.array(["a", None, "b", "a", "b", "a"]), "nan"), (pa.array([0, None, 1, 0, 1, 0]), "nan")],
)
def test_nulls_of_parquet_are_no_class(tmp_path: Path, labels: pa.Array, word: str) -> None:
    tested = labels.drop_null().slice(0, 3)
    content = {"train": np.ones((6, 2)), "test": np.ones((3, 2))}
    files: dict[str, Any] = {key: str(tmp_path / f"{key}.npy") for key in content}
    for key, array in content.items():
        np.save(files[key], array)
    for key, column in (("train_labels", labels), ("test_labels", tested)):
        files[key] = str(tmp_path / f"{key}.parquet")
        pq.write_table(pa.table({"y": column}), files[key])
    assert "1 of 6 labels are" in messages(Arrays(**files))[0]
    split = load(Arrays(**files, unlabelled=word), 0).split
    assert list(split.train_labels) == [0, 1, 0, 1, 0]

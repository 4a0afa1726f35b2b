from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from support.data import FILL, messages

from albench.datasets.arrays import KEYS, Arrays
from albench.datasets.reading.loading import load
from albench.datasets.reading.npz import PICKLED

Write = Callable[[dict[str, Any]], str]


def content(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    values = {
        "train": rng.normal(size=(6, 3)),
        "train_labels": np.array(["b", "a", "c", "a", "b", "c"]),
        "test": rng.normal(size=(2, 3)),
        "test_labels": np.array(["c", "a"]),
    }
    return values | changes


@pytest.fixture
def npz(tmp_path: Path) -> Write:
    def write(arrays: dict[str, Any]) -> str:
        np.savez(tmp_path / "x.npz", **arrays)
        return str(tmp_path / "x.npz")

    return write


def test_text_labels_become_sorted_classes(npz: Write) -> None:
    loaded = load(Arrays(npz(content())), 0)
    split = loaded.split
    assert split.kind == "features"
    assert split.class_names == ("a", "b", "c")
    assert list(split.train_labels) == [1, 0, 2, 0, 1, 2]
    assert list(split.test_labels) == [2, 0]
    assert np.array_equal(split.train[:], content()["train"].astype(np.float32))
    assert (loaded.label, loaded.params) == ("arrays:x.npz", {})


def test_integer_labels_are_sorted_as_numbers(npz: Write) -> None:
    labels = {"train_labels": np.array([10, 2, 10, 2, 33, 2]), "test_labels": np.array([33, 10], np.uint8)}
    split = load(Arrays(npz(content(**labels))), 0).split
    assert split.class_names == ("2", "10", "33")
    assert list(split.train_labels) == [1, 0, 1, 0, 2, 0]
    assert list(split.test_labels) == [2, 1]


def test_given_class_names_keep_their_order(npz: Write) -> None:
    names = np.array(["c", "b", "a", "unseen"])
    split = load(Arrays(npz(content(class_names=names))), 0).split
    assert split.class_names == ("c", "b", "a", "unseen")
    assert list(split.train_labels) == [1, 2, 0, 2, 1, 0]
    numbers = {"train_labels": np.array([3, 1, 1, 0, 0, 0]), "test_labels": np.array([2, 3]), "class_names": names}
    assert list(load(Arrays(npz(content(**numbers))), 0).split.test_labels) == [2, 3]


def as_parquet(path: Path, array: NDArray[Any], as_list: bool) -> None:
    if array.ndim == 1:
        table = pa.table({"value": array})
    elif as_list:
        table = pa.table({"embedding": [list(row) for row in array]})
    else:
        table = pa.table({f"f{i}": array[:, i] for i in range(array.shape[1])})
    pq.write_table(table, path)


@pytest.mark.parametrize("kind", ["npy", "columns", "lists"])
def test_separate_files_hold_the_same_data_as_an_npz(tmp_path: Path, npz: Write, kind: str) -> None:
    arrays = content(class_names=np.array(["a", "b", "c"]))
    paths: dict[str, Any] = {}
    for key, array in arrays.items():
        path = tmp_path / f"{key}.{'npy' if kind == 'npy' else 'parquet'}"
        if kind == "npy":
            np.save(path, array)
        else:
            as_parquet(path, array, as_list=kind == "lists")
        paths[key] = str(path)
    loaded = load(Arrays(**paths), 0)
    assert loaded.content == load(Arrays(npz(arrays)), 0).content
    assert loaded.label == f"arrays:train.{'npy' if kind == 'npy' else 'parquet'}"


def test_the_row_names_of_pandas_are_no_feature(tmp_path: Path, npz: Write) -> None:
    import pandas as pd

    arrays = content()
    paths: dict[str, Any] = {key: str(tmp_path / f"{key}.parquet") for key in arrays}
    for key, array in arrays.items():
        frame = pd.DataFrame(array if array.ndim == 2 else {"label": array}, index=[7, *range(1, len(array))])
        # an index that is no plain range is written as a column
        frame.columns = frame.columns.map(str)
        frame.to_parquet(paths[key])
        assert "__index_level_0__" in pq.read_table(paths[key]).column_names
    assert load(Arrays(**paths), 0).content == load(Arrays(npz(arrays)), 0).content


def test_missing_keys_are_all_named_with_the_nearest(npz: Write) -> None:
    arrays = content()
    arrays["trainlabels"] = arrays.pop("train_labels")
    del arrays["test"]
    path = npz(arrays)
    legal = ", ".join(KEYS)
    assert messages(Arrays(path)) == [
        f"{path}: key 'train_labels' is missing (is it 'trainlabels'?); legal keys: {legal}",
        f"{path}: key 'test' is missing; legal keys: {legal}",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"train_labels": np.array(["a", "c"])}, "arrays:x.npz: train has 6 rows, train_labels 2"),
        ({"test": np.ones((2, 4))}, "arrays:x.npz: train has 3 features, test 4"),
        (
            {"test": np.full((2, 3), 1e39)},
            f"arrays:x.npz: test: 6 values are NaN or infinite, first inf in row 0, column 0{FILL}",
        ),
        ({"test": np.ones(2)}, "PATH: test has shape (2,); features are (rows, features)"),
        ({"train": np.array([["x"]])}, "PATH: train holds <U1, not numbers"),
        ({"test_labels": np.array(["c", "z"])}, "PATH: test_labels: unknown class 'z' in row 1; legal: a, b, c"),
        (
            {"class_names": np.array(["a", "b"])},
            "PATH: train_labels: unknown class 'c' in row 2; legal: a, b\n"
            "PATH: test_labels: unknown class 'c' in row 0; legal: a, b",
        ),
        (
            {"train_labels": np.ones(6, complex)},
            "PATH: train_labels holds complex128, not integers or text; x.astype(str) makes text of it",
        ),
        ({"class_names": np.arange(3)}, "PATH: class_names holds int64, not text"),
        (
            {"test_labels": np.array([1, 0])},
            "PATH: train_labels holds <U1, PATH: test_labels int64; one kind is needed",
        ),
        (
            {"train_labels": np.empty(0, np.int64)},
            "PATH: train_labels has shape (0,); needed is one value per row, at least one",
        ),
    ],
)
def test_faults_of_arrays(npz: Write, changes: dict[str, Any], problem: str) -> None:
    path = npz(content(**changes))
    assert messages(Arrays(path)) == problem.replace("PATH", path).split("\n")


def test_nan_features_are_counted(npz: Write) -> None:
    arrays = content()
    arrays["train"][4:, 1] = np.nan
    assert messages(Arrays(npz(arrays))) == [
        f"arrays:x.npz: train: 2 values are NaN or infinite, first nan in row 4, column 1{FILL}"
    ]


def test_nothing_is_unpickled(npz: Write, tmp_path: Path) -> None:
    ragged = np.array([[1.0, 2], [3.0]], dtype=object)
    path = npz(content(train=ragged))
    assert messages(Arrays(path)) == [f"{path}: train {PICKLED}"]
    paths: dict[str, Any] = {key: str(tmp_path / f"{key}.npy") for key in content()}
    for key, array in content(train=ragged).items():
        np.save(paths[key], array)
    assert messages(Arrays(**paths)) == [f"{paths['train']}: {PICKLED}"]


def test_ragged_lists_of_parquet(tmp_path: Path) -> None:
    paths: dict[str, Any] = {key: str(tmp_path / f"{key}.parquet") for key in content()}
    for key, array in content().items():
        as_parquet(Path(paths[key]), array, as_list=True)
    pq.write_table(pa.table({"embedding": [[1.0, 2.0], [1.0, 2.0], [3.0]]}), paths["train"])
    assert messages(Arrays(**paths)) == [f"{paths['train']}: ragged, row 0 has 2 values, row 2 has 1"]


def test_unreadable_files(tmp_path: Path, npz: Write) -> None:
    path = npz(content())
    no = str(tmp_path / "no.npz")
    assert messages(Arrays(no)) == [f"{no}: no such file"]
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])
    assert messages(Arrays(path)) == [f"{path}: is damaged, or no .npz (File is not a zip file)"]
    single = tmp_path / "single.npz"
    with single.open("wb") as file:
        np.save(file, np.ones(3))
    assert messages(Arrays(str(single))) == [f"{single}: holds a single array; needed is an .npz of several"]


def test_unreadable_separate_files_are_all_named(tmp_path: Path, npz: Write) -> None:
    (tmp_path / "x.csv").write_text("1,2")
    (tmp_path / "x.parquet").write_text("not parquet")
    several = npz(content())
    Path(several).rename(tmp_path / "several.npy")
    paths: dict[str, Any] = {
        "train": "x.csv",
        "train_labels": "x.parquet",
        "test": "several.npy",
        "test_labels": "no.npy",
    }
    paths = {key: str(tmp_path / name) for key, name in paths.items()}
    found = messages(Arrays(**paths))
    assert found[0] == f"{tmp_path / 'x.csv'}: unknown kind of file; legal: .npy, .parquet, .npz"
    assert found[1].startswith(f"{tmp_path / 'x.parquet'}: is damaged, or no Parquet file (")
    assert found[2].startswith(f"{tmp_path / 'several.npy'}: is damaged, or no array (the magic string is not correct")
    assert found[3] == f"{tmp_path / 'no.npy'}: no such file"
    assert len(found) == 4


def test_one_way_of_naming_files() -> None:
    both = r"^path \(an \.npz\) and train, class_names exclude each other; give one or the other$"
    with pytest.raises(ValueError, match=both):
        Arrays(path="x.npz", train="y.npy", class_names="z.npy")
    some = r"^missing test, test_labels; give path \(an \.npz\), or files for train, train_labels, test, test_labels$"
    with pytest.raises(ValueError, match=some):
        Arrays(train="y.npy", train_labels="z.npy")

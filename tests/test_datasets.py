from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from albench.benchmark.registry import datasets
from albench.datasets.arrays import KEYS, Arrays
from albench.datasets.base import DataError, Dataset, Split, load, split_rows, validate
from albench.datasets.digits import Digits
from albench.datasets.folder import Folder
from albench.datasets.wdbc import Wdbc
from albench.datasets.wine import Wine

CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10-images.zip"

Write = Callable[[dict[str, Any]], str]


def messages(dataset: Dataset) -> list[str]:
    with pytest.raises(DataError) as caught:
        load(dataset, 0)
    assert str(caught.value) == "\n".join(caught.value.messages)
    return caught.value.messages


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
    assert validate(good(train=train)) == ["train: 3 values are NaN or infinite, first in row 1"]


def test_a_class_without_a_name_in_the_registry_cannot_be_loaded() -> None:
    class Undeclared:
        resampled = False

        def load(self, seed: int) -> Split:
            return good()

    with pytest.raises(TypeError, match=r"Undeclared is not a declared dataset; use the decorator$"):
        load(Undeclared(), 0)


# --- image folders


def png(value: int, size: tuple[int, int] = (4, 4), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, value if mode != "RGB" else (value, 2 * value, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    """Two classes; names are written in another order than the rows will have."""
    names = ["train/dog/b", "train/cat/2", "train/cat/10", "train/dog/a", "test/dog/x", "test/cat/y"]
    return {f"{name}.png": png(10 * row + 10) for row, name in enumerate(names)}


def as_folder(root: Path, content: dict[str, bytes]) -> str:
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(data)
    return str(root)


def as_zip(path: Path, content: dict[str, bytes], top: str = "") -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(top + name, data)
    return str(path)


def test_a_folder_in_order_of_class_and_name(tmp_path: Path) -> None:
    split = load(Folder(as_folder(tmp_path / "my-images", files())), 0).split
    assert split.kind == "images"
    assert split.class_names == ("cat", "dog")
    assert split.train.shape == (4, 4, 4, 3)
    assert list(split.train[:, 0, 0, 0]) == [30, 20, 40, 10]  # "10.png" before "2.png"
    assert list(split.train_labels) == [0, 0, 1, 1]
    assert list(split.test[:, 0, 0, 1]) == [120, 100]
    assert list(split.test_labels) == [0, 1]


@pytest.mark.parametrize("top", ["", "my-images/"])
def test_a_zip_is_the_folder_it_was_made_of(tmp_path: Path, top: str) -> None:
    content = files() | {"__MACOSX/._x": b"", ".DS_Store": b"", "train/cat/Thumbs.db": b"?", "train/cat/.hidden": b"?"}
    folder = load(Folder(as_folder(tmp_path / "folder", content)), 0)
    zipped = load(Folder(as_zip(tmp_path / "images.zip", content, top)), 0)
    assert folder.content == zipped.content
    assert [folder.label, zipped.label] == ["folder:folder", "folder:images.zip"]
    assert folder.params == {"size": None, "mode": "rgb"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "images.zip"]  # nothing was extracted


def test_size_resizes_bilinearly_and_grey_has_one_channel(tmp_path: Path) -> None:
    content = files()
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    content["train/cat/10.png"] = buffer.getvalue()
    path = as_folder(tmp_path / "f", content)
    colour, grey = (load(Folder(path, size=5, mode=mode), 0).split.train for mode in ("rgb", "grey"))
    assert colour.shape == (4, 5, 5, 3)
    assert grey.shape == (4, 5, 5, 1)
    assert np.array_equal(colour[0], np.asarray(noise.resize((5, 5), Image.Resampling.BILINEAR)))
    assert np.array_equal(grey[0, ..., 0], np.asarray(noise.convert("L").resize((5, 5), Image.Resampling.BILINEAR)))


def test_images_of_two_sizes_are_named(tmp_path: Path) -> None:
    path = as_folder(
        tmp_path / "f", files() | {"train/dog/b.png": png(1, size=(6, 4)), "test/dog/x.png": png(1, (9, 9))}
    )
    sizes = "train/cat/10.png is 4x4, train/dog/b.png is 6x4 pixels; set size to resize all images"
    assert messages(Folder(path)) == [f"{path}: {sizes}"]


def test_all_faults_of_the_layout_at_once(tmp_path: Path) -> None:
    content = files() | {"train/empty/": b"", "train/readme.txt": b"", "test/bird/z.png": png(1)}
    content |= {"test/cat/deep/z.png": png(1)}
    path = as_folder(tmp_path / "f", content)
    assert messages(Folder(path)) == [
        f"{path}: train/readme.txt is not at train/<class>/<image>",
        f"{path}: train/empty holds no image",
        f"{path}: test/cat/deep/ is not at test/<class>/<image>",
        f"{path}: class 'bird' is in test but not in train",
    ]
    zipped = as_zip(tmp_path / "f.zip", {"train/empty/": b"", **files()})
    assert messages(Folder(zipped)) == [f"{zipped}: train/empty holds no image"]


def test_a_missing_part(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "f", {"Train/cat/1.png": png(1), "test/cat/1.png": png(1)})
    assert messages(Folder(path)) == [f"{path}: no class folders train/<class>; found at the top: Train, test"]
    (tmp_path / "void").mkdir()
    void = str(tmp_path / "void")
    assert messages(Folder(void)) == [
        f"{void}: no class folders train/<class>; found at the top: nothing",
        f"{void}: no class folders test/<class>; found at the top: nothing",
    ]


def test_corrupt_images_are_all_named(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG")
    whole = buffer.getvalue()
    deep = png(1, mode="I;16")
    bad = {"train/cat/a.txt": b"hello", "train/dog/c.jpg": whole[: len(whole) // 2], "test/dog/d.png": deep}
    path = as_folder(tmp_path / "f", files() | bad)
    found = messages(Folder(path, size=4))
    assert found[0] == f"{path}: train/cat/a.txt: not an image"
    assert found[1].startswith(f"{path}: train/dog/c.jpg: damaged (image file is truncated")
    assert found[2] == f"{path}: test/dog/d.png: more than 8 bits per channel (mode I;16)"
    assert len(found) == 3


def test_many_corrupt_images_are_counted(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "f", files() | {f"train/cat/x{i:02}.png": b"?" for i in range(12)})
    assert messages(Folder(path)) == [
        *[f"{path}: train/cat/x{i:02}.png: not an image" for i in range(10)],
        f"{path}: 12 of 18 images cannot be read; the first 10 are named",
    ]


def test_a_damaged_member_of_a_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files().items():
            archive.writestr(name, data)
    path.write_bytes(path.read_bytes().replace(files()["train/cat/2.png"], b"x" * len(files()["train/cat/2.png"])))
    assert messages(Folder(str(path))) == [
        f"{path}: train/cat/2.png: damaged (Bad CRC-32 for file 'train/cat/2.png')",
    ]


def test_a_path_that_is_neither_folder_nor_zip(tmp_path: Path) -> None:
    text = tmp_path / "x.txt"
    text.write_text("hello")
    assert messages(Folder(str(text))) == [f"{text}: neither a folder nor a zip file"]
    assert messages(Folder(str(tmp_path / "no"))) == [f"{tmp_path / 'no'}: no such folder or zip file"]


def test_wrong_parameters_of_folder() -> None:
    with pytest.raises(ValueError, match=r"^unknown mode 'gray'; did you mean 'grey'\? legal: rgb, grey$"):
        Folder("x", mode="gray")  # type: ignore[arg-type]  # the typo is the point
    with pytest.raises(ValueError, match=r"^size is 0; legal: a number of pixels, at least 1$"):
        Folder("x", size=0)


@pytest.mark.perf
@pytest.mark.skipif(not CIFAR10.exists(), reason="CIFAR-10 is not beside the checkout")
def test_cifar10_reads_whole() -> None:
    split = load(Folder(str(CIFAR10)), 0).split
    assert split.train.shape == (50_000, 32, 32, 3)
    assert list(np.bincount(split.test_labels)) == [1000] * 10
    assert split.train.mean(axis=(0, 1, 2)) == pytest.approx([125.3, 122.9, 113.9], abs=0.05)


# --- arrays


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
    assert np.array_equal(split.train, content()["train"].astype(np.float32))
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
    paths = {}
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
    paths = {key: str(tmp_path / f"{key}.parquet") for key in arrays}
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
        ({"test": np.full((2, 3), 1e39)}, "arrays:x.npz: test: 6 values are NaN or infinite, first in row 0"),
        ({"test": np.ones(2)}, "PATH: test has shape (2,); features are (rows, features)"),
        ({"train": np.array([["x"]])}, "PATH: train holds <U1, not numbers"),
        ({"test_labels": np.array(["c", "z"])}, "PATH: test_labels: unknown class 'z' in row 1; legal: a, b, c"),
        (
            {"class_names": np.array(["a", "b"])},
            "PATH: train_labels: unknown class 'c' in row 2; legal: a, b\n"
            "PATH: test_labels: unknown class 'c' in row 0; legal: a, b",
        ),
        ({"train_labels": np.ones(6)}, "PATH: train_labels holds float64, not integers or text"),
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
    assert messages(Arrays(npz(arrays))) == ["arrays:x.npz: train: 2 values are NaN or infinite, first in row 4"]


def test_nothing_is_unpickled(npz: Write, tmp_path: Path) -> None:
    ragged = np.array([[1.0, 2], [3.0]], dtype=object)
    path = npz(content(train=ragged))
    reason = "(Object arrays cannot be loaded when allow_pickle=False)"
    fault = f"is damaged, or no plain array with rows of one length {reason}"
    assert messages(Arrays(path)) == [f"{path}: train {fault}"]
    paths = {key: str(tmp_path / f"{key}.npy") for key in content()}
    for key, array in content(train=ragged).items():
        np.save(paths[key], array)
    assert messages(Arrays(**paths)) == [f"{paths['train']}: {fault}"]


def test_ragged_lists_of_parquet(tmp_path: Path) -> None:
    paths = {key: str(tmp_path / f"{key}.parquet") for key in content()}
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
    assert messages(Arrays(path)) == [
        f"{path}: is damaged, or no plain array with rows of one length (File is not a zip file)"
    ]
    single = tmp_path / "single.npz"
    with single.open("wb") as file:
        np.save(file, np.ones(3))
    needed = "train, train_labels, test, test_labels"
    assert messages(Arrays(str(single))) == [
        f"{single}: holds a single array; needed is an .npz with the keys {needed}"
    ]


def test_unreadable_separate_files_are_all_named(tmp_path: Path, npz: Write) -> None:
    (tmp_path / "x.csv").write_text("1,2")
    (tmp_path / "x.parquet").write_text("not parquet")
    several = npz(content())
    Path(several).rename(tmp_path / "several.npy")
    paths = {"train": "x.csv", "train_labels": "x.parquet", "test": "several.npy", "test_labels": "no.npy"}
    found = messages(Arrays(**{key: str(tmp_path / name) for key, name in paths.items()}))
    assert found[0] == f"{tmp_path / 'x.csv'}: unknown kind of file; legal: .npy, .parquet"
    assert found[1].startswith(f"{tmp_path / 'x.parquet'}: is damaged, or no Parquet file (")
    assert found[2] == f"{tmp_path / 'several.npy'}: holds several arrays; needed is one"
    assert found[3] == f"{tmp_path / 'no.npy'}: no such file"
    assert len(found) == 4


def test_one_way_of_naming_files() -> None:
    both = r"^path \(an \.npz\) and train, class_names exclude each other; give one or the other$"
    with pytest.raises(ValueError, match=both):
        Arrays(path="x.npz", train="y.npy", class_names="z.npy")
    some = r"^missing test, test_labels; give path \(an \.npz\), or files for train, train_labels, test, test_labels$"
    with pytest.raises(ValueError, match=some):
        Arrays(train="y.npy", train_labels="z.npy")

"""Hugging Face's library, offline: folders of images and Parquet files that it reads as it reads the hub's."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.data import messages
from support.pictures import NO_IMAGE, jpeg

from albench.datasets.huggingface import HuggingFace
from albench.datasets.reading.files import FileImages
from albench.datasets.reading.loading import load

ROOT = Path(__file__).resolve().parents[2]

Columns = Mapping[str, Sequence[object]]


@pytest.fixture(autouse=True)
def _offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = importlib.import_module("datasets")  # Hugging Face's, though the type checker takes it for our folder
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", True)
    library.disable_progress_bars()


def image_folder(root: Path) -> str:
    values = {"train/dog/a": 30, "train/cat/b": 10, "train/cat/c": 20, "test/cat/d": 40, "test/dog/e": 50}
    for name, value in values.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.jpg").write_bytes(jpeg(value))
    return str(root)


def parquet(root: Path, **parts: Columns) -> str:
    """Write columns as the hub has them: ``img`` holds encoded images, and says so in the schema's metadata."""
    root.mkdir(parents=True, exist_ok=True)
    for part, columns in parts.items():
        images = [{"bytes": content, "path": None} for content in columns["img"]]
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        table = pa.table({**columns, "img": pa.array(images, kind)})
        features = ", ".join(
            f'"{name}": ' + ('{"_type": "Image"}' if name == "img" else f'{{"dtype": "{t}", "_type": "Value"}}')
            for name, t in ((field.name, field.type) for field in table.schema)
        )
        meta = {"huggingface": f'{{"info": {{"features": {{{features}}}}}}}'}
        pq.write_table(table.replace_schema_metadata(meta), root / f"{part}-00000-of-00001.parquet")
    return str(root)


def tables(root: Path) -> str:
    train: Columns = {"img": [jpeg(10), jpeg(20), jpeg(30)], "kind": ["b", "a", "b"], "fine": [7, 3, 5]}
    return parquet(root, train=train, test={"img": [jpeg(40), jpeg(50)], "kind": ["a", "b"], "fine": [3, 5]})


def greys(images: object) -> list[int]:
    assert isinstance(images, FileImages)
    return [int(value) for value in np.rint(images[:].mean(axis=(1, 2, 3)) / 10) * 10]


def test_a_folder_of_images(tmp_path: Path) -> None:
    loaded = load(HuggingFace(image_folder(tmp_path / "pets")), 0)
    split = loaded.split
    assert loaded.label == "hf:pets"
    assert "repo" not in loaded.params
    assert split.class_names == ("cat", "dog")
    assert split.train.shape == (3, 9, 12, 3)
    assert sorted(zip(greys(split.train), split.train_labels.tolist(), strict=True)) == [(10, 0), (20, 0), (30, 1)]
    assert sorted(zip(greys(split.test), split.test_labels.tolist(), strict=True)) == [(40, 0), (50, 1)]


def test_tables_of_encoded_images(tmp_path: Path) -> None:
    path = tables(tmp_path / "t")
    split = load(HuggingFace(path, labels="kind", size=8), 0).split
    assert split.train.shape == (3, 8, 8, 3)
    assert greys(split.train) == [10, 20, 30]
    assert (split.class_names, split.train_labels.tolist(), split.test_labels.tolist()) == (
        ("a", "b"),
        [1, 0, 1],
        [0, 1],
    )
    numbers = load(HuggingFace(path, labels="fine", train="test", test="test"), 0).split
    assert (numbers.class_names, numbers.train_labels.tolist()) == (("3", "5"), [0, 1])


def test_content_is_that_of_the_bytes_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tables(tmp_path / "t")
    content = load(HuggingFace(path, labels="kind"), 0).content
    shutil.move(path, tmp_path / "elsewhere")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "another cache"))
    assert load(HuggingFace(str(tmp_path / "elsewhere"), labels="kind"), 0).content == content
    shutil.rmtree(tmp_path / "elsewhere")
    train: Columns = {"img": [jpeg(11), jpeg(20), jpeg(30)], "kind": ["b", "a", "b"]}
    parquet(tmp_path / "t", train=train, test={"img": [jpeg(40), jpeg(50)], "kind": ["a", "b"]})
    assert load(HuggingFace(path, labels="kind"), 0).content != content


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    path = tables(tmp_path / "t")
    legal = "legal: img, kind, fine"
    assert messages(HuggingFace(path)) == [f"hf:t: 0 columns of type ClassLabel; set labels, {legal}"]
    assert messages(HuggingFace(path, labels="kinds")) == [f"hf:t: no column 'kinds'; did you mean 'kind'? {legal}"]
    assert messages(HuggingFace(path, image="kind", labels="img")) == [
        "hf:t: column 'kind' is of type Value; legal: Image",
        "hf:t: column 'img' is of type Image; legal: ClassLabel, Value",
    ]
    assert messages(HuggingFace(path, test="tst")) == ["hf:t: no part 'tst'; did you mean 'test'? legal: train, test"]
    assert messages(HuggingFace(path, labels="fine", train="test", test="train")) == [
        "hf:t: 'fine' of train, row 0: 7 is no class of the pool"
    ]
    (offline,) = messages(HuggingFace("nobody/nothing"))
    assert offline.startswith("hf:nobody/nothing: cannot be loaded (Couldn't reach 'nobody/nothing' on the Hub")


def test_a_damaged_image_is_named_by_its_row(tmp_path: Path) -> None:
    part: Columns = {"img": [jpeg(1), b"?", jpeg(3, (5, 5))], "y": ["a", "b", "a"]}
    path = parquet(tmp_path / "t", train=part, test=part)
    split = load(HuggingFace(path, labels="y"), 0).split
    with pytest.raises(ValueError, match="row") as caught:
        split.test[:]
    assert str(caught.value).splitlines() == [
        f"hf:t, test: row 1: {NO_IMAGE}",
        "hf:t, test: row 0 is 12x9, row 2 is 5x5 pixels; set size to resize all images",
    ]


@pytest.mark.parametrize("folder", [ROOT, Path("/")])
def test_where_the_library_is_missing_the_extra_is_named(folder: Path) -> None:
    """Also from the root of the checkout, where ``import datasets`` finds our folder instead."""
    code = (
        "import sys, importlib.util\n"
        "from albench.datasets.reading.base import DataError\n"
        "from albench.datasets.huggingface import HuggingFace\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'datasets' or name.startswith('datasets.'):\n"
        "            spec = importlib.util.spec_from_loader(name, None, is_package=True)\n"
        "            spec.submodule_search_locations = [sys.argv[1]]\n"
        "            if sys.argv[1]: return spec\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "try: HuggingFace('x/y').load(0)\n"
        "except DataError as error: print(error)\n"
    )
    shadow = str(folder / "datasets") if folder == ROOT else ""
    run = subprocess.run([sys.executable, "-c", code, shadow], cwd=folder, capture_output=True, text=True, check=True)
    assert run.stdout == "hf:x/y: Hugging Face's library is not installed; pip install 'albench[hf]'\n"


def test_from_the_root_of_the_checkout_the_library_is_found() -> None:
    code = "import sys, importlib.util; sys.path.insert(0, ''); print(importlib.util.find_spec('datasets').origin)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(run.stdout.strip()).name == "__init__.py"  # a folder without one would have no origin
    assert ROOT not in Path(run.stdout).parents

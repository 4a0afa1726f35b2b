from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.data import messages
from support.pictures import jpeg

from albench.datasets.imagenet import ImageNet, ImageNet50, ImageNet100, ImageNet200, subset_classes
from albench.datasets.reading.downloads import home
from albench.datasets.reading.files import FileImages
from albench.datasets.reading.loading import load

CLASSES = subset_classes(50)


def unpacked(root: Path, classes: list[str]) -> str:
    content = {"train": jpeg(20), "val": jpeg(200, (10, 30))}
    for part in ("train", "val"):
        for number, wnid in enumerate(classes):
            folder = root / part / wnid
            folder.mkdir(parents=True)
            for image in range(1 + (part == "train" and number == 0)):
                (folder / f"{wnid}_{image}.JPEG").write_bytes(content[part])
    return str(root)


def test_the_subsets_are_nested_lists_of_wordnet_numbers() -> None:
    lists = [subset_classes(n) for n in (50, 100, 200)]
    assert [len(set(names)) for names in lists] == [50, 100, 200]
    assert set(lists[0]) < set(lists[1]) < set(lists[2])
    assert all(len(name) == 9 and name[0] == "n" and name[1:].isdecimal() for name in lists[2])
    assert lists == [sorted(names) for names in lists]
    assert lists[0][0] == "n01601694"  # the dipper is the first of SCAN's list


def test_all_classes_that_are_there(tmp_path: Path, cache: Path) -> None:
    path = unpacked(tmp_path / "ilsvrc", ["n02", "n01", "n10"])
    loaded = load(ImageNet(path), 0)
    split = loaded.split
    assert split.class_names == ("n01", "n02", "n10")
    assert isinstance(split.train, FileImages)
    assert split.train.shape == (4, 256, 256, 3)
    assert list(split.train.names) == [
        "train/n01/n01_0.JPEG", "train/n02/n02_0.JPEG", "train/n02/n02_1.JPEG", "train/n10/n10_0.JPEG"
    ]  # fmt: skip
    assert split.train_labels.tolist() == [0, 1, 1, 2]
    assert split.test_labels.tolist() == [0, 1, 2]
    assert np.abs(split.test[:].astype(int) - 200).max() <= 1
    assert (loaded.label, loaded.params) == ("imagenet", {"size": 256})


def test_a_subset_of_the_same_folder_reads_its_classes_only(tmp_path: Path, cache: Path) -> None:
    everything = unpacked(home("imagenet"), ["n00000001", *CLASSES])
    subset = load(ImageNet50(), 0)
    assert subset.split.class_names == tuple(CLASSES)
    assert subset.label == "imagenet-50"
    assert subset.split.train.shape[0] == subset.split.test.shape[0] == 50
    moved = unpacked(tmp_path / "elsewhere", ["n00000002", *CLASSES])
    assert load(ImageNet50(moved), 0).content == subset.content
    assert load(ImageNet(everything), 0).split.class_names == ("n00000001", *CLASSES)


@pytest.mark.parametrize(("dataset", "missing"), [(ImageNet100, 50), (ImageNet200, 150)])
def test_classes_that_are_missing_are_named(
    tmp_path: Path, dataset: type[ImageNet100 | ImageNet200], missing: int
) -> None:
    path = unpacked(tmp_path / "ilsvrc", CLASSES)
    found = messages(dataset(path))
    assert found[0] == f"{path}: train/n0{'1558993' if missing == 50 else '1443537'} holds no *.JPEG"
    assert found[-1] == f"{path}: {2 * missing} folders of classes without images; the first 10 are named"


def test_a_folder_of_something_else(tmp_path: Path, cache: Path) -> None:
    expected = "expected are train/<class>/*.JPEG and val/<class>/*.JPEG (set path to where they are)"
    assert messages(ImageNet(str(tmp_path))) == [f"{tmp_path}: no folder train and no val; {expected}"]
    assert messages(ImageNet50()) == [f"{home('imagenet')}: no folder train and no val; {expected}"]
    with pytest.raises(ValueError, match=r"^size is -1; legal: a number of pixels, at least 1$"):
        ImageNet("x", size=-1)

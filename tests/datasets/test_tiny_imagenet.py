from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from support.data import messages
from support.pictures import jpeg, zipped
from support.server import Server, serving

from albench.datasets import tiny_imagenet
from albench.datasets.reading.downloads import Remote, home
from albench.datasets.reading.files import FileImages
from albench.datasets.reading.loading import load
from albench.datasets.tiny_imagenet import TinyImageNet

FILES = {
    "wnids.txt": b"n02\nn01\n",
    "words.txt": b"n00\tentity\nn01\tgoldfish, Carassius auratus\nn02\tcrane\n",
    "train/n01/n01_boxes.txt": b"n01_0.JPEG\t0\t0\t9\t9\n",
    "train/n01/images/n01_0.JPEG": jpeg(10),
    "train/n01/images/n01_10.JPEG": jpeg(20),
    "train/n01/images/n01_2.JPEG": jpeg(30),
    "train/n02/n02_boxes.txt": b"",
    "train/n02/images/n02_0.JPEG": jpeg(40),
    "val/val_annotations.txt": b"val_1.JPEG\tn02\t0\t0\t9\t9\nval_0.JPEG\tn01\t0\t0\t9\t9\n",
    "val/images/val_0.JPEG": jpeg(50),
    "val/images/val_1.JPEG": jpeg(60),
    "test/images/test_0.JPEG": jpeg(70),
}


def archive(files: dict[str, bytes]) -> bytes:
    return zipped({f"tiny-imagenet-200/{name}": content for name, content in files.items()})


def unpacked(root: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return str(root)


@pytest.fixture
def published(cache: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the archive that is expected; it lies nowhere yet."""
    content = archive(FILES)
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    remote = Remote("http://127.0.0.1:9/tiny-imagenet-200.zip", f"md5:{digest}", "tiny-imagenet-200.zip")
    monkeypatch.setattr(tiny_imagenet, "ARCHIVE", remote)
    monkeypatch.delenv("ALBENCH_MIRROR", raising=False)
    return content


def test_the_archive_is_fetched_and_read_in_place(published: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server({"/tiny-imagenet/tiny-imagenet-200.zip": published})) as server:
        monkeypatch.setenv("ALBENCH_MIRROR", server.url)
        loaded = load(TinyImageNet(), 0)
    split = loaded.split
    assert split.class_names == ("n01 goldfish", "n02 crane")
    assert isinstance(split.train, FileImages)
    assert split.train.shape == (4, 64, 64, 3)
    assert np.rint(split.train[:].mean(axis=(1, 2, 3)) / 10).tolist() == [1, 2, 3, 4]  # "_10" before "_2"
    assert split.train_labels.tolist() == [0, 0, 0, 1]
    assert np.rint(split.test[:].mean(axis=(1, 2, 3)) / 10).tolist() == [6, 5]
    assert split.test_labels.tolist() == [1, 0]
    assert loaded.params == {"size": 64}
    assert not list(home("tiny-imagenet").rglob("*.JPEG"))


def test_the_unpacked_folder_and_the_archive_are_the_same(published: bytes, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "tiny-imagenet-200.zip").write_bytes(published)
    zip_file = load(TinyImageNet(path=str(tmp_path / "here")), 0)
    folder = load(TinyImageNet(path=unpacked(tmp_path / "tiny", FILES)), 0)
    assert zip_file.content == folder.content
    assert zip_file.label == folder.label == "tiny-imagenet"
    assert load(TinyImageNet(path=str(tmp_path / "tiny"), size=32), 0).content != folder.content


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"val/val_annotations.txt": b"val_1.JPEG\tn03\t0\n"},
            "val_annotations.txt, line 1: class 'n03' is not in wnids",
        ),
        ({"val/val_annotations.txt": b"\xff"}, "val/val_annotations.txt: no text ("),
        ({"wnids.txt": b"n01\nn02\nn03\n"}, "train/n03/images holds no image (1 such classes)"),
        ({"words.txt": None}, "words.txt: cannot be read (No such file or directory); expected is what tiny-"),
    ],
)
def test_what_is_wrong_with_the_layout(
    tmp_path: Path, cache: Path, changed: dict[str, bytes | None], message: str
) -> None:
    files = {name: content for name, content in (FILES | changed).items() if content is not None}
    (line,) = messages(TinyImageNet(path=unpacked(tmp_path / "tiny", files)))
    assert message in line
    assert line.startswith(str(tmp_path))


def test_without_archive_and_network(published: bytes) -> None:
    (line,) = messages(TinyImageNet())
    assert line.startswith("tiny-imagenet: tiny-imagenet-200.zip (md5 ")
    assert str(home("tiny-imagenet")) in line

"""Images as a view of the pool in the cache: written once, in blocks, checked, listed and removed as entries are."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.commands import invoke

from albench.benchmark.types import Rows
from albench.datasets.digits import Digits
from albench.datasets.embeddings.cache import entry
from albench.datasets.embeddings.cache.images import images, key
from albench.datasets.reading import base
from albench.datasets.reading.base import DataError, Step
from albench.datasets.reading.loading import Loaded, load


class Decoded:
    """Images that are decoded when asked for; it notes how many at once, and fails at a row."""

    def __init__(self, pictures: NDArray[np.uint8], bad: int = -1) -> None:
        self.pictures, self.bad, self.asked = pictures, bad, list[int]()
        self.shape = pictures.shape

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, rows: slice | Rows) -> NDArray[np.uint8]:
        found = self.pictures[rows]
        self.asked.append(len(found))
        if self.bad in np.arange(len(self))[rows]:
            raise DataError([f"picture {self.bad} cannot be decoded"])
        return found

    def digest(self) -> str:
        return "made up"


@pytest.fixture
def digits(cache: Path) -> Loaded:
    return load(Digits(), 0)


def decoded(data: Loaded, bad: int = -1) -> Loaded:
    """The same data, decoded when asked for."""
    train = Decoded(np.asarray(data.split.train), bad)
    return replace(data, split=replace(data.split, train=train))


def test_the_view_is_the_images_and_is_written_once(digits: Loaded, cache: Path) -> None:
    found = images(digits)
    folder = cache / "images" / key(digits.content)
    written = folder.stat().st_ino
    again = images(digits)
    assert folder.stat().st_ino == written
    for view in (found, again):
        np.testing.assert_array_equal(view["images"], digits.split.train)
        np.testing.assert_array_equal(view["test_images"], digits.split.test)
        assert not view["images"].flags.writeable
    assert [path.name for path in (cache / "images").iterdir() if path.is_dir()] == [folder.name]


def test_other_content_is_another_view(digits: Loaded) -> None:
    assert key(digits.content) != key(digits.inputs)
    assert re.fullmatch("[0-9a-f]{64}", key(digits.content))


def test_images_are_decoded_block_by_block(digits: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BLOCK_BYTES", 64 * 100)
    data, steps = decoded(digits), list[Step]()
    np.testing.assert_array_equal(images(data, steps.append)["images"], digits.split.train)
    assert isinstance(data.split.train, Decoded)
    assert max(data.split.train.asked) == 100
    assert len(steps) > 10
    assert steps[-1].done == steps[-1].total == len(digits.split.train) + len(digits.split.test)


def test_what_cannot_be_decoded_leaves_nothing_behind(digits: Loaded, cache: Path) -> None:
    with pytest.raises(DataError, match="picture 7"):
        images(decoded(digits, bad=7))
    assert not [path for path in (cache / "images").iterdir() if path.is_dir()]


def test_what_a_killed_process_left_is_overwritten(digits: Loaded, cache: Path) -> None:
    unfinished = cache / "images" / f"{key(digits.content)}.tmp"
    unfinished.mkdir(parents=True)
    (unfinished / "train.npy").write_bytes(b"half")
    np.testing.assert_array_equal(images(digits)["images"], digits.split.train)
    assert not unfinished.exists()


def test_what_a_killed_process_left_is_swept_up_by_the_next_embedding(cache: Path) -> None:
    unfinished = cache / "images" / f"{'0' * 64}.tmp"
    unfinished.mkdir(parents=True)
    assert invoke("embed", "--dataset", "wine", "--encoder", "raw").status == 0
    assert not unfinished.exists()


def test_it_is_listed_verified_and_removed(digits: Loaded, cache: Path) -> None:
    images(digits)
    name = key(digits.content)[:12]
    listed = invoke("cache", "list").out
    assert re.search(rf"^{name} +digits +images +\d+\+\d+ +8x8x1 +0\.1", listed, re.MULTILINE)
    assert "0 entries and 1 views, " in listed
    assert invoke("list", "embeddings").out.count("\n") == 1  # it is no embedding
    said = invoke("embed", "--verify")
    assert (said.status, said.out) == (0, f"ok      {name}  digits / images\n1 entries, 0 damaged\n")
    said = invoke("cache", "remove", name)
    assert (said.status, said.out) == (0, f"removed {name}  digits / images\n")
    assert not (cache / "images" / key(digits.content)).exists()


@pytest.mark.parametrize("file", ["train.npy", "test.npy", "manifest.json"])
def test_damage_is_named_and_not_mended_unasked(digits: Loaded, cache: Path, file: str) -> None:
    images(digits)
    path = cache / "images" / key(digits.content) / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(entry.CorruptEntryError, match=f"cache remove {key(digits.content)[:12]}"):
        images(digits)
    said = invoke("embed", "--verify")
    assert said.status == 1
    assert str(path) in said.out
    assert invoke("cache", "remove", key(digits.content)[:12]).status == 0
    assert images(digits)["images"].shape == digits.split.train.shape

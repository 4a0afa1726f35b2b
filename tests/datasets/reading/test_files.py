from __future__ import annotations

import io
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.pictures import NO_IMAGE

from albench.datasets.folder import Folder
from albench.datasets.reading import files, sources
from albench.datasets.reading.base import DataError, Images
from albench.datasets.reading.files import FileImages
from albench.datasets.reading.loading import load
from albench.datasets.reading.pictures import decoded
from albench.datasets.reading.sources import OnDisk, Zipped

LONG_AGO = 10**18


def encoded(row: int, size: tuple[int, int] = (9, 7), kind: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(row).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def written(root: Path, contents: list[bytes], changed: int = LONG_AGO) -> tuple[str, ...]:
    root.mkdir(parents=True, exist_ok=True)
    names = [f"{row}.jpg" for row in range(len(contents))]
    for name, content in zip(names, contents, strict=True):
        (root / name).write_bytes(content)
        os.utime(root / name, ns=(changed, changed))
    return tuple(names)


def some(root: Path, size: int = 8) -> FileImages:
    names = written(root, [encoded(row, (9 + row, 12)) for row in range(5)])
    return FileImages(OnDisk(str(root)), names, (size, size, 3))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40))
def test_crop_is_what_torchvision_does(width: int, height: int, size: int) -> None:
    from torchvision.transforms import CenterCrop, InterpolationMode, Resize

    content = encoded(0, (width, height), "PNG")
    expected = CenterCrop(size)(Resize(size, InterpolationMode.BICUBIC)(Image.open(io.BytesIO(content))))
    assert np.array_equal(decoded(content, (size, size, 3), "crop"), np.asarray(expected))


def test_blocks_and_rows_are_parts_of_the_whole(tmp_path: Path, cache: Path) -> None:
    images = some(tmp_path / "images")
    whole = images[:]
    one = [decoded((tmp_path / "images" / name).read_bytes(), (8, 8, 3), "crop") for name in images.names]
    assert isinstance(images, Images)
    assert images.shape == whole.shape == (5, 8, 8, 3)
    assert whole.dtype == np.uint8
    assert np.array_equal(whole, np.stack(one))
    assert np.array_equal(images[1:3], whole[1:3])
    assert np.array_equal(images[np.array([4, 0, 4])], whole[[4, 0, 4]])
    assert images[2:2].shape == (0, 8, 8, 3)


def test_the_digest_is_that_of_content_order_and_size(tmp_path: Path, cache: Path) -> None:
    images = some(tmp_path / "images")
    root, names = tmp_path / "images", images.names
    elsewhere = some(tmp_path / "elsewhere" / "deep")
    for name in names:
        (tmp_path / "elsewhere" / "deep" / name).rename(tmp_path / "elsewhere" / "deep" / f"x{name}")
    renamed = FileImages(elsewhere.source, [f"x{name}" for name in names], (8, 8, 3))
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for name in names:
            archive.write(root / name, f"top/{name}")
    zipped = FileImages(Zipped(str(tmp_path / "images.zip"), "top/"), names, (8, 8, 3))
    assert renamed.digest() == zipped.digest() == images.digest()
    assert np.array_equal(zipped[:], images[:])
    others = [
        FileImages(images.source, names[::-1], (8, 8, 3)),
        FileImages(images.source, names[:4], (8, 8, 3)),
        FileImages(images.source, names, (9, 9, 3)),
        FileImages(images.source, names, (8, 8, 1)),
        FileImages(images.source, names, (8, 8, 3), "stretch"),
    ]
    assert len({images.digest(), *(other.digest() for other in others)}) == 6


def test_a_changed_byte_changes_the_digest_and_unchanged_files_are_not_read_again(tmp_path: Path, cache: Path) -> None:
    before = some(tmp_path / "images").digest()
    path = tmp_path / "images" / "3.jpg"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))

    def digest() -> str:
        source = OnDisk(str(tmp_path / "images"))
        return FileImages(source, [f"{row}.jpg" for row in range(5)], (8, 8, 3)).digest()

    assert digest() == before  # nothing tells that it changed: what was remembered is used
    os.utime(path, ns=(LONG_AGO + 1, LONG_AGO + 1))
    assert digest() != before
    (memory,) = (cache / "digests").iterdir()
    memory.write_bytes(memory.read_bytes()[:-7])
    assert digest() != before


def test_a_file_that_has_just_changed_is_read_again(tmp_path: Path, cache: Path) -> None:
    images = some(tmp_path / "images")
    path = tmp_path / "images" / "3.jpg"
    now = path.stat().st_ctime_ns
    os.utime(path, ns=(now, now))
    before, content = images.digest(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(now, now))  # within one tick of the clock
    assert FileImages(images.source, images.names, (8, 8, 3)).digest() != before


def test_a_corrupt_image_is_named_when_it_is_decoded(tmp_path: Path, cache: Path) -> None:
    images = some(tmp_path / "images")
    written(tmp_path / "images", [encoded(0)[:200], encoded(1), b"text"])
    assert images.digest()
    assert images[np.array([1, 3])].shape == (2, 8, 8, 3)
    with pytest.raises(DataError) as caught:
        images[:]
    assert caught.value.messages[0].startswith(f"{tmp_path / 'images'}: 0.jpg: damaged (")
    assert caught.value.messages[1:] == [f"{tmp_path / 'images'}: 2.jpg: {NO_IMAGE}"]


def test_a_missing_file_is_named_when_it_is_hashed(tmp_path: Path, cache: Path) -> None:
    images = some(tmp_path / "images")
    (tmp_path / "images" / "3.jpg").unlink()
    expected = [f"{tmp_path / 'images'}: 3.jpg: cannot be read (No such file or directory)"]
    for use in (images.digest, lambda: images[:]):
        with pytest.raises(DataError) as caught:
            use()
        assert caught.value.messages == expected


def test_reading_by_blocks_needs_the_memory_of_a_block(tmp_path: Path, cache: Path) -> None:
    content, block = encoded(0), 10
    images = FileImages(OnDisk(str(tmp_path / "i")), written(tmp_path / "i", [content] * 300), (64, 64, 3))
    whole = 300 * 64 * 64 * 3
    images[:block]
    tracemalloc.start()
    try:
        for start in range(0, len(images), block):
            images[start : start + block]
        images.digest()
        assert tracemalloc.get_traced_memory()[1] < whole / 4
    finally:
        tracemalloc.stop()


def test_a_zip_that_is_open_travels_to_other_processes(tmp_path: Path, cache: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("a.jpg", encoded(0))
    images = FileImages(Zipped(str(tmp_path / "images.zip")), ["a.jpg"], (8, 8, 3))
    before = images[:]
    assert np.array_equal(pickle.loads(pickle.dumps(images))[:], before)  # noqa: S301  our own bytes


def test_a_folder_above_the_limit_is_decoded_when_used(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part, row in (("train/a", 0), ("train/b", 1), ("test/a", 2), ("test/b", 3)):
        (tmp_path / "f" / part).mkdir(parents=True)
        (tmp_path / "f" / part / "x.png").write_bytes(encoded(row, kind="PNG"))
    in_memory = {size: load(Folder(str(tmp_path / "f"), size=size), 0) for size in (None, 5)}
    monkeypatch.setattr(files, "IN_MEMORY", 4 * 5 * 5 * 3 - 1)
    for size, expected in in_memory.items():
        lazy = load(Folder(str(tmp_path / "f"), size=size), 0)
        assert isinstance(lazy.split.train, FileImages)
        assert np.array_equal(lazy.split.train[:], expected.split.train[:])
        assert np.array_equal(lazy.split.test[:], expected.split.test[:])
        assert lazy.content != expected.content
    (tmp_path / "f" / "test" / "b" / "x.png").write_bytes(encoded(3, (5, 5), "PNG"))
    split = load(Folder(str(tmp_path / "f")), 0).split
    sizes = "train/a/x.png is 9x7, test/b/x.png is 5x5 pixels; set size to resize all images"
    with pytest.raises(DataError, match=f"^{tmp_path / 'f'}: {sizes}$"):
        split.test[:]


def test_the_memory_of_digests_is_one_file_for_each_list(tmp_path: Path, cache: Path) -> None:
    images = some(tmp_path / "images")
    FileImages(images.source, images.names[:2], (8, 8, 3)).digest()
    images.digest()
    assert len(list((cache / "digests").iterdir())) == 2
    known = np.load(max((cache / "digests").iterdir(), key=lambda path: path.stat().st_size), allow_pickle=False)
    assert known.nbytes == 5 * 48
    assert known["size"].tolist() == [(tmp_path / "images" / name).stat().st_size for name in images.names]


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "file"))
    images = some(tmp_path / "images")
    assert images.digest() == FileImages(images.source, images.names, (8, 8, 3)).digest()
    assert sources.content_hashes(images.source, images.names).shape == (5, 32)

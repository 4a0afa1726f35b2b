from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data import messages
from support.pictures import NO_IMAGE

from albench.datasets.folder import Folder
from albench.datasets.reading.loading import load

CIFAR10 = Path(__file__).parents[3] / "shared" / "data" / "cifar10-images.zip"


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
    assert list(split.train[:][:, 0, 0, 0]) == [30, 20, 40, 10]  # "10.png" before "2.png"
    assert list(split.train_labels) == [0, 0, 1, 1]
    assert list(split.test[:][:, 0, 0, 1]) == [120, 100]
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
    colour, grey = (load(Folder(path, size=5, mode=mode), 0).split.train[:] for mode in ("rgb", "grey"))
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
    assert found[0] == f"{path}: train/cat/a.txt: {NO_IMAGE}"
    assert found[1].startswith(f"{path}: train/dog/c.jpg: damaged (image file is truncated")
    assert (
        found[2] == f"{path}: test/dog/d.png: more than 8 bits per channel (mode I;16); convert it to 8, or give arrays"
    )
    assert len(found) == 3


def test_many_corrupt_images_are_counted(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "f", files() | {f"train/cat/x{i:02}.png": b"?" for i in range(12)})
    assert messages(Folder(path)) == [
        *[f"{path}: train/cat/x{i:02}.png: {NO_IMAGE}" for i in range(10)],
        f"{path}: 12 of 18 images cannot be read; the first 10 are named",
    ]


def test_a_flat_folder_is_a_short_line(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "f", {f"{i:04}.png": b"" for i in range(2000)})
    first = ", ".join(f"{i:04}.png" for i in range(10))
    assert messages(Folder(path)) == [
        f"{path}: no class folders {part}/<class>; found at the top: {first} and 1,990 more"
        for part in ("train", "test")
    ]


def test_long_lists_of_faults_are_counted(tmp_path: Path) -> None:
    content = {f"train/c{i:02}/": b"" for i in range(30)} | {f"test/d{i:02}/x.png": png(1) for i in range(30)}
    found = messages(Folder(as_folder(tmp_path / "f", content)))
    assert len(found) == 22
    assert found[10].endswith("30 folders of train hold no image; the first 10 are named")
    assert found[21].endswith("30 classes of test are not in train; the first 10 are named")


def test_one_name_in_two_spellings_is_one_class(tmp_path: Path) -> None:
    """A Mac writes é as e and an accent."""
    composed, apart = "caf\u00e9", "cafe\u0301"
    names = [f"train/{apart}/a", "train/dog/b", f"test/{composed}/x", "test/dog/y"]
    path = as_folder(tmp_path / "f", {f"{name}.png": png(10) for name in names})
    assert load(Folder(path), 0).split.class_names == (composed, "dog")
    path = as_folder(tmp_path / "f", {f"train/{composed}/c.png": png(10)})
    assert messages(Folder(path)) == [
        f"{path}: train has 2 folders of one name, 'cafe\\u0301', 'caf\\xe9': put them into one"
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
    assert split.train[:].mean(axis=(0, 1, 2)) == pytest.approx([125.3, 122.9, 113.9], abs=0.05)

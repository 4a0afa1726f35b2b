"""Small archives in the original layouts, served over loopback HTTP."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from support.commands import full_disk
from support.data import messages
from support.pictures import jpeg, tar_gz, zipped
from support.server import Server, serving
from torchvision import datasets as vision

from albench.datasets import eurosat
from albench.datasets.eurosat import EuroSat
from albench.datasets.photos import Dtd, Flowers102, Food101, OxfordPets
from albench.datasets.reading.base import DataError, Dataset, Images, Split
from albench.datasets.reading.downloads import Remote, home
from albench.datasets.reading.files import FileImages
from albench.datasets.reading.loading import load

NOWHERE = "http://127.0.0.1:9/"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def food() -> dict[str, bytes]:
    lists = {"train": {"waffles": ["waffles/7"], "apple_pie": ["apple_pie/5", "apple_pie/3"]}}
    lists["test"] = {"waffles": ["waffles/9"], "apple_pie": ["apple_pie/4"]}
    files = {f"food-101/meta/{part}.json": json.dumps(names).encode() for part, names in lists.items()}
    images = {"waffles/7": 70, "waffles/9": 90, "apple_pie/5": 50, "apple_pie/3": 30, "apple_pie/4": 40}
    files |= {f"food-101/images/{name}.jpg": jpeg(value) for name, value in images.items()}
    return {"food-101.tar.gz": tar_gz(files)}


def mat(**arrays: list[int]) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {name: np.array([values], dtype=np.uint8) for name, values in arrays.items()})
    return buffer.getvalue()


def flowers() -> dict[str, bytes]:
    return {
        "102flowers.tgz": tar_gz({f"jpg/image_{i:05}.jpg": jpeg(10 * i) for i in range(1, 7)}),
        "imagelabels.mat": mat(labels=[2, 1, 2, 1, 102, 102]),
        "setid.mat": mat(trnid=[3, 2], valid=[6, 5], tstid=[1, 4]),
    }


def textures() -> dict[str, bytes]:
    lists = {"train": ["zigzagged/z_1.jpg", "banded/b_2.jpg"], "val": ["banded/b_3.jpg", "zigzagged/z_4.jpg"]}
    lists["test"] = ["banded/b_5.jpg", "zigzagged/z_6.jpg"]
    files = {f"dtd/labels/{part}2.txt": "\n".join(names).encode() for part, names in lists.items()}
    files |= {f"dtd/images/{n}": jpeg(10 * int(n[-5])) for names in lists.values() for n in names}
    return {"dtd-r1.0.1.tar.gz": tar_gz(files)}


def pets() -> dict[str, bytes]:
    lists = {"trainval": "pug_1 2 2 1\nBengal_2 1 1 1\nshiba_inu_3 3 2 2\n"}
    lists["test"] = "Bengal_4 1 1 1\npug_5 2 2 1\nshiba_inu_6 3 2 2\n"
    names = [line.split()[0] for text in lists.values() for line in text.splitlines()]
    return {
        "images.tar.gz": tar_gz({f"images/{name}.jpg": jpeg(10 * int(name[-1])) for name in names}),
        "annotations.tar.gz": tar_gz({f"annotations/{part}.txt": text.encode() for part, text in lists.items()}),
    }


def land() -> dict[str, bytes]:
    kinds = {"River": 100, "Forest": 0}
    files = {f"2750/{kind}/{kind}_{i}.jpg": jpeg(base + 10 * i) for kind, base in kinds.items() for i in range(10)}
    return {"EuroSAT.zip": zipped(files)}


ARCHIVES = {
    "food101": food(),
    "flowers102": flowers(),
    "dtd": textures(),
    "oxford-pets": pets(),
    "eurosat": land(),
}


@pytest.fixture
def server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve the small archives, whose checksums are those that torchvision (and we) expect."""
    publish(monkeypatch, ARCHIVES)
    files = {f"/{name}/{file}": content for name, files in ARCHIVES.items() for file, content in files.items()}
    with serving(Server(files)) as started:
        monkeypatch.setenv("ALBENCH_MIRROR", started.url)
        yield started


def publish(monkeypatch: pytest.MonkeyPatch, archives: Mapping[str, Mapping[str, bytes]]) -> None:
    sums = {name: md5(content) for files in archives.values() for name, content in files.items()}
    for cls, name in ((vision.Food101, "food-101.tar.gz"), (vision.DTD, "dtd-r1.0.1.tar.gz")):
        monkeypatch.setattr(cls, "_URL", NOWHERE + name)
        monkeypatch.setattr(cls, "_MD5", sums[name])
    names = {"image": "102flowers.tgz", "label": "imagelabels.mat", "setid": "setid.mat"}
    monkeypatch.setattr(vision.Flowers102, "_download_url_prefix", NOWHERE)
    monkeypatch.setattr(vision.Flowers102, "_file_dict", {key: (name, sums[name]) for key, name in names.items()})
    resources = [(NOWHERE + name, sums[name]) for name in ("images.tar.gz", "annotations.tar.gz")]
    monkeypatch.setattr(vision.OxfordIIITPet, "_RESOURCES", resources)
    archive = Remote(f"{NOWHERE}EuroSAT.zip", f"md5:{sums['EuroSAT.zip']}", "EuroSAT.zip")
    monkeypatch.setattr(eurosat, "ARCHIVE", archive)


def values(split: Split) -> tuple[list[int], list[int]]:
    """Return the grey value of each image, to tens."""
    train, test = (np.rint(x[:].mean(axis=(1, 2, 3)) / 10).astype(int) * 10 for x in (split.train, split.test))
    return train.tolist(), test.tolist()


@pytest.mark.parametrize(
    ("dataset", "train", "labels", "test", "test_labels", "class_names"),
    [
        (Food101(), [70, 50, 30], [1, 0, 0], [90, 40], [1, 0], ("apple_pie", "waffles")),
        (Flowers102(), [30, 20, 60, 50], [1, 0, 101, 101], [10, 40], [1, 0], tuple(vision.Flowers102.classes)),
        (Dtd(partition=2), [10, 20, 30, 40], [1, 0, 0, 1], [50, 60], [0, 1], ("banded", "zigzagged")),
        (OxfordPets(), [10, 20, 30], [1, 0, 2], [40, 50, 60], [0, 1, 2], ("Bengal", "Pug", "Shiba Inu")),
    ],
    ids=["food101", "flowers102", "dtd", "oxford-pets"],
)
def test_the_official_lists_in_their_order(
    server: Server,
    dataset: Dataset,
    train: list[int],
    labels: list[int],
    test: list[int],
    test_labels: list[int],
    class_names: tuple[str, ...],
) -> None:
    loaded = load(dataset, 0)
    split = loaded.split
    assert values(split) == (train, test)
    assert (split.train_labels.tolist(), split.test_labels.tolist()) == (labels, test_labels)
    assert split.class_names == class_names
    assert isinstance(split.train, FileImages)
    assert split.train.shape == (len(train), 256, 256, 3)
    asked = len(server.asked)
    assert load(dataset, 1).content == loaded.content
    assert len(server.asked) == asked  # everything is here
    elsewhere = type(dataset)(**{**vars(dataset), "path": str(home(loaded.name))})
    assert load(elsewhere, 0).content == loaded.content
    assert loaded.params == {"size": 256, **({"partition": 2} if isinstance(dataset, Dtd) else {})}


def test_eurosat_is_cut_once_for_all_seeds(server: Server) -> None:
    split = load(EuroSat(test=0.3), 0).split
    assert split.class_names == ("Forest", "River")
    assert (split.train.shape, split.test.shape) == ((14, 64, 64, 3), (6, 64, 64, 3))
    assert np.bincount(split.test_labels).tolist() == [3, 3]
    train, test = values(split)
    assert sorted(train + test) == [10 * i for i in range(20)]
    assert [int(value >= 100) for value in train + test] == [*split.train_labels, *split.test_labels]
    assert values(load(EuroSat(test=0.3), 1).split) == (train, test)


def test_size_and_variants_of_photographs(server: Server) -> None:
    small, large = load(Food101(size=8), 0), load(Food101(), 0)
    assert small.split.train.shape == (3, 8, 8, 3)
    assert small.content != large.content
    one = load(Food101(size=8, per_class=1), 0).split.train
    assert isinstance(one, Images)
    assert one.shape == (2, 8, 8, 3)


def test_without_a_network_the_file_and_its_place_are_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALBENCH_MIRROR")
    (line,) = messages(Food101())
    assert line.startswith(f"food101: food-101.tar.gz (md5 {md5(ARCHIVES['food101']['food-101.tar.gz'])}) is neither")
    assert str(home("food101")) in line
    (home("food101") / "food-101.tar.gz").write_bytes(ARCHIVES["food101"]["food-101.tar.gz"])
    assert load(Food101(), 0).split.train.shape == (3, 256, 256, 3)


def test_what_cannot_be_read_is_one_line(server: Server, tmp_path: Path) -> None:
    (line,) = messages(OxfordPets(path=str(tmp_path)))
    assert line.startswith(f"oxford-pets: {tmp_path} cannot be read (RuntimeError: Dataset not found.")
    assert line.endswith("; expected is what torchvision unpacks")
    load(Food101(), 0)
    meta = home("food101") / "food-101" / "meta" / "train.json"
    meta.write_text("{")
    (line,) = messages(Food101())
    assert line.startswith(f"food101: {home('food101')} cannot be read (JSONDecodeError: ")


def test_lists_that_name_different_classes_are_refused(server: Server) -> None:
    load(Dtd(partition=2), 0)
    listed = home("dtd") / "dtd" / "dtd" / "labels" / "test2.txt"
    listed.write_text("zigzagged/z_6.jpg\n")
    (line,) = messages(Dtd(partition=2))
    assert line.startswith(f"dtd: {home('dtd')} cannot be read (ValueError: its lists name different classes); remove")


def test_a_photograph_that_is_damaged_is_named(server: Server) -> None:
    load(Food101(), 0)
    (home("food101") / "food-101/images/waffles/7.jpg").write_bytes(jpeg(1)[:100])
    split = load(Food101(), 0).split
    with pytest.raises(DataError, match=r"food101: food-101/images/waffles/7.jpg: (damaged|not an image)"):
        split.train[:]


def test_an_archive_of_something_else_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tar_gz({"something/else.txt": b"?"})
    publish(monkeypatch, {**ARCHIVES, "food101": {"food-101.tar.gz": other}})
    file = home("food101") / "food-101.tar.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(other)
    assert messages(Food101()) == [f"{file}: holds no folder food-101"]


def archives_here(name: str) -> Path:
    """Put the archives of a dataset where they would have been fetched to; return that folder."""
    home(name).mkdir(parents=True, exist_ok=True)
    for file, content in ARCHIVES[name].items():
        (home(name) / file).write_bytes(content)
    return home(name)


def test_a_disk_that_is_full_while_photographs_are_unpacked(server: Server) -> None:
    place = archives_here("food101")
    with full_disk(100):
        (line,) = messages(Food101())
    assert line == f"cannot write {place / 'unpacked-food-101'}: File too large"
    assert [path.name for path in place.iterdir() if path.is_dir()] == []
    assert load(Food101(), 0).split.train.shape == (3, 256, 256, 3)


def test_places_that_cannot_be_written_to(server: Server) -> None:
    place = archives_here("oxford-pets")
    (place / "oxford-iiit-pet").touch()  # a file where a folder is needed
    (line,) = messages(OxfordPets())
    assert line == f"cannot write {place / 'oxford-iiit-pet' / 'images'}: File exists"
    (place / "oxford-iiit-pet").unlink()
    (place / "oxford-iiit-pet").mkdir()
    (place / "oxford-iiit-pet" / "images").touch()
    (line,) = messages(OxfordPets())
    assert line == f"cannot write {place / 'oxford-iiit-pet' / 'images'}: Not a directory"
    (place / "oxford-iiit-pet" / "images").unlink()
    (place / "oxford-iiit-pet" / "images.lock").unlink(missing_ok=True)
    (place / "oxford-iiit-pet" / "images.lock").mkdir()
    (line,) = messages(OxfordPets())
    assert line == f"cannot write {place / 'oxford-iiit-pet' / 'images'}: Is a directory"
    (place / "oxford-iiit-pet" / "images.lock").rmdir()
    assert load(OxfordPets(), 0).split.train.shape == (3, 256, 256, 3)


def test_wrong_parameters() -> None:
    with pytest.raises(ValueError, match=r"^size is 0; legal: a number of pixels, at least 1$"):
        Food101(size=0)
    with pytest.raises(ValueError, match=r"^partition is 11; legal: 1 to 10$"):
        Dtd(partition=11)
    with pytest.raises(ValueError, match=r"^test is 1.0; legal: a share of the rows, above 0 and below 1$"):
        EuroSat(test=1.0)
    with pytest.raises(ValueError, match=r"^noise is 2; legal"):
        EuroSat(noise=2)

"""Image datasets whose facts are in torchvision, read from small archives in the original formats."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as facts
from support import archives
from support.archives import md5
from support.commands import invoke
from support.data import messages
from support.published import Small, make, publish
from support.server import Server, serving

from albench.benchmark.registry import datasets
from albench.datasets import mnist
from albench.datasets.cifar import Cifar10, Cifar100
from albench.datasets.mnist import Emnist, FashionMnist, Kmnist, Mnist
from albench.datasets.reading.base import Step
from albench.datasets.reading.downloads import Archived, Downloaded
from albench.datasets.reading.loading import load
from albench.datasets.stl10 import Stl10
from albench.datasets.svhn import Svhn

KINDS: dict[str, type[Downloaded]] = {
    "mnist": Mnist,
    "fashion-mnist": FashionMnist,
    "kmnist": Kmnist,
    "emnist": Emnist,
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "svhn": Svhn,
    "stl10": Stl10,
}
PUBLISHED = {name: kind().remotes() for name, kind in KINDS.items()}
ARCHIVED = [name for name, kind in KINDS.items() if issubclass(kind, Archived)]


@pytest.fixture(autouse=True)
def nowhere(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Make a server without any file the user's mirror and the public address of everything; the cache is empty."""
    monkeypatch.setattr(mnist, "DEBIAN", cache / "no such folder")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Server({})) as server:
        monkeypatch.setenv("ALBENCH_MIRROR", server.url)
        public = f"{server.url}public/"
        monkeypatch.setattr(mnist, "GITHUB", public)
        for kind in (facts.MNIST, facts.FashionMNIST, facts.KMNIST):
            monkeypatch.setattr(kind, "mirrors", [public])
        for kind in (facts.EMNIST, facts.CIFAR10, facts.CIFAR100, facts.STL10):
            monkeypatch.setattr(kind, "url", public + kind.url.rpartition("/")[2])
        lists = facts.SVHN.split_list.items()
        monkeypatch.setattr(facts.SVHN, "split_list", {part: [public + f, f, md5] for part, (_, f, md5) in lists})
        yield server


@pytest.fixture(params=KINDS)
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Small:
    return make(request.param, monkeypatch)


def same(small: Small, dataset: Downloaded) -> None:
    """Check that a dataset loads, has its plain name and no other identity, and holds what was packed, in order."""
    loaded = load(dataset, 0)
    split = loaded.split
    assert (loaded.name, loaded.label, loaded.params.get("path")) == (small.name, small.name, None)
    assert split.kind == "images"
    for (x, y), (images, labels) in (
        ((split.train, split.train_labels), small.train),
        ((split.test, split.test_labels), small.test),
    ):
        np.testing.assert_array_equal(x[:], images)
        np.testing.assert_array_equal(y, labels)


# --- every dataset


def test_files_are_downloaded_once_and_read(small: Small, cache: Path, nowhere: Server) -> None:
    kind, steps = KINDS[small.name], list[Step]()
    nowhere.files = small.server().files
    load(kind(), 0, steps.append)
    assert {path for path, _ in nowhere.asked} == set(nowhere.files)
    assert {step.what for step in steps} == {f"{small.name}: {name}" for name in small.files}
    assert {path.name for path in (cache / "datasets" / small.name).iterdir()} >= set(small.files)
    same(small, kind())
    assert len(nowhere.asked) == len(small.files)


def test_files_are_read_where_they_lie(small: Small, tmp_path: Path, cache: Path, nowhere: Server) -> None:
    kind = KINDS[small.name]
    folder = small.put(tmp_path / "mine")
    same(small, kind(path=folder))
    assert {path.name for path in (tmp_path / "mine").iterdir()} == set(small.files)
    assert nowhere.asked == []
    assert cache.exists() == issubclass(kind, Archived)


def test_offline_every_file_is_named_with_its_place(small: Small, cache: Path, nowhere: Server) -> None:
    host = nowhere.url.split("/")[2]
    reasons = [f"{host}: HTTP Error 404: Not Found", *["not tried any more"] * (len(small.files) - 1)]
    where = f"is neither in {cache / 'datasets' / small.name} nor can it be downloaded"
    assert messages(KINDS[small.name]()) == [
        f"{small.name}: {name} (md5 {md5(content)}) {where} ({reason}); put it there, or set path"
        for (name, content), reason in zip(small.files.items(), reasons, strict=True)
    ]


def test_a_missing_file_of_ones_own_is_named(small: Small, tmp_path: Path, cache: Path, nowhere: Server) -> None:
    folder = Path(small.put(tmp_path / "mine"))
    name = next(iter(small.files))
    (folder / name).unlink()
    (message,) = messages(KINDS[small.name](path=str(folder)))
    assert message == f"{small.name}: {name} (md5 {md5(small.files[name])}) is not in {folder}"
    assert (nowhere.asked, cache.exists()) == ([], False)


def test_a_damaged_file_of_ones_own_is_named(small: Small, tmp_path: Path, cache: Path) -> None:
    folder = Path(small.put(tmp_path / "mine"))
    name, content = next(iter(small.files.items()))
    (folder / name).write_bytes(content[:-5])
    (message,) = messages(KINDS[small.name](path=str(folder)))
    found = f"has md5 {md5(content[:-5])} ({len(content) - 5:,} bytes)"
    assert message == f"{small.name}: {folder / name} {found}, not md5 {md5(content)}: truncated, or another file"
    assert not cache.exists()


def test_what_is_declared(small: Small) -> None:
    plugin = datasets.get(small.name)
    loaded = load_here(small)
    declared = str(plugin.notes["classes"])
    assert declared.startswith(("balanced ", "")[small.name != "emnist"] + str(len(loaded.class_names)))
    assert plugin.cite
    assert plugin.notes["licence"]
    assert "test" in str(plugin.notes["sizes"])
    revision = plugin.notes["revision"]
    assert callable(revision)
    assert revision() == ", ".join(f"{name} (md5 {md5(content)})" for name, content in small.files.items())


def load_here(small: Small) -> Any:
    folder = small.put(Path("mine"))
    return load(KINDS[small.name](path=folder), 0).split


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_command_line_shows_the_published_revision() -> None:
    said = invoke("list", "datasets", "cifar10").out.splitlines()
    assert [line for line in said if not line.startswith(("  parameter", "    "))] == [
        "cifar10 (version 1): 60,000 photographs of animals and vehicles, 32x32 RGB pixels.",
        "  cite: Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, technical report, Toronto",
        "  classes: 10",
        "  sizes: 50,000 train, 10,000 test, 32x32 RGB",
        "  revision: cifar-10-python.tar.gz (md5 c58f30108f718f92721af3b95e74349a)",
        "  licence: none stated; the authors ask to be cited",
    ]
    assert "  parameter path: str | None, default None" in said


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_file_has_a_checksum_and_addresses(name: str) -> None:
    for remote in PUBLISHED[name]:
        assert re.fullmatch(r"md5:[0-9a-f]{32}", remote.digest)
        for url in (remote.url, *remote.mirrors):
            assert re.fullmatch(rf"https?://[a-z].*/{re.escape(remote.name)}", url)


# --- archives that are unpacked


@pytest.fixture(params=ARCHIVED)
def archived(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Small:
    return make(request.param, monkeypatch)


def unpack(small: Small, folder: Path) -> Path:
    """Unpack as torchvision does; return the folder with the files."""
    kind = {"cifar10": facts.CIFAR10, "cifar100": facts.CIFAR100, "stl10": facts.STL10}[small.name]
    top: Path = folder / kind.base_folder
    top.mkdir(parents=True)
    for name, content in archives.untar(small.files[kind.filename]).items():
        (top / name).write_bytes(content)
    return top


def test_an_unpacked_folder_does_as_well(archived: Small, tmp_path: Path, cache: Path) -> None:
    unpack(archived, tmp_path / "mine")
    same(archived, KINDS[archived.name](path=str(tmp_path / "mine")))
    assert not cache.exists()


def test_once_unpacked_the_archive_is_not_needed(archived: Small, cache: Path, nowhere: Server) -> None:
    nowhere.files = archived.server().files
    same(archived, KINDS[archived.name]())
    nowhere.files = {}
    (archive,) = archived.files
    (cache / "datasets" / archived.name / archive).unlink()
    same(archived, KINDS[archived.name]())


def test_an_unpacked_file_that_was_changed_is_named(archived: Small, cache: Path, nowhere: Server) -> None:
    nowhere.files = archived.server().files
    same(archived, KINDS[archived.name]())
    root = cache / "datasets" / archived.name / "unpacked"
    path = sorted(path for path in root.rglob("*") if path.is_file())[-1]
    path.write_bytes(path.read_bytes()[:-1])
    (message,) = messages(KINDS[archived.name]())
    assert message.startswith(f"{archived.name}: {path} has md5 ")
    assert message.endswith(f": truncated, or another file; remove {root} to have it unpacked again")


class _Evil:
    """Unpickling this leaves a mark."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("unpickled"),)


@pytest.mark.parametrize("batch", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_batch_is_not_unpickled_before_its_checksum_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: str
) -> None:
    import pickle

    evil = pickle.dumps(_Evil())
    top = unpack(make("cifar10", monkeypatch), tmp_path / "mine")
    (top / batch).write_bytes(evil)
    (message,) = messages(Cifar10(path="mine"))
    assert message.startswith(f"cifar10: mine/{top.name}/{batch} has md5 {md5(evil)}")
    assert not Path("unpickled").exists()
    pickle.loads(evil)  # noqa: S301  to see that this test can fail
    assert Path("unpickled").exists()


def test_the_unlabelled_images_of_stl10_are_not_unpacked(
    cache: Path, nowhere: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere.files = make("stl10", monkeypatch).server().files
    load(Stl10(), 0)
    unpacked = {path.name for path in (cache / "datasets" / "stl10" / "unpacked" / "stl10_binary").iterdir()}
    assert unpacked == {"train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"}


# --- idx files


@pytest.mark.parametrize(
    ("split", "n_classes", "first", "names"),
    [
        ("balanced", 47, 0, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
        ("byclass", 62, 0, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        ("bymerge", 47, 0, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
        ("letters", 26, 1, "abcdefghijklmnopqrstuvwxyz"),
        ("digits", 10, 0, "0123456789"),
        ("mnist", 10, 0, "0123456789"),
    ],
)
def test_the_splits_of_emnist_are_upright_and_count_from_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: Any, n_classes: int, first: int, names: str
) -> None:
    files, (train, test) = archives.emnist(split, n_classes, first)
    publish("emnist", files, monkeypatch)
    dataset = Emnist(split, path=Small("emnist", files, train, test).put(tmp_path / "mine"))
    same(Small("emnist", files, train, test), dataset)
    assert dataset.load(0).class_names == tuple(names)


def test_an_unknown_split_of_emnist() -> None:
    with pytest.raises(ValueError, match=r"^unknown split 'letter'; did you mean 'letters'\? legal: balanced, "):
        Emnist("letter")  # type: ignore[arg-type] # on purpose


def test_class_names() -> None:
    small = archives.mnist()[0]
    with pytest.MonkeyPatch.context() as patch:
        for name, expected in (("mnist", "0 1 2 3 4 5 6 7 8 9"), ("kmnist", "o ki su tsu na ha ma ya re wo")):
            publish(name, small, patch)
            folder = Small(name, small, *archives.mnist()[1]).put(Path(name))
            assert " ".join(KINDS[name](path=folder).load(0).class_names) == expected


WHOLE = archives.mnist()[0][archives.IDX[0]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (WHOLE[:-100], "not a whole gzip file (Compressed file ended before the end-of-stream marker was reached)"),
        (b"<html>", "not a whole gzip file (Not a gzipped file (b'<h'))"),
        (gzip.compress(gzip.decompress(WHOLE)[:-1], mtime=0),
         "truncated or damaged: it holds 23,519 values, its header says 23,520"),
        (gzip.compress(gzip.decompress(WHOLE)[:9], mtime=0),
         "not an idx file of bytes with 3 axes (it begins with 00000803)"),
        (archives.idx(np.zeros(5)), "not an idx file of bytes with 3 axes (it begins with 00000801)"),
    ],
    ids=["cut off", "a page", "one value short", "a head alone", "one axis"],
)  # fmt: skip
def test_an_idx_file_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    files = {**archives.mnist()[0], archives.IDX[0]: content}
    publish("mnist", files, monkeypatch)  # even where its checksum holds
    folder = Small("mnist", files, *archives.mnist()[1]).put(tmp_path / "mine")
    assert messages(Mnist(path=folder)) == [f"{tmp_path / 'mine' / archives.IDX[0]}: {reason}"]


# --- the real thing

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> Path:
    if not DEBIAN.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    monkeypatch.setattr(mnist, "DEBIAN", DEBIAN)
    return DEBIAN


def test_fashion_mnist_as_debian_has_it(debian: Path, cache: Path, nowhere: Server) -> None:
    loaded = load(FashionMnist(), 0)
    split = loaded.split
    assert loaded.label == "fashion-mnist"
    assert (split.train.shape, split.test.shape) == ((60000, 28, 28, 1), (10000, 28, 28, 1))
    assert list(np.bincount(split.train_labels)) == [6000] * 10
    assert list(np.bincount(split.test_labels)) == [1000] * 10
    assert [split.class_names[i] for i in split.test_labels[:4]] == ["Ankle boot", "Pullover", "Trouser", "Trouser"]
    assert split.train[:].mean(dtype=np.float64) / 255 == pytest.approx(0.2860, abs=1e-4)  # as everybody normalises it
    assert (nowhere.asked, cache.exists()) == ([], False)


def test_a_folder_of_ones_own_comes_before_debian(debian: Path, tmp_path: Path) -> None:
    assert all(": train-" in line or ": t10k-" in line for line in messages(FashionMnist(path=str(tmp_path))))


def test_an_altered_file_of_debian_is_named(debian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    altered = tmp_path / "share"
    altered.mkdir()
    for path in debian.iterdir():
        (altered / path.name).write_bytes(path.read_bytes())
    labels = archives.IDX[3]
    (altered / labels).write_bytes(archives.idx(np.zeros(10000)))
    monkeypatch.setattr(mnist, "DEBIAN", altered)
    (message,) = messages(FashionMnist())
    assert message.startswith(f"fashion-mnist: {altered / labels} has md5 ")

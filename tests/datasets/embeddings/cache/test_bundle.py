from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.commands import everything_below, full_disk
from support.embeddings import encode, faults

from albench.benchmark.types import UserError
from albench.datasets.embeddings.base import StorageError
from albench.datasets.embeddings.cache import bundle, entry
from albench.datasets.embeddings.cache.bundle import MEMBERS, Packed, export, import_
from albench.datasets.embeddings.cache.store import embed
from albench.datasets.embeddings.pca import Pca
from albench.datasets.embeddings.raw import Raw
from albench.datasets.reading.base import DataError
from albench.datasets.wine import Wine

Members = dict[str, bytes]


@pytest.fixture
def keys(cache: Path) -> list[str]:
    """Return two entries of the cache."""
    return [embed(Wine(), encoder).fingerprint for encoder in (Raw(), Pca(dims=2))]


@pytest.fixture
def colleague(keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty cache of somebody else, now in use, and beside it ``one.zip`` and ``both.zip``."""
    export(keys[:1], tmp_path / "one.zip")
    export(keys, tmp_path / "both.zip")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "theirs"))
    return tmp_path / "theirs"


def entries(cache: Path) -> list[str]:
    """Return the folders of the cache, unfinished ones included."""
    return sorted(path.name for path in cache.iterdir() if path.is_dir()) if cache.exists() else []


def refused(path: Path, cache: Path) -> str:
    """Return the one line an import is refused with; it leaves nothing behind."""
    before = entries(cache)
    with pytest.raises(DataError) as caught:
        import_(path)
    assert entries(cache) == before
    (line,) = caught.value.messages
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


# --- there and back


def test_a_colleague_has_the_same_entries(
    cache: Path, keys: list[str], colleague: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = import_(tmp_path / "both.zip")
    assert [(p.fingerprint, p.dataset, p.encoder, p.present) for p in packed] == [
        (keys[0], "wine", "raw", False),
        (keys[1], "wine", "pca", False),
    ]
    assert entries(colleague) == sorted(keys)
    for key in keys:
        assert everything_below(colleague / key).keys() == set(MEMBERS)
        assert everything_below(colleague / key) == {name: (cache / key / name).read_bytes() for name in MEMBERS}
    assert faults() == []
    monkeypatch.setattr(Raw, "encode", None)  # nothing is computed again
    embedded = embed(Wine(), Raw())
    monkeypatch.undo()
    assert np.array_equal(embedded.features, encode(Raw(), Wine().load(0))[0])


def test_what_export_says(keys: list[str], tmp_path: Path) -> None:
    (packed,) = export(keys[:1], tmp_path / "x.zip")
    size = sum((Path(os.environ["ALBENCH_CACHE"]) / keys[0] / name).stat().st_size for name in MEMBERS[1:])
    assert packed == Packed(keys[0], "wine", "raw", size)


def test_a_bundle_is_a_plain_zip_that_says_nothing_of_the_machine(keys: list[str], tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export([keys[1], keys[0], keys[1]], tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "a.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{key}/{name}" for key in (keys[1], keys[0]) for name in MEMBERS]
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
    (tmp_path / "own").touch()
    assert (tmp_path / "a.zip").stat().st_mode == (tmp_path / "own").stat().st_mode  # others may read it


def test_what_was_derived_stays_at_home(keys: list[str], cache: Path, tmp_path: Path) -> None:
    (cache / keys[0] / "neighbours.npy").write_bytes(b"x")
    export(keys[:1], tmp_path / "x.zip")
    assert [name.rpartition("/")[2] for name in members_of(tmp_path / "x.zip")] == list(MEMBERS)


def test_an_entry_that_is_there_is_left_alone(keys: list[str], colleague: Path, tmp_path: Path) -> None:
    import_(tmp_path / "one.zip")
    (colleague / keys[0] / "train.npy").write_bytes(b"mine, and damaged")
    packed = import_(tmp_path / "both.zip")
    assert [p.present for p in packed] == [True, False]
    assert (colleague / keys[0] / "train.npy").read_bytes() == b"mine, and damaged"
    assert entries(colleague) == sorted(keys)


def test_what_a_killed_import_left_is_swept(keys: list[str], colleague: Path, tmp_path: Path) -> None:
    for killed_in in ("import.tmp", f"import.tmp/{keys[0]}"):
        (colleague / killed_in).mkdir(parents=True, exist_ok=True)
    import_(tmp_path / "one.zip")
    assert entries(colleague) == keys[:1]
    (colleague / "import.tmp").mkdir()
    other = embed(Wine(), Raw("none"))
    assert entries(colleague) == sorted([keys[0], other.fingerprint])


# --- exports that are refused


def test_corrupt_and_unknown_entries_are_all_named(keys: list[str], cache: Path, tmp_path: Path) -> None:
    data = bytearray((cache / keys[0] / "test.npy").read_bytes())
    data[-1] ^= 1
    (cache / keys[0] / "test.npy").write_bytes(data)
    (cache / keys[1] / "train_labels.npy").unlink()
    unknown = ["f" * 64, "../elsewhere"]
    with pytest.raises(DataError) as caught:
        export([*keys, *unknown], tmp_path / "x.zip")
    starts = [
        f"{cache / keys[0] / 'test.npy'}: its bytes are not those that were written (sha256)",
        f"{cache / keys[1] / 'train_labels.npy'}: missing",
        f"no entry {'f' * 64!r} in the cache {cache}; ",
        f"no entry 'elsewhere' in the cache {cache}; ",
    ]
    assert len(caught.value.messages) == len(starts)
    assert all(map(str.startswith, caught.value.messages, starts))
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_file_that_is_there_is_not_replaced(keys: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("mine")
    with pytest.raises(DataError) as caught:
        export(keys, tmp_path / "x.zip")
    line = f"{tmp_path / 'x.zip'}: is there already; remove it, or export to another name"
    assert caught.value.messages == [line]
    assert (tmp_path / "x.zip").read_text() == "mine"


def test_an_export_of_nothing(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^nothing to export; name the entries$"):
        export([], tmp_path / "x.zip")


def test_an_export_to_a_full_disk_or_to_nowhere(keys: list[str], tmp_path: Path) -> None:
    for limit in (300, 3000, 12_000):
        with full_disk(limit), pytest.raises(StorageError) as caught:
            export(keys, tmp_path / "x.zip")
        assert str(caught.value) == f"cannot export to {tmp_path / 'x.zip'}: File too large"
        assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    with pytest.raises(StorageError, match=r"^cannot export to .*nowhere/x\.zip: No such file or directory$"):
        export(keys, tmp_path / "nowhere" / "x.zip")


# --- imports that are refused


def test_an_import_on_a_full_disk(keys: list[str], colleague: Path, tmp_path: Path) -> None:
    for limit in (300, 3000):
        with full_disk(limit), pytest.raises(StorageError) as caught:
            import_(tmp_path / "both.zip")
        assert str(caught.value) == f"cannot use the embedding cache {colleague}: File too large"
        assert entries(colleague) == []
    assert len(import_(tmp_path / "both.zip")) == 2


def test_files_that_are_no_bundle(colleague: Path, tmp_path: Path) -> None:
    def said(content: bytes) -> str:
        (tmp_path / "x.zip").write_bytes(content)
        return refused(tmp_path / "x.zip", colleague)

    assert refused(tmp_path / "none.zip", colleague) == "no such file"
    assert refused(tmp_path, colleague) == "no such file"
    damaged = "is damaged, or no bundle of albench ("
    assert said(b"") == f"{damaged}File is not a zip file)"
    assert said(np.random.default_rng(0).bytes(3000)) == f"{damaged}File is not a zip file)"
    whole = (tmp_path / "both.zip").read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 100):
        assert said(whole[:size]).startswith(damaged)
    assert refused(write(tmp_path / "x.zip", {}), colleague) == "holds no entry of the cache"


def test_a_flipped_byte_anywhere_is_found_or_decides_nothing(
    keys: list[str], cache: Path, colleague: Path, tmp_path: Path
) -> None:
    whole = (tmp_path / "one.zip").read_bytes()
    rng = np.random.default_rng(0)
    directory = whole.index(b"PK\x01\x02")
    places = [*rng.integers(0, directory, 20), *range(0, 100, 4), *range(directory, len(whole), 9)]
    found = 0
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "x.zip").write_bytes(flipped)
        with suppress(DataError):
            import_(tmp_path / "x.zip")
        if entries(colleague) == []:
            found += 1
            refused(tmp_path / "x.zip", colleague)
        else:
            assert everything_below(colleague / keys[0]) == everything_below(cache / keys[0])
            entry.discard(colleague / keys[0])
    assert 0.5 * len(places) < found < len(places)


NAMES = [
    "/etc/passwd",
    "../train.npy",
    "{key}/../../train.npy",
    "{key}/extra.npy",
    "{key}/",
    "{key}/sub/train.npy",
    "{key}\\train.npy",
    "C:/{key}/train.npy",
    "{upper}/train.npy",
    "{key}/train.npy\n",
]


@pytest.mark.parametrize("name", NAMES)
def test_only_the_files_of_entries_are_taken(keys: list[str], colleague: Path, tmp_path: Path, name: str) -> None:
    name = name.format(key=keys[0], upper=keys[0].upper())
    path = write(tmp_path / "x.zip", members_of(tmp_path / "one.zip") | {name: b"x"})
    before = sorted(tmp_path.iterdir())
    assert refused(path, colleague) == f"holds {name!r}; a bundle holds entries of the cache and nothing else"
    assert [path for path in sorted(tmp_path.iterdir()) if path != colleague] == before


def test_links_and_compressed_members_are_refused(keys: list[str], colleague: Path, tmp_path: Path) -> None:
    members = members_of(tmp_path / "one.zip")
    path = write(tmp_path / "x.zip", members, zipfile.ZIP_DEFLATED)
    plain = "is compressed, encrypted or a link; a bundle has plain files"
    assert refused(path, colleague) == f"{keys[0]}/manifest.json {plain}"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16 if name.endswith("test.npy") else 0
            archive.writestr(member, content)
    assert refused(path, colleague) == f"{keys[0]}/test.npy {plain}"


def test_a_member_that_is_there_twice_or_not_at_all(keys: list[str], colleague: Path, tmp_path: Path) -> None:
    members = members_of(tmp_path / "one.zip")
    path = write(tmp_path / "x.zip", members)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(f"{keys[0]}/train.npy", b"x")
    assert refused(path, colleague) == f"{keys[0]}/train.npy is in it twice"
    del members[f"{keys[0]}/train.npy"], members[f"{keys[0]}/test.npy"]
    line = f"entry {keys[0][:12]}: train.npy, test.npy missing"
    assert refused(write(tmp_path / "x.zip", members), colleague) == line


def tamper(members: Members, key: str, change: Callable[[dict[str, Any]], Any]) -> Members:
    """Change a manifest and make its own hash fit again."""
    manifest = json.loads(members[f"{key}/manifest.json"])
    change(manifest)
    manifest["sha256"] = entry._manifest_hash(manifest)
    return members | {f"{key}/manifest.json": json.dumps(manifest).encode()}


def test_arrays_that_are_not_those_of_the_manifest(keys: list[str], colleague: Path, tmp_path: Path) -> None:
    """The second of two entries is wrong: the first is not taken either."""
    members, key = members_of(tmp_path / "both.zip"), keys[1]
    array = members[f"{key}/test.npy"]

    def said(changed: Members) -> str:
        line = refused(write(tmp_path / "x.zip", members | changed), colleague)
        assert entries(colleague) == []
        return line.removeprefix(f"entry {key[:12]}: ")

    other = array[:-1] + bytes([array[-1] ^ 1])
    assert said({f"{key}/test.npy": other}) == "test.npy: its bytes are not those that were written (sha256)"
    assert said({f"{key}/test.npy": array[:-4]}) == f"test.npy: {len(array) - 4} bytes, {len(array)} were written"
    text = members[f"{key}/manifest.json"].replace(b"wine", b"vine")
    assert said({f"{key}/manifest.json": text}) == "manifest.json: does not match its own hash or its folder's name"
    assert said({f"{key}/manifest.json": b"[" * 10**5}).startswith("manifest.json")
    assert said(tamper(members, key, lambda m: m.update(layout=99))).startswith("manifest.json: layout 99, this ")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("files", lambda manifest: manifest.pop("files")),
        ("files", lambda manifest: manifest.update(files=[1])),
        ("files", lambda manifest: manifest["files"].pop("test.npy")),
        ("files.test.npy.bytes", lambda manifest: manifest["files"]["test.npy"].update(bytes=-1)),
        ("files", lambda manifest: manifest["files"]["test.npy"].update(shape=[54])),
        ("layout", lambda manifest: manifest.pop("layout")),
        ("class_names[1]", lambda manifest: manifest.update(class_names=["a", "\x1b[31mb", "c"])),
        ("dataset.label", lambda manifest: manifest["dataset"].update(label="wi\u202ene")),
        ("quality.nearest_accuracy", lambda manifest: manifest.update(quality={"linear_accuracy": 1})),
        ("quality.linear_accuracy", lambda manifest: manifest["quality"].update(linear_accuracy=7.0)),
        ("origin.device.str", lambda manifest: manifest.update(origin={"device": 1})),
    ],
)
def test_manifests_of_another_make(
    keys: list[str], colleague: Path, tmp_path: Path, field: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    path = write(tmp_path / "x.zip", tamper(members_of(tmp_path / "one.zip"), keys[0], change))
    assert refused(path, colleague).startswith(f"entry {keys[0][:12]}: manifest.json: {field}: ")


def with_array(members: Members, key: str, name: str, array: NDArray[Any]) -> Members:
    """Put another array into an entry, and make all its hashes fit."""
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    facts |= {"shape": list(array.shape), "dtype": array.dtype.str}
    return tamper(members, key, lambda m: m["files"].update({name: facts})) | {f"{key}/{name}": content}


NAN = np.zeros((124, 13), np.float32)
NAN[7, 2] = np.nan


@pytest.mark.parametrize(
    ("name", "array", "fault"),
    [
        ("train.npy", np.zeros((123, 13), np.float32), "train has 123 rows, train_labels 124"),
        ("test_labels.npy", np.zeros(55, np.int64), "test has 54 rows, test_labels 55"),
        ("train_labels.npy", np.full(124, 3), "train_labels: 124 outside 0..2, first 3 in row 0"),
        ("test_labels.npy", np.full(54, -1), "test_labels: 54 outside 0..2, first -1 in row 0"),
        (
            "train.npy",
            NAN,
            "train: 1 values are NaN or infinite, first nan in row 7, column 2",
        ),
        ("test.npy", np.zeros((54, 12), np.float32), "train has 13 features, test 12"),
        ("train_labels.npy", np.zeros(124), "train_labels is float64 of shape (124,); labels are int64 with 1 axis"),
        ("test.npy", np.zeros((54, 13), np.float16), "test is float16 of shape (54, 13); features are float32"),
    ],
)
def test_whole_arrays_that_do_not_fit_each_other(
    keys: list[str], colleague: Path, tmp_path: Path, name: str, array: NDArray[Any], fault: str
) -> None:
    path = write(tmp_path / "x.zip", with_array(members_of(tmp_path / "one.zip"), keys[0], name, array))
    assert refused(path, colleague).startswith(f"entry {keys[0][:12]}: {fault}")


def test_float16_travels_too(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = embed(Wine(), Raw(store="float16")).fingerprint
    export([key], tmp_path / "x.zip")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "theirs"))
    assert [packed.fingerprint for packed in import_(tmp_path / "x.zip")] == [key]


def test_arrays_of_python_objects_are_not_unpickled(keys: list[str], colleague: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "evil.npy", np.array([[{"a": 1}]], dtype=object), allow_pickle=True)
    evil = (tmp_path / "evil.npy").read_bytes()
    says = {"bytes": len(evil), "sha256": hashlib.sha256(evil).hexdigest(), "shape": [1, 1], "dtype": "|O"}
    members = tamper(members_of(tmp_path / "one.zip"), keys[0], lambda m: m["files"].update({"train.npy": says}))
    path = write(tmp_path / "x.zip", members | {f"{keys[0]}/train.npy": evil})
    assert refused(path, colleague).startswith(f"entry {keys[0][:12]}: train.npy: unreadable header (")


def test_a_manifest_without_end_is_not_read(
    keys: list[str], colleague: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MANIFEST_BYTES", 100)
    assert refused(tmp_path / "one.zip", colleague) == f"entry {keys[0][:12]}: manifest.json: more than 100 bytes"


def test_a_cache_that_cannot_be_made(colleague: Path, tmp_path: Path) -> None:
    colleague.write_text("a file")
    with pytest.raises(UserError, match=f"^cannot use the embedding cache {colleague}: "):
        import_(tmp_path / "one.zip")

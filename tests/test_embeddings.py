from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray
from support.embeddings import encode, features_file, table

from albench.benchmark.registry import encoders
from albench.benchmark.types import Features
from albench.datasets.arrays import Arrays
from albench.datasets.base import Split
from albench.datasets.embeddings import store
from albench.datasets.embeddings.base import Encoder
from albench.datasets.embeddings.file import File
from albench.datasets.embeddings.pca import Pca
from albench.datasets.embeddings.pixels import Pixels
from albench.datasets.embeddings.store import CorruptEntryError, StorageError, embed, fingerprint, make_pool, verify
from albench.datasets.loading import content_hash, load
from albench.datasets.wine import Wine

# --- the fingerprint


def small_arrays(dtype: Any, ndim: int) -> st.SearchStrategy[NDArray[Any]]:
    shape = arrays_of.array_shapes(min_dims=ndim, max_dims=ndim, max_side=3)
    return arrays_of.arrays(dtype, shape)


@st.composite
def splits(draw: st.DrawFn) -> Split:
    images = draw(st.booleans())
    x = small_arrays(np.uint8, 4) if images else small_arrays(np.float32, 2)
    labels = small_arrays(np.int64, 1)
    names = draw(st.lists(st.sampled_from(["a", "b", "ab", "ü"]), max_size=3))
    kind = "images" if images else draw(st.sampled_from(["table", "features"]))
    return Split(kind, draw(x), draw(labels), draw(x), draw(labels), tuple(names))  # type: ignore[arg-type]  # sampled_from gives a str


def same(a: Split, b: Split) -> bool:
    def seen(split: Split) -> list[Any]:
        arrays = (split.train[:], split.train_labels, split.test[:], split.test_labels)
        return [split.kind, split.class_names, [(x.shape, x.dtype, x.tobytes()) for x in arrays]]

    return seen(a) == seen(b)


@given(splits(), splits())
def test_content_is_equal_exactly_when_its_hash_is(a: Split, b: Split) -> None:
    assert (content_hash(a) == content_hash(b)) == same(a, b)
    copy = dataclasses.replace(a, train=np.asfortranarray(a.train[:]), test=a.test[:].copy())
    assert content_hash(copy) == content_hash(a)


@given(splits(), st.data())
def test_one_changed_value_or_two_swapped_rows_change_the_hash(split: Split, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(["train", "train_labels", "test", "test_labels"]))
    array = getattr(split, field).copy()
    place = data.draw(st.integers(0, array.nbytes - 1))
    array.reshape(-1).view(np.uint8)[place] ^= data.draw(st.integers(1, 255))
    assert content_hash(dataclasses.replace(split, **{field: array})) != content_hash(split)
    turned = dataclasses.replace(split, **{field: getattr(split, field)[::-1]})
    assert (content_hash(turned) == content_hash(split)) == same(turned, split)


def test_the_fingerprint_is_the_hash_of_this_text() -> None:
    text = '{"content":"x","dtype":"float32","encoder":["pixels",1,{"scale":"auto"}],"file":null}'
    assert fingerprint("x", Pixels()) == hashlib.sha256(text.encode()).hexdigest()  # the ids of old runs depend on it


def test_the_fingerprint_depends_on_content_and_settings() -> None:
    settings: list[Encoder] = [Pixels(), Pixels("none"), Pca(), Pca(dims=8), Pca(whiten=True)]
    assert len({fingerprint(content, encoder) for content in ("x", "y") for encoder in settings}) == 10


def test_the_fingerprint_depends_on_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint("x", Pixels())
    monkeypatch.setitem(encoders._plugins, "pixels", dataclasses.replace(encoders.get("pixels"), version=2))
    assert fingerprint("x", Pixels()) != before


def test_the_fingerprint_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    here = features_file(tmp_path / "a.npz")
    (tmp_path / "elsewhere").mkdir()
    np.savez_compressed(tmp_path / "elsewhere" / "b.npz", **dict(np.load(here).items()))
    other = features_file(tmp_path / "c.npz", test=np.zeros((54, 4)))
    assert fingerprint("x", File(here)) == fingerprint("x", File(str(tmp_path / "elsewhere" / "b.npz")))
    assert fingerprint("x", File(here)) != fingerprint("x", File(other))


def test_the_kind_of_data_is_content_since_scaling_depends_on_it() -> None:
    split = table()
    assert content_hash(split) != content_hash(dataclasses.replace(split, kind="features"))


# --- the cache


def entry(cache: Path) -> Path:
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    return folder


def test_an_embedding_is_computed_once_and_mapped_read_only(cache: Path) -> None:
    first = embed(Wine(), Pixels())
    written = (entry(cache) / "manifest.json").stat().st_mtime_ns
    again = embed(load(Wine(), 0), Pixels())
    assert (entry(cache) / "manifest.json").stat().st_mtime_ns == written
    assert entry(cache).name == first.fingerprint == again.fingerprint
    expected = encode(Pixels(), Wine().load(0))
    for embedded in (first, again):
        assert np.array_equal(embedded.features, expected[0])
        assert np.array_equal(embedded.test_features, expected[1])
        assert embedded.class_names == ("class_0", "class_1", "class_2")
        assert embedded.features.dtype == embedded.test_features.dtype == np.float32
        assert embedded.labels.dtype == embedded.test_labels.dtype == np.int64
        assert not embedded.features.flags.writeable
    assert again.seconds == pytest.approx(first.seconds)
    assert verify() == {}


def test_the_manifest_says_what_it_is(cache: Path) -> None:
    data = load(Wine(), 0)
    embed(data, Pca(dims=2))
    manifest = json.loads((entry(cache) / "manifest.json").read_text())
    assert manifest["dataset"] == {
        "name": "wine",
        "label": "wine",
        "params": {"split": "fixed", "test": 0.3},
        "content": data.content,
    }
    assert manifest["encoder"] == {"name": "pca", "version": 1, "params": {"dims": 2, "whiten": False, "scale": "auto"}}
    assert (manifest["kind"], manifest["n_classes"], manifest["class_names"][0]) == ("table", 3, "class_0")
    assert manifest["files"]["train.npy"]["shape"] == [124, 2]
    assert manifest["files"]["test.npy"]["dtype"] == "<f4"
    assert sorted(path.name for path in entry(cache).iterdir()) == sorted([*manifest["files"], "manifest.json"])


def test_a_moved_cache_is_the_same_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed(Wine(), Pixels())
    expected = first.features.copy()
    shutil.move(cache, tmp_path / "moved")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "moved"))
    written = (entry(tmp_path / "moved") / "manifest.json").stat().st_mtime_ns
    again = embed(Wine(), Pixels())
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.features, expected)
    assert (entry(tmp_path / "moved") / "manifest.json").stat().st_mtime_ns == written


def test_the_same_content_from_two_places_is_one_entry(cache: Path, tmp_path: Path) -> None:
    arrays = {
        "train": np.eye(4),
        "train_labels": np.array(["a", "b"] * 2),
        "test": np.eye(4),
        "test_labels": np.array(["a", "b"] * 2),
    }
    for name in ("one.npz", "two.npz"):
        np.savez(tmp_path / name, allow_pickle=False, **arrays)
    assert embed(Arrays(str(tmp_path / "one.npz")), Pixels()).fingerprint == entry(cache).name
    assert embed(Arrays(str(tmp_path / "two.npz")), Pixels()).fingerprint == entry(cache).name


def test_pools_draw_from_fingerprint_and_key_alone(cache: Path) -> None:
    def draw(features: Features, generator: np.random.Generator) -> float:
        return float(generator.random())

    embedded = embed(Wine(), Pixels())
    pool = embedded.pool()
    copies = {name: array.copy() for name, array in embedded.arrays().items()}
    rebuilt = make_pool(embedded.fingerprint, copies)
    assert (len(pool), pool.n_classes) == (124, 3)
    assert not rebuilt.features.flags.writeable
    assert np.array_equal(pool.test_labels, rebuilt.test_labels)
    assert pool.derived.get("a", draw) == rebuilt.derived.get("a", draw) != pool.derived.get("b", draw)
    assert make_pool("other", copies).derived.get("a", draw) != pool.derived.get("a", draw)


FILES = ["train.npy", "train_labels.npy", "test.npy", "test_labels.npy"]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 7)


@pytest.mark.parametrize(
    ("name", "damage", "fault"),
    [
        *[(name, flip, "its bytes are not those that were written (sha256)") for name in FILES],
        ("train.npy", cut, "{less} bytes, {size} were written"),
        ("test_labels.npy", Path.unlink, "missing"),
        ("manifest.json", flip, None),
        ("manifest.json", cut, "unreadable (JSONDecodeError)"),
        ("manifest.json", Path.unlink, "unreadable (FileNotFoundError)"),
    ],
)
def test_a_corrupt_entry_is_named_set_aside_and_computed_again(
    cache: Path, caplog: pytest.LogCaptureFixture, name: str, damage: Any, fault: str | None
) -> None:
    first = embed(Wine(), Pixels())
    expected = first.features.copy()
    folder = entry(cache)
    size = (folder / name).stat().st_size
    damage(folder / name)
    assert list(verify()) == [first.fingerprint]
    with caplog.at_level(logging.WARNING, "albench"):
        again = embed(Wine(), Pixels())
    assert np.array_equal(again.features, expected)
    assert verify() == {}
    aside = f"{first.fingerprint}.corrupt-1"
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == [first.fingerprint, aside]
    (record,) = caplog.records
    start, end = f"corrupt embedding in the cache, computed again: {folder / name}: ", f"; kept as {aside}"
    assert record.getMessage().startswith(start)
    assert record.getMessage().endswith(end)
    if fault is not None:
        assert record.getMessage() == f"{start}{fault.format(size=size, less=size - 7)}{end}"


def test_a_second_corrupt_entry_does_not_replace_the_first(cache: Path) -> None:
    for n in (1, 2):
        key = embed(Wine(), Pixels()).fingerprint
        flip(cache / key / "train.npy")
        embed(Wine(), Pixels())
        assert (cache / f"{key}.corrupt-{n}").is_dir()


def test_big_entries_are_hashed_on_demand_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHECKED", 1000)
    embedded = embed(Wine(), Pixels())
    flip(entry(cache) / "train.npy")
    assert embed(Wine(), Pixels()).fingerprint == embedded.fingerprint
    assert len(list(cache.glob("*.corrupt-*"))) == 0
    fault = f"{entry(cache) / 'train.npy'}: its bytes are not those that were written (sha256)"
    assert verify() == {embedded.fingerprint: fault}
    cut(entry(cache) / "train.npy")  # sizes are checked whatever they are
    embed(Wine(), Pixels())
    assert len(list(cache.glob("*.corrupt-*"))) == 1


def test_an_entry_of_another_layout_is_not_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embed(Wine(), Pixels())
    monkeypatch.setattr(store, "LAYOUT", 2)
    with pytest.raises(CorruptEntryError, match=r"manifest\.json: layout 1, this version reads 2$"):
        store._read(entry(cache))


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StorageError) as caught:
        embed(Wine(), Pixels())
    assert str(caught.value) == f"cannot use the embedding cache {tmp_path / 'cache'}: File exists"

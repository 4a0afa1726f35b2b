from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray
from PIL import Image
from support.commands import everything_below
from support.embeddings import encode, faults, features_file, table

from albench.benchmark.registry import encoders
from albench.benchmark.types import Features, Pool
from albench.datasets.arrays import Arrays
from albench.datasets.embeddings.base import Encoder
from albench.datasets.embeddings.cache import entry as entries
from albench.datasets.embeddings.cache.store import (
    CorruptEntryError,
    StaleEntryError,
    StorageError,
    embed,
    fingerprint,
    make_pool,
)
from albench.datasets.embeddings.file import File
from albench.datasets.embeddings.pca import Pca
from albench.datasets.embeddings.raw import Raw
from albench.datasets.folder import Folder
from albench.datasets.reading.base import Split
from albench.datasets.reading.loading import content_hash, load
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
    assert fingerprint("x", Raw()) == hashlib.sha256(text.encode()).hexdigest()  # the ids of old runs depend on it


def test_the_fingerprint_depends_on_content_and_settings() -> None:
    settings: list[Encoder] = [Raw(), Raw("none"), Pca(), Pca(dims=8), Pca(whiten=True), Pca(store="float16")]
    assert len({fingerprint(content, encoder) for content in ("x", "y") for encoder in settings}) == 12


def test_the_fingerprint_depends_on_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint("x", Raw())
    monkeypatch.setitem(encoders._plugins, "raw", dataclasses.replace(encoders.get("raw"), version=2))
    assert fingerprint("x", Raw()) != before


def test_the_fingerprint_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    here = features_file(tmp_path / "a.npz")
    (tmp_path / "elsewhere").mkdir()
    np.savez_compressed(tmp_path / "elsewhere" / "b.npz", **dict(np.load(here).items()))
    other = features_file(tmp_path / "c.npz", test=np.zeros((54, 4)))
    assert fingerprint("x", File(here)) == fingerprint("x", File(str(tmp_path / "elsewhere" / "b.npz")))
    assert fingerprint("x", File(here)) != fingerprint("x", File(other))


ELSEWHERE = """
import sys
from albench.datasets.embeddings.pca import Pca
from albench.datasets.embeddings.cache.store import fingerprint
from albench.datasets.folder import Folder
from albench.datasets.reading.loading import load
print(fingerprint(load(Folder(sys.argv[1]), 0).content, Pca(dims=2)))
"""


def image_folder(root: Path, change: str = "") -> str:
    """Write 12 images in 2 classes; ``change`` one pixel, or the order of two images."""
    draw = np.random.default_rng(0)
    for part in ("train", "test"):
        for c in "ab":
            (root / part / c).mkdir(parents=True)
            images = draw.integers(0, 255, (3, 4, 4, 3), dtype=np.uint8)
            if (part, c, change) == ("train", "a", "order"):
                images = images[[1, 0, 2]]
            if (part, c, change) == ("test", "b", "pixel"):
                images[2, 0, 0, 0] += 1
            for i, image in enumerate(images):
                Image.fromarray(image).save(root / part / c / f"{i}.png")
    return str(root)


def test_one_pixel_or_the_order_of_two_images_is_another_embedding(tmp_path: Path) -> None:
    prints = {
        fingerprint(load(Folder(image_folder(tmp_path / change, change)), 0).content, Pca(dims=2))
        for change in ("none", "order", "pixel")
    }
    assert len(prints) == 3


def test_the_fingerprint_is_the_same_elsewhere_and_with_other_threads(tmp_path: Path) -> None:
    here = fingerprint(load(Folder(image_folder(tmp_path / "here")), 0).content, Pca(dims=2))
    there = image_folder(tmp_path / "another" / "place")
    environment = {**os.environ, "ALBENCH_CACHE": str(tmp_path / "other"), "OMP_NUM_THREADS": "3", "HOSTNAME": "other"}
    command = [sys.executable, "-c", ELSEWHERE, there]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == here


def test_the_kind_of_data_is_content_since_scaling_depends_on_it() -> None:
    split = table()
    assert content_hash(split) != content_hash(dataclasses.replace(split, kind="features"))


# --- the cache


def entry(cache: Path) -> Path:
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    return folder


def test_an_embedding_is_computed_once_and_mapped_read_only(cache: Path) -> None:
    first = embed(Wine(), Raw())
    written = (entry(cache) / "manifest.json").stat().st_mtime_ns
    again = embed(load(Wine(), 0), Raw())
    assert (entry(cache) / "manifest.json").stat().st_mtime_ns == written
    assert entry(cache).name == first.fingerprint == again.fingerprint
    expected = encode(Raw(), Wine().load(0))
    for embedded in (first, again):
        assert np.array_equal(embedded.features, expected[0])
        assert np.array_equal(embedded.test_features, expected[1])
        assert embedded.class_names == ("class_0", "class_1", "class_2")
        assert embedded.features.dtype == embedded.test_features.dtype == np.float32
        assert embedded.labels.dtype == embedded.test_labels.dtype == np.int64
        assert not embedded.features.flags.writeable
    assert again.seconds == pytest.approx(first.seconds)
    assert faults() == []


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
    params = {"dims": 2, "whiten": False, "scale": "auto"}
    assert manifest["encoder"] == {"name": "pca", "label": "pca", "version": 1, "params": params}
    assert 0.8 < manifest["quality"]["nearest_accuracy"] < 1
    assert (manifest["kind"], manifest["n_classes"], manifest["class_names"][0]) == ("table", 3, "class_0")
    assert manifest["files"]["train.npy"]["shape"] == [124, 2]
    assert manifest["files"]["test.npy"]["dtype"] == "<f4"
    assert sorted(path.name for path in entry(cache).iterdir()) == sorted([*manifest["files"], "manifest.json"])


def test_the_manifest_says_what_computed_it_and_the_fingerprint_does_not(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def origin_of(encoder: Encoder) -> Any:
        embedded = embed(Wine(), encoder)
        return embedded.fingerprint, embedded.entry.manifest["origin"]

    first, origin = origin_of(Pca(dims=2))
    device = f"cpu ({platform.machine()})"
    versions = {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__}
    assert origin == {"device": device, "libraries": versions}
    assert origin_of(File(features_file(tmp_path / "f.npz")))[1] == {}  # made elsewhere
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr("albench.datasets.embeddings.cache.origin.version", lambda name: "99")
    again, other = origin_of(Pca(dims=2))
    assert set(other["libraries"].values()) == {"99"}
    assert again == first


def test_a_moved_cache_is_the_same_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed(Wine(), Raw())
    expected = first.features.copy()
    shutil.move(cache, tmp_path / "moved")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "moved"))
    written = (entry(tmp_path / "moved") / "manifest.json").stat().st_mtime_ns
    again = embed(Wine(), Raw())
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
    assert embed(Arrays(str(tmp_path / "one.npz")), Raw()).fingerprint == entry(cache).name
    assert embed(Arrays(str(tmp_path / "two.npz")), Raw()).fingerprint == entry(cache).name


def test_pools_draw_from_fingerprint_and_key_alone(cache: Path) -> None:
    def draw(features: Features, generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        return {"x": generator.random(3)}

    def drawn(pool: Pool, key: str) -> list[float]:
        return [float(x) for x in pool.derived.get(key, draw)["x"]]

    embedded = embed(Wine(), Raw())
    pool = embedded.pool()
    copies = {name: array.copy() for name, array in embedded.arrays().items()}
    rebuilt = make_pool(embedded.fingerprint, copies)
    assert (len(pool), pool.n_classes) == (124, 3)
    assert not rebuilt.features.flags.writeable
    assert np.array_equal(pool.test_labels, rebuilt.test_labels)
    assert drawn(pool, "a") == drawn(rebuilt, "a") != drawn(pool, "b")
    assert drawn(make_pool("other", copies), "a") != drawn(pool, "a")


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
        ("manifest.json", cut, "is no JSON (ANY)"),
        ("manifest.json", Path.unlink, "unreadable (No such file or directory)"),
    ],
)
def test_a_corrupt_entry_is_an_error_that_says_what_mends_it(
    cache: Path, name: str, damage: Any, fault: str | None
) -> None:
    first = embed(Wine(), Raw())
    expected = first.features.copy()
    folder = entry(cache)
    size = (folder / name).stat().st_size
    damage(folder / name)
    before = everything_below(folder)
    with pytest.raises(CorruptEntryError) as caught:
        embed(Wine(), Raw())
    assert everything_below(folder) == before  # nothing is computed again unasked
    start, _, remedy = str(caught.value).partition("; ")
    command = f"'albench cache remove {first.fingerprint[:12]}'"
    assert remedy == f"{command} removes the entry, and it is computed again when it is asked for"
    assert faults() == [f"corrupt {first.fingerprint[:12]}  {caught.value}"]
    assert start.startswith(f"{folder / name}: ")
    if fault is not None:
        line = f"{folder / name}: {fault.format(size=size, less=size - 7)}"
        assert re.fullmatch(re.escape(line).replace("ANY", "[^\n]+"), start)
    assert np.array_equal(embed(Wine(), Raw(), recompute=True).features, expected)
    assert faults() == []
    assert entry(cache) == folder


def test_a_replaced_entry_takes_along_what_was_derived_from_it(cache: Path) -> None:
    key = embed(Wine(), Raw()).fingerprint
    for name in (f"{key}.derived", f"{key}.corrupt-1", f"{'0' * 64}.derived"):
        (cache / name).mkdir()
        (cache / name / "file").touch()
    embed(Wine(), Raw(), recompute=True)
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == [f"{'0' * 64}.derived", key]


def test_big_entries_are_hashed_on_demand_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "CHECKED", 1000)
    embedded = embed(Wine(), Raw())
    flip(entry(cache) / "train.npy")
    assert embed(Wine(), Raw()).fingerprint == embedded.fingerprint
    (line,) = faults()
    fault = f"{entry(cache) / 'train.npy'}: its bytes are not those that were written (sha256)"
    assert line.startswith(f"corrupt {embedded.fingerprint[:12]}  {fault}; ")
    cut(entry(cache) / "train.npy")  # sizes are checked whatever they are
    with pytest.raises(CorruptEntryError, match="were written"):
        embed(Wine(), Raw())


def test_an_entry_of_another_layout_is_stale(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embed(Wine(), Raw())
    monkeypatch.setattr(entries, "LAYOUT", 9)
    with pytest.raises(StaleEntryError) as caught:
        embed(Wine(), Raw())
    assert str(caught.value) == (
        f"{entry(cache) / 'manifest.json'}: layout 2, this version reads 9; 'albench cache remove --stale' removes all"
        " such entries; they are computed again when asked for"
    )


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StorageError) as caught:
        embed(Wine(), Raw())
    assert str(caught.value) == f"cannot use the embedding cache {tmp_path / 'cache'}: File exists"

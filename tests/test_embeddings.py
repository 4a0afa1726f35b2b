from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from albench.benchmark.registry import encoders
from albench.benchmark.types import Features
from albench.datasets.arrays import Arrays
from albench.datasets.base import DataError, Split, content_hash, load
from albench.datasets.digits import Digits
from albench.datasets.embeddings import store
from albench.datasets.embeddings.base import Encoder
from albench.datasets.embeddings.file import File
from albench.datasets.embeddings.pca import Pca
from albench.datasets.embeddings.pixels import Pixels, Scale
from albench.datasets.embeddings.store import CorruptEntryError, StorageError, embed, fingerprint, make_pool, verify
from albench.datasets.wine import Wine


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def split_of(train: NDArray[Any], test: NDArray[Any], kind: Literal["images", "table", "features"] = "table") -> Split:
    labels = np.arange(len(train)) % 2, np.arange(len(test)) % 2
    return Split(kind, train, labels[0], test, labels[1], ("a", "b"))


def table(n: int = 50, d: int = 7, seed: int = 0) -> Split:
    draw = np.random.default_rng(seed)
    x = (draw.normal(size=(n + 10, d)) * draw.uniform(0.1, 100, d) + draw.uniform(-50, 50, d)).astype(np.float32)
    return split_of(x[:n], x[n:])


# --- pixels


@pytest.mark.parametrize("scale", ["auto", "range"])
def test_images_are_divided_by_255(scale: Scale) -> None:
    split = Digits().load(0)
    train, test = Pixels(scale).encode(split, rng())
    assert (train.shape, test.shape) == ((1257, 64), (540, 64))
    assert train.dtype == np.float32
    assert np.array_equal(train, (split.train.reshape(1257, 64) / 255).astype(np.float32))
    assert (test.min(), test.max()) == (0, 1)


def test_tables_are_standardised_as_scikit_learn_does() -> None:
    from sklearn.preprocessing import StandardScaler

    split = table()
    oracle = StandardScaler().fit(split.train.astype(np.float64))
    for scale in ("auto", "standard"):
        train, test = Pixels(scale).encode(split, rng())
        assert np.allclose(train, oracle.transform(split.train), rtol=1e-6, atol=1e-6)
        assert np.allclose(test, oracle.transform(split.test), rtol=1e-6, atol=1e-6)


def test_a_constant_column_becomes_zero() -> None:
    split = table()
    split.train[:, 3] = 0.1
    for part in Pixels().encode(split, rng()):
        assert not part[:, 3].any()
        assert part[:, 2].any()


def test_features_are_left_as_they_are() -> None:
    split = dataclasses.replace(table(), kind="features")
    train, test = Pixels().encode(split, rng())
    assert np.array_equal(train, split.train)
    assert np.array_equal(test, split.test)
    images = Digits().load(0)
    assert Pixels("none").encode(images, rng())[0].max() == 255


def test_the_test_part_has_no_influence_on_the_pool() -> None:
    split = table()
    other = dataclasses.replace(split, test=split.test * 9 + 1)
    for encoder in (Pixels(), Pca(dims=3)):
        assert np.array_equal(encoder.encode(split, rng())[0], encoder.encode(other, rng())[0])


def test_range_is_for_images() -> None:
    with pytest.raises(DataError, match=r"^scale 'range' is for images, not for table; legal: auto, standard, none$"):
        Pixels("range").encode(table(), rng())


def test_wrong_parameters() -> None:
    legal = "legal: auto, range, standard, none"
    for kind in (Pixels, Pca):
        with pytest.raises(ValueError, match=rf"^unknown scale 'standart'; did you mean 'standard'\? {legal}$"):
            kind(scale="standart")  # type: ignore[arg-type]  # the typo is the point
    with pytest.raises(ValueError, match=r"^dims is 0; legal: a number of components, at least 1$"):
        Pca(dims=0)


# --- pca


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize(("n", "d"), [(50, 7), (12, 30)])  # by covariance, by singular values
def test_pca_is_that_of_scikit_learn(n: int, d: int, whiten: bool) -> None:
    from sklearn.decomposition import PCA

    split = table(n, d)
    ours = Pca(dims=5, whiten=whiten, scale="none").encode(split, rng())
    oracle = PCA(5, whiten=whiten, svd_solver="full").fit(split.train.astype(np.float64))
    largest = np.abs(oracle.components_).argmax(axis=1)
    signs = np.sign(oracle.components_[np.arange(5), largest])  # our rule, applied to their directions
    for mine, x in zip(ours, (split.train, split.test), strict=True):
        theirs = oracle.transform(x.astype(np.float64)) * signs
        assert np.allclose(mine, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def test_randomised_pca_agrees_where_it_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    x = (draw.normal(size=(300, 60)) * 0.93 ** np.arange(60)).astype(np.float32)
    split = split_of(x[:250], x[250:])
    pca = Pca(dims=4, scale="none")
    exact = pca.encode(split, rng())
    monkeypatch.setattr("albench.datasets.embeddings.pca.EXACT", 20)
    first, again = pca.encode(split, rng()), pca.encode(split, rng())
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], exact[0])  # the other way was taken indeed
    assert np.allclose(first[1], exact[1], atol=1e-3)


def test_pca_has_fewer_components_when_the_pool_has_fewer_directions() -> None:
    x = table(d=3).train
    wide = np.hstack([x, x, np.ones((50, 1), np.float32)])
    train, test = Pca(dims=32, whiten=True).encode(split_of(wide[:40], wide[40:]), rng())
    assert (train.shape, test.shape) == ((40, 3), (10, 3))
    assert np.allclose(train.std(axis=0, ddof=1), 1, atol=1e-5)
    few = Pca(dims=32).encode(table(n=5, d=9), rng())[0]
    assert few.shape == (5, 4)  # centred, five points span four directions


def test_pca_of_equal_rows_is_zero() -> None:
    split = split_of(np.ones((9, 4), np.float32), np.ones((2, 4), np.float32))
    for whiten in (False, True):
        train, _ = Pca(whiten=whiten, scale="none").encode(split, rng())
        assert train.shape == (9, 1)
        assert not train.any()


# --- features made elsewhere


def features_file(path: Path, **changes: Any) -> str:
    draw = np.random.default_rng(0)
    np.savez(path, **({"train": draw.normal(size=(124, 4)), "test": draw.normal(size=(54, 4))} | changes))
    return str(path)


def test_features_of_a_file(cache: Path, tmp_path: Path) -> None:
    path = features_file(tmp_path / "f.npz")
    embedded = embed(Wine(), File(path))
    assert np.array_equal(embedded.features, np.load(path)["train"].astype(np.float32))
    assert np.array_equal(embedded.labels, Wine().load(0).train_labels)
    assert File(path).label() == "file:f.npz"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"train": np.ones((123, 4))}, "file:f.npz for dataset wine: train has 123 rows, the dataset's train part 124"),
        ({"test": np.ones((54, 5))}, "file:f.npz for dataset wine: train has 4 features, test 5"),
        (
            {"test": np.full((54, 4), np.nan)},
            "file:f.npz for dataset wine: test: 216 values are NaN or infinite, first in row 0",
        ),
        (
            {"train": np.ones((124, 0))},
            "file:f.npz for dataset wine: train is float32 of shape (124, 0); needed are float32 rows of features",
        ),
        ({"train": np.ones(124)}, "PATH: train has shape (124,); features are (rows, features)"),
    ],
)
def test_faults_of_a_features_file(cache: Path, tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    path = features_file(tmp_path / "f.npz", **changes)
    with pytest.raises(DataError) as caught:
        embed(Wine(), File(path))
    assert str(caught.value) == problem.replace("PATH", path)
    assert not list(cache.glob("*.tmp"))


def test_a_features_file_without_a_key(tmp_path: Path) -> None:
    path = str(tmp_path / "f.npz")
    np.savez(path, train=np.ones((3, 3)), tests=np.ones((3, 3)))
    with pytest.raises(DataError) as caught:
        fingerprint("content", File(path))
    assert str(caught.value) == f"{path}: key 'test' is missing (is it 'tests'?); legal keys: train, test"


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
        arrays = (split.train, split.train_labels, split.test, split.test_labels)
        return [split.kind, split.class_names, [(x.shape, x.dtype, x.tobytes()) for x in arrays]]

    return seen(a) == seen(b)


@given(splits(), splits())
def test_content_is_equal_exactly_when_its_hash_is(a: Split, b: Split) -> None:
    assert (content_hash(a) == content_hash(b)) == same(a, b)
    copy = dataclasses.replace(a, train=np.asfortranarray(a.train), test=a.test.copy())
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
    expected = Pixels().encode(Wine().load(0), rng())
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


# --- several processes, real ones

PREAMBLE = """
    import os, resource, sys, time
    from dataclasses import dataclass
    from pathlib import Path
    import numpy as np
    from albench.benchmark.registry import encoder
    from albench.datasets.embeddings.pixels import Pixels
    from albench.datasets.embeddings.store import embed
    from albench.datasets.wine import Wine

    @encoder("slow", cite="")
    @dataclass(frozen=True)
    class Slow:
        def encode(self, split, rng):
            with open(sys.argv[1], "a") as file:
                file.write("x")
            time.sleep(float(sys.argv[2]))
            return Pixels().encode(split, rng)
"""


def start(code: str, *args: object) -> subprocess.Popen[str]:
    script = textwrap.dedent(PREAMBLE) + textwrap.dedent(code)
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


TOGETHER = """
    Path(sys.argv[3] + sys.argv[4]).touch()
    while not all(Path(sys.argv[3] + n).exists() for n in "01"):
        time.sleep(0.001)
    print(embed(Wine(), Slow()).features.sum())
"""


def test_two_processes_compute_once(cache: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    processes = [start(TOGETHER, calls, 1, tmp_path / "ready", n) for n in range(2)]
    sums = {output(process) for process in processes}
    assert len(sums) == 1
    assert calls.read_text() == "x"
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 1


WRITE_AND_HANG = """
    from albench.datasets.embeddings import store
    write = store._write
    def write_one_and_hang(path, array):
        if path.name == "test.npy":
            Path(sys.argv[3]).write_text("here")
            time.sleep(60)
        return write(path, array)
    store._write = write_one_and_hang
    embed(Wine(), Pixels())
"""


def test_a_killed_process_leaves_nothing_that_counts(cache: Path, tmp_path: Path) -> None:
    process = start(WRITE_AND_HANG, tmp_path / "calls", 0, tmp_path / "ready")
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert [path.suffix for path in cache.iterdir() if path.is_dir()] == [".tmp"]
    other = embed(Wine(), Pca(dims=2))  # any computation sweeps what the dead left
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [other.fingerprint]
    embedded = embed(Wine(), Pixels())
    assert np.array_equal(embedded.features, Pixels().encode(Wine().load(0), rng())[0])
    assert verify() == {}


def test_the_killed_entry_itself_can_be_asked_for_at_once(cache: Path, tmp_path: Path) -> None:
    process = start(WRITE_AND_HANG, tmp_path / "calls", 0, tmp_path / "ready")
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    embedded = embed(Wine(), Pixels())
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [embedded.fingerprint]


def test_a_sweep_spares_what_is_being_written(cache: Path, tmp_path: Path) -> None:
    process = start(WRITE_AND_HANG, tmp_path / "calls", 0, tmp_path / "ready")
    wait_for(tmp_path / "ready")
    embed(Wine(), Pca(dims=2))
    unfinished = [path.suffix for path in cache.iterdir() if path.is_dir()]
    process.kill()
    process.communicate(timeout=60)
    assert sorted(unfinished) == ["", ".tmp"]


def test_a_full_disk_is_one_clean_line(cache: Path, tmp_path: Path) -> None:
    full = """
        from albench.datasets.embeddings.store import StorageError
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # a file that is longer fails as on a full disk
        try:
            embed(Wine(), Pixels())
        except StorageError as error:
            print(error)
    """
    line = output(start(full, tmp_path / "calls", 0)).strip()
    assert line.startswith(f"cannot use the embedding cache {cache}: ")
    assert "\n" not in line
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    assert embed(Wine(), Pixels()).features.shape == (124, 13)


def test_an_error_of_the_encoder_is_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Pixels):
        def encode(self, split: Split, rng: np.random.Generator) -> tuple[Features, Features]:
            raise FileNotFoundError("weights.pt")

    broken: Encoder = Broken()
    with pytest.raises(TypeError, match="Broken is not a declared encoder; use the decorator"):
        embed(Wine(), broken)
    monkeypatch.setattr(Pixels, "encode", Broken.encode)
    with pytest.raises(FileNotFoundError, match=r"^weights\.pt$"):
        embed(Wine(), Pixels())
    assert not list(cache.glob("*.tmp"))

"""Transformed views of a pool as its encoder sees them: one entry, by the pool's own network, checked as others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.commands import invoke

from albench.benchmark.seeds import generator
from albench.datasets.digits import Digits
from albench.datasets.embeddings.cache import entry, store
from albench.datasets.embeddings.cache.views import key, view_problems, views
from albench.datasets.embeddings.file import File
from albench.datasets.embeddings.networks import training
from albench.datasets.embeddings.networks.transforms import Transformed
from albench.datasets.embeddings.random_conv import RandomConv
from albench.datasets.embeddings.raw import Raw
from albench.datasets.embeddings.simclr import Simclr
from albench.datasets.reading.base import Step
from albench.datasets.reading.loading import Loaded, load
from albench.datasets.wine import Wine

ENCODER = RandomConv(channels=4, layers=2, grid=1)


@pytest.fixture
def digits(cache: Path) -> Loaded:
    return load(Digits(per_class=4), 0)


def folder(cache: Path, data: Loaded, V: int) -> Path:
    return cache / "views" / key(store.fingerprint(data.content, ENCODER), V)


def test_they_are_the_encoder_on_transformed_images_and_are_written_once(digits: Loaded, cache: Path) -> None:
    found = views(digits, ENCODER, 2)
    N = len(digits.split.train)
    assert (found.shape, found.dtype, found.flags.writeable) == ((2, 2, N, 4), np.dtype(np.float16), False)
    transformed = Transformed(digits.split.train, 2, lambda v: generator("views", "1", digits.inputs, v))
    data = replace(digits, split=replace(digits.split, test=transformed[:], test_labels=np.zeros(4 * N, np.int64)))
    data.__dict__["inputs"] = digits.inputs  # the same network
    work = store.work_at(cache / "other", data, ENCODER, lambda step: None)
    _, expected = store.encoded(data.split, data, ENCODER, work, "float16")
    np.testing.assert_array_equal(found.reshape(4 * N, 4), expected.astype(np.float16))
    written = folder(cache, digits, 2).stat().st_ino
    np.testing.assert_array_equal(views(digits, ENCODER, 2), found)
    assert folder(cache, digits, 2).stat().st_ino == written
    np.testing.assert_array_equal(views(digits, ENCODER, 1), found[:, :1])
    assert isinstance(np.load(folder(cache, digits, 2) / "views.npy", mmap_mode="r"), np.memmap)
    assert not list((cache / "views").glob("*.tmp"))


def test_a_trained_network_is_not_trained_anew(digits: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    simclr = Simclr(epochs=2, batch=16, width=4, projection=8)
    embedded = store.embed(digits, simclr)
    monkeypatch.setattr(training.Training, "next_epoch", lambda *_: pytest.fail("trained anew"))
    told = list[Step]()
    found = views(digits, simclr, 1, told.append)
    assert found.shape == (2, 1, len(digits.split.train), 32)
    assert told[-1].done == told[-1].total
    apart = np.linalg.norm(found[0, 0].astype(np.float32) - embedded.features, axis=1)
    others = np.linalg.norm(found[0, 0].astype(np.float32) - np.roll(embedded.features, 1, axis=0), axis=1)
    assert np.median(apart) < np.median(others)  # of the same image


def test_a_pool_holds_them(digits: Loaded) -> None:
    embedded = store.embed(digits, ENCODER)
    pool = replace(embedded, more={"views": views(digits, ENCODER, 2)}).pool()
    weak, strong = pool.transformed(2)
    assert len(weak) == len(strong) == 2
    assert weak[0].shape == pool.features.shape


def test_they_are_listed_verified_swept_and_removed(digits: Loaded, cache: Path) -> None:
    views(digits, ENCODER, 2)
    name, what = folder(cache, digits, 2).name[:12], "digits / 2x2 views by random-conv(channels=4, layers=2, grid=1)"
    listed = invoke("cache", "list").out
    assert f"{what.partition(' / ')[2]} " in listed
    assert "0 entries and 1 views, " in listed
    said = invoke("embed", "--verify")
    assert (said.status, f"ok      {name}  " in said.out) == (0, True)
    array = folder(cache, digits, 2) / "views.npy"
    array.write_bytes(array.read_bytes()[:-1] + b"!")
    said = invoke("embed", "--verify")
    assert (said.status, f"corrupt {name}  " in said.out) == (1, True)
    with pytest.raises(entry.CorruptEntryError, match="sha256"):
        views(digits, ENCODER, 2)
    assert invoke("cache", "remove", name).out.startswith(f"removed {name}")
    assert not folder(cache, digits, 2).exists()


def test_what_has_no_images_or_was_encoded_elsewhere_has_no_views(digits: Loaded) -> None:
    wine = load(Wine(), 0)
    assert view_problems(wine, Raw()) == ["wine has no images"]
    assert view_problems(digits, File(path="f.npz")) == ["these features were computed elsewhere"]
    odd = replace(digits, split=replace(digits.split, train=np.zeros((3, 8, 8, 4), np.uint8)))
    assert view_problems(odd, Raw()) == ["digits has images of 4 channels, not 1 or 3"]
    assert view_problems(digits, Raw()) == []

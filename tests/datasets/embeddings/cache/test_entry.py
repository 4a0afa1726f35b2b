"""What an entry of the cache holds on disk, and what it is in use."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray
from support.embeddings import faults, features_file

from albench.benchmark.types import Features
from albench.datasets.embeddings.base import Work
from albench.datasets.embeddings.cache import entry as entries
from albench.datasets.embeddings.cache.store import embed
from albench.datasets.embeddings.file import File
from albench.datasets.embeddings.pca import Pca
from albench.datasets.embeddings.raw import Raw
from albench.datasets.reading import base
from albench.datasets.reading.base import DataError, Split
from albench.datasets.wine import Wine

SHAPES = arrays_of.array_shapes(min_dims=1, max_dims=2, max_side=9)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@given(data=st.data())
def test_arrays_are_written_block_by_block_as_numpy_would(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, data: st.DataObject
) -> None:
    values = st.floats(-100, 100, width=32)
    array = data.draw(arrays_of.arrays(np.float32, SHAPES, elements=values))
    array = np.asfortranarray(array) if data.draw(st.booleans()) else array
    path = tmp_path_factory.mktemp("written") / "x.npy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_BYTES", data.draw(st.integers(1, 60)))
        said = entries.write_array(path, array, dtype)
    assert np.array_equal(np.load(path), array.astype(dtype))
    expected = io.BytesIO()
    np.save(expected, np.ascontiguousarray(array, dtype))
    assert path.read_bytes() == expected.getvalue()
    assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@given(arrays_of.arrays(np.float32, SHAPES), st.integers(1, 60))
def test_values_that_are_not_finite_are_counted_in_blocks(x: NDArray[np.float32], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_BYTES", size)
        lines = base.unusable("x", x)
    flat = x.reshape(len(x), -1)
    odd, huge = ~np.isfinite(flat), np.isfinite(flat) & (np.abs(flat) > 1e15)
    fill = "fill them, or leave out these rows or columns"
    no_data = f"if that says that there are no data, {fill}; else give another unit"
    expected = [
        f"x: {bad.sum()} values are {what}, first {flat[bad][0]:g} in row {row}, column {column}; {remedy}"
        for what, bad, remedy in (("NaN or infinite", odd, fill), ("beyond 1e+15", huge, no_data))
        for row, column in np.argwhere(bad)[:1]
    ]
    assert lines == expected


def test_float16_on_disk_is_float32_in_use(cache: Path) -> None:
    full, half = embed(Wine(), Pca(dims=3)), embed(Wine(), Pca(dims=3, store="float16"))
    assert full.fingerprint != half.fingerprint
    assert np.load(cache / half.fingerprint / "train.npy").dtype == np.float16
    for a, b in ((full.features, half.features), (full.test_features, half.test_features)):
        assert b.dtype == np.float32
        assert not b.flags.writeable
        assert np.array_equal(b, a.astype(np.float16).astype(np.float32))
    assert half.pool().features.dtype == np.float32
    assert faults() == []


def test_what_is_drawn_does_not_depend_on_the_type_on_disk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode_at_random(self: Raw, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        kept.add(work.kept)
        return rng.random((124, 3), np.float32), rng.random((54, 3), np.float32)

    kept: set[Path] = set()
    monkeypatch.setattr(Raw, "encode", encode_at_random)
    full, half = embed(Wine(), Raw()), embed(Wine(), Raw(store="float16"))
    assert np.array_equal(half.features, full.features.astype(np.float16).astype(np.float32))
    assert len(kept) == 1


def test_values_that_float16_does_not_hold(cache: Path, tmp_path: Path) -> None:
    test = np.zeros((54, 4))
    test[3, 2] = -1e5
    path = features_file(tmp_path / "f.npz", test=test)
    with pytest.raises(DataError) as caught:
        embed(Wine(), File(path, store="float16"))
    assert str(caught.value) == (
        "file:f.npz for dataset wine: test has values up to 1e+05, float16 holds 65504; use store: float32"
    )
    assert embed(Wine(), File(path)).test_features[3, 2] == np.float32(-1e5)

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.data import FILL
from support.embeddings import encode, features_file, split_of, table

from albench.datasets.digits import Digits
from albench.datasets.embeddings.base import Encoder
from albench.datasets.embeddings.cache.store import embed, fingerprint
from albench.datasets.embeddings.file import File
from albench.datasets.embeddings.pca import Pca, components
from albench.datasets.embeddings.raw import Raw, Scale
from albench.datasets.reading import base
from albench.datasets.reading.base import DataError
from albench.datasets.wine import Wine

# --- pixels


@pytest.mark.parametrize("scale", ["auto", "range"])
def test_images_are_divided_by_255(scale: Scale) -> None:
    split = Digits().load(0)
    train, test = encode(Raw(scale), split)
    assert (train.shape, test.shape) == ((1257, 64), (540, 64))
    assert train.dtype == np.float32
    assert np.array_equal(train, (split.train[:].reshape(1257, 64) / 255).astype(np.float32))
    assert (test.min(), test.max()) == (0, 1)


def test_tables_are_standardised_as_scikit_learn_does() -> None:
    from sklearn.preprocessing import StandardScaler

    split = table()
    oracle = StandardScaler().fit(split.train[:].astype(np.float64))
    for scale in ("auto", "standard"):
        train, test = encode(Raw(scale), split)
        assert np.allclose(train, oracle.transform(split.train), rtol=1e-6, atol=1e-6)
        assert np.allclose(test, oracle.transform(split.test), rtol=1e-6, atol=1e-6)


def test_a_constant_column_becomes_zero() -> None:
    split = table()
    split.train[:][:, 3] = 0.1
    for part in encode(Raw(), split):
        assert not part[:, 3].any()
        assert part[:, 2].any()


def test_features_are_left_as_they_are() -> None:
    split = dataclasses.replace(table(), kind="features")
    train, test = encode(Raw(), split)
    assert np.array_equal(train, split.train[:])
    assert np.array_equal(test, split.test[:])
    images = Digits().load(0)
    assert encode(Raw("none"), images)[0].max() == 255


def test_the_test_part_has_no_influence_on_the_pool() -> None:
    split = table()
    other = dataclasses.replace(split, test=split.test[:] * 9 + 1)
    for encoder in (Raw(), Pca(dims=3)):
        assert np.array_equal(encode(encoder, split)[0], encode(encoder, other)[0])


def test_range_is_for_images() -> None:
    with pytest.raises(DataError, match=r"^scale 'range' is for images, not for table; legal: auto, standard, none$"):
        encode(Raw("range"), table())


def test_wrong_parameters() -> None:
    legal = "legal: auto, range, standard, none"
    for kind in (Raw, Pca):
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
    ours = encode(Pca(dims=5, whiten=whiten, scale="none"), split)
    oracle = PCA(5, whiten=whiten, svd_solver="full").fit(split.train[:].astype(np.float64))
    largest = np.abs(oracle.components_).argmax(axis=1)
    signs = np.sign(oracle.components_[np.arange(5), largest])  # our rule, applied to their directions
    for mine, x in zip(ours, (split.train[:], split.test[:]), strict=True):
        theirs = oracle.transform(x.astype(np.float64)) * signs
        assert np.allclose(mine, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def test_randomised_pca_agrees_where_it_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    x = (draw.normal(size=(300, 60)) * 0.93 ** np.arange(60)).astype(np.float32)
    split = split_of(x[:250], x[250:])
    pca = Pca(dims=4, scale="none")
    exact = encode(pca, split)
    monkeypatch.setattr("albench.datasets.embeddings.pca.EXACT", 20)
    first, again = encode(pca, split), encode(pca, split)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], exact[0])  # the other way was taken indeed
    assert np.allclose(first[1], exact[1], atol=1e-3)


def test_pca_has_fewer_components_when_the_pool_has_fewer_directions() -> None:
    x = np.asarray(table(d=3).train[:])
    wide = np.hstack([x, x, np.ones((50, 1), np.float32)])
    train, test = encode(Pca(dims=32, whiten=True), split_of(wide[:40], wide[40:]))
    assert (train.shape, test.shape) == ((40, 3), (10, 3))
    assert np.allclose(train.std(axis=0, ddof=1), 1, atol=1e-5)
    few = encode(Pca(dims=32), table(n=5, d=9))[0]
    assert few.shape == (5, 4)  # centred, five points span four directions


def test_pca_of_equal_rows_is_zero() -> None:
    split = split_of(np.ones((9, 4), np.float32), np.ones((2, 4), np.float32))
    for whiten in (False, True):
        train, _ = encode(Pca(whiten=whiten, scale="none"), split)
        assert train.shape == (9, 1)
        assert not train.any()


ENCODERS = [Raw("range"), Raw("standard"), Pca(dims=4), Pca(dims=4, whiten=True, scale="none")]


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize(("n", "side"), [(300, 5), (20, 9)])  # more rows than columns, and fewer
def test_the_answer_does_not_depend_on_the_blocks(
    encoder: Encoder, n: int, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (n + 7, side, side, 1), dtype=np.uint8)
    split = split_of(images[:n], images[n:], "images")
    whole = encode(encoder, split)
    monkeypatch.setattr(base, "BLOCK_BYTES", 999)
    for mine, expected in zip(encode(encoder, split), whole, strict=True):
        assert np.allclose(mine, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
def test_only_blocks_of_the_data_are_in_memory(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20_100, 10, 10, 1), dtype=np.uint8)
    split = split_of(images[:20_000], images[20_000:], "images")
    monkeypatch.setattr(base, "BLOCK_BYTES", 2**16)
    encode(encoder, split_of(images[:200], images[200:300], "images"))  # what is imported on the way does not count
    tracemalloc.start()
    encode(encoder, split)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < images.nbytes / 2  # an eighth of them as float32


def test_pca_of_fewer_rows_than_columns_is_the_decomposition_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(30, 200)) * 0.6 ** np.arange(30)[:, None] + rng.normal(size=200)).astype(np.float32)
    directions, sizes = components(x, 12, rng, x.mean(axis=0, dtype=np.float64))
    _, expected, theirs = np.linalg.svd(x - x.mean(axis=0, dtype=np.float64), full_matrices=False)
    assert np.allclose(sizes, expected[:12], rtol=1e-9)
    assert np.allclose(np.abs(np.einsum("kd,kd->k", directions, theirs[:12])), 1, atol=1e-9)
    assert np.allclose(directions @ directions.T, np.eye(12), atol=1e-9)


# --- features made elsewhere


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
            f"file:f.npz for dataset wine: test: 216 values are NaN or infinite, first nan in row 0, column 0{FILL}",
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

"""Features as people save them: far from the origin, at odd scales, sparse."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from support.data import messages

from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.svm import SVM
from albench.benchmark.types import Lesson
from albench.datasets.arrays import Arrays
from albench.datasets.reading import sparse as reading
from albench.datasets.reading.base import Split, warn
from albench.datasets.reading.loading import load

START = 1_700_000_000
CODES = np.arange(60) % 2


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    warn.cache_clear()
    with caplog.at_level(logging.WARNING, "albench"):
        yield caplog


def seconds() -> NDArray[np.float64]:
    """Two classes a minute apart, and a column that says nothing."""
    rng = np.random.default_rng(0)
    return np.column_stack([60.0 * CODES + rng.integers(0, 30, 60), rng.normal(size=60)])


def read(folder: Path, x: NDArray[Any], **more: Any) -> Split:
    np.savez(folder / "x.npz", train=x[:40], train_labels=CODES[:40], test=x[40:], test_labels=CODES[40:], **more)
    return load(Arrays(str(folder / "x.npz")), 0).split


def accuracy(learner: Linear | SVM, split: Split) -> float:
    model = learner.fit(Lesson.of(split.train[:], split.train_labels, 2, np.random.default_rng(0)))
    return float((model.predict(split.test[:]) == split.test_labels).mean())


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.longdouble])
def test_a_time_in_seconds_is_told_apart(tmp_path: Path, said: pytest.LogCaptureFixture, kind: type) -> None:
    """As float32 they are 128 s apart."""
    split = read(tmp_path, np.add(seconds(), (START, 0)).astype(kind))
    near = read(tmp_path, seconds().astype(kind))
    assert np.array_equal(np.diff(split.train[:], axis=0), np.diff(near.train[:], axis=0))
    assert np.array_equal(split.test[:] - split.train[:1], near.test[:] - near.train[:1])
    assert accuracy(Linear(), split) == accuracy(SVM(), split) == 1
    assert len(said.messages) == 1
    assert said.messages[0].startswith("arrays:x.npz: column 0 lies near 1.7e+09 and varies by ")
    assert said.messages[0].endswith("float32 cannot tell apart; its median is subtracted (1 such columns)")


def test_features_near_the_origin_are_what_they_were(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    x = np.add(seconds() * (1, 1e-3), (30, 0.1))
    assert np.array_equal(read(tmp_path, x).train[:], x[:40].astype(np.float32))
    constant = np.column_stack([x, np.full(60, 0.1), np.full(60, 1e9 + 0.1)])
    assert np.array_equal(read(tmp_path, constant).train[:], constant[:40].astype(np.float32))


@pytest.mark.parametrize(("move", "words"), [(1e4, "svm, and rules that go by angles"), (0.0, "")])
def test_features_far_from_the_origin_are_said_once(
    tmp_path: Path, said: pytest.LogCaptureFixture, move: float, words: str
) -> None:
    x = np.add(np.random.default_rng(0).normal(size=(60, 3)), (move, 0, 0)).astype(np.float32)
    for _ in range(2):
        assert np.array_equal(read(tmp_path, x).train[:], x[:40])
    assert len(said.messages) == bool(words)
    assert all(words in line and "scale: standard" in line for line in said.messages)


def test_features_whose_squares_are_nothing_are_said(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    read(tmp_path, np.random.default_rng(0).normal(size=(60, 3)) * 1e-25)
    assert "whose square is nothing in float32" in said.messages[0]


@pytest.mark.parametrize("sentinel", [-3.4028235e38, 9.96921e36, 1e20, -1e30])
def test_values_that_say_no_data_are_found_before_the_run(tmp_path: Path, sentinel: float) -> None:
    x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    x[[7, 33], 5] = sentinel
    np.savez(tmp_path / "x.npz", train=x, train_labels=CODES, test=x[:5], test_labels=CODES[:5])
    (line,) = messages(Arrays(str(tmp_path / "x.npz")))
    assert line.startswith(
        f"arrays:x.npz: train: 2 values are beyond 1e+15, first {np.float32(sentinel):g} in row 7, column 5; "
    )


# --- sparse matrices -------------------------------------------------------------------------------------------------


def text() -> sparse.csr_array:
    return sparse.random_array((60, 500), density=0.02, format="csr", rng=np.random.default_rng(0))


def by_key(folder: Path, x: Any) -> dict[str, Any]:
    files: dict[str, Any] = {key: str(folder / f"{key}.npz") for key in ("train", "test")}
    sparse.save_npz(files["train"], x)
    sparse.save_npz(files["test"], text()[:9])
    for key, labels in (("train_labels", CODES), ("test_labels", CODES[:9])):
        files[key] = str(folder / f"{key}.npy")
        np.save(files[key], labels)
    return files


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")  # that is the price of dia
@pytest.mark.parametrize("compressed", ["matrix", "array"])
def test_sparse_matrices_are_read(tmp_path: Path, kind: str, compressed: str) -> None:
    x = getattr(sparse, f"{kind}_{compressed}")(text())
    split = load(Arrays(**by_key(tmp_path, x)), 0).split
    assert np.array_equal(split.train[:], text().toarray().astype(np.float32))
    assert split.test.shape == (9, 500)


def test_a_sparse_matrix_alone_says_what_is_needed(tmp_path: Path) -> None:
    path = by_key(tmp_path, text())["train"]
    assert messages(Arrays(path)) == [
        f"{path}: holds one sparse matrix; give train, train_labels, test, test_labels a file each"
    ]


def test_sparse_matrices_too_large_with_their_zeros(tmp_path: Path) -> None:
    files = by_key(tmp_path, sparse.csr_array((60, 20_000_000)))
    (line,) = messages(Arrays(**files))
    assert line.startswith(
        f"{files['train']}: is 60 x 20,000,000, 4.5 GiB with its zeros (at most 2); give fewer columns"
    )
    assert "TruncatedSVD" in line


def test_what_points_outside_a_sparse_matrix_is_not_written(tmp_path: Path) -> None:
    x = text()
    x.indices[3] = 10**6
    files = by_key(tmp_path, x)
    assert messages(Arrays(**files))[0].startswith(f"{files['train']}: is damaged (")
    np.savez(files["train"], format=np.array("abc"), shape=np.array([2, 2]), data=np.ones(3))
    assert messages(Arrays(**files)) == [
        f"{files['train']}: format or shape are damaged; legal formats: {', '.join(reading.PARTS)}"
    ]
    np.savez(files["train"], x=np.ones(3))
    assert messages(Arrays(**files))[0].startswith(f"{files['train']}: is no matrix of scipy.sparse.save_npz; ")

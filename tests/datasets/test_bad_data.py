"""Data that cannot be used, and folders that cannot be written, through the real command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from PIL import Image
from support.commands import everything_below, nothing_written, refused, run, write_grid
from support.data import FILL

from albench.datasets.reading.npz import PICKLED

pytestmark = pytest.mark.usefixtures("own_folder")

NOT_A_ZIP = "is damaged, or no .npz (File is not a zip file)"
RAGGED: Any = np.empty(2, dtype=object)
RAGGED[:] = [[1.0], [1.0, 2.0]]


def arrays(**changes: Any) -> dict[str, Any]:
    """Return features of six points with labels, some arrays replaced or (None) left out."""
    rng = np.random.default_rng(0)
    good = {
        "train": rng.normal(size=(6, 2)).astype(np.float32),
        "train_labels": np.array(["a", "b"] * 3),
        "test": rng.normal(size=(4, 2)).astype(np.float32),
        "test_labels": np.array(["a", "b"] * 2),
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def with_nan() -> np.ndarray[Any, Any]:
    features = np.ones((6, 2), dtype=np.float32)
    features[2, 1] = features[4, 0] = np.nan
    features[5, 0] = np.inf
    return features


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"train": RAGGED}, [f"x.npz: train {PICKLED}"]),
        (
            {"train": with_nan()},
            [f"arrays:x.npz: train: 3 values are NaN or infinite, first nan in row 2, column 1{FILL}"],
        ),
        ({"train": np.zeros(6)}, ["x.npz: train has shape (6,); features are (rows, features)"]),
        ({"test": np.array([["1"]] * 4)}, ["x.npz: test holds <U1, not numbers"]),
        ({"test": np.zeros((4, 3))}, ["arrays:x.npz: train has 2 features, test 3"]),
        ({"train_labels": np.array(["a", "b"])}, ["arrays:x.npz: train has 6 rows, train_labels 2"]),
        ({"test_labels": np.array(["a", "c"] * 2)}, ["x.npz: test_labels: unknown class 'c' in row 1; legal: a, b"]),
        (
            {"test_labels": np.array([0, 1] * 2)},
            ["x.npz: train_labels holds <U1, x.npz: test_labels int64; one kind is needed"],
        ),
        (
            {"train_labels": np.full(6, 0.5)},
            [
                "x.npz: train_labels holds 0.5; labels are whole numbers or text; "
                "np.digitize makes classes of a quantity"
            ],
        ),
        (
            {"train_labels": np.array(["a"] * 6), "test_labels": np.array(["a"] * 4)},
            ["arrays:x.npz: only 1 class; at least 2 are needed"],
        ),
        (
            {"test": None, "test_labels": None, "tset": np.zeros((4, 2))},
            [
                f"x.npz: key {key!r} is missing{hint}; legal keys: train, train_labels, test, test_labels, class_names"
                for key, hint in (("test", " (is it 'tset'?)"), ("test_labels", ""))
            ],
        ),
    ],
)
def test_arrays_that_cannot_be_used(changes: dict[str, Any], problems: list[str]) -> None:
    np.savez("x.npz", **arrays(**changes))
    write_grid(Path("grid.yaml"), datasets=["wine", "arrays:x.npz"])
    assert refused() == [f"datasets[1]: {problem}" for problem in problems]


def test_files_that_are_no_arrays() -> None:
    Path("text.npz").write_text("nothing of the kind")
    np.savez("whole.npz", **arrays())
    Path("cut.npz").write_bytes(Path("whole.npz").read_bytes()[:300])
    empty, nested = pa.array([], pa.list_(pa.float32())), pa.array([{"a": 1}] * 6)
    for name, column in (("empty", empty), ("nested", nested)):
        pq.write_table(pa.table({"x": column}), f"{name}.parquet")
    for key, value in arrays().items():
        np.save(f"{key}.npy", value)
    files = {key: f"{key}.npy" for key in arrays()}
    write_grid(
        Path("grid.yaml"),
        datasets=[
            *("arrays:no.npz", "arrays:text.npz", "arrays:cut.npz"),
            *({"name": "arrays", **files, "train": train} for train in ("x.csv", "empty.parquet", "nested.parquet")),
        ],
    )
    assert refused() == [
        "datasets[0]: no.npz: no such file",
        f"datasets[1]: text.npz: {NOT_A_ZIP}",
        f"datasets[2]: cut.npz: {NOT_A_ZIP}",
        "datasets[3]: x.csv: unknown kind of file; legal: .npy, .parquet, .npz",
        "datasets[4]: empty.parquet: holds no rows",
        "datasets[5]: nested.parquet: holds struct<a: int64>; legal: numeric columns, or one column of lists",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, "x.npz: train has 6 rows, the dataset's train part 124 (dataset 'wine')"),
        ({"train": np.full((124, 2), np.nan)}, "x.npz: train: 248 values are NaN or infinite, first nan in row 0"),
    ],
)
def test_features_of_other_data(changes: dict[str, Any], problem: str) -> None:
    np.savez("x.npz", **arrays(**changes))
    write_grid(Path("grid.yaml"), embeddings=["raw", "file:x.npz"])
    assert any(line.startswith(f"embeddings[1]: {problem}") for line in refused())


# --- folders of images -----------------------------------------------------------------------------------------------


def images() -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            folder = Path("pets", part, kind)
            folder.mkdir(parents=True)
            for i in range(3):
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def no_class() -> None:
    for i in range(3):
        Path(f"pets/test/dog/{i}.png").unlink()


def no_image() -> None:
    Path("pets/train/cat/1.png").write_bytes(Path("pets/train/cat/1.png").read_bytes()[:150])
    Path("pets/train/dog/2.png").write_text("not a picture")


def no_test() -> None:
    for path in sorted(Path("pets/test").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    Path("pets/test").rmdir()


def no_folder() -> None:
    Path("pets").rename("pest")


@pytest.mark.parametrize(
    ("spoil", "problems"),
    [
        (no_class, ["pets: test/dog holds no image"]),
        (no_image, ["pets: train/cat/1.png: damaged (", "pets: train/dog/2.png: not an image"]),
        (no_test, ["pets: no class folders test/<class>; found at the top: train"]),
        (no_folder, ["pets: no such folder or zip file"]),
    ],
)
def test_folders_that_cannot_be_used(spoil: Callable[[], None], problems: list[str]) -> None:
    images()
    spoil()
    write_grid(Path("grid.yaml"), datasets=["folder:pets"])
    found = refused()
    assert len(found) == len(problems)
    for line, problem in zip(found, problems, strict=True):
        assert line.startswith(f"datasets[0]: {problem}")


# --- folders for results ---------------------------------------------------------------------------------------------


def test_the_folder_of_another_grid() -> None:
    assert run(write_grid(Path("grid.yaml")), "out").status == 0
    assert refused("--set", "name=other") == ["out holds another grid: tiny, not other; give this run another --out"]


def test_a_folder_with_files_of_something_else() -> None:
    Path("out").mkdir()
    Path("out/thesis.tex").write_text("ten years of work")
    write_grid(Path("grid.yaml"))
    assert refused() == ["out holds files of something else (thesis.tex); give an empty --out"]


def test_two_runs_in_one_folder() -> None:
    grid = write_grid(Path("grid.yaml"))
    assert run(grid, "out").status == 0
    with FileLock("out/.lock"):
        assert refused() == ["out: another run is writing here; wait for it, or give another --out"]
    assert run(grid, "out").status == 0


def test_a_file_in_place_of_the_folder_above() -> None:
    Path("runs").write_text("a file")
    write_grid(Path("grid.yaml"))
    (line,) = refused(out="runs/out")
    assert line.startswith("runs/out cannot be written: ")


def test_a_dry_run_writes_nothing() -> None:
    write_grid(Path("grid.yaml"), embeddings=["raw", "pca"])
    before = everything_below(Path.cwd())
    with nothing_written():
        said = run(Path("grid.yaml"), "out", "--dry-run", "--only", "embedding=pca")
    assert before.keys() == {"grid.yaml"}
    assert (said.status, said.err) == (0, "")
    *told, cost, first = said.out.splitlines()
    assert told == [
        "grid tiny: 2 trials and 2 full-data bounds",
        "  datasets: wine",
        "  embeddings: raw, pca",
        "  learners: linear",
        "  strategies: random",
        "  seeds: 1",
        "  budget low on wine: 3 labels, then 2 x 3, of 124",
        "  --only chooses 2 of these",
        "calibrating 2 kinds of trial that no run has measured, for 180 s at the most",
        "fits: 4 (a first round that strategies share is one)",
    ]
    assert cost.startswith("CPU: 0.0 min of one worker for 2 trials, ")
    assert first.endswith(": wine/pca")

"""500 files of arrays, 500 tables of curves and 200 images nobody meant: read as they are, or a line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.commands import invoke
from support.hostile import CHANGES, Change, damaged, examples, survives

from albench.results.record.store import RunStore

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]

FORMATS = ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "PPM"]
MODES = ["RGB", "L", "LA", "RGBA", "P", "1", "I;16", "CMYK", "I", "F"]


@pytest.fixture(scope="module", autouse=True)
def _imported_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is imported at first is no input's fault; and what is whole is read."""
    path = tmp_path_factory.mktemp("first") / "data.npz"
    np.savez(path, **_arrays())
    assert invoke("embed", "--dataset", f"arrays:{path}", "--encoder", "raw").status == 0


def _arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    y = np.arange(40) % 3
    return {"train": rng.normal(size=(40, 4)).astype(np.float32), "train_labels": y, "test": rng.normal(size=(12, 4)),
            "test_labels": y[:12]}  # fmt: skip


def _embed(dataset: str) -> None:
    said = survives("embed", "--dataset", dataset, "--encoder", "raw")
    assert said.status in (0, 2), said


@examples(250)
@given(changes=CHANGES, compressed=st.booleans())
def test_arrays_with_other_bytes(tmp_path: Path, changes: list[Change], compressed: bool) -> None:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **_arrays())
    path = tmp_path / "data.npz"
    path.write_bytes(damaged(file.getvalue(), changes))
    _embed(f"arrays:{path}")


@examples(250)
@given(member=st.sampled_from(sorted(_arrays())), changes=CHANGES, head=st.booleans())
def test_arrays_with_other_members(tmp_path: Path, member: str, changes: list[Change], head: bool) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in _arrays().items():
            file = io.BytesIO()
            np.save(file, array)
            content = file.getvalue()
            if name == member:
                content = damaged(content[:128], changes) + content[128:] if head else damaged(content, changes)
            archive.writestr(f"{name}.npy", content)
    _embed(f"arrays:{path}")


CELLS = st.sampled_from(
    ["0.5", "0,5", "50%", "0.5 ± 0.1", "", "nan", "inf", "-1", "1e400", "é", "\x00", '"', "1.000,5", "5"]
)


@examples(500)
@given(
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    cells=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4), CELLS), max_size=3),
    changes=st.one_of(st.just([]), CHANGES),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)
def test_curves(
    tmp_path_factory: pytest.TempPathFactory,
    separator: str,
    cells: list[tuple[int, int, str]],
    changes: list[Change],
    encoding: str,
) -> None:
    folder = tmp_path_factory.mktemp("curves")
    table = pd.DataFrame(
        [
            ("d", s, seed, n, 0.5 + n / 100 + seed / 1000)
            for s in ("random", "margin")
            for seed in (0, 1)
            for n in (5, 10)
        ],
        columns=["dataset", "strategy", "seed", "n_labels", "accuracy"],
    )
    rows = [list(table.columns), *([str(cell) for cell in row] for row in table.to_numpy().tolist())]
    for row, column, cell in cells:
        rows[row][column] = cell
    content = "\n".join(separator.join(row) for row in rows).encode(encoding, "replace")
    file, out = folder / "curves.csv", folder / "run"
    file.write_bytes(damaged(content, changes) if changes else content)
    said = survives("import", file, "--out", out, statuses=(0, 2))
    if said.status == 0 and not changes and not cells:
        found = RunStore.open(out).rounds().sort_values(["strategy", "seed", "n_labelled"])["accuracy"]
        assert np.allclose(found, table.sort_values(["strategy", "seed", "n_labels"])["accuracy"], atol=1e-12)


@examples(200)
@given(
    mode=st.sampled_from(MODES),
    format_=st.sampled_from(FORMATS),
    suffix=st.sampled_from([".png", ".jpg", ".webp", ".bmp", ".gif", ".tif", ".avif"]),
    changes=st.one_of(st.just([]), CHANGES),
)
def test_images(
    tmp_path_factory: pytest.TempPathFactory, mode: str, format_: str, suffix: str, changes: list[Change]
) -> None:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("a", "b"):
            (folder / split / kind).mkdir(parents=True)
            for n in range(2):
                pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
                Image.fromarray(pixels).save(folder / split / kind / f"{n}.png")
    file = io.BytesIO()
    try:
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).convert(mode).save(file, format_)
    except (OSError, ValueError, KeyError):  # a format that does not hold such pixels, or that Pillow was built without
        return
    (folder / "train" / "a" / f"other{suffix}").write_bytes(damaged(file.getvalue(), changes))
    _embed(f"folder:{folder}")

"""Files of arrays that are damaged, or made to do harm: a line with the file and the member, soon, in little memory."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.data import messages

from albench.datasets.arrays import REQUIRED, Arrays
from albench.datasets.reading.base import DataError
from albench.datasets.reading.loading import load
from albench.datasets.reading.npz import HEAD, read_npz

GOOD: dict[str, Any] = {
    "train": np.arange(12, dtype=np.float32).reshape(6, 2),
    "train_labels": np.array([0, 1, 2, 0, 1, 2]),
    "test": np.ones((3, 2), np.float32),
    "test_labels": np.array([2, 0, 1]),
}


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def header(text: str, version: int = 1, length: int | None = None) -> bytes:
    size = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", size) + text.encode()


def says(shape: object, descr: object = "<f4", version: int = 1) -> bytes:
    return header(f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}}}\n", version) + bytes(64)


def archive(path: Path, method: int = zipfile.ZIP_STORED, **changes: Any) -> str:
    with zipfile.ZipFile(path, "w", method) as file:
        for key, value in {**GOOD, **changes}.items():
            file.writestr(f"{key}.npy", value if isinstance(value, bytes) else npy(value))
    return str(path)


@pytest.mark.parametrize(
    ("train", "fault"),
    [
        (says((10**15, 5)), "is damaged: its header says (1000000000000000, 5) of float32, and there are 64 bytes"),
        (says((10**40, 5)), "is damaged: its header says ("),
        (says((-1, -16)), "is damaged: its header says (-1, -16)"),
        (says((4, 4), "<f4")[:-8], "is damaged: its header says (4, 4) of float32, and there are 56 bytes"),
        (says((2, 8), "|O"), "holds Python objects, which only pickle reads"),
        (says((2, 8), [("a", "<f4"), ("b", "|O")]), "holds Python objects, which only pickle reads"),
        (says((8,), [("a", "<f4"), ("b", "<f4")]), "holds [('a', '<f4'), ('b', '<f4')]; needed are plain numbers"),
        (says((4,), "|V16"), "holds |V16; needed are plain numbers"),
        (says((1,), "(100000000,)f4"), "holds ('<f4', (100000000,)); needed are plain numbers"),
        (says((10**15,), "<U0"), "holds <U0; needed are plain numbers"),
        (header("{'descr': '<f4'}\n"), "is damaged, or no array (Header does not contain the correct keys"),
        (header("-" * 9000 + "1\n"), "is damaged, or no array ("),
        (header("(" * 9000 + "\n"), "is damaged, or no array ("),
        (header("{'descr': '<f4', 'shape': " + "9" * 9000), "is damaged, or no array ("),
        (header("x" * 4 * HEAD, 2), "is damaged, or no array (EOF: reading array header"),
        (header("x", 2, 2**32 - 1), "is damaged, or no array (EOF: reading array header"),
        (b"", "is damaged, or no array ("),
        (b"\x93NUMPY\x09\x00", "is damaged, or no array ("),
    ],
)
def test_headers_are_not_believed(tmp_path: Path, train: bytes, fault: str) -> None:
    path = archive(tmp_path / "x.npz", train=train)
    (line,) = messages(Arrays(path))
    assert line.startswith(f"{path}: train {fault}")
    files: dict[str, Any] = {key: str(tmp_path / f"{key}.npy") for key in GOOD}
    for key, value in {**GOOD, "train": train}.items():
        Path(files[key]).write_bytes(value if isinstance(value, bytes) else npy(value))
    (line,) = messages(Arrays(**files))
    assert line.startswith(f"{files['train']}: {fault}")


@pytest.mark.parametrize("version", [2, 3])
def test_headers_of_every_version_are_read(tmp_path: Path, version: int) -> None:
    path = archive(tmp_path / "x.npz", train=says((8, 2), "<f4", version), train_labels=np.arange(8) % 3)
    assert load(Arrays(path), 0).split.train.shape == (8, 2)


def test_arrays_in_any_order_of_memory_and_bytes(tmp_path: Path) -> None:
    for change in (np.asfortranarray(GOOD["train"]), GOOD["train"].astype(">f8"), GOOD["train"].astype(np.longdouble)):
        assert np.array_equal(load(Arrays(archive(tmp_path / "x.npz", train=change)), 0).split.train[:], GOOD["train"])


def patched(path: Path, central: int, local: int, value: int) -> str:
    """Write `GOOD` with a byte of the first member changed in both of its headers."""
    content = bytearray(Path(archive(path)).read_bytes())
    content[content.find(b"PK\1\2") + central] = value
    content[content.find(b"PK\3\4") + local] = value
    path.write_bytes(content)
    return str(path)


def test_members_that_cannot_be_unpacked(tmp_path: Path) -> None:
    again = "save it again with np.savez or np.savez_compressed"
    encrypted, unknown = patched(tmp_path / "e.npz", 8, 6, 1), patched(tmp_path / "m.npz", 10, 8, 97)
    assert messages(Arrays(encrypted)) == [f"{encrypted}: train is encrypted; {again}"]
    assert messages(Arrays(unknown)) == [f"{unknown}: train is packed in an unknown way (method 97); {again}"]
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # they allow no bound on what a few bytes become
        path = archive(tmp_path / "x.npz", method)
        assert len(messages(Arrays(path))) == 4
    twice = tmp_path / "twice.npz"
    archive(twice)
    with zipfile.ZipFile(twice, "a") as file, warnings.catch_warnings(action="ignore"):
        file.writestr("train.npy", npy(GOOD["train"] * 2))
    assert messages(Arrays(str(twice))) == [f"{twice}: train is in the file 2 times; {again}"]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = Path(archive(tmp_path / "x.npz"))
    content = bytearray(path.read_bytes())
    content[content.find(GOOD["train"].tobytes()) + 5] ^= 1
    path.write_bytes(content)
    assert messages(Arrays(str(path))) == [f"{path}: train is damaged (Bad CRC-32 for file 'train.npy')"]


def test_bombs(tmp_path: Path) -> None:
    """2 GiB of zeros in 2 MiB; refused before they are unpacked."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("train.npy", "w", force_zip64=True) as member:
            for _ in range(5):
                member.write(bytes(2**26))
        for key in REQUIRED[1:]:
            file.writestr(f"{key}.npy", npy(GOOD[key]))
    (line,) = messages(Arrays(str(path)))
    assert "MiB that unpack to 320 MiB, as a bomb does" in line
    pq.write_table(pa.table({"x": pa.array(np.zeros(2**26, np.int8))}), tmp_path / "x.parquet")
    files: dict[str, Any] = {
        **{key: str(tmp_path / "x.npy") for key in REQUIRED},
        "train_labels": str(tmp_path / "x.parquet"),
    }
    np.save(tmp_path / "x.npy", GOOD["train"])
    (line,) = messages(Arrays(**files))
    assert "MiB that unpack to 512 MiB, as a bomb does" in line


def test_a_file_with_a_hole_larger_than_the_memory(tmp_path: Path) -> None:
    path, n = tmp_path / "train.npy", 2**43
    head = says((n,), "|u1")[:-64]
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + n)
    files: dict[str, Any] = {key: str(path) for key in REQUIRED}
    assert messages(Arrays(**files))[0].startswith(f"{path}: 8,192.0 GiB of numbers; this machine has ")


@pytest.mark.parametrize("key", ["npz", "npy", "parquet"])
def test_what_is_no_file(tmp_path: Path, key: str) -> None:
    odd = tmp_path / f"x.{key}"
    os.mkfifo(odd)
    data = Arrays(str(odd)) if key == "npz" else Arrays(**cast("Any", dict.fromkeys(REQUIRED, str(odd))))
    assert messages(data)[0] == f"{odd}: is no file but a folder, a pipe or a device"
    odd.unlink()
    odd.symlink_to(odd)
    assert messages(data)[0].startswith(f"{odd}: ")
    odd.unlink()
    odd.symlink_to("/dev/zero")
    assert messages(data)[0] == f"{odd}: is no file but a folder, a pipe or a device"


def test_parquet_that_is_no_array(tmp_path: Path) -> None:
    files: dict[str, Any] = {key: str(tmp_path / f"{key}.npy") for key in REQUIRED}
    for key, value in GOOD.items():
        np.save(files[key], value)
    odd = files["train"] = str(tmp_path / "train.parquet")
    for column, fault in (
        (pa.array([0] * 6, pa.timestamp("ms")), "holds a column of timestamp[ms]; features are numbers"),
        (pa.array(["a"] * 6), "holds a column of string; features are numbers"),
    ):
        pq.write_table(pa.table({"x": np.ones(6), "y": column}), odd)
        assert messages(Arrays(**files)) == [f"{odd}: {fault}"]


@settings(max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=8), st.integers(0, 1500))
@example([(0, 80)], 10)
def test_any_damage_ends_in_a_line_or_changes_nothing(tmp_path: Path, flips: list[tuple[int, int]], cut: int) -> None:
    path = Path(archive(tmp_path / "x.npz"))
    content = bytearray(path.read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    path.write_bytes(content[: len(content) - (cut if cut % 7 == 0 else 0)])
    try:
        found = read_npz(str(path), REQUIRED)
    except DataError as error:
        said, found = error.messages, {}
    else:
        said = []
    assert all(line.startswith(str(path)) and len(line) < 1000 for line in said)
    assert said or all(np.array_equal(found[key].array, value) for key, value in GOOD.items())

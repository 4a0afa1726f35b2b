"""What lies in a folder, a zip or a cache and is no ordinary file: a line, and never waited for."""

from __future__ import annotations

import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.data import messages
from support.pictures import jpeg

from albench.datasets.folder import Folder
from albench.datasets.reading.base import DataError
from albench.datasets.reading.downloads import Remote
from albench.datasets.reading.loading import load
from albench.datasets.reading.sources import read_file

WHOLE = jpeg(7)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sock(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)


def to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (fifo, "not an ordinary file"),
        (sock, "not an ordinary file"),
        (to("/dev/zero"), "not an ordinary file"),
        (to("/dev/tty"), "not an ordinary file"),
        (to("z.png"), "cannot be read (Too many levels of symbolic links)"),
        (to("nowhere.png"), "cannot be read (No such file or directory)"),
        (to("/proc/kmsg"), "is empty"),  # a kernel's file without an end
        (sparse, "has 1,099,511,627,776 bytes; at most 268,435,456 are read"),
        (Path.touch, "is empty"),
    ],
)
@pytest.mark.timeout(60)
def test_what_is_no_ordinary_file_is_a_line(make: Callable[[Path], None], why: str, tmp_path: Path) -> None:
    for part in ("train/cat", "train/dog", "test/cat", "test/dog"):
        (tmp_path / "f" / part).mkdir(parents=True)
        (tmp_path / "f" / part / "a.png").write_bytes(WHOLE)
    make(tmp_path / "f" / "train" / "cat" / "z.png")
    assert messages(Folder(str(tmp_path / "f"))) == [f"{tmp_path / 'f'}: train/cat/z.png: {why}"]


def test_a_link_to_an_ordinary_file_elsewhere_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.png").write_bytes(WHOLE)
    (tmp_path / "link.png").symlink_to("elsewhere.png")
    assert read_file(tmp_path / "link.png") == WHOLE


@pytest.mark.timeout(60)
def test_links_that_go_round_end(tmp_path: Path) -> None:
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "train" / "cat" / "a.png").write_bytes(WHOLE)
    (tmp_path / "test").symlink_to("test")
    (tmp_path / "train" / "up").symlink_to("..")
    assert messages(Folder(str(tmp_path))) == [
        f"{tmp_path}: train/up/train/ is not at train/<class>/<image>",
        f"{tmp_path}: test is not at test/<class>/<image>",
        f"{tmp_path}: no class folders test/<class>; found at the top: test, train",
    ]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["pipe", "null", "x" * 5000, "self"])
def test_a_path_that_leads_to_neither_folder_nor_zip(name: str, tmp_path: Path) -> None:
    fifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "self").symlink_to("self")
    (line,) = messages(Folder(str(tmp_path / name)))
    assert line.startswith(f"{tmp_path / name}: ")


def test_a_bomb_in_a_zip_is_a_line(tmp_path: Path) -> None:
    names = [f"{part}/{kind}/a.png" for part in ("train", "test") for kind in ("cat", "dog")]
    with zipfile.ZipFile(tmp_path / "f.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, WHOLE)
        with archive.open("train/cat/z.png", "w", force_zip64=True) as member:
            for _ in range(2**8 + 1):
                member.write(bytes(2**20))
    said = "train/cat/z.png: has 269,484,032 bytes; at most 268,435,456 are read"
    assert messages(Folder(str(tmp_path / "f.zip"))) == [f"{tmp_path / 'f.zip'}: {said}"]


@pytest.mark.parametrize("place", [10, 18, 26, 28, 30, -60, -40, -12, -6])
def test_a_zip_with_a_damaged_list_is_a_line_or_read(place: int, tmp_path: Path) -> None:
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train/cat/a.png", "train/dog/a.png", "test/cat/a.png", "test/dog/a.png"):
            archive.writestr(name, WHOLE)
    content = bytearray(path.read_bytes())
    content[place : place + 2] = b"\xfe\xfe"
    path.write_bytes(content)
    try:
        load(Folder(str(path)), 0)
    except DataError as error:
        assert all(line.startswith(f"{path}: ") for line in error.messages)  # noqa: PT017  being read will do, too


@pytest.mark.timeout(60)
def test_a_published_file_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.zip")
    fault = Remote("http://x/a.zip", "md5:0", "a.zip").fault(tmp_path / "a.zip")
    assert fault == "is not a file"


def test_no_such_home_folder() -> None:
    (line,) = messages(Folder("~nobody-here/x"))
    assert line.startswith("~nobody-here/x: Could not determine home directory")

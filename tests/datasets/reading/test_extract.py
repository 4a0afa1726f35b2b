"""Archives, among them some that mean no good."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from albench.datasets.reading.base import DataError
from albench.datasets.reading.downloads import extract

Packer = Callable[[Path, dict[str, bytes]], Path]


def tar(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


GOOD = {"top/a.bin": b"a" * 1000, "top/below/b.bin": b"b"}
packed = pytest.mark.parametrize("pack", [tar, zipped])


def not_extracted(archive: Path) -> str:
    """Return why; nothing may have been written, in the folder or beside it."""
    into = archive.parent / "new" / "into"
    before = sorted(archive.parent.iterdir())
    with pytest.raises(DataError) as caught:
        extract(archive, into)
    assert sorted(archive.parent.iterdir()) == [*before, into.parent]
    assert [path.name for path in into.parent.iterdir()] == ["into.lock"]
    (message,) = caught.value.messages
    start, end = f"{archive}: cannot be unpacked (", ")"
    assert message.startswith(start)
    assert "\n" not in message
    return message.removeprefix(start).removesuffix(end)


@packed
def test_an_archive_is_unpacked_once(tmp_path: Path, pack: Packer) -> None:
    archive = pack(tmp_path, GOOD)
    (tmp_path / "into.tmp" / "top").mkdir(parents=True)  # left by a killed process
    (tmp_path / "into.tmp" / "top" / "half").touch()
    assert extract(archive, tmp_path / "into") == tmp_path / "into"
    archive.unlink()
    assert extract(archive, tmp_path / "into") == tmp_path / "into"
    files = {path for path in (tmp_path / "into").rglob("*") if path.is_file()}
    assert {str(path.relative_to(tmp_path / "into")): path.read_bytes() for path in files} == GOOD
    assert not (tmp_path / "into.tmp").exists()


@packed
def test_some_members_are_unpacked(tmp_path: Path, pack: Packer) -> None:
    into = extract(pack(tmp_path, GOOD), tmp_path / "into", ["top/a.bin"])
    assert [path.name for path in into.rglob("*.bin")] == ["a.bin"]
    with pytest.raises(DataError, match=r"cannot be unpacked \(.*top/c\.bin"):
        extract(pack(tmp_path, GOOD), tmp_path / "other", ["top/c.bin"])
    assert not (tmp_path / "other").exists()


@packed
@pytest.mark.parametrize("name", ["../evil.bin", "top/../../evil.bin", "/evil.bin"])
def test_a_member_outside_the_folder(tmp_path: Path, pack: Packer, name: str) -> None:
    archive = pack(tmp_path, {**GOOD, name: b"evil"})
    if pack is tar and name.startswith("/"):  # tarfile takes the slash away
        assert (extract(archive, tmp_path / "into") / "evil.bin").exists()
    else:
        assert "outside" in not_extracted(archive)
    assert not Path("/evil.bin").exists()


@pytest.mark.parametrize("target", ["/etc", "../.."])
def test_a_link_out_of_the_folder(tmp_path: Path, target: str) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("top")
        link.type, link.linkname = tarfile.SYMTYPE, target
        archive.addfile(link)
    assert "link" in not_extracted(path)


@packed
def test_a_truncated_archive(tmp_path: Path, pack: Packer) -> None:
    archive = pack(tmp_path, {"a.bin": np.random.default_rng(0).bytes(100_000)})
    archive.write_bytes(archive.read_bytes()[:50_000])
    assert not_extracted(archive)


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").write_bytes(b"an error page")
    assert not_extracted(tmp_path / "archive.zip") == "File is not a zip file"

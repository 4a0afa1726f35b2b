"""Ray's folder: where it can be, else why not; and nothing of it stays."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from albench.benchmark.engine.folder import Folder, FolderError

SOCKET = "session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"
REMEDY = "; set RAY_TMPDIR to a folder with a short path, where you may write and there is room"


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("RAY_TMPDIR", short)
        yield Path(short)


def test_it_is_made_where_it_is_asked_for_and_goes(root: Path) -> None:
    folder = Folder()
    assert folder.path.parent == root
    Path(folder.path, "log").touch()
    folder.close()
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_a_root_too_long_for_sockets_gives_way(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    long = root / "slurm_jobdir" / ("j" * 60)
    long.mkdir(parents=True)
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setenv(name, str(long))
    monkeypatch.setattr(tempfile, "tempdir", None)
    folder = Folder()
    assert len(os.fsencode(folder.path / SOCKET)) <= 107
    folder.close()


def test_a_root_that_is_made_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(root / "new"))
    folder = Folder()
    assert folder.path.parent == root / "new"
    folder.close()


def test_a_root_that_is_no_folder_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root / "f"
    file.touch()
    monkeypatch.setenv("RAY_TMPDIR", str(file / "x"))
    with pytest.raises(FolderError) as refused:
        Folder()
    assert str(refused.value) == f"Ray's temporary folder: {file / 'x'}: Not a directory{REMEDY}"


def test_a_root_of_somebody_else_is_named(root: Path) -> None:
    code = "import os; from albench.benchmark.engine.folder import Folder; os.setuid(65534); Folder()"
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    root.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"Ray's temporary folder: {root}: Permission denied{REMEDY}" in done.stderr


def test_a_root_without_room_is_named(root: Path) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=60k", "albench-test", str(root)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        with pytest.raises(FolderError) as refused:
            Folder()
    finally:
        subprocess.run(["umount", str(root)], check=True)
    assert str(refused.value) == (
        f"Ray's temporary folder: {root} has no room (60 KiB are free, 16 MiB are needed){REMEDY}"
    )


def test_what_a_killed_run_left_goes_with_the_next_and_what_lives_stays(root: Path) -> None:
    code = (
        "import os; from albench.benchmark.engine.folder import Folder;"
        "print(Folder().path, flush=True); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert Path(killed.stdout.strip()).exists()
    living, other = Folder(), Folder()
    assert sorted(root.iterdir()) == sorted([living.path, other.path])
    living.close()
    other.close()

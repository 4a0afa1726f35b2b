"""Every place that writes under another name and renames leaves nothing behind where the disk takes no more."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import vl_convert
from support.commands import full_disk

from albench.benchmark.types import UserError
from albench.datasets.embeddings.networks import training
from albench.datasets.reading import sources
from albench.datasets.reading.plain import whole
from albench.results.record.parts import write_atomic
from albench.results.report.page import page

LARGE = b"x" * 50_000


def a_page_script(folder: Path) -> None:
    page.vega.__wrapped__()


def what_is_known_of_files(folder: Path) -> None:
    sources._remember(folder / "known.npy", np.zeros(5000, sources._REMEMBERED))


def a_part(folder: Path) -> None:
    write_atomic(folder / "part.parquet", LARGE)


def a_checkpoint(folder: Path) -> None:
    training._write(folder / "weights", LARGE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has the cache in it."""
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: LARGE.decode())
    return tmp_path


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("write", [a_page_script, what_is_known_of_files, a_part, a_checkpoint])
def test_nothing_half_written_stays_behind(write: Callable[[Path], None], folder: Path) -> None:
    write(folder)
    (made,) = files(folder)  # where there is room
    made.unlink()
    with full_disk(10_000), suppress(UserError, OSError):
        write(folder)
    assert files(folder) == []


def test_what_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with whole(tmp_path / "file") as file:
            file.write(b"some of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files(tmp_path) == []


def test_a_link_under_the_name_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private").write_bytes(b"mine")
    (tmp_path / "file").symlink_to(tmp_path / "private")
    with whole(tmp_path / "file", lasting=True) as file:
        file.write(b"ours")
    assert (tmp_path / "private").read_bytes() == b"mine"
    assert (tmp_path / "file").read_bytes() == b"ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "private"]

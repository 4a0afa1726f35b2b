"""Every place that writes under another name and renames leaves nothing behind where the disk takes no more."""

import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import vl_convert

from albench.benchmark.types import UserError
from albench.datasets.embeddings.networks import training
from albench.datasets.reading import sources
from albench.datasets.reading.plain import whole
from albench.results.record.parts import write_atomic
from albench.results.report import page

LARGE = b"x" * 50_000


def a_page_script(folder: Path) -> None:
    page.vega.__wrapped__()


def what_is_known_of_files(folder: Path) -> None:
    sources._remember(folder / "known.npy", np.zeros(5000, sources._REMEMBERED))


def a_part(folder: Path) -> None:
    write_atomic(folder / "part.parquet", LARGE)


def a_checkpoint(folder: Path) -> None:
    training._write(folder / "weights", LARGE)


def interrupted(folder: Path) -> None:
    with whole(folder / "file") as file:
        file.write(b"some of it")
        raise KeyboardInterrupt


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that takes files of at most 10,000 bytes; the cache is in it."""
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: LARGE.decode())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    yield tmp_path
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("write", [a_page_script, what_is_known_of_files, a_part, a_checkpoint, interrupted])
def test_nothing_half_written_stays_behind(write: Callable[[Path], None], full: Path) -> None:
    with suppress(UserError, OSError, KeyboardInterrupt):
        write(full)
    assert [path for path in full.rglob("*") if path.is_file()] == []


def test_a_link_under_the_name_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private").write_bytes(b"mine")
    (tmp_path / "file").symlink_to(tmp_path / "private")
    with whole(tmp_path / "file", lasting=True) as file:
        file.write(b"ours")
    assert (tmp_path / "private").read_bytes() == b"mine"
    assert (tmp_path / "file").read_bytes() == b"ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "private"]

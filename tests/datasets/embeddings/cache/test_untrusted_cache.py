"""A cache that others write to: whatever lies there is a line, can be removed, and leads nowhere else."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import everything_below, invoke

from albench.datasets.embeddings.cache import artefacts, entry
from albench.datasets.embeddings.cache.store import embed
from albench.datasets.embeddings.raw import Raw
from albench.datasets.wine import Wine


@pytest.fixture
def folder(cache: Path) -> Path:
    """Return an entry of the cache."""
    return cache / embed(Wine(), Raw()).fingerprint


def rewritten(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a manifest, and make its hash fit."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    entry.write_manifest(folder, {key: value for key, value in manifest.items() if key != "sha256"})


def replaced(by: Callable[[Path], Any]) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        (folder / "manifest.json").unlink()
        by(folder / "manifest.json")

    return replace


BROKEN: dict[str, Callable[[Path], Any]] = {
    "a field of another type": lambda folder: rewritten(folder, lambda m: m.update(dataset=1)),
    "a field missing": lambda folder: rewritten(folder, lambda m: m.pop("quality")),
    "a layout of another type": lambda folder: rewritten(folder, lambda m: m.update(layout=[1])),
    "axes missing": lambda folder: rewritten(folder, lambda m: m["files"]["train.npy"].update(shape=[])),
    "a manifest nested without end": lambda folder: (folder / "manifest.json").write_text("[" * 10**5),
    "a list": lambda folder: (folder / "manifest.json").write_text("[]"),
    "no text": lambda folder: (folder / "manifest.json").write_bytes(b"\xff\x00"),
    "no manifest": replaced(lambda path: None),
    "a pipe": replaced(os.mkfifo),
    "a link to nothing": replaced(lambda path: path.symlink_to("nowhere")),
    "an endless device": replaced(lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_manifest_is_a_line_and_the_entry_can_be_removed(folder: Path, broken: Callable[[Path], Any]) -> None:
    broken(folder)
    assert "(corrupt)" in invoke("cache", "list").out
    assert invoke("list", "embeddings").status == 0
    said = invoke("embed", "--verify")
    assert (said.status, said.err) == (1, "")
    assert said.out.startswith(f"corrupt {folder.name[:12]}  {folder / 'manifest.json'}: ")
    for command in (["embed", "--dataset", "wine", "--encoder", "raw"], ["list", "embeddings", folder.name]):
        said = invoke(*command)
        assert said.status == 1
        (line,) = said.err.splitlines()
        assert f"{folder / 'manifest.json'}: " in line
    assert invoke("cache", "remove", folder.name[:9]).out.startswith(f"removed {folder.name[:12]}")
    assert not folder.exists()


def test_what_is_no_folder_can_be_removed_and_no_link_is_followed(folder: Path, cache: Path) -> None:
    outside = cache.parent / "outside"
    folder.rename(outside)
    before = everything_below(outside)
    (cache / f"{folder.name}.derived").symlink_to(outside)
    for make in (
        lambda: folder.symlink_to(outside),
        lambda: folder.symlink_to("nowhere"),
        lambda: folder.symlink_to(folder),
        lambda: folder.write_text("a file"),
        lambda: os.mkfifo(folder),
    ):
        make()
        assert invoke("cache", "list").status == 0
        assert invoke("cache", "remove", folder.name[:9]).status == 0
        assert [path.suffix for path in cache.iterdir()] == [".lock"]
    assert everything_below(outside) == before


def test_an_unfinished_entry_that_is_a_link_is_not_written_through(cache: Path) -> None:
    outside = cache.parent / "outside"
    outside.mkdir()
    name = embed(Wine(), Raw()).fingerprint
    (cache / f"{name}.tmp").symlink_to(outside)
    (cache / f"{'0' * 64}.tmp").symlink_to(outside)
    embed(Wine(), Raw(), recompute=True)
    assert not any(outside.iterdir())
    assert sorted(path.name for path in cache.iterdir() if path.suffix != ".lock") == [name]


def test_nothing_is_removed_through_a_linked_part_of_the_cache(cache: Path) -> None:
    outside = cache.parent / "outside"
    (outside / ("0" * 64)).mkdir(parents=True)
    cache.mkdir()
    (cache / "training").symlink_to(outside)
    said = invoke("cache", "remove", "0000")
    assert (said.status, "is a link out of the cache" in said.err) == (2, True)
    assert (outside / ("0" * 64)).is_dir()


@pytest.mark.parametrize("name", ["../../precious", "/etc/precious", "a/b", ".", "a\n"])
def test_no_name_in_a_manifest_becomes_a_path(folder: Path, cache: Path, name: str) -> None:
    made = embed(Wine(), Raw()).pool().derived
    made.get("some/1", lambda features, rng: {"rows": features[:2]})
    (artefact,) = (path for path in (cache / f"{folder.name}.derived").iterdir() if path.is_dir())
    np.save(cache / "precious.npy", np.zeros(3))
    rewritten(artefact, lambda m: m.update(arrays=[name], files={f"{name}.npy": m["files"]["rows.npy"]}))
    (fault,) = artefacts.faults(folder.name)
    assert "arrays.0: String should match pattern" in fault


def test_what_a_manifest_says_is_shown_without_escapes(folder: Path) -> None:
    evil = "\x1b[31mwine\x07"
    rewritten(folder, lambda m: m["dataset"].update(label=evil, params={"a\x1b": evil}))
    for command in (["cache", "list"], ["list", "embeddings"], ["list", "embeddings", folder.name]):
        out = invoke(*command).out
        assert "\\x1b[31mwine" in out
        assert "\x1b" not in out

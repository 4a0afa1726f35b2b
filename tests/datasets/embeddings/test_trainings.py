"""What trainings keep in the cache: listed, verified and removed as entries are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from filelock import FileLock
from support.commands import invoke

pytestmark = pytest.mark.usefixtures("own_folder")
ENCODER = "{name: simclr, epochs: 2, batch: 1000, width: 1, projection: 2}"


@pytest.fixture
def kept(own_folder: Path) -> Path:
    """Return the folder that a training has left, of an embedding that is in the cache."""
    said = invoke("embed", "--dataset", "digits", "--encoder", ENCODER)
    assert (said.status, said.err) == (0, "")
    (folder,) = (path for path in (own_folder / "cache" / "training").iterdir() if path.is_dir())
    return folder


def test_a_training_is_listed_with_its_name_and_size(kept: Path) -> None:
    size = sum(file.stat().st_size for file in kept.iterdir()) / 1e6
    _, entry, training, last = invoke("cache", "list").out.splitlines()
    assert training.startswith(f"{kept.name[:12]}  digits   training of simclr(")
    assert "epochs=2" in training
    assert re.split(r"  +", training)[3] == f"{size:.1f}"
    assert last.startswith("1 entries and 1 trainings, ")
    assert not entry.startswith(kept.name[:12])
    assert invoke("list", "embeddings").out.count("\n") == 2  # it is no embedding


@pytest.mark.parametrize("about", [None, "{", "[]", '{"dataset": {}}'])
def test_a_training_that_does_not_say_what_it_is_is_listed_all_the_same(kept: Path, about: str | None) -> None:
    (kept / "about.json").unlink()
    if about is not None:
        (kept / "about.json").write_text(about)
    assert re.search(rf"^{kept.name[:12]} +training +\d", invoke("cache", "list").out, re.MULTILINE)


def test_the_checkpoint_of_a_training_is_verified(kept: Path) -> None:
    name = kept.name[:12]
    said = invoke("embed", "--verify")
    assert (said.status, said.out.splitlines()[-1]) == (0, "2 entries, 0 damaged")
    assert f"ok      {name}  digits / training of simclr(" in said.out
    checkpoint = kept / "checkpoint.safetensors"
    whole = checkpoint.read_bytes()
    for damaged, fault in (
        (whole[:-1] + bytes([whole[-1] ^ 1]), "its bytes are not those that were written (sha256)"),
        (whole[:-9], "no checkpoint ("),
        (b"", "no checkpoint ("),
    ):
        checkpoint.write_bytes(damaged)
        said = invoke("embed", "--verify")
        assert said.status == 1
        assert f"corrupt {name}  {checkpoint}: {fault}" in said.out
        assert f"; 'albench cache remove {name}' mends it\n" in said.out
    checkpoint.unlink()  # it did not come so far, or keeps something else
    assert invoke("embed", "--verify").status == 0


def test_a_training_is_removed_by_its_first_digits(kept: Path) -> None:
    said = invoke("cache", "remove", kept.name[:20])
    assert said.status == 0
    assert said.out.startswith(f"removed {kept.name[:12]}  digits / training of simclr(")
    assert [path.name for path in kept.parent.iterdir()] == [f"{kept.name}.lock"]
    assert len(invoke("cache", "list").out.splitlines()) == 3  # the embedding stays
    assert invoke("cache", "remove", kept.name[:20]).status == 2


def test_a_training_that_runs_is_not_removed(kept: Path) -> None:
    with FileLock(kept.with_suffix(".lock")):
        said = invoke("cache", "remove", kept.name)
    line = f"error: {kept.name[:12]} is being computed by another process; nothing was removed\n"
    assert (said.status, said.err) == (2, line)
    assert kept.is_dir()


def test_a_training_is_no_entry_to_show_or_to_export(kept: Path) -> None:
    for command in (["list", "embeddings", kept.name], ["cache", "export", "x.zip", kept.name]):
        said = invoke(*command)
        assert said.status == 2
        assert said.err.startswith(f"error: no entry of the cache starts with '{kept.name}'")


def test_what_a_killed_removal_of_a_training_left_is_swept(kept: Path) -> None:
    kept.rename(kept.with_name(f"{kept.name}.removed.tmp"))
    assert invoke("embed", "--dataset", "wine", "--encoder", "raw").status == 0
    assert [path for path in kept.parent.iterdir() if path.is_dir()] == []


def test_what_is_said_of_a_training_is_what_the_manifest_says(kept: Path) -> None:
    (manifest,) = (json.loads(path.read_text()) for path in kept.parents[1].glob("*/manifest.json"))
    about = json.loads((kept / "about.json").read_text())
    assert about == {key: manifest[key] for key in ("dataset", "encoder")}

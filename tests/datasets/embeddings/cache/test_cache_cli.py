"""The cache from the command line: filled, verified, listed, emptied, carried away."""

from __future__ import annotations

import errno
import json
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from support.commands import full_disk, invoke, run, write_grid

from albench.datasets.embeddings.cache import entry as entries

pytestmark = pytest.mark.usefixtures("own_folder")


def fill(*more: str, dataset: str = "wine", encoder: str = "raw") -> str:
    said = invoke("embed", "--dataset", dataset, "--encoder", encoder, *more)
    assert (said.status, said.err) == (0, "")
    return said.out.split("\n", 1)[0]


def entry_of(fingerprint: str) -> Path:
    return Path("cache", fingerprint)


def damage(fingerprint: str) -> Path:
    file = entry_of(fingerprint) / "test.npy"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    return file.absolute()


def change_manifest(fingerprint: str, without: set[str], **facts: Any) -> None:
    path = entry_of(fingerprint) / "manifest.json"
    manifest = {k: v for k, v in json.loads(path.read_text()).items() if k not in {"sha256", *without}}
    entries.write_manifest(path.parent, {**manifest, **facts})


def make_stale(fingerprint: str) -> None:
    """Write the manifest as the version before did: without quality."""
    change_manifest(fingerprint, {"quality"}, layout=1)


# --- embed -----------------------------------------------------------------------------------------------------------


def test_embed_says_what_it_made() -> None:
    said = invoke("embed", "--dataset", "wine", "--encoder", "{name: pca, dims: 2, store: float16}")
    assert (said.status, said.err) == (0, "")
    assert re.fullmatch(
        r"([0-9a-f]{64})\n"
        r"  wine / pca\(dims=2, store=float16\): 124 \+ 54 rows of 2 features\n"
        r"  1-NN accuracy 0\.9\d\d\n  linear accuracy 0\.9\d\d\n  effective dimension 1\.\d\n"
        r"  computed in \d+\.\d\d s; on cpu \(\w+\), numpy \d\S+, scipy \d\S+, scikit-learn \d\S+\n",
        said.out,
    )
    fingerprint = said.out[:64]
    written = (entry_of(fingerprint) / "manifest.json").stat().st_mtime_ns
    assert fill(encoder="{name: pca, store: float16, dims: 2}") == fingerprint
    assert (entry_of(fingerprint) / "manifest.json").stat().st_mtime_ns == written


def test_the_seed_is_that_of_a_resampled_split() -> None:
    dataset = "{name: wine, split: resampled}"
    prints = [fill("--seed", seed, dataset=dataset) for seed in ("0", "1", "0")]
    assert prints[0] == prints[2] != prints[1]


@pytest.mark.parametrize(
    ("dataset", "encoder", "lines"),
    [
        (
            "win",
            "pixles",
            ["--dataset: unknown dataset 'win'; did you mean 'wine'?", "--encoder: unknown encoder 'pix"],
        ),
        ("wine", "pca:x", ["--encoder.dims: "]),
        ("wine", "{name: pca", ["--encoder, line 1: while parsing a flow mapping"]),
        ("wine", "{name: raw, scale: range}", ["scale 'range' is for images, not for table"]),
        ("wine", "file:nowhere.npz", ["nowhere.npz: "]),
        ("folder:nowhere", "raw", ["nowhere: no such folder"]),
    ],
)
def test_what_cannot_be_embedded(dataset: str, encoder: str, lines: list[str]) -> None:
    said = invoke("embed", "--dataset", dataset, "--encoder", encoder)
    assert (said.status, said.out) == (2, "")
    assert len(said.err.splitlines()) == len(lines)
    for line, start in zip(said.err.splitlines(), lines, strict=True):
        assert line.startswith(f"error: {start}")
    assert not Path("cache").exists()


@pytest.mark.parametrize("options", [[], ["--dataset", "wine"], ["--verify", "--dataset", "wine"]])
def test_options_that_do_not_go_together(options: list[str]) -> None:
    assert invoke("embed", *options).status == 2
    assert not Path("cache").exists()


def test_a_cache_that_cannot_be_written() -> None:
    Path("cache").write_text("a file")
    said = invoke("embed", "--dataset", "wine", "--encoder", "raw")
    assert (said.status, said.err) == (
        1,
        f"error: cannot use the embedding cache {Path('cache').absolute()}: File exists\n",
    )


LOOKS = (["cache", "list"], ["embed", "--verify"], ["list", "embeddings"], ["cache", "remove", "abc"])
looks = pytest.mark.parametrize("command", LOOKS, ids=" ".join)


@looks
@pytest.mark.parametrize(
    ("place", "reason"),
    [("file", "Not a directory"), ("file/below", "Not a directory"), ("x" * 300, "File name too long")],
)
def test_a_cache_that_is_no_folder_is_one_line(
    command: list[str], place: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").touch()
    monkeypatch.setenv("ALBENCH_CACHE", place)
    said = invoke(*command)
    assert (said.status, said.out) == (1, "")
    assert said.err == f"error: cannot use the embedding cache {place}: {reason}\n"


@looks
def test_a_cache_of_nobody(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALBENCH_CACHE", "~nobody-of-that-name/x")
    said = invoke(*command)
    line = "error: ALBENCH_CACHE is ~nobody-of-that-name/x: no such home folder; name a folder that can be made\n"
    assert (said.status, said.out, said.err) == (2, "", line)


def test_a_manifest_that_cannot_be_read_is_one_line() -> None:
    fingerprint = fill()
    manifest = entry_of(fingerprint) / "manifest.json"
    manifest.unlink()
    manifest.mkdir()
    assert "(corrupt)" in invoke("cache", "list").out
    said = invoke("embed", "--verify")
    assert (said.status, said.err) == (1, "")
    assert said.out.startswith(f"corrupt {fingerprint[:12]}  {manifest.absolute()}: is a folder, no file; ")


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = sorted([fill(), fill(encoder="pca:2")])
    bad = entry_of(prints[0]).absolute() / "train.npy"

    def failing(path: Path, mode: str = "r", *more: Any, **other: Any) -> Any:
        if path == bad:
            raise OSError(errno.EIO, "Input/output error")
        return open(path, mode, *more, **other)  # noqa: PTH123

    monkeypatch.setattr(Path, "open", failing)
    said = invoke("embed", "--verify")
    assert (said.status, said.err) == (1, "")
    first, second, last = said.out.splitlines()
    assert first.startswith(f"corrupt {prints[0][:12]}  {bad}: cannot be read (Input/output error); 'albench cache re")
    assert second.startswith(f"ok      {prints[1][:12]}")
    assert last == "2 entries, 1 damaged"


def test_a_disk_that_is_full() -> None:
    with full_disk(2000):
        said = invoke("embed", "--dataset", "wine", "--encoder", "raw")
    assert (said.status, said.out) == (1, "")
    start = re.escape(f"error: {Path('cache').absolute()}/")
    assert re.fullmatch(start + r"\w+\.tmp/scratch/\S+\.npy: cannot be written \(File too large\)\n", said.err)
    assert [path for path in Path("cache").iterdir() if path.is_dir()] == []


# --- what is damaged -------------------------------------------------------------------------------------------------


def test_verify_names_what_is_damaged_and_what_mends_it() -> None:
    assert invoke("embed", "--verify").out == "0 entries, 0 damaged\n"
    good, bad, old = fill(), fill(encoder="pca:2"), fill(encoder="pca:3")
    assert invoke("embed", "--verify").status == 0
    file = damage(bad)
    make_stale(old)
    said = invoke("embed", "--verify")
    assert said.status == 1
    *lines, last = said.out.splitlines()
    assert last == "3 entries, 2 damaged"
    found = {line.split()[1]: line for line in lines}
    assert found[good[:12]] == f"ok      {good[:12]}  wine / raw"
    fault = f"{file}: its bytes are not those that were written (sha256); 'albench cache remove {bad[:12]}'"
    assert found[bad[:12]].startswith(f"corrupt {bad[:12]}  {fault}")
    assert found[old[:12]].startswith(f"stale   {old[:12]}  {entry_of(old).absolute() / 'manifest.json'}: layout 1, ")


def test_what_is_damaged_is_computed_again_only_on_request() -> None:
    fingerprint = fill()
    file = damage(fingerprint)
    broken = file.read_bytes()
    for _ in range(2):
        said = invoke("embed", "--dataset", "wine", "--encoder", "raw")
        assert said.status == 1
        assert said.err.startswith(f"error: {file}: its bytes are not those that were written (sha256); ")
        assert file.read_bytes() == broken
    assert fill("--recompute") == fingerprint
    assert invoke("embed", "--verify").status == 0


def test_stale_entries_stop_a_run_and_go_with_one_command() -> None:
    old = [fill(), fill(encoder="pca:2")]
    kept = fill(encoder="pca:3")
    for fingerprint in old:
        make_stale(fingerprint)
    said = run(write_grid(Path("grid.yaml")), "out")
    assert said.status == 1
    assert said.err.count("\n") == 1
    assert "layout 1, this version reads 2; 'albench cache remove --stale' removes all such entries" in said.err
    assert invoke("cache", "list").out.count("(stale)") == 2
    removed = invoke("cache", "remove", "--stale").out.splitlines()
    assert removed == [f"removed {fingerprint[:12]}  (stale)" for fingerprint in sorted(old)]
    assert [path.name for path in Path("cache").iterdir() if path.is_dir()] == [kept]
    assert invoke("cache", "remove", "--stale").out == "nothing to remove\n"
    assert run(Path("grid.yaml"), "out").status == 0


# --- list, remove, carry away ----------------------------------------------------------------------------------------


def test_lists_of_the_cache() -> None:
    assert invoke("cache", "list").out.splitlines()[-1] == f"0 entries, 0.0 MB, in {Path('cache').absolute()}"
    one, two = fill(), fill(encoder="pca:2")
    listed = {line.split()[0]: line.split() for line in invoke("cache", "list").out.splitlines()}
    assert listed[one[:12]][1:5] == ["wine", "raw", "124+54", "13"]
    assert listed[two[:12]][1:5] == ["wine", "pca(dims=2)", "124+54", "2"]
    assert listed["2"][:4] == ["2", "entries,", "0.0", "MB,"]
    qualities = {line.split()[0]: line.split() for line in invoke("list", "embeddings").out.splitlines()}
    assert list(qualities) == ["fingerprint", *sorted([one[:12], two[:12]])]
    assert qualities["fingerprint"][3:] == ["1-NN", "linear", "dimension", "seconds"]
    assert listed[one[:12]][6:8] == qualities[one[:12]][3:5]
    assert invoke("list", "embeddings", one[:9]).out.startswith(f"{one}\n  wine / raw: ")


def test_what_computed_an_embedding_is_shown_where_it_is_known() -> None:
    fingerprint = fill()
    line = f" s; on cpu ({platform.machine()}), numpy {np.__version__}\n"
    assert invoke("list", "embeddings", fingerprint).out.endswith(line)
    change_manifest(fingerprint, {"origin"})  # as the version before wrote it
    assert invoke("list", "embeddings", fingerprint).out.endswith(" s; device and libraries not known\n")
    assert fill() == fingerprint  # and it is used as ever


def test_what_was_measured_on_a_part_is_marked_everywhere() -> None:
    fingerprint = fill()
    whole = json.loads((entry_of(fingerprint) / "manifest.json").read_text())["quality"]
    assert "(of " not in invoke("list", "embeddings").out + invoke("cache", "list").out
    part = {"nearest_rows": 50, "linear_accuracy": 0.8444, "linear_rows": 100, "dimension_rows": 120}
    change_manifest(fingerprint, set(), quality={**whole, **part})
    for command in (["list", "embeddings"], ["cache", "list"]):
        heading, line, *_ = invoke(*command).out.splitlines()
        assert "(of 50)  0.844 (of 100)" in line
        assert ("(of 120)" in line) == ("dimension" in heading)
    said = invoke("list", "embeddings", fingerprint).out
    for words in ("(on 50 of 54 rows)", "0.844 (on 100 of 124 rows)", "(on 120 of 124 rows)"):
        assert words in said


def test_remove_takes_along_all_that_belongs_to_an_entry() -> None:
    one, two = fill(), fill(encoder="pca:2")
    for name in (f"{one}.derived", f"{one}.corrupt-1", f"{two}.derived"):
        Path("cache", name).mkdir()
        Path("cache", name, "file").touch()
    assert invoke("cache", "remove", one[:20], one).out == f"removed {one[:12]}  wine / raw\n"
    assert sorted(path.name for path in Path("cache").iterdir() if path.is_dir()) == [two, f"{two}.derived"]


def test_prefixes_that_fit_no_entry_or_several_remove_nothing() -> None:
    fingerprint = fill()
    fill(encoder="pca:2")
    said = invoke("cache", "remove", fingerprint, "xyz", "")
    assert (said.status, said.out) == (2, "")
    missing, several = said.err.splitlines()
    assert missing == "error: no entry of the cache starts with 'xyz'; 'albench cache list' shows them"
    assert several.startswith("error: '' is the start of 2 entries: ")
    assert len(list(entries.folders())) == 2
    assert invoke("cache", "remove").status == 2


def test_an_entry_that_is_being_computed_is_not_removed() -> None:
    fingerprint = fill()
    with FileLock(f"cache/{fingerprint}.lock"):
        said = invoke("cache", "remove", fingerprint)
    assert (said.status, said.err) == (
        2,
        f"error: {fingerprint[:12]} is being computed by another process; nothing was removed\n",
    )
    assert entry_of(fingerprint).is_dir()


def test_a_bundle_brings_an_embedding_to_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = fill()
    said = invoke("cache", "export", "bundle.zip", fingerprint[:12])
    assert (said.status, said.out) == (0, f"exported {fingerprint[:12]}  wine / raw\n")
    assert invoke("cache", "export", "other.zip", "xyz").status == 2
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "other"))
    assert invoke("cache", "import", "bundle.zip").out == f"imported {fingerprint[:12]}  wine / raw\n"
    assert invoke("cache", "import", "bundle.zip").out == f"had already {fingerprint[:12]}  wine / raw\n"
    assert invoke("embed", "--verify").out.splitlines()[-1] == "1 entries, 0 damaged"

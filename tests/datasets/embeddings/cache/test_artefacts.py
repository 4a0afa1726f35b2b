"""What is derived from an embedding, kept beside it: once per node, checked, never half-made, or else in memory."""

from __future__ import annotations

import logging
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from albench.benchmark.types import Arrays, Derived, Features, Pool
from albench.datasets.embeddings.cache import artefacts, entry, shelf
from albench.datasets.embeddings.cache.entry import CorruptEntryError, discard
from albench.datasets.embeddings.cache.store import embed, make_pool
from albench.datasets.embeddings.raw import Raw
from albench.datasets.wine import Wine

FINGERPRINT = "0123456789abcdef" * 4


def pool(fingerprint: str = FINGERPRINT, shift: float = 0) -> Pool:
    features = np.arange(12, dtype=np.float32).reshape(6, 2) + np.float32(shift)
    labels = np.arange(6) % 2
    arrays: Arrays = {
        "features": features,
        "labels": labels,
        "test_features": features,
        "test_labels": labels,
        "class_names": np.array(["a", "b"]),
        "content": np.array(f"of {shift}"),
    }
    return make_pool(fingerprint, arrays)


def several(features: Features, rng: np.random.Generator) -> Arrays:
    return {
        "draw": rng.random(3),
        "sum": np.array(features.sum()),
        "ids": np.arange(4, dtype=np.int32),
        "none": np.empty((6, 0), dtype=np.float32),
        "transposed": features.T,
    }


def unexpected(*_: object) -> Arrays:
    raise AssertionError("computed again")


def folder(cache: Path) -> Path:
    [found] = [path for path in (cache / f"{FINGERPRINT}.derived").iterdir() if path.is_dir()]
    return found


def test_arrays_come_back_from_disk_as_they_were(cache: Path) -> None:
    made = several(pool().features, np.random.default_rng(0))
    first = pool().derived.get("some/1", several)
    again = pool().derived.get("some/1", unexpected)
    in_memory = Derived(pool().features, pool().derived._generator).get("some/1", several)
    assert set(first) == set(again) == set(made)
    for name, array in first.items():
        for other in (again[name], in_memory[name]):
            assert (array.dtype, array.shape) == (other.dtype, other.shape) == (made[name].dtype, made[name].shape)
            assert np.array_equal(array, other)
            assert not other.flags.writeable
        assert isinstance(again[name].base, np.memmap)
    assert artefacts.faults(FINGERPRINT) == []


def test_keys_and_embeddings_are_kept_apart(cache: Path) -> None:
    draws = [
        pool(fingerprint).derived.get(key, several)["draw"].tolist()
        for fingerprint in (FINGERPRINT, FINGERPRINT[::-1])
        for key in ("some/1", "some/2")
    ]
    assert len({tuple(draw) for draw in draws}) == 4
    assert sorted(path.name for path in cache.iterdir()) == [f"{FINGERPRINT}.derived", f"{FINGERPRINT[::-1]}.derived"]


def test_what_is_asked_for_twice_is_one_object(cache: Path) -> None:
    derived = pool().derived
    assert derived.get("some/1", several)["ids"] is derived.get("some/1", unexpected)["ids"]
    with pytest.raises(TypeError, match="does not support item assignment"):
        derived.get("some/1", unexpected)["ids"] = np.arange(3)  # type: ignore[index]  # what must not work


def doubled(features: Features, _: np.random.Generator) -> Arrays:
    return {"rows": features * 2}


def test_other_features_of_the_same_fingerprint_have_artefacts_of_their_own(cache: Path) -> None:
    before = pool().derived.get("twice/1", doubled)["rows"]
    other = pool(shift=1e-3)
    assert np.array_equal(other.derived.get("twice/1", doubled)["rows"], other.features * 2)
    assert folder(cache).suffix == ""  # it has replaced the one that was there
    assert np.array_equal(pool(shift=1e-3).derived.get("twice/1", unexpected)["rows"], other.features * 2)
    assert np.array_equal(before, pool().features * 2)  # who had mapped it, has it still
    assert artefacts.faults(FINGERPRINT) == []


def test_an_artefact_that_does_not_say_what_it_was_made_of_is_made_anew(cache: Path) -> None:
    pool().derived.get("twice/1", several)
    manifest = entry.read_manifest(folder(cache))
    entry.write_manifest(folder(cache), {k: v for k, v in manifest.items() if k not in ("content", "sha256")})
    assert set(pool().derived.get("twice/1", doubled)) == {"rows"}
    assert set(pool().derived.get("twice/1", unexpected)) == {"rows"}


def test_artefacts_follow_the_features_that_another_machine_made(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = embed(Wine(), Raw())
    here.pool().derived.get("twice/1", doubled)
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "there"))
    encode = Raw.encode
    monkeypatch.setattr(Raw, "encode", lambda *args: tuple(x + np.float32(1e-5) for x in encode(*args)))
    there = embed(Wine(), Raw())
    assert there.fingerprint == here.fingerprint
    shutil.copytree(cache / f"{here.fingerprint}.derived", tmp_path / "there" / f"{here.fingerprint}.derived")
    assert np.array_equal(there.pool().derived.get("twice/1", doubled)["rows"], there.features * 2)


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if how == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("file", "how", "fault"),
    [
        ("draw.npy", "truncated", "151 bytes, 152 were written"),
        ("draw.npy", "flipped", "its bytes are not those that were written (sha256)"),
        ("ids.npy", "missing", "missing"),
        ("manifest.json", "truncated", "is no JSON (ANY)"),
    ],
)
def test_a_damaged_artefact_is_named_and_not_computed_again(cache: Path, file: str, how: str, fault: str) -> None:
    pool().derived.get("some/1", several)
    damage(folder(cache) / file, how)
    with pytest.raises(CorruptEntryError) as error:
        pool().derived.get("some/1", unexpected)
    line = re.escape(f"{folder(cache) / file}: {fault}").replace("ANY", "[^\n]+")
    assert re.match(line + re.escape("; 'albench cache remove 0123456789ab' removes"), str(error.value))
    assert "\n" not in str(error.value)
    (found,) = artefacts.faults(FINGERPRINT)
    assert re.fullmatch(line, found)
    discard(cache / FINGERPRINT)
    assert pool().derived.get("some/1", several)["ids"].tolist() == [0, 1, 2, 3]


def test_without_a_disk_artefacts_stay_in_memory_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING, "albench"):
        derived = pool().derived
        first = derived.get("some/1", several)
        assert derived.get("some/1", unexpected) is first
        assert not first["ids"].flags.writeable
        pool().derived.get("some/2", several)
    [warning] = caplog.messages
    assert warning.startswith("cannot use the embedding cache")
    assert warning.endswith("Not a directory; what is derived from embeddings is kept in memory")


PREAMBLE = f"""
    import os, resource, signal, sys, time
    from pathlib import Path
    import numpy as np
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    from test_artefacts import pool

    def slow(features, rng):
        with open(sys.argv[1], "a") as file:
            file.write("x")
        time.sleep(float(sys.argv[2]))
        return {{"one": np.ones(3), "draw": rng.random(30_000)}}
"""


def start(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(PREAMBLE) + textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


TOGETHER = """
    Path(sys.argv[3] + sys.argv[4]).touch()
    while not all(Path(sys.argv[3] + n).exists() for n in "01"):
        time.sleep(0.001)
    print(pool().derived.get("slow/1", slow)["draw"].sum())
"""


def test_two_processes_compute_once(cache: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    processes = [start(TOGETHER, calls, 0.5, tmp_path / "ready", n) for n in range(2)]
    assert len({output(process) for process in processes}) == 1
    assert calls.read_text() == "x"


HANG = """
    from albench.datasets.embeddings.cache import entry
    write = entry.write_array
    def write_one_and_hang(path, array, dtype):
        if path.name == "draw.npy":
            Path(sys.argv[3]).touch()
            time.sleep(60)
        return write(path, array, dtype)
    entry.write_array = write_one_and_hang
    pool().derived.get("slow/1", slow)
"""


def test_a_killed_process_leaves_nothing_that_counts(cache: Path, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = start(HANG, tmp_path / "calls", 0, ready)
    deadline = time.monotonic() + 120
    while not ready.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert folder(cache).suffix == ".tmp"
    assert artefacts.faults(FINGERPRINT) == []
    assert pool().derived.get("slow/1", lambda *_: {"one": np.zeros(2)})["one"].tolist() == [0, 0]
    assert folder(cache).suffix == ""


FULL_DISK = """
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    print(pool().derived.get("slow/1", slow)["draw"].shape)
"""


def test_a_full_disk_leaves_nothing_and_the_answer_stays_in_memory(cache: Path, tmp_path: Path) -> None:
    process = start(FULL_DISK, tmp_path / "calls", 0)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "(30000,)\n")
    assert err.count("kept in memory") == 1
    assert (tmp_path / "calls").read_text() == "x"
    assert [path.suffix for path in (cache / f"{FINGERPRINT}.derived").iterdir()] in ([], [".lock"])


def test_verify_names_a_derived_array_that_is_damaged(cache: Path) -> None:
    embedded = embed(Wine(), Raw())
    embedded.pool().derived.get("twice/1", lambda features, rng: {"rows": features * 2})
    assert all(sound for _, sound in shelf.verified())
    [path] = cache.glob("*.derived/*/rows.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    [(line, _)] = [(line, sound) for line, sound in shelf.verified() if not sound]
    short = embedded.fingerprint[:12]
    assert line.startswith(f"corrupt {short}  {path}: its bytes are not those")
    assert f"albench cache remove {short}" in line

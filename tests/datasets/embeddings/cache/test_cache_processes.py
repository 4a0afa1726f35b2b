"""The cache of embeddings under several processes, kills and a full disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from support.embeddings import encode, faults

from albench.benchmark.types import Features
from albench.datasets.embeddings.base import Encoder, Work
from albench.datasets.embeddings.cache.store import embed
from albench.datasets.embeddings.pca import Pca
from albench.datasets.embeddings.raw import Raw
from albench.datasets.reading.base import Split
from albench.datasets.wine import Wine

PREAMBLE = """
    import os, resource, sys, time
    from dataclasses import dataclass
    from pathlib import Path
    import numpy as np
    from albench.benchmark.registry import encoder
    from albench.datasets.embeddings.raw import Raw
    from albench.datasets.embeddings.cache.store import embed
    from albench.datasets.wine import Wine

    @encoder("slow", cite="")
    @dataclass(frozen=True)
    class Slow:
        def encode(self, split, rng, work):
            with open(sys.argv[1], "a") as file:
                file.write("x")
            time.sleep(float(sys.argv[2]))
            return Raw().encode(split, rng, work)
"""


def start(code: str, *args: object) -> subprocess.Popen[str]:
    script = textwrap.dedent(PREAMBLE) + textwrap.dedent(code)
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


TOGETHER = """
    Path(sys.argv[3] + sys.argv[4]).touch()
    while not all(Path(sys.argv[3] + n).exists() for n in "01"):
        time.sleep(0.001)
    print(embed(Wine(), Slow()).features.sum())
"""


def test_two_processes_compute_once(cache: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    processes = [start(TOGETHER, calls, 1, tmp_path / "ready", n) for n in range(2)]
    sums = {output(process) for process in processes}
    assert len(sums) == 1
    assert calls.read_text() == "x"
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 1


WRITE_AND_HANG = """
    from albench.datasets.embeddings.cache import entry
    write = entry.write_array
    def write_one_and_hang(path, array, dtype):
        if path.name == "test.npy":
            Path(sys.argv[3]).write_text("here")
            time.sleep(60)
        return write(path, array, dtype)
    entry.write_array = write_one_and_hang
    embed(Wine(), Raw())
"""


def test_a_killed_process_leaves_nothing_that_counts(cache: Path, tmp_path: Path) -> None:
    process = start(WRITE_AND_HANG, tmp_path / "calls", 0, tmp_path / "ready")
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert [path.suffix for path in cache.iterdir() if path.is_dir()] == [".tmp"]
    other = embed(Wine(), Pca(dims=2))  # any computation sweeps what the dead left
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [other.fingerprint]
    embedded = embed(Wine(), Raw())
    assert np.array_equal(embedded.features, encode(Raw(), Wine().load(0))[0])
    assert faults() == []


def test_the_killed_entry_itself_can_be_asked_for_at_once(cache: Path, tmp_path: Path) -> None:
    process = start(WRITE_AND_HANG, tmp_path / "calls", 0, tmp_path / "ready")
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    embedded = embed(Wine(), Raw())
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [embedded.fingerprint]


def test_a_sweep_spares_what_is_being_written(cache: Path, tmp_path: Path) -> None:
    process = start(WRITE_AND_HANG, tmp_path / "calls", 0, tmp_path / "ready")
    wait_for(tmp_path / "ready")
    embed(Wine(), Pca(dims=2))
    unfinished = [path.suffix for path in cache.iterdir() if path.is_dir()]
    process.kill()
    process.communicate(timeout=60)
    assert sorted(unfinished) == ["", ".tmp"]


def test_a_full_disk_is_one_clean_line(cache: Path, tmp_path: Path) -> None:
    full = """
        from albench.datasets.embeddings.base import StorageError
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # a file that is longer fails as on a full disk
        try:
            embed(Wine(), Raw())
        except StorageError as error:
            print(error)
    """
    line = output(start(full, tmp_path / "calls", 0)).strip()
    assert line.startswith(f"{cache}/")
    assert line.endswith(": cannot be written (File too large)")
    assert "\n" not in line
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    assert embed(Wine(), Raw()).features.shape == (124, 13)


def test_an_error_of_the_encoder_is_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Raw):
        def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
            raise FileNotFoundError("weights.pt")

    broken: Encoder = Broken()
    with pytest.raises(TypeError, match="Broken is not a declared encoder; use the decorator"):
        embed(Wine(), broken)
    monkeypatch.setattr(Raw, "encode", Broken.encode)
    with pytest.raises(FileNotFoundError, match=r"^weights\.pt$"):
        embed(Wine(), Raw())
    assert not list(cache.glob("*.tmp"))

"""Faults of every process, two nodes, full disks: the same table bit for bit, nothing left behind, no long silence.

    pytest -m chaos -n 0 -s tests/chaos

takes about ten minutes. ``ALBENCH_CHAOS`` is the seed of the faults [0], ``ALBENCH_FAULTS`` their number [100]. Full
disks need the right to mount; without it they are skipped.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from conftest import Program
from support.watched import Watched, processes, running, shared_memory

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(0)]

GRID = {
    "name": "chaos",
    "datasets": ["wine"],
    "embeddings": ["raw"],
    "strategies": ["random", "margin", "typiclust", "coreset"],
    "budgets": {"low": {"initial": 0, "query": "1/class", "rounds": 4}},
    "seeds": 30,
}
SEED, FAULTS = int(os.environ.get("ALBENCH_CHAOS", "0")), int(os.environ.get("ALBENCH_FAULTS", "100"))
FROZEN_S = 30.0


class Place:
    """Where one test's runs lie: their output, cache, temporary folder and home, and the environment that says so."""

    def __init__(self, folder: Path, plugin: dict[str, str]) -> None:
        self.folder = folder
        self.grid, self.out, self.cache = folder / "grid.yaml", folder / "run", folder / "cache"
        self.temporary, home = folder / "tmp", folder / "home"
        for made in (self.temporary, home, self.cache):
            made.mkdir()
        learner = {"name": "counting", "sleep": 0.02, "log": str(folder / "log")}
        self.grid.write_text(yaml.safe_dump({**GRID, "learners": [learner]}), encoding="utf-8")
        self.env = {
            **plugin,
            "ALBENCH_CACHE": str(self.cache),
            "TMPDIR": str(self.temporary),
            "HOME": str(home),
            "ALBENCH_CHAOS_PLACE": str(folder),
        }

    def start(self, *options: str) -> Watched:
        command = ["run", "--grid", str(self.grid), "--out", str(self.out), "--workers", "2", *options]
        return Watched([*Program.command, *command], self.env)

    def left(self) -> list[psutil.Process]:
        return processes("ALBENCH_CHAOS_PLACE", str(self.folder))


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory, counting_plugin: dict[str, str]) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("chaos"), counting_plugin)
    yield made
    for process in made.left():
        process.kill()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, counting_plugin: dict[str, str]) -> Path:
    quiet = Place(tmp_path_factory.mktemp("quiet"), counting_plugin)
    assert quiet.start("--mlflow", "off").end().status == 0
    return quiet.out


Act = Callable[[Place, Watched], bool]
"""What happens to a run; it says whether it hit something."""


def _kill(kind: str, with_signal: int) -> Act:
    def act(place: Place, _: Watched) -> bool:
        found = random_of(running(place.left(), kind))
        for process in found:
            process.send_signal(with_signal)
        return bool(found)

    return act


def _freeze(kind: str) -> Act:
    def act(place: Place, driver: Watched) -> bool:
        found = random_of(running(place.left(), kind))
        for process in found:
            process.suspend()
            driver.wait(FROZEN_S)
            if process.is_running():
                process.resume()
        return bool(found)

    return act


def _twice(with_signal: int) -> Act:
    def act(_: Place, driver: Watched) -> bool:
        hit = driver.send(with_signal)
        time.sleep(0.3)
        driver.send(with_signal)
        return hit

    return act


ACTS: dict[str, tuple[int, Act]] = {  # how often, beside the others
    "driver SIGKILL": (12, lambda _, driver: driver.send(signal.SIGKILL)),
    "driver SIGTERM": (8, lambda _, driver: driver.send(signal.SIGTERM)),
    "driver SIGHUP": (8, lambda _, driver: driver.send(signal.SIGHUP)),
    "driver SIGINT": (8, lambda _, driver: driver.send(signal.SIGINT)),
    "driver SIGINT twice": (8, _twice(signal.SIGINT)),
    "worker SIGKILL": (16, _kill("worker", signal.SIGKILL)),
    "raylet SIGKILL": (12, _kill("raylet", signal.SIGKILL)),
    "gcs SIGKILL": (12, _kill("gcs", signal.SIGKILL)),
    "mirror SIGKILL": (12, _kill("mirror", signal.SIGKILL)),
    "worker SIGSTOP": (1, _freeze("worker")),
    "raylet SIGSTOP": (1, _freeze("raylet")),
    "mirror SIGSTOP": (1, _freeze("mirror")),
    "driver SIGSTOP": (1, _freeze("driver")),
}
ENDS = {0, 1, 129, 130, 143, -signal.SIGKILL}
"""How a disturbed run may end; 1 says with a line that Ray died or that trials are lost."""

_RANDOM = random.Random(SEED)  # noqa: S311 - moments of faults


def random_of(found: list[psutil.Process]) -> list[psutil.Process]:
    return [_RANDOM.choice(found)] if found else []


def test_a_hundred_faults(tmp_path_factory: pytest.TempPathFactory, counting_plugin: dict[str, str],
                          undisturbed: Path, same_answer: Any) -> None:  # fmt: skip
    names, weights = list(ACTS), [often for often, _ in ACTS.values()]
    done, longest, ends, before = Counter[str](), 0.0, Counter[int](), shared_memory()
    while done.total() < FAULTS:
        place = Place(tmp_path_factory.mktemp("chaos"), counting_plugin)
        for _ in range(60):
            driver = place.start()
            driver.wait_for_life(place.left)
            while done.total() < FAULTS and driver.wait(_RANDOM.uniform(0.0, 4.0)) is None:
                act = _RANDOM.choices(names, weights)[0]
                done[act] += ACTS[act][1](place, driver)
            end = driver.end()
            ends[end.status] += 1
            assert end.status in ENDS, end
            assert "Traceback" not in end.said, end.said
            assert end.status in {0, -signal.SIGKILL} or end.said.strip(), f"{end.status} without a word"
            longest = max(longest, end.longest_silence)
            if end.status != -signal.SIGKILL:
                place_is_left_clean(place)
            if end.status == 0:
                break
        assert end.status == 0, "not done after 60 starts"
        same_answer(undisturbed, place.out)
    print(f"\nfaults: {dict(done)}\nends: {dict(ends)}\nlongest silence: {longest:.1f} s")
    assert longest < 60
    assert FAULTS < 50 or {f"{kind} SIGKILL" for kind in ("worker", "raylet", "gcs", "mirror")} <= set(+done)
    assert shared_memory() <= before, "shared memory is left"


def place_is_left_clean(place: Place) -> None:
    """Assert that a run that could say goodbye left no process, and only what other runs that were killed left."""
    until = time.monotonic() + 20
    while place.left() and time.monotonic() < until:
        time.sleep(0.1)
    assert not place.left(), [process.cmdline() for process in place.left()]


def test_nothing_is_left_in_the_temporary_folder(place: Place) -> None:
    assert place.start().end().status == 0
    place_is_left_clean(place)
    assert not list(place.temporary.iterdir())


def test_one_of_two_nodes_is_lost(place: Place, undisturbed: Path, same_answer: Any) -> None:
    script = Path(__file__).parents[1] / "support" / "two_nodes.py"
    env = {**os.environ, **place.env, "TMPDIR": tempfile.gettempdir()}  # two_nodes.py needs a short path
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], env=env, stdin=pipe, stdout=pipe, text=True) as cluster:
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        driver = place.start("--address", address, "--mlflow", "off")
        driver.wait_for_life(place.left)
        driver.wait(4.0)
        print("remove", file=cluster.stdin, flush=True)
        end = driver.end()
        assert end.longest_silence < 60
        cluster.stdin.close()
    assert end.status == 0, end
    same_answer(undisturbed, place.out)


@pytest.mark.parametrize("which", ["run", "cache", "tmp"])
def test_a_disk_is_full(place: Place, undisturbed: Path, same_answer: Any, which: str) -> None:
    """A line and what is whole stays; with room again, the same command ends in the same table."""
    folder = place.folder / which
    folder.mkdir(exist_ok=True)
    mount = shutil.which("mount")
    size = {"run": "200k", "cache": "12k", "tmp": "3m"}[which]
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("no right to mount a disk")
    try:
        full = place.start().end()
        assert full.status == 1 or which == "tmp", full
        assert "Traceback" not in full.said, full.said
        assert full.longest_silence < 60
        place_is_left_clean(place)
        assert not [path for path in folder.rglob("*") if path.suffix == ".tmp"]
        subprocess.run([mount, "-o", "remount,size=200m", folder], check=True)
        again = place.start("--mlflow", "off").end()
        assert again.status == 0, again
        same_answer(undisturbed, place.out)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)

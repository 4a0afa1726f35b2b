"""Killed anywhere, the same command goes on and ends in the same table."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from conftest import Program, answer, raw_rounds

GRID = {
    "name": "resumed",
    "datasets": ["wine"],
    "embeddings": ["raw"],
    "strategies": ["random", "margin", "typiclust"],
    "budgets": {
        "low": {"initial": 0, "query": "1/class", "rounds": 5},
        "high": {"initial": "2/class", "query": "2/class", "rounds": 5},
    },
    "seeds": 4,
}


class Case:
    """A grid whose rounds take 30 ms each, its undisturbed run, and the log of every fit."""

    def __init__(self, folder: Path, albench: Program, plugin: dict[str, str]) -> None:
        self.log = folder / "log"
        self.env = plugin
        self.albench = albench
        self.path = folder / "grid.yaml"
        learner = {"name": "counting", "sleep": 0.03, "log": str(self.log)}
        self.path.write_text(yaml.safe_dump({**GRID, "learners": [learner]}), encoding="utf-8")
        self.undisturbed = folder / "undisturbed"
        assert self.albench.run(*self.command(self.undisturbed), env=plugin)[0] == 0
        self.total = len(raw_rounds(self.undisturbed))

    def command(self, out: Path, *options: str) -> list[object]:
        options = options or ("--engine", "inline")
        return ["run", "--grid", self.path, "--out", out, "--mlflow", "off", *options]

    def start(self, out: Path, *options: str) -> subprocess.Popen[str]:
        self.log.write_text("")
        return self.albench.start(*self.command(out, *options), env=self.env)

    def fits(self) -> list[float]:
        """Return when each fit since the last start ended, in seconds since the epoch."""
        return [float(line.split()[0]) for line in self.log.read_text().splitlines()]

    def finish(self, out: Path, *options: str) -> str:
        status, _, err = self.albench.run(*self.command(out, *options), env=self.env)
        assert status == 0, err
        return err


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, albench: Program, counting_plugin: dict[str, str]) -> Case:
    return Case(tmp_path_factory.mktemp("resume"), albench, counting_plugin)


def recorded(out: Path) -> int:
    return len(raw_rounds(out)) if list((out / "rounds").glob("part-*.parquet")) else 0


def kill(process: subprocess.Popen[str]) -> float:
    """SIGKILL a driver and what it started; return when."""
    now = time.time()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return now


def test_killed_at_random_moments(case: Case, tmp_path: Path, same_answer: Any) -> None:
    """Nothing recorded is run again, and no more than 2 s of finished rounds are."""
    out, moments, kills = tmp_path / "r", np.random.default_rng(0), 0
    while not out.exists() or recorded(out) < case.total:
        process, before = case.start(out), recorded(out)
        until = moments.uniform(0.0, 3.0)
        while (not case.fits() or time.time() - case.fits()[0] < until) and process.poll() is None:
            time.sleep(0.02)
        if process.poll() is not None:
            process.communicate()
            break
        killed, kills = kill(process), kills + 1
        old = sum(when < killed - 2 for when in case.fits())
        assert recorded(out) - before >= old - 2, "rounds that were finished 2 s ago are lost"  # a refit, a bound
    assert kills >= 3
    case.finish(out)
    same_answer(case.undisturbed, out)
    assert not raw_rounds(out).duplicated(["trial_id", "round"]).any()


@pytest.mark.parametrize(
    ("step", "moment"),  # manifest, (grid,) plan, test sets, predictions, rounds, predictions, rounds, trials
    [(1, "before"), (3, "after"), (5, "before"), (5, "after"), (6, "after"), (8, "before"), (8, "after")],
)
def test_killed_around_the_rename_of_a_file(
    case: Case, tmp_path: Path, same_answer: Any, step: int, moment: str
) -> None:
    """The n-th file is written under its temporary name, and the driver dies before or right after the rename."""
    code = (
        "import os, pathlib, signal, sys\n"
        "rename, seen = pathlib.Path.replace, []\n"
        "def deadly(self, target):\n"
        "    seen.append(target)\n"
        f"    if len(seen) == {step} and {moment == 'before'}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    rename(self, target)\n"
        f"    if len(seen) == {step}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "pathlib.Path.replace = deadly\n"
        "from albench.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    out = tmp_path / "r"
    arguments = [str(a) for a in case.command(out)]
    died = subprocess.run(
        [sys.executable, "-c", code, *arguments], env={**os.environ, **case.env}, check=False, capture_output=True
    )
    assert died.returncode == -signal.SIGKILL
    assert case.finish(out) == ""
    same_answer(case.undisturbed, out)
    assert not raw_rounds(out).duplicated(["trial_id", "round"]).any()
    assert answer(out)["predicted"].notna().all()
    assert not list(out.rglob("*.tmp"))


def test_a_driver_on_ray_is_killed(case: Case, tmp_path: Path, same_answer: Any) -> None:
    out = tmp_path / "r"
    process = case.start(out, "--workers", "2")
    while len(case.fits()) < 60:
        assert process.poll() is None
        time.sleep(0.02)
    kill(process)
    assert 0 < recorded(out) < case.total
    case.finish(out, "--workers", "2")
    same_answer(case.undisturbed, out)
    assert not raw_rounds(out).duplicated(["trial_id", "round"]).any()


def busy_worker(case: Case) -> psutil.Process:
    """Return the Ray worker of the last fit: after a loss that may have been made by a child of it, kept apart."""
    while True:
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that ended with its trial
            last = psutil.Process(int(case.log.read_text().splitlines()[-1].split()[1]))
            parent = last.parent()
            if parent is not None:
                return last if parent.name() == "raylet" else parent
        time.sleep(0.02)


def test_a_ray_worker_is_killed(case: Case, tmp_path: Path, same_answer: Any) -> None:
    out = tmp_path / "r"
    process = case.start(out, "--workers", "2")
    for wanted in (10, 30):
        while len(case.fits()) < wanted:
            assert process.poll() is None
            time.sleep(0.02)
        worker = busy_worker(case)
        assert worker.pid != process.pid
        worker.kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err.count("a worker was lost") == 2
    same_answer(case.undisturbed, out)
    assert not raw_rounds(out).duplicated(["trial_id", "round"]).any()


@pytest.mark.parametrize("engine", [("--engine", "inline"), ("--workers", "2")])
def test_ctrl_c_once_stops_cleanly(case: Case, tmp_path: Path, same_answer: Any, engine: tuple[str, ...]) -> None:
    out = tmp_path / "r"
    process = case.start(out, *engine)
    while len(case.fits()) < 30:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    said, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said + err
    assert "the same command goes on" in said
    assert 30 <= recorded(out) < case.total
    case.finish(out, *engine)
    same_answer(case.undisturbed, out)
    assert not raw_rounds(out).duplicated(["trial_id", "round"]).any()


def test_a_finished_run_runs_nothing_again(case: Case) -> None:
    before = case.log.read_text()
    case.finish(case.undisturbed)
    assert case.log.read_text() == before


def test_more_seeds_and_strategies_extend_a_run(case: Case, tmp_path: Path, same_answer: Any) -> None:
    out = tmp_path / "r"
    command = [*case.command(out), "--set", "seeds=2", "--set", "strategies=[margin]"]
    assert case.albench.run(*command, env=case.env)[0] == 0
    first = recorded(out)
    case.log.write_text("")
    case.finish(out)
    same_answer(case.undisturbed, out)
    assert len(raw_rounds(out)) == case.total > first

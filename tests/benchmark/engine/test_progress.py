"""What is shown while data are brought here and embedded."""

from __future__ import annotations

import io
import os
import signal
import time
from pathlib import Path

import pytest
from conftest import Program
from rich.console import Console
from support.commands import write_grid
from support.plugins import install

from albench.benchmark.engine import progress
from albench.benchmark.engine.progress import StepProgress
from albench.datasets.reading.base import Step


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_piped_line_now_and_then_with_speed_time_left_and_note(clock: Clock) -> None:
    console = Console(file=io.StringIO(), width=40)
    with StepProgress(console) as steps:
        for done in range(101):
            clock.now = done * 0.7
            steps.report(Step("net on digits", done, 100, "images", f"batch [{done}]"))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "net on digits: 15/100 images, 1.4 images/s, about 60 s left, batch [15]"
    assert len(lines) == 6


def test_short_work_prints_nothing_when_piped(clock: Clock) -> None:
    console = Console(file=io.StringIO())
    with StepProgress(console) as steps:
        for done in range(11):
            clock.now = done * 0.1
            steps.report(Step("quick", done, 10, "images"))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


def test_a_terminal_shows_one_bar_for_what_is_going_on(clock: Clock) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with StepProgress(console) as steps:
        for what in ("download", "train"):
            for done in range(4):
                clock.now += 2
                steps.report(Step(what, done, 4, "epochs", "loss 0.5"))
                shown = [(task.description, task.fields["text"]) for task in steps._bar.tasks]
                assert [description for description, _ in shown] == [what]
        assert shown == [("train", "3/4 epochs, 0.5 epochs/s, about 2 s left, loss 0.5")]
        steps.report(Step("train", 4, 4, "epochs"))
        assert not steps._bar.tasks


SLOW = '''
"""An encoder that takes its time and says how far it is."""
import time
from dataclasses import dataclass
import numpy as np
from albench.benchmark.registry import encoder
from albench.datasets.reading.base import Step
from albench.datasets.embeddings.raw import Raw

@encoder("slow", cite="")
@dataclass(frozen=True)
class Slow:
    """Slow."""

    def encode(self, split, rng, work):
        work.kept.mkdir(parents=True, exist_ok=True)
        begun = work.kept / "begun"
        begun.touch()
        for second in range(6000):
            time.sleep(0.01)
            work.report(Step("slow", second, 6000, "epochs", "loss 1"))
        return Raw().encode(split, rng, work)
'''


@pytest.mark.usefixtures("own_folder")
def test_ctrl_c_ends_an_embedding_that_takes_long(albench: Program, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    slow = install(tmp_path / "site", "albench.encoders", "slow", "slow_plugin:Slow", SLOW)
    grid = write_grid(Path("grid.yaml"), embeddings=["slow"])
    command = ["run", "--grid", grid, "--out", "out", "--engine", "inline", "--mlflow", "off"]
    process = albench.start(*command, env=slow)
    deadline = time.monotonic() + 60
    while not list(Path("cache").glob("training/*/begun")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    assert "stopping: what is done is kept" in out
    assert out.endswith("\n2 trials are left; the same command goes on\n")
    assert [path.name for path in Path("cache").iterdir() if path.is_dir()] == ["training"]

"""A stranger's code in a process of its own: what it tells arrives, how it ends is known, nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from albench.benchmark.strangers import offspring
from albench.benchmark.strangers.apart import DiedError, SilentError, Tell, apart
from albench.benchmark.values import UserError


def test_what_is_told_arrives_in_order_and_from_another_process() -> None:
    def work(tell: Tell[int]) -> None:
        for number in (*range(1_000), os.getpid()):
            tell(number)

    *numbers, pid = apart(work)
    assert numbers == list(range(1_000))
    assert pid != os.getpid()


def _close_all() -> None:
    os.closerange(3, 256)
    time.sleep(60)


@pytest.mark.parametrize(
    ("deed", "how"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "signal SIGTERM"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "signal SIGKILL"),
        (lambda: os._exit(0), "exit code 0"),
        (lambda: os._exit(9), "exit code 9"),
        (_close_all, "signal SIGKILL"),
    ],
)
def test_how_it_died_is_known(deed: Callable[[], object], how: str) -> None:
    def work(tell: Tell[int]) -> None:
        tell(1)
        deed()

    told: list[int] = []
    with pytest.raises(DiedError, match=how):
        told.extend(apart(work))


def test_silence_ends_it_and_what_it_started_ends_with_it(tmp_path: Path) -> None:
    def work(tell: Tell[int]) -> None:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"], start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                (tmp_path / "pid").write_text(str(os.getpid()), encoding="ascii")
                time.sleep(99)
            os._exit(0)
        time.sleep(99)

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(SilentError):
        list(apart(work, patience=1.5))
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text(encoding="ascii")))


def test_a_users_mistake_is_raised_here_and_anything_else_is_told() -> None:
    def mistaken(tell: Tell[int]) -> None:
        raise UserError("mend it")

    def broken(tell: Tell[int]) -> None:
        raise BaseExceptionGroup("both", [SystemExit(1)])

    with pytest.raises(UserError, match="mend it"):
        list(apart(mistaken))
    with pytest.raises(RuntimeError, match="both"):
        list(apart(broken))


def test_what_was_there_before_stays() -> None:
    kept = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
    with offspring.adopted() as known:
        stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
        offspring.end(known)
    assert kept.poll() is None
    assert not psutil.pid_exists(stranger.pid)
    kept.kill()
    kept.wait()
    stranger.wait()

"""However the program ends, it ends with one line, its exit status, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import Program

KEPT = "; what is done is kept; the same command goes on\n"
PROGRAM = """
import ctypes, os, signal, sys, time
from albench.benchmark.engine import guard
guard.HEED_S = 0.5
def work():
    print("up", os.getpid(), flush=True)
    {work}
guard.guarded(work)
"""
IN_C = "ctypes.PyDLL(None).sleep(20)"  # holds the interpreter's lock: no Python runs


def start(work: str, *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", PROGRAM.format(work=work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def up(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the child, once it is at work."""
    assert process.stdout is not None
    return psutil.Process(int(process.stdout.readline().split()[1]))


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=15)
    return process.returncode, err


@pytest.mark.parametrize(
    ("work", "status", "line"),
    [
        ("sys.exit(3)", 3, ""),
        ("pass", 0, ""),
        (
            "os._exit(7)",
            1,
            "error: a library ended the program (exit status 7), as Ray does when its own processes die",
        ),
        ("ctypes.string_at(0)", 1, "error: a library ended the program (SIGSEGV)"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            -signal.SIGKILL,
            "error: the program was killed (SIGKILL; a machine without free memory does that)",
        ),
    ],
)
def test_an_end_without_a_word_is_told(work: str, status: int, line: str) -> None:
    assert ended(start(work)) == (status, line and line + KEPT)


@pytest.mark.parametrize("work", ["time.sleep(20)", IN_C])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_one_line(work: str, number: signal.Signals) -> None:
    process = start(work)
    up(process)
    process.send_signal(number)
    status, err = ended(process)
    assert status == 128 + number
    assert err.splitlines()[-1] == f"stopped by {number.name}{KEPT.rstrip()}"
    assert err.count("stopped") == 1


def test_what_nohup_protects_goes_on() -> None:
    process = start("time.sleep(0.5)", "nohup")
    up(process)
    process.send_signal(signal.SIGHUP)
    assert ended(process) == (0, "")


def test_what_it_leaves_behind_ends_with_it() -> None:
    process = start(
        f"os.fork() or os.setsid() or {IN_C}; print('up', os.getpid(), flush=True); time.sleep(1); os._exit(0)"
    )
    up(process)
    child = up(process)  # its second word comes after the fork
    left = child.children(recursive=True)
    assert left
    ended(process)
    assert not [each for each in left if each.is_running()]


def test_when_the_parent_is_killed_all_goes() -> None:
    process = start("os.fork() or time.sleep(20); time.sleep(20)")
    child = up(process)
    while not child.children():
        time.sleep(0.01)
    family = [child, *child.children()]
    process.kill()
    assert not psutil.wait_procs(family, timeout=5)[1]
    ended(process)


@pytest.mark.parametrize("hang", ["time.sleep(20)", "os._exit(1)"])
def test_a_wait_is_bounded_and_says_what_was_waited_for(hang: str) -> None:
    began = time.monotonic()
    assert ended(start(f"with guard.within(0.3, 'nobody answers'): {hang}")) == (1, "error: nobody answers\n")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_command_ends_so(number: signal.Signals, own_folder: Path, albench: Program) -> None:
    Path("slow_rule.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(20)\n", encoding="utf-8")
    process = albench.start("check", "slow_rule:Slow")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, number)
    assert ended(process) == (128 + number, f"stopped by {number.name}{KEPT}")

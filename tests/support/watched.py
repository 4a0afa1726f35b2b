"""A program that is watched from outside: what it says and when, its processes, and what it leaves."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

KINDS = {"raylet": "raylet", "gcs": "gcs_server", "worker": "ray::", "mirror": ".mirror", "driver": "albench.cli"}
"""What is in the command line of each kind of process."""
PATIENCE_S = 240.0


@dataclass(frozen=True)
class End:
    """How a program ended: its exit status (-9: SIGKILL), all it said, and the longest time it said nothing."""

    status: int
    said: str
    longest_silence: float


class Watched:
    """A program in a process group of its own, both its outputs read as they come."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._said, self._times = bytearray(), [time.monotonic()]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := os.read(self._process.stdout.fileno(), 65536):
            self._said += chunk
            self._times.append(time.monotonic())

    def send(self, number: int) -> bool:
        """Send a signal, and return whether there was somebody to hear it."""
        alive = self._process.poll() is None
        if alive:
            self._process.send_signal(number)
        return alive

    def wait(self, seconds: float) -> int | None:
        """Return the exit status when it ends within so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_for_life(self, of: Callable[[], list[psutil.Process]]) -> None:
        """Wait until a worker runs, or the program is over."""
        until = time.monotonic() + 60
        while not running(of(), "worker") and self._process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)

    def end(self) -> End:
        """Wait for the end, which must come."""
        try:
            status = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"no end after {PATIENCE_S:g} s; it said: {self._said.decode()}") from None
        self._times.append(time.monotonic())
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        silences = [b - a for a, b in zip(self._times, self._times[1:], strict=False)]
        return End(status, self._said.decode(errors="replace"), max(silences))


def processes(variable: str, value: str) -> list[psutil.Process]:
    """Return the living processes in whose environment a variable has a value."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def running(among: list[psutil.Process], kind: str) -> list[psutil.Process]:
    """Return those of a kind of `KINDS`."""
    found = []
    for process in among:
        try:
            if KINDS[kind] in " ".join(process.cmdline()[:4]):
                found.append(process)
        except psutil.Error:
            continue
    return found


def shared_memory() -> set[str]:
    """Return what lies in this machine's shared memory."""
    return {path.name for path in Path("/dev/shm").iterdir()}  # noqa: S108 - Linux's own

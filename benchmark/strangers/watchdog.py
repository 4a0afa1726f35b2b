"""The last resort where a stranger's code runs in our own process: another one ends us, with a line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

_WATCH = """
import os, select, signal, sys
seconds, line = None, b""
while True:
    if not select.select([0], [], [], seconds)[0]:
        os.write(2, line + b"\\n")
        os.kill(int(sys.argv[1]), signal.SIGKILL)
        break
    told = os.read(0, 65536)
    if not told:
        break
    seconds, line = told.rstrip(b"\\n").rsplit(b"\\n", 1)[-1].split(b"\\t", 1)
    seconds = float(seconds) or None
"""


class Watchdog:
    """A process that kills this one when it is not told otherwise in time; it ends with us."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", _WATCH, str(os.getpid())]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, bufsize=0, start_new_session=True)  # noqa: S603 - our words
        self._told = cast(IO[bytes], self._process.stdin)

    def arm(self, seconds: float, line: str) -> None:
        """Let it say a line and kill this process, in so many seconds from now."""
        self._tell(f"{seconds}\t{line}\n")

    def disarm(self) -> None:
        self._tell("0\t\n")

    def close(self) -> None:
        self._told.close()
        self._process.wait()

    def _tell(self, text: str) -> None:
        with suppress(BrokenPipeError):  # somebody killed it
            self._told.write(text.encode(errors="replace"))


@contextmanager
def watchdog(*, wanted: bool) -> Iterator[Watchdog | None]:
    """Yield a watchdog, where one is wanted."""
    if not wanted:
        yield None
        return
    dog = Watchdog()
    try:
        yield dog
    finally:
        dog.close()

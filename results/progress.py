"""What a run shows while it goes on: a live bar on a terminal, a plain line now and then when piped."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 10.0


class RunProgress:
    """Trials done, failed and left, and the time that is left. A context manager."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} trials{task.fields[failed]}{task.fields[left]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("running", total=total, failed="", left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    def update(self, done: int, failed: int, seconds_left: float | None) -> None:
        """Show how many trials have ended, how many of them failed, and the estimate in seconds."""
        failures = f", {failed} failed" if failed else ""
        left = "" if seconds_left is None else f", about {_duration(seconds_left)} left"
        self._bar.update(self._task, completed=done, failed=failures, left=left)
        if not self._console.is_terminal and time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            self.say(f"{done}/{self._total} trials{failures}{left}")

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

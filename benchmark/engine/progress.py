"""What is shown while something goes on: live bars on a terminal, a plain line now and then when piped."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ...datasets.reading.base import Step

LINE_EVERY_S = 10.0


class StepProgress:
    """Long computations, one after the other: how far, how fast, the time that is left. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._step: tuple[TaskID, Step, float] | None = None  # the first of this computation, and when it came

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    def report(self, step: Step) -> None:
        """Show a step; the bar goes when all is done, or another computation begins."""
        if self._step is None or self._step[1].what != step.what or step.done < self._step[1].done:
            self._forget()
            task = self._bar.add_task(step.what, total=step.total, text="")
            self._step = task, step, time.monotonic()
        task, first, began = self._step
        text = _pace(step, step.done - first.done, time.monotonic() - began)
        self._bar.update(task, completed=step.done, total=step.total, text=text)
        self._line(f"{step.what}: {text}")
        if step.done >= step.total:
            self._forget()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _forget(self) -> None:
        if self._step is not None:
            self._bar.remove_task(self._step[0])
            self._step = None

    def _line(self, line: str) -> None:
        """Print a line where there are no bars, unless one was printed just now."""
        if not self._console.is_terminal and time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            self.say(line)


class RunProgress(StepProgress):
    """Trials done, failed and left, and the time that is left, besides the steps that come before them."""

    def __init__(self, console: Console, total: int) -> None:
        super().__init__(console)
        self._total = total
        self._trials: TaskID | None = None

    def update(self, done: int, failed: int, seconds_left: float | None) -> None:
        """Show how many trials have ended, how many of them failed, and the estimate in seconds."""
        failures = f", {failed} failed" if failed else ""
        left = "" if seconds_left is None else f", about {_duration(seconds_left)} left"
        text = f"{done}/{self._total} trials{failures}{left}"
        if self._trials is None:
            self._trials = self._bar.add_task("running", total=self._total, text=text)
        self._bar.update(self._trials, completed=done, text=text)
        self._line(text)


def _pace(step: Step, done: int, seconds: float) -> str:
    """Return how far a computation is, and from what was ``done`` in ``seconds`` of it, how fast."""
    parts = [f"{step.done}/{step.total} {step.unit}"]
    if done > 0 and seconds > 0:
        parts.append(f"{_number(done / seconds)} {step.unit}/s")
        if step.done < step.total:
            parts.append(f"about {_duration((step.total - step.done) * seconds / done)} left")
    return ", ".join([*parts, step.note] if step.note else parts)


def _number(x: float) -> str:
    return f"{x:.0f}" if x >= 10 else f"{x:.2g}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

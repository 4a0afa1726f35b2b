"""Several processes on this machine that compute one thing: started, listened to, and ended together."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from ....benchmark.strangers import raised
from ....benchmark.strangers.apart import ending
from ....benchmark.strangers.offspring import end_with_parent
from ....benchmark.types import UserError
from ...reading.base import DataError, Report, Step
from .together import Share

LOOK_S = 0.1
"""Seconds between two looks at what the processes say, and whether they are there."""

Task = Callable[[Share, Report], None]
Said = Step | UserError | str
"""How far it is, what is wrong, or how a process came to fall."""


def run(task: Task, number: int, meeting: Path, report: Report, what: str) -> None:
    """Run ``task`` in so many new processes, a GPU each where there are any, and tell ``report`` what the first tells.

    ``task`` can be pickled; it finds torch's default group open. They meet at the file ``meeting``. When one ends
    before its task, or this process does, all of them end.

    Raises
    ------
    UserError
        What one of them raises; a `DataError` that begins with ``what`` and says how it ended, for anything else.
    """
    context = torch.multiprocessing.get_context("spawn")  # a fork of what holds a GPU, or threads, may hang
    meeting.parent.mkdir(parents=True, exist_ok=True)
    meeting.unlink(missing_ok=True)
    group, hearing = list[BaseProcess](), list[Connection]()
    with _ended(group, hearing):
        with _deaf():
            for rank in range(number):
                reading, writing = context.Pipe(duplex=False)
                hearing.append(reading)
                args = (rank, number, task, meeting, writing, os.getpid())
                process = context.Process(target=_live, args=args, daemon=True)
                try:
                    process.start()
                except OSError as error:
                    said = error.strerror or error
                    raise DataError([f"{what}: process {rank + 1} of {number} cannot be started ({said})"]) from error
                group.append(process)
                writing.close()  # the child's is then the only one, and its end is heard
        while not _over(group, hearing, report, what):
            wait([process.sentinel for process in group if process.exitcode is None], LOOK_S)


@contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C: it is for this one, which ends them."""
    resource_tracker.ensure_running()  # when it is started it lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _over(group: Sequence[BaseProcess], hearing: Sequence[Connection], report: Report, what: str) -> bool:
    """Tell what was said; return whether all have done their task, raise when one has not.

    One that ends makes the others fall. So an error of the user's is raised before anything else, then who was ended
    from outside is named, and what one says that fell comes after it.
    """
    codes, fell = [process.exitcode for process in group], dict[int, str]()
    for rank, pipe in enumerate(hearing):
        for said in _said(pipe):
            if isinstance(said, UserError):
                raise said
            if isinstance(said, str):
                fell.setdefault(rank, said)  # the first word is the cause
            else:
                report(said)
    if fell:
        codes = [process.exitcode for process in group]
    ends = {rank: ending(code) for rank, code in enumerate(codes) if code}
    killed = {rank: how for rank, how in ends.items() if (codes[rank] or 0) < 0}
    if how := killed or fell or ends:
        rank = min(how)
        raise DataError([f"{what}: process {rank + 1} of {len(group)} ended: {how[rank]}"])
    return all(code is not None for code in codes)


def _said(pipe: Connection) -> Iterator[Said]:
    with suppress(EOFError):
        while pipe.poll(0):
            yield pipe.recv()


@contextmanager
def _ended(group: Sequence[BaseProcess], hearing: Sequence[Connection]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in group:
            process.kill()
            process.join()
        for pipe in hearing:
            pipe.close()


def _live(rank: int, number: int, task: Task, meeting: Path, telling: Connection, parent: int) -> None:
    """What each process does. It tells what is wrong before it leaves the group, for then the others fall."""
    end_with_parent()
    if os.getppid() != parent:  # it ended before that
        return
    with _told(telling), _group(rank, number, meeting), _told(telling):
        task(Share(rank, number), telling.send if rank == 0 else _silent)


@contextmanager
def _told(telling: Connection) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        telling.send(error if isinstance(error, UserError) else raised.line(error))
        raise SystemExit(1) from None


def _silent(step: Step) -> None:
    """One process speaks for all."""


@contextmanager
def _group(rank: int, number: int, meeting: Path) -> Iterator[None]:
    cuda = torch.cuda.is_available()
    more: dict[str, Any] = {}
    if cuda:
        torch.cuda.set_device(rank)
        more["device_id"] = torch.device("cuda", rank)
    store = distributed.FileStore(str(meeting), number)  # type: ignore[attr-defined]  # a name in it may have a #
    distributed.init_process_group("nccl" if cuda else "gloo", store=store, rank=rank, world_size=number, **more)
    try:
        yield
    finally:
        distributed.destroy_process_group()

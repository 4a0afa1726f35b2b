"""What a worker does with the trials it is handed: run them in order, report as it goes. The same for every engine."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from threadpoolctl import ThreadpoolController

from .. import device
from ..loop import Job, Start, run_trial, start
from ..strangers import offspring, raised
from ..strangers.apart import DiedError, SilentError, Tell, apart
from ..types import Outcome, Pool, Round, TrialEnd
from .deadline import DeadlineError, InterruptError, deadline

REPORT_EVERY_S = 1.0  # as often as the driver writes
CARD_FULL = ("OutOfMemoryError", "out of memory", "ALLOC_FAILED")  # torch (it says what was asked for); CUDA, faiss
LATE_S = 5.0  # beyond a trial's timeout: for its worker to end it and to report, both within a second or two


@dataclass(frozen=True, eq=False)
class RoundDone:
    """One more row of results."""

    trial_id: str
    round: Round
    ended_at: int  # ms since the epoch


@dataclass(frozen=True, eq=False)
class Ended:
    """A trial's attempt is over; ``filled`` is said of one that is done, ``card_full`` where a GPU had no room left."""

    end: TrialEnd
    ended_at: int
    filled: device.Filled | None = None
    card_full: bool = False


@dataclass(frozen=True, eq=False)
class Started:
    """The initial state of a group is fitted and can be handed to the group's other trials."""

    start_id: str
    start: Start


@dataclass(frozen=True, eq=False)
class Broken:
    """A chunk was given up in its first unfinished trial: its process ``died``, or it cannot be carried there."""

    reason: str
    trace: str = ""
    outcome: Outcome = Outcome.FAILED
    died: bool = False
    killed: bool = False  # died in a way that others may have caused


Event = RoundDone | Ended | Started | Broken


def limit_threads(threads: int) -> None:
    """Bound BLAS, OpenMP and torch for libraries that are loaded from now on (those loaded are bounded by `execute`).

    Numerical libraries split sums by thread: a fixed number is part of giving the same answer everywhere.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


def execute(
    jobs: Sequence[Job],
    starts: Mapping[str, Start],
    share: frozenset[str],
    pool_of: Callable[[str], Pool],
    every_s: float = REPORT_EVERY_S,
) -> Iterator[list[Event]]:
    """Run the jobs in order; yield what happened in small lists, at least every ``every_s`` of finished rounds.

    Parameters
    ----------
    jobs
        At least one, all with the same resources.
    starts
        Initial states fitted elsewhere, by start id. Others are fitted here, once per start id.
    share
        Start ids whose initial state other workers wait for: it is reported as soon as it is there.
    pool_of
        From a fingerprint to its pool.
    """
    events: list[Event] = []
    reported = time.monotonic()
    known = dict(starts)
    resources = jobs[0].resources
    with (
        _pools_of_threads().limit(limits=resources.threads),
        device.on("cuda" if resources.num_gpus else "cpu", min(1.0, resources.num_gpus)),
        offspring.adopted() as children,
    ):
        for job in jobs:
            for event in _run(job, known, share, pool_of):
                if isinstance(event, Ended):
                    offspring.end(children)
                events.append(event)
                if _due(event, reported, every_s):
                    yield events
                    events, reported = [], time.monotonic()
    yield events


def execute_apart(work: Callable[[], Iterator[list[Event]]], timeout: float | None) -> Iterator[list[Event]]:
    """Yield what ``work`` yields, in a process of its own; how that died, or was ended, is the last event."""

    def tell_all(tell: Tell[list[Event]]) -> None:
        for events in work():
            tell(events)

    try:
        yield from apart(tell_all, None if timeout is None else timeout + LATE_S / 2)
    except DiedError as error:
        yield [Broken(str(error), died=True, killed=error.killed)]
    except SilentError:
        yield [Broken(never_ended(timeout), outcome=Outcome.TIMEOUT)]


def never_ended(timeout: float | None) -> str:
    """Say that a trial had to be ended."""
    return f"longer than {timeout or 0:g} s, and did not end when it was told to"


def _due(event: Event, reported: float, every_s: float) -> bool:
    """Say whether to report now. The end of a long trial is, for with it begins the time of the next."""
    long = isinstance(event, Ended) and event.end.wall_s > every_s
    return long or isinstance(event, Started) or time.monotonic() - reported > every_s


def _forget_peak() -> None:
    """Measure the peak of memory from here on, where the system can: else a trial is billed for those before it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # Linux, proc(5): ru_maxrss begins anew


def _run(job: Job, known: dict[str, Start], share: frozenset[str], pool_of: Callable[[str], Pool]) -> Iterator[Event]:
    """Yield what happens in a trial; whatever a plugin raises is its end."""
    began, timeout = time.perf_counter(), job.resources.timeout
    _forget_peak()
    events = _events(job, known, share, pool_of)
    end: TrialEnd | None = None
    peak_mb, card_full = 0.0, False
    while end is None:
        try:
            with deadline(None if timeout is None else timeout - (time.perf_counter() - began)):
                event = next(events, None)
        except InterruptError:
            raise
        except BaseException as error:
            end = _failure(job, error)
            card_full = end.outcome is Outcome.OOM and not isinstance(error, MemoryError)  # that is the host's
        else:
            if event is None:
                end = TrialEnd(job.trial.trial_id, Outcome.DONE)
            else:
                if isinstance(event, RoundDone) and event.round.card is not None:
                    peak_mb = max(peak_mb, event.round.card.peak_mb)
                yield event
    end = replace(
        end,
        wall_s=time.perf_counter() - began,
        attempts=job.attempts,
        host=socket.gethostname(),
        device=device.called(),
    )
    filled = device.filled(peak_mb) if end.outcome is Outcome.DONE else None
    yield Ended(end, _now(), filled, card_full)


def _events(
    job: Job, known: dict[str, Start], share: frozenset[str], pool_of: Callable[[str], Pool]
) -> Iterator[Event]:
    trial = job.trial
    pool = pool_of(trial.fingerprint)
    begin = known.get(trial.start_id)
    if begin is None and not job.history:
        begin = start(trial, pool, job.learner)
        if begin is not None:
            known[trial.start_id] = begin
            if trial.start_id in share:
                yield Started(trial.start_id, begin)
    for round_ in run_trial(trial, pool, job.strategy, job.learner, job.history, begin, job.selector):
        kept = round_ if job.keeps_predictions else replace(round_, predicted=None)
        yield RoundDone(trial.trial_id, kept, _now())


def _failure(job: Job, error: BaseException) -> TrialEnd:
    if isinstance(error, DeadlineError):
        return TrialEnd(job.trial.trial_id, Outcome.TIMEOUT, f"longer than {job.resources.timeout:g} s")
    reason, outcome = raised.line(error), Outcome.FAILED
    if isinstance(error, MemoryError):
        outcome = Outcome.OOM
    elif job.resources.num_gpus and any(words in reason for words in CARD_FULL):
        outcome = Outcome.OOM
        reason = f"alone on its card: {reason}" if job.resources.num_gpus >= 1 else reason
    return TrialEnd(job.trial.trial_id, outcome, reason, raised.trace(error))


@cache  # looking for them takes 10 ms
def _pools_of_threads() -> ThreadpoolController:
    return ThreadpoolController()


def _now() -> int:
    return time.time_ns() // 1_000_000

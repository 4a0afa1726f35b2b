"""The engine without Ray: one trial after the other in this process.

There is no worker to end here. A trial that outlives its timeout and does not end when it is told to ends the run, with
a line; what is done is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..strangers.watchdog import Watchdog, watchdog
from ..types import Pool, Resources
from .plan import Chunk, Plan
from .worker import LATE_S, REPORT_EVERY_S, Event, Started, execute, limit_threads, never_ended


def run(plan: Plan, pool_of: Callable[[str], Pool]) -> Iterator[list[Event]]:
    """Yield what happens, as it happens, until nothing is left or the plan is stopped."""
    for resources in plan.waiting():
        limit_threads(resources.threads)
        with watchdog(wanted=resources.timeout is not None) as dog:
            while (chunk := plan.next_chunk(resources)) is not None:
                for events in _watched(chunk, pool_of, dog):
                    for event in events:
                        plan.note(event, event.start if isinstance(event, Started) else None)
                    yield events
                    if plan.stopped:
                        return


def _watched(chunk: Chunk, pool_of: Callable[[str], Pool], dog: Watchdog | None) -> Iterator[list[Event]]:
    """Run a chunk; the watchdog, where there is one, bounds each step of it."""
    every_s = REPORT_EVERY_S if dog is None else 0.0
    stream = execute(chunk.jobs, chunk.starts, chunk.share, pool_of, every_s)
    while True:
        if dog is not None:
            dog.arm(*_bound(chunk.resources))
        events = next(stream, None)
        if dog is not None:
            dog.disarm()
        if events is None:
            return
        yield events


def _bound(resources: Resources) -> tuple[float, str]:
    return (resources.timeout or 0.0) + LATE_S, (
        f"error: a trial took {never_ended(resources.timeout)}; this engine runs trials in its own process, which ends"
        " here; what is done is kept, and --engine ray ends such a trial alone"
    )

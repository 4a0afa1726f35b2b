"""The engine without Ray: one trial after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..types import Pool
from .plan import Plan
from .worker import Event, Started, execute, limit_threads


def run(plan: Plan, pool_of: Callable[[str], Pool]) -> Iterator[list[Event]]:
    """Yield what happens, as it happens, until nothing is left or the plan is stopped."""
    for resources in plan.waiting():
        limit_threads(resources.threads)
        while (chunk := plan.next_chunk(resources)) is not None:
            for events in execute(chunk.jobs, chunk.starts, chunk.share, pool_of):
                for event in events:
                    plan.note(event, event.start if isinstance(event, Started) else None)
                yield events
                if plan.stopped:
                    return

"""Trials on a Ray cluster: the only file that imports ray. What travels with what is decided in plan.py.

Long-lived workers (one actor each) take chunks of trials and stream small lists of events back. The arrays of a pool
are put into Ray's object store once, so each node holds one read-only copy whatever its number of workers. A worker
or node that dies gives its unfinished trials back to the plan; a pending worker holds nothing.
"""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..loop import Job
from ..types import Outcome, Pool, Resources, UserError
from .plan import Chunk, Plan
from .worker import Ended, Event, Started, execute, limit_threads

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing calls out of the machine
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's future default, without its warning
import ray
from ray.exceptions import RayError, RayTaskError

QUEUE = 2  # chunks a worker holds, so that it never waits for the driver
POOLS_KEPT = 4  # pools with their derived artefacts that a worker keeps
TICK_S = 0.5
GRACE_S = 1.5  # after Ctrl-C: how long running chunks may still report

Arrays = Mapping[str, NDArray[Any]]
Pools = Mapping[str, Mapping[str, Any]]
"""By fingerprint and name, references of arrays in the object store."""
log = logging.getLogger("albench")


class EngineError(UserError):
    """The cluster cannot run the grid; ``str()`` is one line that says why."""

    exit_status = 1


class _Worker:
    """One process of the cluster: runs chunks one after the other."""

    def __init__(self, threads: int, make_pool: Callable[[str, Arrays], Pool]) -> None:
        limit_threads(threads)
        self._make_pool = make_pool
        self._pools: OrderedDict[str, Pool] = OrderedDict()
        self._refs: Mapping[str, Mapping[str, Any]] = {}

    def ready(self) -> None:
        """Answer once the process is up."""

    def run(
        self, jobs: tuple[Job, ...], starts: Mapping[str, Any], share: frozenset[str], pools: Pools
    ) -> Iterator[list[Event]]:
        self._refs = pools
        yield from execute(jobs, {key: ray.get(ref) for key, ref in starts.items()}, share, self._pool)

    def _pool(self, fingerprint: str) -> Pool:
        if fingerprint not in self._pools:
            arrays = {name: ray.get(ref) for name, ref in self._refs[fingerprint].items()}
            self._pools[fingerprint] = self._make_pool(fingerprint, arrays)
            while len(self._pools) > POOLS_KEPT:
                self._pools.popitem(last=False)
        self._pools.move_to_end(fingerprint)
        return self._pools[fingerprint]


class _Put(NamedTuple):
    """An array of the driver, as long as it lives, and its reference in the object store."""

    array: weakref.ref[NDArray[Any]]
    ref: Any


@dataclass(eq=False)
class _Slot:
    """A place for a worker, and the chunks it holds, the running one first."""

    resources: Resources
    actor: Any
    starting: Any  # reference that resolves when the worker is up; None once it is
    chunks: deque[tuple[Any, Chunk]] = field(default_factory=deque)

    def awaited(self) -> Any:
        """Return what to wait for next, or None when idle."""
        if self.starting is not None:
            return self.starting
        return self.chunks[0][0] if self.chunks else None


class Cluster:
    """A connection to Ray: a local one started for this run, or a running one at ``address``."""

    def __init__(self, workers: int | None, address: str | None) -> None:
        logging.getLogger("ray").setLevel(logging.ERROR)  # Ray greets on stderr
        cpus = None if address else (workers or os.cpu_count() or 1)
        try:
            ray.init(
                address=address or "local",  # never one that happens to run here
                num_cpus=cpus,
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        except (RayError, ConnectionError, RuntimeError, ValueError) as error:
            where = address or "on this machine"
            raise EngineError(f"Ray {where}: {str(error).strip().splitlines()[0]}") from error
        self.workers = workers or max(1, int(_resources().get("CPU", 1)))

    def close(self) -> None:
        ray.shutdown()

    def check(self, resources: Resources) -> None:
        """Raise `EngineError` when the cluster as a whole does not have what one trial asks for."""
        have = _resources()
        for name, asked in (("CPU", resources.num_cpus), ("GPU", resources.num_gpus)):
            if asked > have.get(name, 0):
                raise EngineError(
                    f"resources: a trial asks for num_{name.lower()}s: {asked:g}, the cluster has {have.get(name, 0):g}"
                )

    def run(
        self, plan: Plan, arrays_of: Callable[[str], Arrays], make_pool: Callable[[str, Arrays], Pool]
    ) -> Iterator[list[Event]]:
        """Yield what happens, as it happens (an empty list now and then), until nothing is left or it is stopped."""
        for resources in plan.waiting():
            self.check(resources)
        run = _Run(plan, arrays_of, make_pool, self.workers)
        try:
            yield from run.events()
        finally:
            run.close()


def _resources() -> dict[str, float]:
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call] # Ray left it untyped


class _Run:
    """The driver's side of one run."""

    def __init__(
        self,
        plan: Plan,
        arrays_of: Callable[[str], Arrays],
        make_pool: Callable[[str, Arrays], Pool],
        workers: int,
    ) -> None:
        self._plan, self._arrays_of, self._make_pool = plan, arrays_of, make_pool
        self._workers = min(workers, plan.left)
        self._slots: list[_Slot] = []
        self._pools: dict[str, dict[str, _Put]] = {}
        self._failed_starts = 0

    def events(self) -> Iterator[list[Event]]:
        stopped_at: float | None = None
        while self._plan.left:
            if self._plan.stopped:
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at > GRACE_S or not any(slot.chunks for slot in self._slots):
                    return
            else:
                self._fill()
            awaited = {slot.awaited(): slot for slot in self._slots if slot.awaited() is not None}
            ready, rest = ray.wait(list(awaited), num_returns=1, timeout=TICK_S)
            ready += ray.wait(rest, num_returns=len(rest), timeout=0)[0] if ready and rest else []
            events = [event for ref in ready for event in self._receive(awaited[ref])]
            yield events

    def close(self) -> None:
        for slot in self._slots:
            ray.kill(slot.actor)

    def _fill(self) -> None:
        """Keep every slot busy; a slot whose kind of worker has nothing to do becomes one that has."""
        waiting = self._plan.waiting()
        while waiting and len(self._slots) < self._workers:
            self._slots.append(self._hire(waiting[len(self._slots) % len(waiting)]))
        for _ in range(QUEUE):  # one each before anybody gets a second
            for slot in self._slots:
                if slot.starting is None and len(slot.chunks) < QUEUE:
                    self._hand_out(slot)
        for slot in list(self._slots):
            waiting = self._plan.waiting()
            if waiting and slot.awaited() is None and slot.resources not in waiting:
                self._dismiss(slot)
                self._slots.append(self._hire(waiting[0]))

    def _hire(self, resources: Resources) -> _Slot:
        remote: Any = ray.remote(_Worker)  # Ray's own types lose the methods of the class
        asked = remote.options(num_cpus=resources.num_cpus, num_gpus=resources.num_gpus)
        actor = asked.remote(resources.threads, self._make_pool)
        return _Slot(resources, actor, starting=actor.ready.remote())

    def _dismiss(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        ray.kill(slot.actor)

    def _hand_out(self, slot: _Slot) -> None:
        chunk = self._plan.next_chunk(slot.resources)
        if chunk is None:
            return
        pools = {print_: self._pool(print_) for print_ in {job.trial.fingerprint for job in chunk.jobs}}
        stream = slot.actor.run.options(num_returns="streaming").remote(chunk.jobs, chunk.starts, chunk.share, pools)
        slot.chunks.append((stream, chunk))

    def _pool(self, fingerprint: str) -> dict[str, Any]:
        """Return references of a pool's arrays in the object store, put there once and freed when they have served."""
        if fingerprint not in self._pools:
            self._pools = {key: ref for key, ref in self._pools.items() if self._plan.wants(key)}
            self._pools[fingerprint] = {name: self._put(x) for name, x in self._arrays_of(fingerprint).items()}
        return {name: put.ref for name, put in self._pools[fingerprint].items()}

    def _put(self, array: NDArray[Any]) -> _Put:
        """Put an array into the object store, unless it lies there for another pool (the images of the same data)."""
        held = (put for pool in self._pools.values() for put in pool.values() if put.array() is array)
        return next(held, None) or _Put(weakref.ref(array), ray.put(np.asarray(array)))

    def _receive(self, slot: _Slot) -> list[Event]:
        try:
            if slot.starting is not None:
                ray.get(slot.starting)
                slot.starting, self._failed_starts = None, 0
                return []
            stream, _ = slot.chunks[0]
            events: list[Event] = ray.get(next(stream))
        except StopIteration:
            slot.chunks.popleft()
            return []
        except RayError as error:
            if isinstance(error, RayTaskError) and not isinstance(error.cause, RayError):
                what = f"{type(error.cause).__name__}: {error.cause}"
                raise EngineError(f"a worker cannot take trials ({what}); is each plugin on each node?") from error
            return self._lose(slot, error)
        for event in events:
            self._plan.note(event, ray.put(event.start) if isinstance(event, Started) else None)
        return events

    def _lose(self, slot: _Slot, error: RayError) -> list[Event]:
        """Give the chunks of a dead worker back, and let `_fill` hire another."""
        reason = str(error).strip().splitlines()[0]
        log.warning("a worker was lost (%s: %s); its trials go on elsewhere", type(error).__name__, reason)
        if slot.starting is not None:
            self._failed_starts += 1
            if self._failed_starts > max(3, self._workers):
                raise EngineError(f"Ray's workers die while they start: {reason}")
        outcome = Outcome.OOM if "OutOfMemory" in f"{type(error).__name__}{error}" else Outcome.LOST
        ends = []
        for position, (_, chunk) in enumerate(slot.chunks):
            ends += self._plan.give_back(chunk, blame=position == 0, reason=reason, outcome=outcome)
        self._dismiss(slot)
        return [Ended(end, time.time_ns() // 1_000_000) for end in ends]

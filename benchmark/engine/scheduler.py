"""Trials on a Ray cluster, which session.py starts and ends. What travels with what is decided in plan.py.

Long-lived workers (one actor each) take chunks of trials and stream small lists of events back. The arrays of a pool
are put into Ray's object store once, so each node holds one read-only copy whatever its number of workers. A worker
or node that dies gives its unfinished trials back to the plan; a pending worker holds nothing.
"""

from __future__ import annotations

import logging
import pickle
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..loop import Job
from ..strangers import offspring, own, raised
from ..types import Outcome, Pool, Resources, TrialEnd
from .deadline import InterruptError
from .plan import MAX_ATTEMPTS, Chunk, Plan
from .session import EngineError, Session, cause
from .worker import (
    LATE_S,
    REPORT_EVERY_S,
    Broken,
    Ended,
    Event,
    Started,
    execute,
    execute_apart,
    limit_threads,
    never_ended,
)

import ray  # isort: skip - session.py sets its environment
from ray.cloudpickle import dumps  # isort: skip - likewise
from ray.exceptions import RayError, RayTaskError  # isort: skip - likewise

QUEUE = 2  # chunks a worker holds, so that it never waits for the driver
POOLS_KEPT = 4  # pools with their derived artefacts that a worker keeps
TICK_S = 0.5
QUIET_S = 45.0  # how long workers may take to start before a line says so
GRACE_S = 1.5  # after Ctrl-C: how long running chunks may still report

Arrays = Mapping[str, NDArray[Any]]
Pools = Mapping[str, Mapping[str, Any]]
"""By fingerprint and name, references of arrays in the object store."""
NODES = "; is each plugin on each node?"
log = logging.getLogger("albench")


class _Worker:
    """One process of the cluster: runs chunks one after the other."""

    def __init__(
        self, threads: int, make_pool: Callable[[str, Arrays], Pool], modules: Sequence[own.Source] = ()
    ) -> None:
        limit_threads(threads)
        for source in modules:  # before a trial comes that needs one
            own.hold(source)
        self._make_pool = make_pool
        self._pools: OrderedDict[str, Pool] = OrderedDict()

    def ready(self) -> None:
        """Answer once the process is up."""

    def run(
        self,
        parcels: Sequence[bytes],
        starts: Mapping[str, Any],
        share: frozenset[str],
        pools: Pools,
        apart: bool,
        timeout: float | None,
    ) -> Iterator[list[Event]]:
        for fingerprint, refs in pools.items():  # what Ray cannot fetch is the fault of no trial
            self._hold(fingerprint, refs)
        while len(self._pools) > max(POOLS_KEPT, len(pools)):
            self._pools.popitem(last=False)
        known = {key: ray.get(ref) for key, ref in starts.items()}
        yield []  # from here on the first trial's time counts

        def work() -> Iterator[list[Event]]:
            for parcel in parcels:
                jobs = _unpacked(parcel)
                if isinstance(jobs, Broken):
                    yield [jobs]
                    return
                yield from execute(jobs, known, share, self._pools.__getitem__, 0.0 if apart else REPORT_EVERY_S)

        yield from execute_apart(work, timeout) if apart else work()

    def _hold(self, fingerprint: str, refs: Mapping[str, Any]) -> None:
        if fingerprint not in self._pools:
            arrays = {name: ray.get(ref) for name, ref in refs.items()}
            self._pools[fingerprint] = self._make_pool(fingerprint, arrays)
        self._pools.move_to_end(fingerprint)


def _packed(jobs: Sequence[Job], apart: bool) -> tuple[bytes, ...]:
    """Return jobs as they travel: all together, or each by itself."""
    return tuple(_parcel(each) for each in ([(job,) for job in jobs] if apart else [tuple(jobs)]))


def _parcel(jobs: tuple[Job, ...]) -> bytes:
    try:
        return _bytes(jobs)
    except InterruptError:
        raise
    except BaseException as error:  # of a plugin, as it is pickled
        return _bytes(Broken(f"it cannot be sent to a worker: {raised.line(error)}", raised.trace(error)))


def _bytes(value: object) -> bytes:
    return bytes(dumps(value))  # type: ignore[no-untyped-call] # Ray left it untyped


def _unpacked(parcel: bytes) -> tuple[Job, ...] | Broken:
    try:
        jobs: tuple[Job, ...] | Broken = pickle.loads(parcel)  # noqa: S301 - from the driver
    except BaseException as error:  # of a plugin, as it is unpickled
        return Broken(f"a worker cannot take it: {raised.line(error)}{NODES}", raised.trace(error))
    return jobs


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
    clean: bool = True  # it has run no trial in its own process
    running_s: float | None = None  # how long its trial may have run, by the driver's clock; None before the first

    @property
    def overdue(self) -> bool:
        """Whether its trial has not ended in its time, nor when it was told to."""
        timeout = self.resources.timeout
        return timeout is not None and self.running_s is not None and self.running_s > timeout + LATE_S

    @property
    def room(self) -> bool:
        """Whether it takes another chunk: one that runs apart is with no other."""
        measuring = self.resources.auto and self.resources.num_gpus == 1.0  # what waits may soon ask for less
        held = 1 if measuring else QUEUE
        return self.starting is None and len(self.chunks) < held and not (self.chunks and self.chunks[0][1].apart)

    def next(self) -> Chunk:
        """Take off the running chunk."""
        self.running_s = None
        return self.chunks.popleft()[1]

    def awaited(self) -> Any:
        """Return what to wait for next, or None when idle."""
        if self.starting is not None:
            return self.starting
        return self.chunks[0][0] if self.chunks else None


def run(
    plan: Plan, session: Session, arrays_of: Callable[[str], Arrays], make_pool: Callable[[str, Arrays], Pool]
) -> Iterator[list[Event]]:
    """Yield what happens, as it happens (an empty list now and then), until nothing is left or it is stopped."""
    for resources in plan.waiting():
        session.check(resources)
    with offspring.adopted() as before:
        run = _Run(plan, session, arrays_of, make_pool, before)
        try:
            yield from run.events()
        finally:
            run.close()


class _Run:
    """The driver's side of one run."""

    def __init__(
        self,
        plan: Plan,
        session: Session,
        arrays_of: Callable[[str], Arrays],
        make_pool: Callable[[str, Arrays], Pool],
        before: frozenset[int],
    ) -> None:
        self._plan, self._session, self._arrays_of, self._make_pool = plan, session, arrays_of, make_pool
        self._before = before  # processes of this one; others are orphans of workers
        self._workers = min(session.workers, plan.left)
        self._slots: list[_Slot] = []
        self._pools: dict[str, dict[str, _Put]] = {}
        self._failed_starts = 0
        self._looked = self._heard = time.monotonic()

    def events(self) -> Iterator[list[Event]]:
        stopped_at: float | None = None
        while self._plan.left:
            self._session.beat()
            if self._plan.stopped:
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at > GRACE_S or not any(slot.chunks for slot in self._slots):
                    return
            else:
                self._fill()
            awaited = {slot.awaited(): slot for slot in self._slots if slot.awaited() is not None}
            ready, rest = ray.wait(list(awaited), num_returns=1, timeout=TICK_S)
            ready += ray.wait(rest, num_returns=len(rest), timeout=0)[0] if ready and rest else []
            self._watch_starts(bool(ready))
            events = [event for ref in ready for event in self._receive(awaited[ref])]
            yield events + self._end_overdue([slot for ref, slot in awaited.items() if ref not in ready])

    def _watch_starts(self, heard: bool) -> None:
        """Say now and then that no worker comes up; end where the cluster has lost what a trial needs."""
        now = time.monotonic()
        if heard or any(slot.chunks for slot in self._slots):
            self._heard = now
        elif now - self._heard > QUIET_S:
            self._heard = now
            for resources in {slot.resources for slot in self._slots}:
                self._session.check(resources)
            log.warning("no worker has started for %.0f s: others use the cluster, or its nodes hang", QUIET_S)

    def close(self) -> None:
        if self._session.alive():
            for slot in self._slots:
                ray.kill(slot.actor)
        offspring.end(self._before)

    def _fill(self) -> None:
        """Keep every slot busy; one whose worker may do nothing of what waits gets another worker."""
        waiting = self._plan.waiting()
        while waiting and len(self._slots) < self._workers:
            self._slots.append(self._hire(waiting[len(self._slots) % len(waiting)]))
        for _ in range(QUEUE):  # one each before anybody gets a second
            for slot in self._slots:
                if slot.room:
                    self._hand_out(slot)
        for slot in list(self._slots):
            waiting = self._plan.waiting()
            if waiting and not slot.chunks and slot.resources not in waiting:
                self._dismiss(slot)
                self._slots.append(self._hire(waiting[0]))
            elif slot.awaited() is None and not slot.clean and self._plan.suspects(slot.resources):
                self._dismiss(slot)
                self._slots.append(self._hire(slot.resources))

    def _hire(self, resources: Resources) -> _Slot:
        remote: Any = ray.remote(_Worker)  # Ray's own types lose the methods of the class
        asked = remote.options(num_cpus=resources.num_cpus, num_gpus=resources.num_gpus)
        actor = asked.remote(resources.threads, self._make_pool, own.carried())
        return _Slot(resources, actor, starting=actor.ready.remote())

    def _dismiss(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        ray.kill(slot.actor)
        offspring.end(self._before)

    def _hand_out(self, slot: _Slot) -> None:
        chunk = self._plan.next_chunk(slot.resources, clean=slot.clean and not slot.chunks)
        if chunk is None:
            return
        slot.clean = slot.clean and chunk.apart
        pools = {print_: self._pool(print_) for print_ in {job.trial.fingerprint for job in chunk.jobs}}
        run = slot.actor.run.options(num_returns="streaming")
        parcels, timeout = _packed(chunk.jobs, chunk.apart), slot.resources.timeout
        slot.chunks.append((run.remote(parcels, chunk.starts, chunk.share, pools, chunk.apart, timeout), chunk))

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
            slot.next()
            return []
        except RayTaskError as error:
            if isinstance(error.cause, RayError):
                return self._lose(slot, error)
            if slot.starting is not None:
                raise EngineError(f"a worker cannot start: {raised.line(error.cause)}{NODES}") from error
            events = [Broken(raised.line(error.cause), str(error))]
        except RayError as error:
            return self._lose(slot, error)
        told: list[Event] = []
        for event in events:
            if isinstance(event, Broken):
                told += self._give_up(slot, event)
            elif not self._plan.goes_on(event):
                self._plan.note(event, ray.put(event.start) if isinstance(event, Started) else None)
                told.append(event)
        if slot.running_s is None or any(isinstance(event, Ended) for event in events):
            slot.running_s = 0.0
        return told

    def _give_up(self, slot: _Slot, broken: Broken) -> list[Event]:
        """Go on with a worker that gave its running chunk up."""
        chunk = slot.next()
        tries = 1 if chunk.apart and not broken.died else MAX_ATTEMPTS if broken.killed else 2
        return _ended(self._plan.blame(chunk, broken.reason, broken.outcome, broken.trace, tries))

    def _lose(self, slot: _Slot, error: RayError) -> list[Event]:
        """Give the chunks of a dead worker back, and let `_fill` hire another."""
        reason = cause(error)
        log.warning("a worker was lost (%s: %s); its trials go on elsewhere", type(error).__name__, reason)
        if slot.starting is not None:
            self._failed_starts += 1
            if self._failed_starts > max(3, self._workers):
                raise EngineError(f"Ray's workers die while they start: {reason}")
        outcome = Outcome.OOM if "OutOfMemory" in f"{type(error).__name__}{error}" else Outcome.LOST
        return self._replace(slot, reason, outcome, MAX_ATTEMPTS)

    def _end_overdue(self, quiet: Sequence[_Slot]) -> list[Event]:
        """End the workers whose trial outlives its time. The clock stands still while this process does."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, 2 * TICK_S), now
        events = []
        for slot in self._slots:
            if slot.running_s is not None:
                slot.running_s += passed
        for slot in quiet:
            if slot.overdue:
                events += self._replace(slot, never_ended(slot.resources.timeout), Outcome.TIMEOUT, tries=1)
        return events

    def _replace(self, slot: _Slot, reason: str, outcome: Outcome, tries: int) -> list[Event]:
        """End a worker; what it held goes back to the plan, its running chunk with the blame."""
        ends: list[TrialEnd] = []
        held = [chunk for _, chunk in slot.chunks if not self._plan.over(chunk)]
        if held:
            ends = self._plan.blame(held[0], reason, outcome, tries=tries)
        for chunk in held[1:]:
            self._plan.give_back(chunk)
        self._dismiss(slot)
        return _ended(ends)


def _ended(ends: Sequence[TrialEnd]) -> list[Event]:
    return [Ended(end, time.time_ns() // 1_000_000) for end in ends]

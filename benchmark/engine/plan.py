"""The scheduling policy: which trials travel together, in which order. Pure bookkeeping, no engine in it.

- Trials of one start id share round 0: until one of them has fitted it, the others of the group stay at home, unless
  the whole group travels in one chunk.
- Chunks are filled to about `TARGET_S` seconds by the measured cost of trials of the same kind; a kind without a
  measurement travels alone. Towards the end chunks shrink, so that the workers finish together.
- The costliest groups go first, by what the whole group costs; among equals those that are begun, so that few initial
  states are held at a time.
- Where the grid says ``num_gpus: auto``, trials have a card each until one of their load was measured; from then on
  those at home ask for the share that it needed (`Cards`). One that finds no room on a card beside others is tried
  once more, at the end, with a card of its own.

Groups that differ by seed alone wait in one queue, and the queues in a heap: the time spent here on a trial does not
grow with their number.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush, heapreplace
from typing import Any

from ..loop import Job
from ..types import Batch, Outcome, Resources, TrialEnd
from .costs import Cards, Costs, Kind
from .worker import Ended, Event, RoundDone, Started

TARGET_S = 2.0
SMALLEST_S = 0.05
MAX_ATTEMPTS = 3  # infrastructure may fail under one trial so many times; then it counts as lost


@dataclass(frozen=True, eq=False)
class Chunk:
    """Jobs for one worker, in order, with the engine's handles of the initial states they continue from."""

    jobs: tuple[Job, ...]
    starts: dict[str, Any]  # by start id
    share: frozenset[str]  # start ids whose initial state other workers wait for
    apart: bool = False  # one of its jobs may do harm

    @property
    def resources(self) -> Resources:
        return self.jobs[0].resources


@dataclass(eq=False)
class _Group:
    """Trials that share an initial state, or a single trial that shares none. Those at home are in it."""

    key: str  # the start id, or the trial id of the single trial
    shared: bool
    jobs: deque[Job] = field(default_factory=deque)
    kinds: tuple[Kind, ...] = ()  # of the jobs with which it was put there
    starting: bool = False  # a worker is fitting the initial state
    handle: Any = None


@dataclass(eq=False)
class _Queue:
    """Groups that can be handed out and differ by seed alone."""

    number: int
    fingerprint: str
    kinds: tuple[Kind, ...]
    groups: deque[_Group] = field(default_factory=deque)


_Rank = tuple[float, str, int]


class Plan:
    """What is left to do. ``workers`` is how many take from it at the same time."""

    def __init__(self, jobs: Iterable[Job], workers: int) -> None:
        self.workers = workers
        self.stopped = False
        self._costs, self._cards = Costs(), Cards()
        self._groups: dict[str, _Group] = {}  # those with trials at home
        self._queues: dict[tuple[Resources, str, tuple[Kind, ...]], _Queue] = {}
        self._heaps: defaultdict[Resources, list[tuple[_Rank, _Queue]]] = defaultdict(list)  # queues that hold groups
        self._home: Counter[Resources] = Counter()  # trials that are not handed out
        self._open: dict[str, Job] = {}
        self._open_pools: Counter[str] = Counter()
        self._received: dict[str, list[Batch]] = {}
        self._suspects: deque[Chunk] = deque()  # at home, to be run apart
        self._harmful: set[Kind] = set()  # of trials under which a worker died; others of the kind run apart at once
        for job in jobs:
            self._open[job.trial.trial_id] = job
            self._open_pools[job.trial.fingerprint] += 1
            self._costs.open(job.kind)
        self._put(self._open.values())

    @property
    def left(self) -> int:
        """Trials that have not ended."""
        return len(self._open)

    def wants(self, fingerprint: str) -> bool:
        """Say whether trials of this pool have not ended."""
        return self._open_pools[fingerprint] > 0

    def waiting(self) -> list[Resources]:
        """Return the different resources that trials at home ask for."""
        return [resources for resources, n in self._home.items() if n]

    def seconds_left(self) -> float | None:
        """Estimate the worker-seconds of what is left; None before the first measurement."""
        return self._costs.left()

    def next_chunk(self, resources: Resources, *, clean: bool = True) -> Chunk | None:
        """Take the next chunk for a worker with these resources; None when nothing can be handed out now.

        Only a worker that is ``clean`` (it has run no trial in its own process) gets one that runs apart.
        """
        if self.stopped:
            return None
        if clean and (suspect := self._suspect(resources)) is not None:
            return suspect
        while (chunk := self._next(resources)) is not None and chunk.apart and not clean:
            self._put_apart(chunk)
        return chunk

    def _next(self, resources: Resources) -> Chunk | None:
        left = self.seconds_left()
        room = TARGET_S if left is None else max(SMALLEST_S, min(TARGET_S, left / (3 * self.workers)))
        jobs: list[Job] = []
        starts: dict[str, Any] = {}
        share: set[str] = set()
        while room > 0 and (queue := self._costliest(resources)) is not None:
            group = queue.groups[0]
            taken, room = self._take(group, room, begun=bool(jobs))
            if not taken:
                break
            jobs += taken
            if group.shared and group.handle is not None:
                starts[group.key] = group.handle
            elif group.shared and group.jobs:
                group.starting = True
                share.add(group.key)
            if group.starting or not group.jobs:
                self._withdraw(queue, resources)
        apart = any(job.kind in self._harmful for job in jobs)
        return Chunk(tuple(jobs), starts, frozenset(share), apart) if jobs else None

    def note(self, event: Event, handle: Any = None) -> None:
        """Learn from what a worker reported; ``handle`` is the engine's handle of a `Started` event's state."""
        if isinstance(event, RoundDone):
            self._received.setdefault(event.trial_id, []).append(event.round.batch)
        elif isinstance(event, Started):
            if event.start_id in self._groups:
                self._groups[event.start_id].handle = handle
            self._release(event.start_id)
        elif isinstance(event, Ended) and event.end.trial_id in self._open:
            job = self._open[event.end.trial_id]
            measured = event.end.outcome is Outcome.DONE and not job.history
            self._close(job, event.end.wall_s if measured else None)
            self._release(job.trial.start_id)  # it may have failed before it could share its initial state
            if job.resources.auto and event.filled is not None and self._cards.note(job.load, event.filled):
                self._share_cards()

    def goes_on(self, event: Event) -> bool:
        """Say whether a trial that has ended goes on: it found no room beside others, and is put back to run alone."""
        job = self._open.get(event.end.trial_id) if isinstance(event, Ended) and event.card_full else None
        if job is None or not 0 < job.resources.num_gpus < 1:
            return False
        self._release(job.trial.start_id)
        alone = replace(job.resources, num_gpus=1.0, auto=False)
        job = self._open[job.trial.trial_id] = replace(self._continued(job, 1), resources=alone)
        self._put_apart(Chunk((job,), {}, frozenset(), apart=True))
        return True

    def give_back(self, chunk: Chunk) -> None:
        """Put the unfinished jobs of a lost chunk back, each continuing behind its last received round."""
        self._put([self._continued(job, 0) for job in self._unfinished(chunk)])

    def blame(
        self, chunk: Chunk, reason: str, outcome: Outcome = Outcome.LOST, trace: str = "", tries: int = MAX_ATTEMPTS
    ) -> list[TrialEnd]:
        """Put the jobs of a chunk back of which one did harm (its worker died, say); they are tried again apart.

        Which of several it was is known only of a chunk that ran apart: its first unfinished. That counts as an
        attempt of this one: after so many ``tries`` it has ended, with this outcome. Such ends are returned.
        """
        unfinished = self._unfinished(chunk)
        exact = len(unfinished) if not chunk.apart and len(unfinished) > 1 else 1
        guilty, others = unfinished[:exact], unfinished[exact:]
        known, ends = len(guilty) == 1, []
        if known:
            self._harmful.add(guilty[0].kind)
        if known and guilty[0].attempts >= tries:
            (job,) = guilty
            self._close(job, None)
            why = reason if tries == 1 else f"its worker died {job.attempts} times, last: {reason}"
            ends.append(TrialEnd(job.trial.trial_id, outcome, why, trace, attempts=job.attempts))
            guilty = []
        for jobs, counted in ((guilty, known), (others, False)):
            if jobs:
                again = tuple(self._continued(job, int(counted)) for job in jobs)
                self._put_apart(replace(chunk, jobs=again, share=frozenset(), apart=True))
        return ends

    def suspects(self, resources: Resources) -> bool:
        """Say whether a chunk waits that runs apart."""
        return any(chunk.resources == resources for chunk in self._suspects)

    def over(self, chunk: Chunk) -> bool:
        """Say whether all jobs of a chunk have ended."""
        return not any(job.trial.trial_id in self._open for job in chunk.jobs)

    def _unfinished(self, chunk: Chunk) -> list[Job]:
        """Return the jobs of a chunk that have not ended; what others waited for in it will not come."""
        for start_id in chunk.share:
            self._release(start_id)
        return [self._open[job.trial.trial_id] for job in chunk.jobs if job.trial.trial_id in self._open]

    def _continued(self, job: Job, counted: int) -> Job:
        trial_id = job.trial.trial_id
        history = (*job.history, *self._received.pop(trial_id, ()))
        self._open[trial_id] = replace(job, history=history, attempts=job.attempts + counted)
        return self._open[trial_id]

    def _put_apart(self, chunk: Chunk) -> None:
        self._suspects.append(chunk)
        self._home[chunk.resources] += len(chunk.jobs)

    def _suspect(self, resources: Resources) -> Chunk | None:
        chunk = next((chunk for chunk in self._suspects if chunk.resources == resources), None)
        if chunk is not None:
            self._suspects.remove(chunk)
            self._home[resources] -= len(chunk.jobs)
        return chunk

    def _put(self, jobs: Iterable[Job]) -> None:
        """Take jobs home, each to its group; a group that was not there can be handed out from now on."""
        new: list[_Group] = []
        for job in map(self._sized, jobs):
            shared = bool(job.trial.budget.initial.number) and not job.history
            key = job.trial.start_id if shared else job.trial.trial_id
            if key not in self._groups:
                self._groups[key] = _Group(key, shared)
                new.append(self._groups[key])
            self._groups[key].jobs.append(job)
            self._home[job.resources] += 1
        for group in new:
            group.kinds = tuple(job.kind for job in group.jobs)
            self._queue(group).append(group)

    def _sized(self, job: Job) -> Job:
        """Return a job that asks for the share of a card that its load is known to need."""
        if job.resources.auto:
            sized = replace(job.resources, num_gpus=self._cards.share(job.load))
            job = self._open[job.trial.trial_id] = replace(job, resources=sized)
        return job

    def _share_cards(self) -> None:
        """Let all at home ask for their share of a card as it is known now: other workers than before may take them."""
        self._queues.clear()
        self._heaps.clear()
        self._home.clear()
        for group in self._groups.values():
            group.jobs = deque(map(self._sized, group.jobs))
            self._home[group.jobs[0].resources] += len(group.jobs)
            if not group.starting:
                self._queue(group).append(group)
        for chunk in self._suspects:
            self._home[chunk.resources] += len(chunk.jobs)

    def _close(self, job: Job, seconds: float | None) -> None:
        del self._open[job.trial.trial_id]
        self._costs.close(job.kind, seconds)
        self._open_pools[job.trial.fingerprint] -= 1
        self._received.pop(job.trial.trial_id, None)

    def _release(self, start_id: str) -> None:
        group = self._groups.get(start_id)
        if group is not None and group.starting:
            group.starting = False
            self._queue(group).appendleft(group)

    def _queue(self, group: _Group) -> deque[_Group]:
        """Return the queue that a group is about to join; one that was empty takes its place in the heap."""
        job = group.jobs[0]
        key = job.resources, job.trial.fingerprint, group.kinds
        if key not in self._queues:
            self._queues[key] = _Queue(len(self._queues), job.trial.fingerprint, group.kinds)
        queue = self._queues[key]
        if not queue.groups:
            heappush(self._heaps[job.resources], (self._rank(queue), queue))
        return queue.groups

    def _costliest(self, resources: Resources) -> _Queue | None:
        """Return the queue whose groups go next. One whose kinds turned out to cost less moves back in the heap."""
        heap = self._heaps[resources]
        while heap:
            held, queue = heap[0]
            rank = self._rank(queue)
            if rank <= held:
                return queue
            heapreplace(heap, (rank, queue))
        return None

    def _rank(self, queue: _Queue) -> _Rank:
        """Costliest first; a kind that has no measurement goes before all, so that it gets one."""
        costs = [self._costs.mean(kind) for kind in queue.kinds]
        total = float("inf") if None in costs else sum(cost for cost in costs if cost is not None)
        return -total, queue.fingerprint, queue.number

    def _withdraw(self, queue: _Queue, resources: Resources) -> None:
        """Take the first group off the queue that goes next."""
        group = queue.groups.popleft()
        if not queue.groups:
            heappop(self._heaps[resources])
        if not group.jobs:
            del self._groups[group.key]

    def _take(self, group: _Group, room: float, *, begun: bool) -> tuple[list[Job], float]:
        """Take jobs off a group while they fit, and return the room that is left.

        The first job of a chunk always fits; one of unknown cost travels alone.
        """
        taken: list[Job] = []
        while group.jobs and room > 0:
            cost = self._costs.mean(group.jobs[0].kind)
            if (begun or taken) and (cost is None or cost > room):
                break
            taken.append(group.jobs.popleft())
            self._home[taken[-1].resources] -= 1
            room = 0.0 if cost is None else room - cost
        return taken, room

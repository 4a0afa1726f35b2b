"""The scheduling policy: which trials travel together, in which order. Pure bookkeeping, no engine in it.

- Trials of one start id share round 0: until one of them has fitted it, the others of the group stay at home, unless
  the whole group travels in one chunk.
- Chunks are filled to about `TARGET_S` seconds by the measured cost of trials of the same kind; a kind without a
  measurement travels alone. Towards the end chunks shrink, so that the workers finish together.
- The costliest groups go first.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ..loop import Job
from ..types import Outcome, Resources, Rows, TrialEnd
from .worker import Event, RoundDone, Started

TARGET_S = 2.0
SMALLEST_S = 0.05
MAX_ATTEMPTS = 3  # infrastructure may fail under one trial so many times; then it counts as lost


@dataclass(frozen=True, eq=False)
class Chunk:
    """Jobs for one worker, in order, with the engine's handles of the initial states they continue from."""

    jobs: tuple[Job, ...]
    starts: dict[str, Any]  # by start id
    share: frozenset[str]  # start ids whose initial state other workers wait for

    @property
    def resources(self) -> Resources:
        return self.jobs[0].resources


@dataclass(eq=False)
class _Group:
    """Trials that share an initial state, or a single trial that shares none."""

    start_id: str | None
    jobs: deque[Job] = field(default_factory=deque)
    starting: bool = False  # a worker is fitting the initial state
    handle: Any = None


class Plan:
    """What is left to do. ``workers`` is how many take from it at the same time."""

    def __init__(self, jobs: Iterable[Job], workers: int) -> None:
        self.workers = workers
        self.stopped = False
        self._groups: dict[str, _Group] = {}
        self._order: deque[_Group] = deque()
        self._home: Counter[Resources] = Counter()  # trials that are not handed out
        self._stale = True
        self._open: dict[str, Job] = {}
        self._open_kinds: Counter[tuple[str, ...]] = Counter()
        self._open_pools: Counter[str] = Counter()
        self._measured: dict[tuple[str, ...], tuple[float, int]] = {}  # seconds in sum, number of trials
        self._received: dict[str, list[Rows]] = {}
        for job in jobs:
            self._open[job.trial.trial_id] = job
            self._open_kinds[job.kind] += 1
            self._open_pools[job.trial.fingerprint] += 1
            self._put(job)

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
        if not self._measured:
            return None
        means = {kind: seconds / n for kind, (seconds, n) in self._measured.items()}
        overall = sum(seconds for seconds, _ in self._measured.values()) / sum(n for _, n in self._measured.values())
        return float(sum(n * means.get(kind, overall) for kind, n in self._open_kinds.items()))

    def next_chunk(self, resources: Resources) -> Chunk | None:
        """Take the next chunk for a worker with these resources; None when nothing can be handed out now."""
        if self.stopped:
            return None
        self._sort()
        left = self.seconds_left()
        room = TARGET_S if left is None else max(SMALLEST_S, min(TARGET_S, left / (3 * self.workers)))
        jobs: list[Job] = []
        starts: dict[str, Any] = {}
        share: set[str] = set()
        for group in self._order:
            if not group.jobs or group.starting or group.jobs[0].resources != resources:
                continue
            taken, room = self._take(group, room, begun=bool(jobs))
            if not taken:
                break
            jobs += taken
            if group.start_id is not None and group.handle is not None:
                starts[group.start_id] = group.handle
            elif group.start_id is not None and group.jobs:
                group.starting = True
                share.add(group.start_id)
            if room <= 0:
                break
        return Chunk(tuple(jobs), starts, frozenset(share)) if jobs else None

    def note(self, event: Event, handle: Any = None) -> None:
        """Learn from what a worker reported; ``handle`` is the engine's handle of a `Started` event's state."""
        if isinstance(event, RoundDone):
            self._received.setdefault(event.trial_id, []).append(event.round.selected)
        elif isinstance(event, Started):
            group = self._groups[event.start_id]
            group.starting, group.handle, self._stale = False, handle, True
        elif event.end.trial_id in self._open:
            job = self._close(event.end.trial_id)
            self._release(job.trial.start_id)  # it may have failed before it could share its initial state
            if event.end.outcome is Outcome.DONE and not job.history:
                seconds, n = self._measured.get(job.kind, (0.0, 0))
                self._measured[job.kind] = (seconds + event.end.wall_s, n + 1)
                self._stale |= n == 0

    def give_back(self, chunk: Chunk, *, blame: bool, reason: str, outcome: Outcome = Outcome.LOST) -> list[TrialEnd]:
        """Put the unfinished jobs of a lost chunk back, each continuing behind its last received round.

        ``blame`` counts the loss as an attempt of the job that was running (the first unfinished one). After
        `MAX_ATTEMPTS` it has ended with this outcome and reason; such ends are returned.
        """
        for start_id in chunk.share:
            self._release(start_id)
        ends = []
        unfinished = [job for job in chunk.jobs if job.trial.trial_id in self._open]
        for position, job in enumerate(unfinished):
            trial_id = job.trial.trial_id
            guilty = blame and position == 0
            if guilty and job.attempts >= MAX_ATTEMPTS:
                self._close(trial_id)
                why = f"its worker died {job.attempts} times, last: {reason}"
                ends.append(TrialEnd(trial_id, outcome, why, attempts=job.attempts))
                continue
            history = (*job.history, *self._received.pop(trial_id, ()))
            self._open[trial_id] = replace(job, history=history, attempts=job.attempts + guilty)
            self._put(self._open[trial_id])
        return ends

    def _put(self, job: Job) -> None:
        shares = bool(job.trial.budget.initial.number) and not job.history
        key = job.trial.start_id if shares else job.trial.trial_id
        self._groups.setdefault(key, _Group(key if shares else None)).jobs.append(job)
        self._home[job.resources] += 1
        self._stale = True

    def _close(self, trial_id: str) -> Job:
        job = self._open.pop(trial_id)
        self._open_kinds[job.kind] -= 1
        self._open_pools[job.trial.fingerprint] -= 1
        self._received.pop(trial_id, None)
        return job

    def _release(self, start_id: str) -> None:
        group = self._groups.get(start_id)
        if group is not None and group.starting:
            group.starting, self._stale = False, True

    def _take(self, group: _Group, room: float, *, begun: bool) -> tuple[list[Job], float]:
        """Take jobs off a group while they fit, and return the room that is left.

        The first job of a chunk always fits; one of unknown cost travels alone.
        """
        taken: list[Job] = []
        while group.jobs and room > 0:
            cost = self._cost(group.jobs[0])
            if (begun or taken) and (cost is None or cost > room):
                break
            taken.append(group.jobs.popleft())
            self._home[taken[-1].resources] -= 1
            room = 0.0 if cost is None else room - cost
        return taken, room

    def _cost(self, job: Job) -> float | None:
        """Measured mean seconds of this kind of trial."""
        seconds, n = self._measured.get(job.kind, (0.0, 0))
        return seconds / n if n else None

    def _sort(self) -> None:
        """Costliest first; a group with a kind that has no measurement goes before all, so that it gets one."""
        if self._stale:
            self._order = deque(sorted((g for g in self._groups.values() if g.jobs), key=self._priority))
            self._stale = False
        while self._order and not self._order[0].jobs:
            self._order.popleft()

    def _priority(self, group: _Group) -> tuple[float, str]:
        costs = [self._cost(job) for job in group.jobs]
        total = float("inf") if None in costs else sum(cost for cost in costs if cost is not None)
        return -total, group.jobs[0].trial.fingerprint

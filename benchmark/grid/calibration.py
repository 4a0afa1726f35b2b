"""What trials cost on this machine, from a few of their steps: for a grid of which no run is there to tell.

Of each kind of trial two purchases are made, that of its first round and that of its last, each after rows bought at
random; the rounds between cost their mean. A learner is fitted once for all strategies. An embedding that nobody has
computed yet is stood in by random features around a centre for each class.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from math import nan, prod

import numpy as np
from threadpoolctl import threadpool_limits

from ...datasets.reading.base import Report, Step, silent
from ..bench import Bench
from ..device import on
from ..lesson import Model
from ..loop import Job, asks_a_model
from ..purchase import Purchase, buy
from ..seeds import generator
from ..strangers.apart import DiedError, SilentError, Tell, apart
from ..types import FULL_DATA, Batch, Derived, Pool, Rows, UserError
from .study import Source, Study

LIMIT_S = 180.0
"""So long all of it may take; kinds that are not reached are told by the others."""
EACH_S = 60.0
"""So long one kind may take; one that takes longer costs that much a round, or more."""
STAND_IN_D = 512
"""Columns of the features that stand in for an embedding, where the inputs have as many."""

Kind = tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What one trial of a kind costs: seconds of one worker, or more where ``bounded``, and MB of memory.

    ``once_s`` is what the first trial takes besides, for what its pool then keeps for all others (a graph, say).
    """

    kind: Kind
    wall_s: float
    peak_mb: float = nan
    bounded: bool = False
    once_s: float = 0.0


def measurable(job: Job) -> bool:
    """Return whether a kind of trial can be calibrated: on the CPU, and on features alone."""
    return not (job.resources.num_gpus or job.sees_images or job.views)


def calibrate(study: Study, jobs: Sequence[Job], report: Report = silent, limit_s: float = LIMIT_S) -> list[Cost]:
    """Return what jobs, one of each kind, cost, of those that could be measured in ``limit_s`` seconds.

    Each pool has its share of the time; what one leaves over is for the next. Who fails is left out.
    """
    ends, found = time.monotonic() + limit_s, list[Cost]()
    pools = {key: list(own) for key, own in groupby(sorted(jobs, key=_pool_of), _pool_of)}
    for i, (fingerprint, own) in enumerate(pools.items()):
        now = time.monotonic()
        until = now + max(0.0, ends - now) / (len(pools) - i)
        for cost in _of_pool(study.sources[fingerprint], own, until):
            found.append(cost)
            report(Step("calibrating", len(found), len(jobs), "kinds of trial"))
    return found


def _pool_of(job: Job) -> str:
    return job.trial.fingerprint


def _of_pool(source: Source, jobs: Sequence[Job], until: float) -> Iterator[Cost]:
    """Yield the costs of jobs on one pool. What hangs or dies ends its process; another one goes on behind it."""
    pool = source.embed().pool() if source.is_cached else _stand_in(source)
    open_ = {job.kind: job for job in jobs}
    while open_ and (left := until - time.monotonic()) > 0:
        patience, at = min(EACH_S, left), tuple[Kind, ...]()
        try:
            for said in apart(partial(_work, pool, [*open_.values()]), patience):  # the kinds it is at, or a cost
                if isinstance(said, Cost):
                    del open_[said.kind]
                    yield said
                else:
                    at = said
                if time.monotonic() > until:
                    break
        except SilentError:
            if patience == EACH_S:
                yield from (_at_least(open_[kind], pool, EACH_S) for kind in at if kind in open_)
        except (DiedError, UserError, RuntimeError):
            pass
        else:
            return
        for kind in at or (*open_,)[:1]:
            open_.pop(kind, None)  # it may have been told: the process died before it began with the next


def _at_least(job: Job, pool: Pool, seconds: float) -> Cost:
    rounds = job.trial.budget.purchases(len(pool), pool.n_classes)
    return Cost(job.kind, seconds * max(1, len(rounds)), bounded=True)


def _stand_in(source: Source) -> Pool:
    """Return a pool of the same rows and classes with made-up features."""
    split = source.data.split
    n_classes, D = len(split.class_names), min(STAND_IN_D, prod(split.train.shape[1:]))
    rng = generator("stand-in", source.fingerprint)
    centres = 2 * rng.standard_normal((n_classes, D), dtype=np.float32)
    parts = [
        rng.standard_normal((len(labels), D), dtype=np.float32) + centres[labels]
        for labels in (split.train_labels, split.test_labels)
    ]
    derived = Derived(parts[0], partial(generator, "derived", source.fingerprint))
    return Pool(parts[0], split.train_labels, parts[1], split.test_labels, tuple(split.class_names), derived)


def _work(pool: Pool, jobs: Sequence[Job], tell: Tell[Cost | tuple[Kind, ...]]) -> None:
    """Measure the jobs, those of the same fits together, the bounds at the end: they take longest."""
    warm: set[str] = set()
    jobs = sorted(jobs, key=lambda job: job.trial.budget.name == FULL_DATA)  # stable: budget by budget
    for _, same in groupby(jobs, lambda job: (job.trial.learner, job.trial.budget)):
        group = list(same)
        tell(tuple(job.kind for job in group))
        with threadpool_limits(group[0].resources.threads), on("cpu"):
            points = _points(group[0], pool)
            for job in group:
                tell((job.kind,))
                with suppress(Exception):  # of a plugin: its run will say it
                    first = 0.0
                    if job.trial.strategy.label not in warm and job.trial.budget.name != FULL_DATA:
                        first = points[0].select_s(job)
                        warm.add(job.trial.strategy.label)
                        tell((job.kind,))
                    tell(_cost(job, points, first))


def _cost(job: Job, points: Sequence[_Point], first: float) -> Cost:
    rounds = points[0].rounds
    selects = [point.select_s(job) if point.n else 0.0 for point in points]
    each = [point.fit_s + select for point, select in zip(points, selects, strict=True)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return Cost(job.kind, rounds * sum(each) / len(each), peak, once_s=max(0.0, first - selects[0]))


@dataclass(frozen=True, eq=False)
class _Point:
    """A round of a budget: ``n`` rows are bought by a model of ``bought`` rows; one of both is fitted and scored."""

    bench: Bench
    bought: tuple[Batch, ...]
    index: int
    n: int
    rounds: int
    model: Model | None
    fit_s: float

    def select_s(self, job: Job) -> float:
        """Return the seconds of one purchase."""
        bench = replace(self.bench, trial=job.trial)
        purchase: Purchase = buy(bench, job.strategy, self.bought, self.n, self.index, self.model)
        return purchase.select_s


def _points(job: Job, pool: Pool) -> list[_Point]:
    """Return the first and the last round of a job's budget, with the seconds that a fit and its score take there."""
    bench = Bench(job.trial, pool, job.learner)
    chooser = Bench(job.trial, pool, job.selector) if job.selector else bench
    sizes = job.trial.budget.purchases(len(pool), pool.n_classes)
    free = bench.unlabelled(bench.initial)
    order = np.concatenate([bench.initial, generator(*job.trial.names("calibration", 0)).permutation(free)])
    points = []
    for index in sorted({1, len(sizes)} if sizes else {0}):
        before = len(bench.initial) + sum(sizes[: max(0, index - 1)])
        n = sizes[index - 1] if sizes else 0
        seconds = _timed(lambda: bench.score(_fitted(bench, index, order[: before + n])))  # noqa: B023 - called here
        bought = tuple(Batch(rows) for rows in _cut(order, len(bench.initial), sizes[: max(0, index - 1)]))
        model, more = None, 0.0
        if bought:
            began = time.perf_counter()
            model = _fitted(chooser, index - 1, order[:before])
            more = time.perf_counter() - began if job.selector and asks_a_model(job.strategy) else 0.0
        points.append(_Point(chooser, bought, index, n, max(1, len(sizes)), model, seconds + more))
    return points


def _fitted(bench: Bench, index: int, rows: Rows) -> Model:
    settled = bench.settle(index, rows)
    names = bench.trial.names("fit", index)
    return bench.of(settled.learner).fit(names, rows, bench.pool.labels[rows], bench.unlabelled(rows))


def _cut(order: Rows, initial: int, sizes: Sequence[int]) -> Iterator[Rows]:
    """Yield the batches in which rows were bought."""
    begin = 0
    for size in (*([initial] if initial else []), *sizes):
        yield order[begin : begin + size]
        begin += size


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

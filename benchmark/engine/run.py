"""One run from the grid to its last row: the driver, the only process that writes results."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any, Self
from uuid import uuid4

from numpy.typing import NDArray
from rich.console import Console

from ... import __version__
from ...datasets.embeddings.cache import store as embeddings
from ...datasets.embeddings.cache.images import images
from ...datasets.embeddings.cache.views import views
from ...datasets.reading.base import Step
from ...results.record.schema import prediction_row, round_row, trial_row
from ...results.record.store import RunStore, StorageError
from ...results.tracking.follower import Follower, check_uri, default_uri
from .. import device
from ..grid.grid import Grid
from ..grid.study import Study, resolve
from ..lesson import regime
from ..loop import Job
from ..registry import marks_of
from ..types import Outcome, Pool, Trial, TrialEnd, UserError
from . import guard, inline
from .firsts import firsts
from .kept import test_set, test_sets, why_not
from .plan import Plan
from .progress import RunProgress, StepProgress
from .worker import Ended, Event, RoundDone

LIBRARIES = (
    *("numpy", "scipy", "scikit-learn", "torch", "faiss-gpu", "faiss-cpu", "ray", "mlflow", "pyarrow", "pandas"),
    "scikit-activeml",
)
ENGINES = ("ray", "inline")
TRACKING_WAIT_S = 120.0
POOLS_KEPT = 4


class StoppedError(UserError):
    """The run could not go on; what was recorded is kept."""

    exit_status = 1


@dataclass(frozen=True)
class Options:
    """How to run a grid; none of it changes a number.

    ``only`` restricts what is run now, by kind of part (``strategy`` ...) to names or labels; ``retry`` names the
    outcomes to try again (lost trials always are); ``mlflow`` is a tracking URI, ``off``, or None for an SQLite file
    in the run's folder.
    """

    out: Path
    engine: str = "ray"
    workers: int | None = None
    address: str | None = None
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    retry: frozenset[Outcome] = frozenset()
    mlflow: str | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """How a run ended: trials by outcome, those left, lines for the user, and whether Ctrl-C ended it."""

    outcomes: Counter[Outcome]
    left: int
    notices: list[str]
    interrupted: bool


def run(grid: Grid, options: Options, console: Console, show: Callable[[], None]) -> Result:
    """Run what is left of a grid and keep every round in ``options.out``.

    ``show`` is called when all rounds are on disk, before MLflow is brought level.

    Raises
    ------
    GridError, StorageError, TrackingError
        Before anything is run: grid or data are wrong, the output folder or the tracker's address cannot be used.
    StoppedError, EngineError, CorruptEntryError
        When the disk, the cluster or a damaged embedding ends the run.
    """
    with StepProgress(console) as steps:
        study = resolve(grid, options.only, steps.report)
    return carry_out(study, options, console, show)


def carry_out(study: Study, options: Options, console: Console, show: Callable[[], None]) -> Result:
    """Run what is left of a study; as `run` otherwise."""
    uri = "off" if options.mlflow == "off" else check_uri(options.mlflow or default_uri(options.out))
    store = RunStore.create(options.out, study.grid.text, _manifest(study, options))
    try:
        with store:
            return _run(study, options, store, uri, console, show)
    except (StorageError, embeddings.StorageError) as error:
        raise StoppedError(f"{error}; what is done is kept; put this right and run the same command again") from error


def _run(
    study: Study, options: Options, store: RunStore, uri: str, console: Console, show: Callable[[], None]
) -> Result:
    store.write_plan(study.trials, study.total)
    known = {row["test_set"] for row in store.test_sets()}
    store.add_test_sets([row for row in test_sets(study) if row["test_set"] not in known])
    jobs, outcomes = _left(study, store, options)
    ended = f", {sum(outcomes.values())} have ended before" if outcomes else ""
    begins = f"{len(study.jobs)} trials{ended}; results go to {options.out}"
    console.print(begins, highlight=False, markup=False, soft_wrap=True)
    follower = None if uri == "off" else Follower.start(options.out, uri)
    try:
        with RunProgress(console, len(study.jobs)) as progress, _Interrupt(progress.say) as interrupt:
            if jobs:
                _Driver(study, options, store, progress, interrupt, outcomes).run(jobs)
        store.flush()
        store.write_firsts(firsts(study, store))
        notices = list(store.notices)
        show()
        if follower is not None:
            console.print("bringing MLflow level (Ctrl-C skips it)", style="dim")
            notices += _finish(follower, 0.0 if interrupt.requested else TRACKING_WAIT_S)
    finally:
        if follower is not None:
            follower.stop()
    return Result(outcomes, len(study.jobs) - sum(outcomes.values()), notices, interrupt.requested)


def _finish(follower: Follower, timeout: float) -> list[str]:
    try:
        behind = follower.finish(timeout)
    except KeyboardInterrupt:
        behind = follower.finish(0.0)
    return [line for line in (follower.result.notice, behind) if line]


def _left(study: Study, store: RunStore, options: Options) -> tuple[list[Job], Counter[Outcome]]:
    """Return the jobs to run now, continuing behind what is on record, and the outcomes of the others."""
    ended = store.trials()
    recorded = dict(zip(ended["trial_id"], map(Outcome, ended["outcome"]), strict=True))
    unsupported = [(trial, reason) for trial, reason in study.unsupported if trial.trial_id not in recorded]
    ends = [(trial, TrialEnd(trial.trial_id, Outcome.UNSUPPORTED, reason)) for trial, reason in unsupported]
    store.add_trials([trial_row(trial, end, 0) for trial, end in ends])
    purchases = store.purchases()
    jobs, outcomes = [], Counter[Outcome]()
    for job in study.jobs:
        history = tuple(purchases.get(job.trial.trial_id, ()))
        outcome = recorded.get(job.trial.trial_id, Outcome.LOST)
        if outcome is Outcome.DONE and sum(len(batch.rows) for batch in history) < study.total(job.trial):
            outcome = Outcome.LOST  # a damaged part took some of its rounds
        if outcome is not Outcome.LOST and outcome not in options.retry:
            outcomes[outcome] += 1
        elif study.chosen(job.trial):
            keeps = study.keeps_predictions(study.sources[job.trial.fingerprint].data)
            jobs.append(replace(job, history=history, keeps_predictions=keeps))
    return jobs, outcomes


class _StopError(Exception):
    """Ctrl-C came while data were embedded, which may take long: what is begun is given up."""


class _Driver:
    """Feeds an engine with jobs and writes down what comes back."""

    def __init__(
        self,
        study: Study,
        options: Options,
        store: RunStore,
        progress: RunProgress,
        interrupt: _Interrupt,
        outcomes: Counter[Outcome],
    ) -> None:
        self._study, self._options, self._store = study, options, store
        self._progress, self._interrupt, self._outcomes = progress, interrupt, outcomes

    def run(self, jobs: Sequence[Job]) -> None:
        """Run the jobs to their end, or until the interrupt."""
        trials = {job.trial.trial_id: job.trial for job in jobs}
        if self._options.engine == "inline":  # Ray asks its nodes
            device.check(max(job.resources.num_gpus for job in jobs))
        try:
            embedded = self._embed(jobs)
        except _StopError:
            return
        with _engine(self._options, jobs, embedded) as (plan, stream), closing(stream):
            for events in stream:
                self._record(events, trials)
                self._store.flush_if_due()
                left = plan.seconds_left()
                failed = sum(n for outcome, n in self._outcomes.items() if outcome is not Outcome.DONE)
                self._progress.update(
                    sum(self._outcomes.values()), failed, None if left is None else left / plan.workers
                )
                plan.stopped = self._interrupt.requested

    def _embed(self, jobs: Sequence[Job]) -> dict[str, embeddings.Embedded]:
        embedded, seen = {}, {job.trial.fingerprint for job in jobs if job.sees_images}
        needed = Counter[str]()  # views, by pool
        for job in jobs:
            needed[job.trial.fingerprint] = max(job.views, needed[job.trial.fingerprint])
        images_of = cache(partial(images, report=self._report))  # one view for all embeddings of the same data
        for key in dict.fromkeys(job.trial.fingerprint for job in jobs):
            self._go_on()
            source = self._study.sources[key]
            embedded[key] = source.embed(self._report)
            if key in seen:
                embedded[key] = replace(embedded[key], more=images_of(source.data))
            if V := needed[key]:
                transformed = views(source.data, source.encoder.value, V, self._report)
                embedded[key] = replace(embedded[key], more={**embedded[key].more, "views": transformed})
        return embedded

    def _report(self, step: Step) -> None:
        self._go_on()
        self._progress.report(step)

    def _go_on(self) -> None:
        if self._interrupt.requested:
            raise _StopError

    def _record(self, events: Sequence[Event], trials: Mapping[str, Trial]) -> None:
        predictions, rounds, ends = [], [], []
        for event in events:
            if isinstance(event, RoundDone):
                trial = trials[event.trial_id]
                rounds.append(round_row(trial, event.round, event.ended_at))
                if event.round.predicted is not None:
                    of = test_set(self._study.sources[trial.fingerprint].data)
                    predictions.append(prediction_row(trial, event.round, of))
            elif isinstance(event, Ended):
                trial = trials[event.end.trial_id]
                ends.append(trial_row(trial, event.end, event.ended_at))
                self._outcomes[event.end.outcome] += 1
                if event.end.outcome is not Outcome.DONE:
                    self._progress.say(f"{event.end.outcome}: {_title(trial)}: {event.end.reason}")
        self._store.add_predictions(predictions)
        self._store.add_rounds(rounds)
        self._store.add_trials(ends)


@contextmanager
def _engine(
    options: Options, jobs: Sequence[Job], embedded: Mapping[str, embeddings.Embedded]
) -> Iterator[tuple[Plan, Any]]:
    """Yield the plan of what is left and the stream of what happens."""
    if options.engine == "inline":
        plan = Plan(jobs, 1)
        pool_of: Callable[[str], Pool] = lru_cache(POOLS_KEPT)(lambda key: embedded[key].pool())
        yield plan, inline.run(plan, pool_of)
        return
    from . import scheduler  # noqa: PLC0415 - the inline engine must run where Ray is not installed
    from .session import Session  # noqa: PLC0415 - likewise

    def arrays_of(key: str) -> Mapping[str, NDArray[Any]]:
        return embedded[key].arrays()

    with closing(Session(options.workers, options.address)) as session:
        plan = Plan(jobs, session.workers)
        yield plan, scheduler.run(plan, session, arrays_of, embeddings.make_pool)


class _Interrupt:
    """Ctrl-C: the first asks the run to stop, a second one stops the program."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.requested, self._since = False, 0.0
        self._say = say
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self.requested, self._since = True, now
            self._say("stopping: what is done is kept (Ctrl-C again to stop at once)")
        elif now - self._since > guard.SAME_S:
            guard.stop(number)


def _title(trial: Trial) -> str:
    parts = (trial.dataset, trial.embedding, trial.learner, trial.strategy)
    return f"{' / '.join(part.label for part in parts)} / {trial.budget.name} / seed {trial.seed}"


def _manifest(study: Study, options: Options) -> dict[str, Any]:
    """What a number needs to be defended: what was run, with what, on which machine."""
    grid = study.grid
    selectors = [learner.selector for learner in grid.learners if learner.selector]
    parts = (*grid.datasets, *grid.embeddings, *grid.learners, *selectors, *grid.strategies)
    return {
        "grid_id": grid.name,  # a grid may grow (more seeds, more strategies) in its folder
        "run_id": uuid4().hex,
        "name": grid.name,
        "albench": __version__,
        "git_commit": _git_commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "engine": options.engine,
        "workers": options.workers,
        "address": options.address,
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "fingerprints": {key: f"{s.dataset.label}/{s.embedding.label}" for key, s in study.sources.items()},
        "versions": {f"{c.plugin.kind} {c.part.name}": c.part.version for c in parts},
        "sources": {f"{c.plugin.kind} {c.part.name}": c.part.source for c in parts if c.part.source},
        "marks": {c.part.label: list(marks) for c in grid.strategies if (marks := marks_of(c.value))},
        "regimes": {c.part.label: regime(c.value) for c in grid.learners},
        "citations": {c.part.name: c.plugin.cite for c in parts if c.plugin.cite},
        "order": {
            "dataset": [c.part.label for c in grid.datasets],
            "embedding": [c.part.label for c in grid.embeddings],
            "learner": [c.part.label for c in grid.learners],
            "budget": [budget.name for budget in grid.budgets],
            "strategy": [c.part.label for c in grid.strategies],
        },
        "predictions_not_kept": why_not(study),
        **study.facts,
    }


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Return the commit of albench's own checkout, ``+`` where files differ from it; None for an installed copy."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"])
        said = [subprocess.check_output(c, cwd=root, text=True).strip() for c in commands]  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        return None
    return said[0] + ("+" if said[1] else "")

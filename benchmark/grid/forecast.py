"""What a grid will cost: its fits, and the time and memory that trials of the same kinds took, or would take here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import isnan, nan
from pathlib import Path

import numpy as np
import pandas as pd

from ...datasets.reading.base import Report, silent
from ...results.record import manifests
from ...results.record.store import RunStore
from ..loop import Job
from ..text import listing
from ..types import Outcome
from .calibration import LIMIT_S, calibrate, measurable
from .study import Study

KIND = ["dataset", "embedding", "learner", "strategy", "budget"]
"""The columns that make a `Job.kind`."""
PEAKS = ["peak_rss_mb", "peak_gpu_mb"]
AROUND_S = 15.0
"""From the command to the first trial, and from the last one to the report: so long with a small grid on two cores."""
HERE = "calibrated here"


def forecast(
    study: Study,
    out: Path,
    others: Sequence[Path] = (),
    workers: int | None = None,
    announce: Callable[[str], None] = lambda _: None,
    report: Report = silent,
) -> list[str]:
    """Say how many fits a study takes, and how long: by trials like its own in the run ``out``, if any, and ``others``.

    Kinds that no run has measured are calibrated, where they can be; ``announce`` is told before. Kinds are told by
    their labels, so budgets of one name are taken as one schedule; what ran on a GPU says nothing of the CPU, nor the
    other way round. Raises `StorageError` where one of ``others`` holds no run.
    """
    own = [out] if manifests.read(out) is not None else []
    measured = _measured([*own, *others])
    jobs = [job for job in study.jobs if study.chosen(job.trial)]
    on_card = measured["peak_gpu_mb"].notna()
    on_cpu = [job for job in jobs if not job.resources.num_gpus]
    here = _calibrated(study, on_cpu, measured[~on_card], announce, report)
    frames = [frame for frame in (measured[~on_card], here) if len(frame)]
    parts = {
        "CPU": (on_cpu, pd.concat(frames, ignore_index=True) if frames else here),
        "GPU": ([job for job in jobs if job.resources.num_gpus], measured[on_card]),
    }
    told = [f"{device}: {_predicted(some, like, out, workers)}" for device, (some, like) in parts.items() if some]
    new = {f"{s.dataset.label}/{s.embedding.label}": s for s in study.sources.values()}
    asked = {(job.trial.dataset.label, job.trial.embedding.label) for job in jobs}
    new = {key: s for key, s in new.items() if (s.dataset.label, s.embedding.label) in asked and not s.is_cached}
    first = [f"embeddings to be computed first, whose time is not in this: {', '.join(new)}"] if new else []
    n = len(_recorded(out) & {job.trial.trial_id for job in jobs}) if own else 0
    there = [f"{n} of these {len(jobs)} trials are in {out} already, and in these numbers"] if n else []
    return [f"fits: {_fits(study, jobs):,} (a first round that strategies share is one)", *told, *there, *first]


def _recorded(out: Path) -> set[str]:
    """Return the trials that a run has on record and would not run again of itself."""
    trials = RunStore.open(out, lenient=True).trials()
    return set(trials["trial_id"][trials["outcome"] != Outcome.LOST])


def _measured(directories: Sequence[Path]) -> pd.DataFrame:
    """Return the finished trials of some runs: their kind, seconds, host, device, and peaks of memory in MB."""
    frames = [pd.DataFrame(columns=[*KIND, "wall_s", "host", "device", *PEAKS])]
    for directory in directories:
        store = RunStore.open(directory, lenient=True)
        trials, peaks = store.trials(), store.rounds().groupby("trial_id")[PEAKS].max()
        done = trials[(trials["outcome"] == Outcome.DONE) & trials["wall_s"].notna()]
        frames.append(done.join(peaks, on="trial_id")[frames[0].columns])
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _calibrated(
    study: Study, jobs: Sequence[Job], measured: pd.DataFrame, announce: Callable[[str], None], report: Report
) -> pd.DataFrame:
    """Return the kinds of these jobs that nobody measured as `_measured` does, measured now."""
    known = set(measured[KIND].itertuples(index=False, name=None))
    new = dict[tuple[str, ...], Job]()
    for job in jobs:
        if job.kind not in known and measurable(job):
            new.setdefault(job.kind, job)
    costs = []
    if new:
        announce(f"calibrating {len(new)} kinds of trial that no run has measured, for {LIMIT_S:.0f} s at the most")
        costs = calibrate(study, [*new.values()], report)
    rows = [
        (*cost.kind, cost.wall_s, HERE, "at least" if cost.bounded else "", cost.peak_mb, nan, cost.once_s)
        for cost in costs
    ]
    return pd.DataFrame(rows, columns=[*KIND, "wall_s", "host", "device", *PEAKS, "once_s"])


def _fits(study: Study, jobs: Sequence[Job]) -> int:
    shared, own = set(), 0
    for trial in (job.trial for job in jobs):
        split = study.sources[trial.fingerprint].data.split
        own += len(trial.budget.purchases(len(split.train), len(split.class_names)))
        if trial.budget.initial.number:
            shared.add(trial.start_id)
    return own + len(shared)


def _predicted(jobs: Sequence[Job], measured: pd.DataFrame, out: Path, workers: int | None) -> str:
    kinds = {job.kind for job in jobs}
    named = measured[KIND].itertuples(index=False, name=None)
    measured = measured[np.array([kind in kinds for kind in named], dtype=bool)]
    if measured.empty:
        return f"time and memory are not known: no such trial was measured, in {out} or in a run of --costs"
    took, by_strategy, by_learner = (
        measured.groupby(columns)["wall_s"].mean().to_dict() for columns in (KIND, ["learner", "strategy"], "learner")
    )
    unknown = [job.kind for job in jobs if job.kind[2] not in by_learner]
    jobs = [job for job in jobs if job.kind[2] in by_learner]
    kinds = {job.kind for job in jobs}
    costs = [took.get(kind, by_strategy.get(kind[2:4], by_learner[kind[2]])) for kind in (job.kind for job in jobs)]
    costs.extend(measured["once_s"].dropna() if "once_s" in measured else [])
    peak, card = measured["peak_rss_mb"].max(), measured["peak_gpu_mb"].max()
    memory = ("" if isnan(peak) else f", at most {peak:,.0f} MB each") + (
        "" if isnan(card) else f" and {card:,.0f} MB of the GPU"
    )
    here = "" if not isnan(card) else f", {_time(_wall(jobs, costs, workers))} in all on this machine"
    rest = ""
    if len(took) < len(kinds):
        rest = ", the others are the mean of those with the same strategy, or the same learner"
    if unknown:
        names = listing(dict.fromkeys(learner for _, _, learner, *_ in unknown))
        rest += f"; {len(unknown)} trials are not in this, as none like them was measured: those of {names}"
    return f"{_time(sum(costs))} of one worker for {len(jobs)} trials{here}{memory}; {_sources(measured, kinds)}{rest}"


def _sources(measured: pd.DataFrame, kinds: set[tuple[str, ...]]) -> str:
    """Say of how many kinds the cost is known, and from where."""
    own = measured["host"] == HERE
    told = []
    if n := len(measured[~own].groupby(KIND)):
        machines = zip(measured["host"][~own], measured["device"][~own], strict=True)
        where = ", ".join(sorted({f"{host} ({device})" for host, device in machines}))
        told.append(f"{n} of {len(kinds)} kinds of trial were measured on {where}")
    if n := int(own.sum()):
        more = int((measured["device"] == "at least").sum())
        longer = f" ({more} took longer than a calibration may, and will take more)" if more else ""
        told.append(f"{n} of {len(kinds)} kinds of trial were {HERE}{longer}")
    return ", ".join(told)


def _wall(jobs: Sequence[Job], costs: Sequence[float], workers: int | None) -> float:
    """Return the seconds from the command to the report, where trials take their costs on as many workers."""
    cores = os.cpu_count() or 1
    at_once = workers or max(1, int(cores / max(job.resources.num_cpus for job in jobs)))
    return AROUND_S + max(sum(costs) / at_once, *costs)


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.1f} min"

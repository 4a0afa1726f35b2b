"""What a grid will cost: its fits, and the hours and memory that trials of the same kinds took before."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd

from ...results.record import manifests
from ...results.record.store import RunStore
from ..loop import Job
from ..types import Outcome
from .study import Study

KIND = ["dataset", "embedding", "learner", "strategy", "budget"]
"""The columns that make a `Job.kind`."""
PEAKS = ["peak_rss_mb", "peak_gpu_mb"]


def forecast(study: Study, out: Path, others: Sequence[Path] = ()) -> list[str]:
    """Say how many fits a study takes, and what trials like its own took in the run ``out``, if any, and in ``others``.

    Kinds are told by their labels, so budgets of one name are taken as one schedule; what ran on a GPU says nothing of
    the CPU, nor the other way round. Raises `StorageError` where one of ``others`` holds no run.
    """
    measured = _measured([*([out] if manifests.read(out) is not None else []), *others])
    jobs = [job for job in study.jobs if study.chosen(job.trial)]
    on_card = measured["peak_gpu_mb"].notna()
    parts = {
        "CPU": ([job for job in jobs if not job.resources.num_gpus], measured[~on_card]),
        "GPU": ([job for job in jobs if job.resources.num_gpus], measured[on_card]),
    }
    told = [f"{device}: {_predicted(own, like, out)}" for device, (own, like) in parts.items() if own]
    return [f"fits: {_fits(study, jobs):,} (a first round that strategies share is one)", *told]


def _measured(directories: Sequence[Path]) -> pd.DataFrame:
    """Return the finished trials of some runs: their kind, seconds, host, device, and peaks of memory in MB."""
    frames = [pd.DataFrame(columns=[*KIND, "wall_s", "host", "device", *PEAKS])]
    for directory in directories:
        store = RunStore.open(directory, lenient=True)
        trials, peaks = store.trials(), store.rounds().groupby("trial_id")[PEAKS].max()
        done = trials[(trials["outcome"] == Outcome.DONE) & trials["wall_s"].notna()]
        frames.append(done.join(peaks, on="trial_id")[frames[0].columns])
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _fits(study: Study, jobs: Sequence[Job]) -> int:
    shared, own = set(), 0
    for trial in (job.trial for job in jobs):
        split = study.sources[trial.fingerprint].data.split
        own += len(trial.budget.purchases(len(split.train), len(split.class_names)))
        if trial.budget.initial.number:
            shared.add(trial.start_id)
    return own + len(shared)


def _predicted(jobs: Sequence[Job], measured: pd.DataFrame, out: Path) -> str:
    kinds = {job.kind for job in jobs}
    named = measured[KIND].itertuples(index=False, name=None)
    measured = measured[np.array([kind in kinds for kind in named], dtype=bool)]
    if measured.empty:
        return f"hours and memory are not known: no such trial was measured, in {out} or in a run of --costs"
    took = measured.groupby(KIND)["wall_s"].mean().to_dict()
    seconds = sum(took.get(job.kind, measured["wall_s"].mean()) for job in jobs)
    machines = zip(measured["host"], measured["device"], strict=True)
    where = ", ".join(sorted({f"{host} ({device})" for host, device in machines}))
    peak, card = measured["peak_rss_mb"].max(), measured["peak_gpu_mb"].max()
    memory = f"{peak:,.0f} MB each" + ("" if isnan(card) else f" and {card:,.0f} MB of the GPU")
    rest = "" if len(took) == len(kinds) else ", the others taken as the mean of these"
    return (
        f"{_time(seconds)} of one worker for {len(jobs)} trials, at most {memory};"
        f" {len(took)} of {len(kinds)} kinds of trial were measured on {where}{rest}"
    )


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 360 else f"{seconds / 60:.1f} min"

"""Runs on disk that tests start from."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from albench.benchmark.types import Budget, Count, Outcome, Part, Round, Scores, Segment, Trial, TrialEnd
from albench.results.record import schema
from albench.results.record.store import RunStore

BUDGET = Budget("low", Count(2), (Segment(Count(3), 3),))
MANIFEST = {"grid_id": "abc", "name": "tiny"}


def unlock(store: RunStore) -> None:
    """Leave a run as a killed writer does: unlocked, not compacted."""
    assert store._lock is not None
    store._lock.release()


def make_trial(strategy: str = "margin", seed: int = 0) -> Trial:
    part = Part(strategy, '{"k":1}', label=f"{strategy}(k=1)")
    return Trial(Part("digits"), Part("raw", was="pixels"), Part("linear"), part, BUDGET, seed, "f00d")


def make_round(
    index: int, selected: ArrayLike, n_labelled: int, accuracy: float = 0.5, nll: float | None = None
) -> Round:
    return Round(
        index=index,
        selected=np.asarray(selected, dtype=np.int64),
        n_labelled=n_labelled,
        class_counts=np.array([n_labelled, 0], dtype=np.int32),
        bought_by="strategy" if index else "initial",
        scores=Scores(accuracy, 0.25, 0.125, nll, nll),
        select_s=0.1,
        fit_s=0.2,
        eval_s=0.3,
        peak_rss_mb=100.0,
    )


def make_rows(trial: Trial, n_rounds: int = 3, first: int = 0, accuracy: float = 0.5) -> list[dict[str, Any]]:
    """Rows of rounds of 4 labels each: round r has bought 4r..4r+3."""
    rounds = [make_round(r, np.arange(4 * r, 4 * r + 4), 4 * (r - first + 1), accuracy) for r in range(n_rounds)]
    return [schema.round_row(trial, round_, 1000 + round_.index) for round_ in rounds[first:]]


def make_end(trial: Trial, outcome: Outcome = Outcome.DONE, attempts: int = 1, ended_at: int = 2000) -> dict[str, Any]:
    end = TrialEnd(trial.trial_id, outcome, "reason", "trace", 1.5, attempts, "host", "cpu")
    return schema.trial_row(trial, end, ended_at)


def create(directory: Path) -> RunStore:
    return RunStore.create(directory, "name: tiny\n", MANIFEST)


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def write_parts(directory: Path, n: int) -> Trial:
    """A run of one trial with n rounds, one part for each; returns the trial."""
    trial = make_trial()
    store = create(directory)
    for row in make_rows(trial, n):
        store.add_rounds([row])
        store.flush()
    unlock(store)
    return trial

"""The columns of a run on disk, and their version. `SCHEMA_VERSION` moves whenever a column does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from ...benchmark.types import Batch, Round, Trial, TrialEnd, canonical_json

SCHEMA_VERSION = 1
VERSION_KEY = b"albench_schema"
IMPORTED = "imported"
"""``bought_by`` of a round that other people measured: nobody says which rows it bought, so ``selected`` is empty."""
FORMER, NOW = r"(^|-> )pixels($|[( ])", r"\1raw\2"
"""What the label of an encoder was, and is."""
_METADATA = {VERSION_KEY: str(SCHEMA_VERSION).encode()}

_IDENTITY = [
    ("trial_id", pa.string()),
    ("dataset", pa.string()),
    ("embedding", pa.string()),
    ("learner", pa.string()),
    ("strategy", pa.string()),
    ("strategy_params", pa.string()),  # canonical JSON
    ("budget", pa.string()),
    ("seed", pa.int64()),
]

ROUNDS = pa.schema(
    [
        *_IDENTITY,
        ("round", pa.int32()),
        ("n_labelled", pa.int64()),
        ("bought_by", pa.string()),
        ("accuracy", pa.float64()),
        ("balanced_accuracy", pa.float64()),
        ("macro_f1", pa.float64()),
        ("nll", pa.float64()),  # null where the learner gives no probabilities
        ("ece", pa.float64()),  # null where the learner gives no probabilities
        ("class_counts", pa.list_(pa.int32())),
        ("selected", pa.list_(pa.int64())),
        ("chosen_by", pa.list_(pa.string())),  # by row of ``selected``; null where the strategy itself chose
        ("settings", pa.string()),  # canonical JSON, those chosen for learner and selector; null where none are tuned
        ("select_s", pa.float64()),  # with the fit of the selector, where another learner than the scored one selects
        ("fit_s", pa.float64()),  # with the fits by which settings were chosen
        ("eval_s", pa.float64()),
        ("peak_rss_mb", pa.float64()),
        ("gpu_s", pa.float64()),  # this and the next two are null on the CPU
        ("peak_gpu_mb", pa.float64()),
        ("energy_j", pa.float64()),  # null where the driver does not tell it
        ("ended_at", pa.int64()),  # ms since the epoch
    ],
    metadata=_METADATA,
)
"""One row per (trial, round). Names are labels, as tables print them."""

TRIALS = pa.schema(
    [
        *_IDENTITY,
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("traceback", pa.string()),
        ("attempts", pa.int32()),
        ("wall_s", pa.float64()),
        ("host", pa.string()),
        ("device", pa.string()),
        ("ended_at", pa.int64()),  # ms since the epoch
    ],
    metadata=_METADATA,
)
"""One row per attempt at a trial that ended."""

PREDICTIONS = pa.schema(
    [
        ("trial_id", pa.string()),
        ("round", pa.int32()),
        ("test_set", pa.string()),  # id of a row of ``TEST_SETS``
        ("predicted", pa.list_(pa.uint8())),  # by test row; a part with more than 256 classes has wider ones
    ],
    metadata=_METADATA,
)
"""One row per (trial, round): the class that the model of the round gives each row of the test set."""

TEST_SETS = pa.schema(
    [
        ("test_set", pa.string()),
        ("dataset", pa.string()),
        ("pool_rows", pa.int64()),
        ("class_names", pa.list_(pa.string())),
        ("labels", pa.list_(pa.uint32())),  # Parquet keeps them in as many bits as they need
        ("rows", pa.list_(pa.int64())),  # of the data that was split; null where that is not said
    ],
    metadata=_METADATA,
)
"""One row per test set whose predictions are kept. The id is that of the data, so a split of each seed has its own."""

PLAN = pa.schema([*_IDENTITY, ("n_bought", pa.int64())], metadata=_METADATA)
"""One row per trial that the grid asks for, so that a cell without results is told from one that was not asked for.

``n_bought`` is how many labels it buys in all; null, or no such column, where nobody says so.
"""

FIRSTS = pa.schema(
    [
        ("dataset", pa.string()),
        ("row", pa.int64()),
        ("class_name", pa.string()),
        ("image", pa.binary()),  # PNG or JPEG; null where the dataset has no images
    ],
    metadata=_METADATA,
)
"""One row per row of a pool that some strategy buys first on most seeds: the report shows it without the dataset."""

CARD = ("gpu_s", "peak_gpu_mb", "energy_j")
"""Columns of ``ROUNDS`` that say what a round used of a GPU: `benchmark.device.Used`."""

OPTIONAL = {"n_bought", "rows", "chosen_by", "settings", *CARD}
"""Columns that the same version has and has not; null where they are missing."""

MIGRATIONS: dict[int, Callable[[pa.Table], pa.Table]] = {}
"""Version v -> the function that turns a table of version v into one of version v + 1. Version 1 is the first."""

LISTS = ("class_counts", "selected", "chosen_by")
"""Columns of ``ROUNDS`` that hold several values a row."""

TIMING = ("select_s", "fit_s", "eval_s", "peak_rss_mb", *CARD, "ended_at")
"""Columns of ``ROUNDS`` that are not part of the answer: they differ when a round is done again."""


def round_row(trial: Trial, round_: Round, ended_at: int) -> dict[str, Any]:
    """Return one row of ``ROUNDS`` as plain Python values; ``ended_at`` in ms since the epoch."""
    scores = round_.scores
    return {
        **_identity(trial),
        "round": round_.index,
        "n_labelled": round_.n_labelled,
        "bought_by": round_.bought_by,
        "accuracy": scores.accuracy,
        "balanced_accuracy": scores.balanced_accuracy,
        "macro_f1": scores.macro_f1,
        "nll": scores.nll,
        "ece": scores.ece,
        "class_counts": round_.class_counts.tolist(),
        "selected": round_.selected.tolist(),
        "chosen_by": list(round_.chosen_by) or None,
        "settings": canonical_json(round_.settings) if round_.settings else None,
        "select_s": round_.select_s,
        "fit_s": round_.fit_s,
        "eval_s": round_.eval_s,
        "peak_rss_mb": round_.peak_rss_mb,
        **dict(zip(CARD, astuple(round_.card) if round_.card else (None, None, None), strict=True)),
        "ended_at": ended_at,
    }


def batch_of(selected: ArrayLike, chosen_by: Iterable[str] | None) -> Batch:
    """Return what a row of ``ROUNDS`` says was bought."""
    return Batch(np.asarray(selected, dtype=np.int64), tuple(chosen_by) if chosen_by is not None else ())


def prediction_row(trial: Trial, round_: Round, test_set: str) -> dict[str, Any]:
    """Return one row of ``PREDICTIONS``; the predictions (M,) stay an array."""
    return {"trial_id": trial.trial_id, "round": round_.index, "test_set": test_set, "predicted": round_.predicted}


def trial_row(trial: Trial, end: TrialEnd, ended_at: int) -> dict[str, Any]:
    """Return one row of ``TRIALS`` as plain Python values; ``ended_at`` in ms since the epoch."""
    return {
        **_identity(trial),
        "outcome": end.outcome.value,
        "reason": end.reason,
        "traceback": end.traceback,
        "attempts": end.attempts,
        "wall_s": end.wall_s,
        "host": end.host,
        "device": end.device,
        "ended_at": ended_at,
    }


def plan_row(trial: Trial, n_bought: int | None = None) -> dict[str, Any]:
    """Return one row of ``PLAN`` as plain Python values."""
    return {**_identity(trial), "n_bought": n_bought}


def _identity(trial: Trial) -> dict[str, Any]:
    return {
        "trial_id": trial.trial_id,
        "dataset": trial.dataset.label,
        "embedding": trial.embedding.label,
        "learner": trial.learner.label,
        "strategy": trial.strategy.label,
        "strategy_params": trial.strategy.params,
        "budget": trial.budget.name,
        "seed": trial.seed,
    }


def renamed(table: pa.Table) -> pa.Table:
    """Return rows whose embeddings are called as they are now."""
    place = table.schema.get_field_index("embedding")
    if place < 0:
        return table
    now = pc.replace_substring_regex(table["embedding"], pattern=FORMER, replacement=NOW)
    return table.set_column(place, table.schema.field(place), now)

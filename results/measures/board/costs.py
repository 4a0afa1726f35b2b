"""What a trial costs in time and memory: the values of each cell, over its seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..stats import Interval, mean_interval
from ..tables import IDENTITY, Key, key_of

COSTS = {
    "select_s": "seconds in queries",
    "fit_s": "seconds in fits",
    "peak_rss_mb": "peak memory, MB",
    "gpu_s": "GPU seconds",
    "peak_gpu_mb": "peak GPU memory, MB",
    "energy_j": "energy, J",
}
"""What of the record is a cost, and its column of the tables. The last three stand there where trials ran on a GPU."""
UNITS = {name: "MB" if name.endswith("_mb") else "J" if name.endswith("_j") else "seconds" for name in COSTS}
PEAKS = {"peak_rss_mb", "peak_gpu_mb"}
"""Costs of which a trial has the largest of its rounds; of the others it has their sum."""
ALWAYS = ["select_s", "fit_s", "peak_rss_mb"]

Cost = dict[str, Interval]
"""Of a trial, over the seeds of a cell, by the names of `COSTS`; without what some of its rounds do not say."""


def cell_costs(finished: pd.DataFrame) -> dict[Key, Cost]:
    """Return the costs of each cell over its finished trials; none where a time is missing, as of imported curves."""
    by_trial = finished.groupby("trial_id")
    per_trial = by_trial.agg({name: "max" if name in PEAKS else "sum" for name in COSTS})
    said = by_trial[[*COSTS]].count().eq(by_trial.size(), axis=0)  # by each of its rounds
    names = finished.drop_duplicates("trial_id").set_index("trial_id")[IDENTITY]
    return {
        key_of(key): _cost(cell)
        for key, cell in names.join(per_trial.where(said)).groupby(IDENTITY)
        if cell[ALWAYS].notna().all(axis=None) and cell["fit_s"].any()
    }


def _cost(cell: pd.DataFrame) -> Cost:
    """Return the cost of a cell from its trials, one a row."""
    said = [name for name in COSTS if cell[name].notna().all()]
    return {name: mean_interval(cell[name]) if name in PEAKS else typical(cell[name]) for name in said}


def typical(seconds: ArrayLike) -> Interval:
    """Return the geometric mean of seconds (S,), and the interval of the mean of their logarithms.

    One trial that has to load or compile something first takes many times as long; below a nanosecond counts as one.
    """
    array = np.asarray(seconds, dtype=np.float64)
    if not array.any():
        return Interval(0.0, np.nan, np.nan, len(array))
    logs = mean_interval(np.log(np.maximum(array, 1e-9)))
    mean, low, high = np.exp([logs.mean, logs.low, logs.high]).tolist()
    return Interval(mean, low, high, logs.n)

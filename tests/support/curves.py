"""Rounds and trials of curves that are given, read as a report reads them."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from albench.benchmark.types import FULL_DATA
from albench.results.measures import tables
from albench.results.measures.evidence import Evidence, Runs
from albench.results.record import schema

SETTING = tables.Setting("digits", "raw", "linear")
LINEAR = np.array([0.4, 0.5, 0.6, 0.7])  # at 10, 20, 30, 40 labels


def evidence(
    curves_: dict[tuple[str, str], Any], datasets: Sequence[str] = ("digits",), **manifests: dict[str, Any]
) -> Evidence:
    """Trials of 10 labels a round; ``curves_[strategy, budget]`` is (S, R), a budget's name ends with its batch.

    The same on each of ``datasets``.
    """
    rounds, trials = [], []
    for dataset, ((strategy, budget), values) in product(datasets, curves_.items()):
        for seed, curve in enumerate(np.atleast_2d(values)):
            batch = int(budget.rpartition("-")[2]) if "-" in budget and budget != FULL_DATA else 10
            names: dict[str, Any] = dict(
                zip(tables.IDENTITY, (*SETTING._replace(dataset=dataset), budget, strategy), strict=True)
            )
            names |= {"seed": seed, "trial_id": f"{dataset}-{strategy}-{budget}-{seed}", "strategy_params": "{}"}
            for r, value in enumerate(curve):
                rounds.append({
                    **names, "round": r, "n_labelled": batch * (r + 1), "accuracy": value,
                    "class_counts": [batch * (r + 1) - r, r, 0], "selected": np.arange(batch * r, batch * (r + 1)),
                    "bought_by": "strategy" if r else "initial", "ended_at": 1,
                    "select_s": 0.1 * len(strategy), "fit_s": 1.0, "eval_s": 0.0, "peak_rss_mb": 100.0 + r,
                })  # fmt: skip
            trials.append({**names, "outcome": "done", "reason": "", "host": "h", "device": "cpu", "ended_at": 1})
    return read_as(rounds, trials, manifests or {"run": {}})


def read_as(rounds: list[Any], trials: list[Any], manifests: dict[str, dict[str, Any]]) -> Evidence:
    """Return what a report reads of such rows."""
    frames = (
        pd.DataFrame(rounds, columns=schema.ROUNDS.names),
        pd.DataFrame(trials, columns=schema.TRIALS.names),
        pd.DataFrame(trials, columns=schema.PLAN.names),
    )
    return Evidence.of(Runs(*frames, manifests, ()))


def lifted(by: float, seeds: int = 6, of: Any = LINEAR) -> Any:
    """The curve ``of`` for each seed, which all strategies have moved alike, and ``by`` higher after its start."""
    luck = np.arange(seeds)[:, None] / 100
    return of + luck + by * (np.arange(len(of)) > 0)

"""Runs that nobody ran: learning curves with known order, of any size, written as albench writes them."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np

from albench.benchmark.types import FULL_DATA, Budget, Count, Outcome, Part, Round, Scores, Trial, TrialEnd
from albench.results.record import schema
from albench.results.record.store import RunStore

STRATEGIES = ("random", "margin", "entropy", "coreset", "badge", "kmeans", "typiclust", "probcover", "bald", "galaxy")
CLASSES, BATCH = 10, 10


def write_run(
    directory: Path,
    datasets: Sequence[str] = ("digits", "wine"),
    budgets: Sequence[str] = ("low", "high"),
    strategies: Sequence[str] = STRATEGIES[:4],
    seeds: int = 3,
    rounds: int = 5,
    better: float = 0.0,
) -> Path:
    """Write one trial per cell and seed, each of ``rounds`` rounds of `BATCH` labels, and the bounds.

    Strategy i is better than random by i / 200 on average; ``better`` is added to all but random.
    """
    with RunStore.create(directory, f"name: {directory.name}\nseeds: {seeds}\n", _manifest(directory.name)) as store:
        for dataset, budget, seed in product(datasets, budgets, range(seeds)):
            for i, strategy in enumerate(strategies):
                lift = i / 200 + (better if i else 0)
                _trial(store, dataset, budget, strategy, seed, rounds, lift)
        for dataset in datasets:
            _trial(store, dataset, FULL_DATA, "random", 0, 1, 0.1)
    return directory


def _manifest(name: str) -> dict[str, object]:
    return {"grid_id": name, "name": name, "versions": {"numpy": "2.4.6"}, "citations": {"margin": "Scheffer 2001"}}


def _trial(store: RunStore, dataset: str, budget: str, strategy: str, seed: int, rounds: int, lift: float) -> None:
    schedule = Budget(budget, Count(len(budget)), ())
    trial = Trial(Part(dataset), Part("raw", was="pixels"), Part("linear"), Part(strategy), schedule, seed, "f")
    draws = np.random.default_rng([seed, *dataset.encode(), *budget.encode()])
    noise = draws.normal(0, 0.01)  # shared by all strategies of a seed: they are paired
    own = np.random.default_rng([seed, *strategy.encode(), *dataset.encode()])
    rows = own.permutation(2 * BATCH * rounds)
    counts = np.zeros(CLASSES, np.int32)
    written = []
    for r in range(rounds):
        selected = rows[r * BATCH : (r + 1) * BATCH]
        counts = counts + np.bincount(selected % CLASSES, minlength=CLASSES).astype(np.int32)
        accuracy = float(np.clip(0.85 - 0.5 * np.exp(-(r + 1) / (0.3 * rounds)) + lift * (r > 0) + noise, 0, 1))
        accuracy += float(own.normal(0, 0.003)) * (r > 0)
        scores = Scores(accuracy, accuracy, accuracy, 1 - accuracy, 0.05)
        by: Literal["initial", "strategy"] = "strategy" if r else "initial"
        timing = (0.001 * (1 + len(strategy)), 0.02, 0.005, 200.0)
        written.append(
            schema.round_row(trial, Round(r, selected, BATCH * (r + 1), counts, by, scores, *timing), 1_000 + r)
        )
    store.add_rounds(written)
    end = TrialEnd(trial.trial_id, Outcome.DONE, host="h", device="cpu", attempts=1, wall_s=0.03 * rounds)
    store.add_trials([schema.trial_row(trial, end, 2_000)])

"""One trial of real size on one core: 50,000 x 512 features, margin, ten rounds of 1,000 labels, the linear learner.

Seconds are wall time; the CPU time of the whole trial beside them says what they would be on an idle core.
"""

import os
import time
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from albench.benchmark.learners.linear import Linear
from albench.benchmark.loop import run_trial
from albench.benchmark.types import Array, Budget, Count, Derived, Lesson, Model, Part, Pool, Segment, Trial
from albench.strategies.uncertainty.margin import Margin

ROWS, TEST_ROWS, DIMS, CLASSES, CLUSTERS, SPREAD = 50_000, 10_000, 512, 10, 4, 0.26
ROUNDS, QUERY = 10, 1_000
REPEATS = int(os.environ.get("ALBENCH_PERF_REPEATS", "3"))

pytestmark = [pytest.mark.perf, pytest.mark.timeout(3600)]


def made_pool() -> Pool:
    """Return rows of about unit length in four clusters per class; a linear model gets about 86 % of them."""
    rng = np.random.default_rng(0)
    centres = SPREAD * rng.standard_normal((CLASSES * CLUSTERS, DIMS), dtype=np.float32)
    cluster = rng.integers(len(centres), size=ROWS + TEST_ROWS)
    features = centres[cluster] + rng.standard_normal((len(cluster), DIMS), dtype=np.float32)
    features /= np.linalg.norm(features, axis=1).mean()
    labels = cluster % CLASSES
    names = tuple(f"class {c}" for c in range(CLASSES))
    derived = Derived(features[:ROWS], lambda _: np.random.default_rng(0))
    return Pool(features[:ROWS], labels[:ROWS], features[ROWS:], labels[ROWS:], names, derived)


@dataclass(frozen=True)
class Timed:
    """A fitted model that notes the seconds it takes to score the pool."""

    model: Model
    seconds: list[float]

    def predict(self, inputs: Array) -> Array:
        return self.model.predict(inputs)

    def scores(self, inputs: Array) -> Array:
        began = time.perf_counter()
        scores = self.model.scores(inputs)
        if len(inputs) > TEST_ROWS:
            self.seconds.append(time.perf_counter() - began)
        return scores


@dataclass(frozen=True)
class TimedLinear:
    seconds: list[float] = field(default_factory=list)
    gives = Linear().gives

    def fit(self, lesson: Lesson) -> Model:
        return Timed(Linear().fit(lesson), self.seconds)


def one_trial(pool: Pool) -> pd.DataFrame:
    """Run the trial; return seconds by round and part, beside those of scikit-learn's fit on the same rows."""
    budget = Budget("large", Count(QUERY), (Segment(Count(QUERY), ROUNDS),))
    trial = Trial(Part("made"), Part("pixels"), Part("linear"), Part("margin"), budget, 0, "made")
    learner = TimedLinear()
    rows, bought, busy = [], np.empty(0, dtype=np.int64), time.process_time()
    for round_ in run_trial(trial, pool, Margin(), learner):
        bought = np.concatenate([bought, round_.selected])
        scored = learner.seconds[-1] if learner.seconds else 0.0
        cpu, began = time.process_time() - busy, time.perf_counter()
        LogisticRegression(max_iter=10_000).fit(pool.features[bought], pool.labels[bought])
        theirs = time.perf_counter() - began
        parts_s = {"fit": round_.fit_s, "score pool": scored, "select": round_.select_s - scored, "eval": round_.eval_s}
        total = round_.fit_s + round_.select_s + round_.eval_s
        labelled = {"labelled": round_.n_labelled, "accuracy": round_.scores.accuracy}
        rows.append({**labelled, **parts_s, "total": total, "CPU": cpu, "sklearn fit": theirs})
        busy = time.process_time()
    return pd.DataFrame(rows)


def test_a_real_size_trial_on_one_core() -> None:
    pool = made_pool()
    with threadpool_limits(limits=1):
        tables = [one_trial(pool) for _ in range(REPEATS)]
    middle = pd.DataFrame(np.median([table.to_numpy() for table in tables], axis=0), columns=tables[0].columns)
    ratio = median(table["sklearn fit"].sum() / table["fit"].sum() for table in tables)
    total = median(table["total"].sum() for table in tables)
    print(f"\nseconds by round, median of {REPEATS} trials")
    print(middle.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(middle.drop(columns=["labelled", "accuracy"]).sum().to_frame("sum").T.to_string(float_format="{:.3f}".format))
    cpu = median(table["CPU"].sum() for table in tables)
    print(f"the trial takes {total:.2f} s on one core, {cpu:.2f} s of CPU time (goal at most 2)")
    print(f"fits, scikit-learn's LogisticRegression / albench: {ratio:.1f}")
    assert cpu < 6
    assert ratio > 1

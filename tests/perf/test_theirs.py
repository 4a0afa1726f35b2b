"""Ours beside scikit-activeml's of the same name: seconds of one purchase, each side in a process, on one core.

``ALBENCH_THEIRS_RULES`` narrows what is measured, ``ALBENCH_THEIRS_OUT`` names a CSV. Ours is the median of three, on
pools with nothing derived; theirs is asked once and given `LIMIT_S`: what takes longer is a lower bound.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import pytest

ROWS, DIMS, CLASSES, N = 10_000, 128, 10, 100
LIMIT_S, START_S = 150.0, 30.0

PAIRS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "least-confidence": ({}, "UncertaintySampling", {}),
    "margin": ({}, "UncertaintySampling", {"method": "margin_sampling"}),
    "entropy": ({}, "UncertaintySampling", {"method": "entropy"}),
    "bald": ({}, "GreedyBALD", {}),
    "variation-ratio": ({}, "QueryByCommittee", {"method": "variation_ratios"}),
    "batchbald": ({}, "BatchBALD", {"n_MC_samples": 500}),
    "coreset": ({}, "CoreSet", {}),
    "max-herding": ({}, "MaxHerding", {"metric_dict": {"gamma": 1.0}}),
    "probcover": ({"delta": 0.8}, "ProbCover", {"deltas": [0.8]}),
    "typiclust": ({}, "TypiClust", {"k": 20}),
    "badge": ({}, "Badge", {}),
    "clue": ({}, "Clue", {}),
    "falcun": ({"relevance": "sum"}, "Falcun", {}),
    "dropquery": ({}, "DropQuery", {"n_dropout_samples": 3}),
}
"""Our rule and theirs, with the parameters by which they do the same work. Theirs of `qbc` fits no committee."""

ONE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from support.made import made_pool
from threadpoolctl import threadpool_limits
from albench.benchmark import registry
from albench.benchmark.learners.linear import Linear
from albench.benchmark.loop import run_trial
from albench.benchmark.types import Budget, Count, Part, Segment, Trial

name, said, times, rows, dims, classes, n = sys.argv[2], json.loads(sys.argv[3]), *map(int, sys.argv[4:])
rule = registry.strategies.get(name).cls(**said)
learner = Linear(passes="laplace") if "passes" in registry.needs_of(rule) else Linear()
budget = Budget("b", Count(3 * classes), (Segment(Count(n), 1),))
trial = Trial(Part("made"), Part("raw"), Part("linear"), Part(name), budget, 0, "f")
with threadpool_limits(1):
    for _ in range(times):
        *_, last = run_trial(trial, made_pool(rows, 500, dims, classes), rule, learner)
        print(last.select_s)
"""

pytestmark = [pytest.mark.perf, pytest.mark.timeout(7200)]


def seconds(name: str, said: dict[str, Any], times: int, limit: float) -> float | None:
    """Return the median seconds of some purchases; None where they took longer than the limit (and a start)."""
    command = [sys.executable, "-W", "ignore", "-c", ONE, str(Path(__file__).parents[1]), name, json.dumps(said)]
    command += map(str, (times, ROWS, DIMS, CLASSES, N))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=limit + START_S)
    except subprocess.TimeoutExpired:
        return None
    assert done.returncode == 0, f"{name}: {done.stderr.strip().splitlines()[-1:]}"
    return median(map(float, done.stdout.split()))


def test_ours_beside_theirs() -> None:
    names = os.environ.get("ALBENCH_THEIRS_RULES", ",".join(PAIRS)).split(",")
    rows, slower = [], list[str]()
    for name in names:
        ours, member, of_theirs = PAIRS[name]
        ours_s = seconds(name, ours, 3, 3 * LIMIT_S)
        assert ours_s is not None, f"{name} takes longer than {LIMIT_S:g} s"
        other = seconds(f"skactiveml:{member}", of_theirs, 1, LIMIT_S)
        ratio = (other or LIMIT_S) / ours_s
        rows.append({"rule": name, "ours_s": ours_s, "theirs": member, "theirs_s": other, "ratio": ratio})
        print(
            f"{name:18} {ours_s:8.3f} s   {member:20} {other or LIMIT_S:8.2f} s{'' if other else '+'}   {ratio:8.1f}x"
        )
        if out := os.environ.get("ALBENCH_THEIRS_OUT"):
            pd.DataFrame(rows).round(4).to_csv(out, index=False)
        slower += [name] * (ratio < 1)
    assert not slower

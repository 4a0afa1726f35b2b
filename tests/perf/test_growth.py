"""Seconds and peak memory of one purchase by every rule, as the pool grows. Each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from albench.benchmark import registry

SIZES = [int(n) for n in os.environ.get("ALBENCH_GROWTH", "10000,20000,50000,100000").split(",")]
CLASSES = [int(n) for n in os.environ.get("ALBENCH_GROWTH_CLASSES", "10,100").split(",")]
DIMS, N = 512, 100
LIMIT_MB = 4096

ONE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from support.made import made_pool
from threadpoolctl import threadpool_limits
from albench.benchmark import registry
from albench.benchmark.learners.linear import Linear
from albench.benchmark.loop import run_trial
from albench.benchmark.types import Budget, Count, Part, Segment, Trial

name, rows, classes, dims, n = sys.argv[2], *map(int, sys.argv[3:])
rule = registry.strategies.get(name).cls()
needs = registry.needs_of(rule)
learner = Linear(passes="laplace") if "passes" in needs else Linear()
validation = Count(10 * classes if "validation" in needs else 0)
budget = Budget("b", Count(3 * classes), (Segment(Count(n), 1),), validation=validation)
trial = Trial(Part("made"), Part("pixels"), Part("linear"), Part(name), budget, 0, "f")
pool = made_pool(rows, 2000, dims, classes)
with threadpool_limits(1):
    *_, last = run_trial(trial, pool, rule, learner)
print(json.dumps({"rule": name, "rows": rows, "classes": classes, "s": last.select_s, "peak_mb": last.peak_rss_mb}))
"""

pytestmark = [pytest.mark.perf, pytest.mark.timeout(7200)]


def measured(name: str, rows: int, classes: int) -> dict[str, object]:
    command = [sys.executable, "-c", ONE, str(Path(__file__).parents[1]), name, *map(str, (rows, classes, DIMS, N))]
    limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **limits})
    if done.returncode:
        return {"rule": name, "rows": rows, "classes": classes, "failed": done.stderr.strip().splitlines()[-1][:200]}
    answer: dict[str, object] = json.loads(done.stdout)
    print(answer, flush=True)
    return answer


@pytest.mark.parametrize("classes", CLASSES)
def test_every_rule_stays_within_memory(classes: int) -> None:
    names = os.environ.get("ALBENCH_GROWTH_RULES", ",".join(registry.strategies.names())).split(",")
    table = pd.DataFrame([measured(name, rows, classes) for name in names for rows in SIZES])
    print(table.pivot_table(["s", "peak_mb"], "rule", "rows").round(2).to_string())
    if out := os.environ.get("ALBENCH_GROWTH_OUT"):
        table.to_csv(f"{out}-{classes}.csv", index=False)
    assert "failed" not in table or table["failed"].isna().all(), table[["rule", "rows", "failed"]].dropna().to_string()
    assert (table["peak_mb"] < LIMIT_MB).all()

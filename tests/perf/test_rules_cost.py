"""Seconds and peak memory of one purchase by every rule: its cost, and how that grows with the pool.

Each purchase runs in a process of its own, on one core; its own seconds are counted, not what else the machine does.
``ALBENCH_COST_RULES``, ``_ROWS``, ``_CLASSES`` and ``_N`` narrow what is measured; ``ALBENCH_COST_OUT`` names a CSV, to
which every measurement is added as soon as it is made. What that file holds already is not measured again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Hashable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import rules

Case = dict[Hashable, Any]

DIMS = 512
LIMIT_S, LIMIT_MIB = 60, 4096
LONGER = {
    "bait-binary": "2 n rows enter and n leave, each a product with all rows: of 1,000 rows a minute",
    "cluster-margin": "all distances of the pool, once an embedding; a batch takes a second",
    "dcom": "what each row covers is counted among all that no ball holds, and no graph is kept",
    "greedy-oracle": "21 fits a row: 1,000 rows of 10 classes 14 minutes; step: 10 takes a tenth of that",
    "max-herding": "exact: every row is a target of every candidate, none too far to count; targets: 10000 is quicker",
    "typiclust-dc": "the neighbours of all rows, once an embedding, and a head, once for each number of clusters",
    "vab-al": "each of ten codes a row is rebuilt without the group of each of 100 classes",
    "zcore": "a thousand neighbours of half a million samples, once an embedding",
}
"""Rules that may take longer at 50,000 rows, and why."""
GROWTH = {"cluster-margin": 2, "dcom": 2, "max-herding": 2, "probcover": 2, "typiclust-dc": 2}
"""The power of N in what a rule's docstring declares, where it is not 1."""
NOISE = 0.3  # of an exponent: caches end somewhere between 10,000 and 100,000 rows

ONE = """
import json, sys, time
time.perf_counter = time.process_time
sys.path.insert(0, sys.argv[1])
from support import rules
from support.made import made_pool
from threadpoolctl import threadpool_limits
from albench.benchmark import registry
from albench.benchmark.loop import run_trial
from albench.benchmark.types import Budget, Count, Part, Segment, Trial

name, rows, classes, dims, n = sys.argv[2], *map(int, sys.argv[3:])
rule = rules.rule(name)
validation = Count(10 * classes if "validation" in registry.needs_of(rule) else 0)
budget = Budget("b", Count(3 * classes), (Segment(Count(n), 1),), validation=validation)
trial = Trial(Part("made"), Part("raw", was="pixels"), Part("linear"), Part(name), budget, 0, "f")
pool = made_pool(rows, 2000, dims, classes)
with threadpool_limits(1):
    *_, last = run_trial(trial, pool, rule, rules.learner_for(rule))
print(json.dumps({"cpu_s": round(last.select_s, 3), "peak_mib": round(last.peak_rss_mb)}))
"""

pytestmark = [pytest.mark.perf, pytest.mark.timeout(36_000)]


def asked(name: str, default: str) -> list[str]:
    return os.environ.get(f"ALBENCH_COST_{name}", default).split(",")


def measured(name: str, rows: int, classes: int, n: int) -> Case:
    command = [sys.executable, "-c", ONE, str(Path(__file__).parents[1]), name, *map(str, (rows, classes, DIMS, n))]
    limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **limits})
    case: Case = {"rule": name, "rows": rows, "classes": classes, "n": n}
    if done.returncode:
        return case | {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200]}
    answer: Case = json.loads(done.stdout)
    return case | answer


def table() -> pd.DataFrame:
    """Return a row for each case that is asked for, and for those that the CSV holds already."""
    out = os.environ.get("ALBENCH_COST_OUT", "")
    held: list[Case] = []
    if out and Path(out).exists():
        held += pd.read_csv(out).to_dict("records")
    known = {(row["rule"], row["rows"], row["classes"], row["n"]) for row in held}
    sizes = [[int(size) for size in asked(*of)] for of in (("ROWS", "50000"), ("CLASSES", "10,100"), ("N", "100,1000"))]
    for name in asked("RULES", ",".join(rules.names())):
        for rows, classes, n in product(*sizes):
            if (name, rows, classes, n) in known:
                continue
            held.append(measured(name, rows, classes, n))
            print(held[-1], flush=True)
            if out:
                pd.DataFrame(held).sort_values(["rule", "rows", "classes", "n"]).to_csv(out, index=False)
    return pd.DataFrame(held)


def exponent(of: pd.DataFrame) -> float:
    """Return the power of the rows with which the seconds grow, from the smallest pool to the largest."""
    ends = of.sort_values("rows").iloc[[0, -1]]
    seconds = np.maximum(ends["cpu_s"], 1.0)  # below that it is not the rule that is measured
    return float(np.diff(np.log(seconds))[0] / np.diff(np.log(ends["rows"]))[0])


def test_every_rule_stays_within_its_cost() -> None:
    found = table()
    assert "failed" not in found or not found["failed"].notna().any(), found.to_string()
    at = found[found["rows"] == 50_000]
    long = at[(at["cpu_s"] > LIMIT_S) & ~at["rule"].isin(LONGER)]
    assert long.empty, long.to_string()
    assert (at["peak_mib"] <= LIMIT_MIB).all(), at[at["peak_mib"] > LIMIT_MIB].to_string()
    for (name, classes, n), of in found.groupby(["rule", "classes", "n"]):
        if of["rows"].nunique() > 1:
            assert exponent(of) <= GROWTH.get(str(name), 1) + NOISE, (
                f"{name}, {classes} classes, n = {n}: {exponent(of)}"
            )

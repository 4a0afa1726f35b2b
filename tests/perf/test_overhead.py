"""What the harness costs beside the trials: idle cores, time per trial, the driver's own work.

ALBENCH_PERF_TRIALS sets the number of 50 ms trials (10,000 are what the goals are stated for), ALBENCH_PERF_REPEATS how
often the engines take turns.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import yaml

from albench.results.record.store import RunStore

HERE = Path(__file__).parent
TRIALS = int(os.environ.get("ALBENCH_PERF_TRIALS", "2000"))
REPEATS = int(os.environ.get("ALBENCH_PERF_REPEATS", "3"))
TUNE_TRIALS = 200  # its cost per trial does not fall with their number
CORES = 2

pytestmark = [pytest.mark.perf, pytest.mark.timeout(7200)]


def script(name: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, str(HERE / name), *map(str, arguments)]
    path = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])  # for the workers too
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def middle(results: list[dict[str, float]]) -> dict[str, float]:
    return {key: median(result[key] for result in results) for key in results[0]}


@pytest.mark.skipif((os.cpu_count() or 1) < CORES, reason="needs two cores")
def test_fifty_millisecond_trials_against_joblib_and_tune() -> None:
    """Utilisation is busy / (2 x wall); overhead per trial is (2 x wall - busy) / trials."""
    pytest.importorskip("ray.tune")
    runs: dict[str, list[dict[str, float]]] = {"albench": [], "joblib": [], "tune": []}
    for _ in range(REPEATS):  # taking turns, so that a busy machine is busy for all
        for engine, results in runs.items():
            result = script("overhead.py", engine, TUNE_TRIALS if engine == "tune" else TRIALS)
            result["utilisation"] = result["busy"] / (CORES * result["wall"])
            result["overhead"] = 1000 * (CORES * result["wall"] - result["busy"]) / result["n"]
            results.append(result)
    print(f"\n{'engine':8}{'trials':>8}{'start-up s':>12}{'wall s':>9}{'utilisation':>13}{'overhead/trial':>16}")
    medians = {engine: middle(results) for engine, results in runs.items()}
    for engine, m in medians.items():
        line = f"{engine:8}{m['n']:8.0f}{m['startup']:12.2f}{m['wall']:9.2f}{m['utilisation']:13.1%}"
        print(f"{line}{m['overhead']:13.2f} ms")
    ours, joblib, tune = medians["albench"], medians["joblib"], medians["tune"]
    to_joblib = median(a["wall"] / b["wall"] for a, b in zip(runs["albench"], runs["joblib"], strict=True))
    to_beat = 1.015 if TRIALS >= 10_000 else 1.05  # the first and the last trials weigh more in a short run
    to_tune = median(t["overhead"] / a["overhead"] for a, t in zip(runs["albench"], runs["tune"], strict=True))
    print(f"utilisation {ours['utilisation']:.1%} (goal 97 % of two idle cores; joblib {joblib['utilisation']:.1%})")
    print(f"wall, albench with Parquet and MLflow / joblib {to_joblib:.3f} (goal at most {to_beat})")
    print(f"waited {ours['behind']:.0f} s for MLflow after the last row")
    print(f"overhead per trial, Tune / albench {to_tune:.0f} (goal at least 20; Tune {tune['overhead']:.0f} ms)")
    assert to_joblib <= to_beat  # both suffer from what else the machine does
    assert to_tune >= 20


def cost(folder: Path, seeds: int, mlflow: bool) -> dict[str, float]:
    grid: dict[str, Any] = {
        "name": "short",
        "datasets": ["wine"],
        "embeddings": ["raw"],
        "learners": ["knn"],
        "strategies": ["random"],
        "budgets": {"b": {"initial": 3, "query": 3, "rounds": 2}},
        "seeds": seeds,
    }
    folder.mkdir()
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    uri = f"sqlite:///{folder / 'run' / 'mlflow.db'}" if mlflow else "off"
    used = script("driver_cost.py", folder / "grid.yaml", folder / "run", uri)
    assert (RunStore.open(folder / "run").trials()["outcome"] == "done").sum() >= seeds  # and the bound: the full data
    return used


def test_the_drivers_own_time_per_trial(tmp_path: Path) -> None:
    """The CPU time of the driver process for 1000 short trials less that for 20, so that start-up falls out.

    A trial has three rounds. What MLflow takes is the difference between the children's CPU time with and without it.
    """
    few, many = 20, 1000
    rows: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for repeat in range(REPEATS):
        for mlflow, costs in rows.items():
            folder = tmp_path / f"{repeat}-{mlflow}"
            small, large = (cost(Path(f"{folder}-{seeds}"), seeds, mlflow) for seeds in (few, many))
            per_trial = {key: 1000 * (large[key] - small[key]) / (many - few) for key in large}
            costs.append({**per_trial, "startup": small["driver"]})
    off, on = middle(rows[False]), middle(rows[True])
    print(f"\nCPU ms per trial{'driver':>12}{'children':>12}{'driver start-up s':>20}")
    for name, m in (("mlflow off", off), ("mlflow on", on)):
        print(f"{name:16}{m['driver']:12.2f}{m['children']:12.2f}{m['startup']:20.2f}")
    print(f"driver with Parquet and MLflow on: {on['driver']:.2f} ms per trial (goal at most 2)")
    print(f"MLflow, in its own process: {on['children'] - off['children']:.1f} ms per trial")
    assert on["driver"] <= 2

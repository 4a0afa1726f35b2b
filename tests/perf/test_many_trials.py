"""A grid of 100,000 trials with shared starts: what the driver, a resumed run, status, report and listing cost.

CPU seconds and peak memory, each in a process of its own; no trial is trained. ALBENCH_MANY_TRIALS are the sizes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

SIZES = [int(n) for n in os.environ.get("ALBENCH_MANY_TRIALS", "10000,30000,100000").split(",")]
RULES = 9
PROGRAM = Path(__file__).with_name("many_trials.py")
MEASURED = (
    "import json, resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
    "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
    "print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024])); sys.exit(done.returncode)"
)

pytestmark = [pytest.mark.perf, pytest.mark.timeout(7200)]


def driven(out: Path, seeds: int, *stop: str) -> dict[str, float]:
    command = [sys.executable, str(PROGRAM), str(out), str(seeds), "off", *stop]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def commanded(*words: str) -> tuple[float, float]:
    """Return CPU seconds and peak MiB of an albench command."""
    command = [sys.executable, "-c", MEASURED, sys.executable, "-m", "albench.cli", *words]
    seconds, mib = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return seconds, mib


def measured(folder: Path, trials: int) -> dict[str, float]:
    run, grid = folder / f"run-{trials}", folder / f"run-{trials}.yaml"
    first = driven(run, trials // RULES, str(trials // 2))
    rest = driven(run, trials // RULES)
    again = driven(run, trials // RULES)
    assert first["trials"] + rest["trials"] == RULES * (trials // RULES) + 1
    assert again["trials"] == 0
    status, status_mib = commanded("status", str(run))
    report, report_mib = commanded("report", str(run), "--out", str(folder / "report"))
    listing, _ = commanded("run", "--grid", str(grid), "--dry-run")
    return {
        "trials": trials,
        "driver_ms": first["driver_ms"],
        "peak_mb": max(first["peak_mb"], rest["peak_mb"]),
        "resume_s": rest["before_s"],
        "again_s": again["all_s"],
        "end_s": rest["after_s"],
        "status_s": status,
        "status_mb": status_mib,
        "report_s": report,
        "report_mb": report_mib,
        "listing_s": listing,
    }


def test_everything_is_linear_in_the_number_of_trials(tmp_path: Path) -> None:
    table = pd.DataFrame([measured(tmp_path, trials) for trials in SIZES]).set_index("trials")
    print("\n" + table.round(2).to_string())
    assert table["driver_ms"].max() < 2 * table["driver_ms"].min()
    growth = table.drop(columns="driver_ms").diff().div(table.index.to_series().diff(), axis=0).dropna()
    slack = {"peak_mb": 0.001, "status_mb": 0.001, "report_mb": 0.001}
    for name in growth:
        first, *others = growth[name]
        assert max(others, default=0) < 1.6 * first + slack.get(str(name), 0.00005), name

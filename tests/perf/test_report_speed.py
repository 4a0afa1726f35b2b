"""What a report of 100,000 rounds costs, that its cost grows linearly, and how large and fast the page is.

ALBENCH_PERF_REPEATS says how often the quick ones are done; the median counts.
"""

import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from support.browser import browser, opened
from support.synthetic import STRATEGIES, write_run

REPEATS = int(os.environ.get("ALBENCH_PERF_REPEATS", "3"))
MEASURED = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024); sys.exit(done.returncode)"
)

pytestmark = [pytest.mark.perf, pytest.mark.timeout(3600)]


def synthetic(folder: Path, datasets: int) -> Path:
    """Write 20,000 rounds for each dataset: 2 budgets, 10 strategies, 10 seeds, 100 rounds."""
    names = [f"data-{i}" for i in range(datasets)]
    return write_run(folder, names, strategies=STRATEGIES, seeds=10, rounds=100)


def reported(run: Path, out: Path, *options: str) -> tuple[float, float]:
    """Return seconds and peak MiB of ``albench report`` as a user starts it."""
    command = [sys.executable, "-m", "albench.cli", "report", str(run), "--out", str(out), *options]
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=True)
    return time.perf_counter() - started, float(done.stdout)


def test_a_report_of_100_000_rounds_is_made_in_time_and_grows_linearly(tmp_path: Path) -> None:
    runs = {20_000 * n: synthetic(tmp_path / f"run-{n}", n) for n in (1, 3, 5)}
    reported(runs[20_000], tmp_path / "warm")  # Vega is put together once per machine
    kinds = {"everything": ("--figures",), "usual": (), "tables alone": ("--tables",)}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    print(f"\n{'rounds':>8}{'report':>14}{'seconds':>9}{'MiB':>7}")
    for size, run in runs.items():
        for kind, options in kinds.items():
            times = [reported(run, tmp_path / "out", *options) for _ in range(REPEATS)]
            seconds[kind].append(median(took for took, _ in times))
            peak = max(mib for _, mib in times)
            print(f"{size:8}{kind:>14}{seconds[kind][-1]:9.1f}{peak:7.0f}")
            assert peak < 2048
    assert seconds["everything"][-1] < 30
    assert seconds["tables alone"][-1] < 3
    for of in seconds.values():
        first, second = (after - before for before, after in pairwise(of))
        assert second < 1.5 * first + 0.5


def test_the_page_of_20_000_rounds_is_small_and_opens_fast(tmp_path: Path) -> None:
    reported(synthetic(tmp_path / "run", 1), tmp_path / "out")
    file = tmp_path / "out" / "report.html"
    opening = []
    with browser() as started:
        for _ in range(REPEATS):
            begin = time.perf_counter()
            with opened(started, file) as tab:
                opening.append(time.perf_counter() - begin)
                assert tab.said == []
    print(f"\npage of 20,000 rounds: {file.stat().st_size / 1e6:.2f} MB, opens in {median(opening):.2f} s")
    assert file.stat().st_size < 5e6
    assert median(opening) < 2

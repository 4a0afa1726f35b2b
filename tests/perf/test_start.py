"""How long the command line takes to answer, beside an interpreter that does nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from albench import configs

REPEATS = max(5, int(os.environ.get("ALBENCH_PERF_REPEATS", "3")))
GRID = str(Path(configs.__file__).with_name("grid.yaml"))
ALBENCH = ["-m", "albench.cli"]
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import albench": ["-c", "import albench"],
    "albench --help": [*ALBENCH, "--help"],
    "albench list strategies": [*ALBENCH, "list", "strategies"],
    "albench run --dry-run": [*ALBENCH, "run", "--grid", GRID, "--dry-run"],
}

pytestmark = [pytest.mark.perf, pytest.mark.timeout(600)]


def seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return time.perf_counter() - began


def test_the_command_line_answers_soon() -> None:
    seconds(COMMANDS["albench run --dry-run"])  # files are in the page cache
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    nothing = times["python -c pass"]
    print(f"\n{'':26}{'seconds':>9}{'x nothing':>11}")
    for name, taken in times.items():
        ratio = median(a / b for a, b in zip(taken, nothing, strict=True))
        print(f"{name:26}{median(taken):9.2f}{ratio:11.1f}")
    assert median(times["import albench"]) < median(nothing) + 0.2
    assert median(times["albench --help"]) < 30 * median(nothing)

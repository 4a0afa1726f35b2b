"""Run a grid on two Ray workers, then print what that cost: ``driver_cost.py GRID OUT MLFLOW [PROFILE]``.

``driver`` is the CPU time of this process, ``children`` that of all it started and waited for (Ray's daemons and, where
there is one, the MLflow mirror), both in seconds. With PROFILE the driver's profile is written there.
"""

import cProfile
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

from rich.console import Console

from albench.benchmark.engine import run
from albench.benchmark.grid import grid


def cpu(who: int) -> float:
    usage = getrusage(who)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    path, out, mlflow, *profile = sys.argv[1:]
    options = run.Options(Path(out), workers=2, mlflow=mlflow)
    profiler = cProfile.Profile() if profile else None
    with profiler or nullcontext():
        run.run(grid.load(Path(path)), options, Console(stderr=True), lambda: None)
    if profiler:
        profiler.dump_stats(profile[0])
    print(json.dumps({"driver": cpu(RUSAGE_SELF), "children": cpu(RUSAGE_CHILDREN)}))

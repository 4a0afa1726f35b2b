"""Run so many 50 ms trials on two workers of one engine: ``overhead.py albench|joblib|tune N`` prints JSON.

``wall`` runs from the first trial's begin to the last one's end, ``startup`` is all before that, from after the
imports; the ``busy`` seconds are what the trials ask for. albench makes a whole run, with Parquet and MLflow, and
``behind`` is how long it waits for MLflow when all rows are on disk (at most `run.TRACKING_WAIT_S`).
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from perf.burning import SECONDS, burn

WORKERS = 2
Times = tuple[float, float, float, float]  # before everything, first trial's begin, last one's end, behind


def albench(n: int) -> Times:
    from rich.console import Console

    from albench.benchmark.engine import run
    from albench.benchmark.grid import grid
    from albench.results.record.store import RunStore

    said = {
        "name": "overhead",
        "datasets": ["wine"],
        "embeddings": ["raw"],
        "learners": ["burn"],
        "strategies": ["random"],
        "budgets": {"one": {"initial": 0, "query": 1, "rounds": 1}},
        "seeds": n - 1,  # and the fit on all labels
    }
    on_disk: list[float] = []
    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        options = run.Options(Path(folder) / "run", workers=WORKERS)
        asked = grid.parse(json.dumps(said), "overhead.py")
        run.run(asked, options, Console(stderr=True), lambda: on_disk.append(time.time()))
        behind = time.time() - on_disk[0]
        trials = RunStore.open(options.out).trials()
    assert len(trials) == n
    assert (trials["outcome"] == "done").all()
    ended = trials["ended_at"] / 1000
    return began, float((ended - trials["wall_s"]).min()), float(ended.max()), behind


def joblib(n: int) -> Times:
    from joblib import Parallel, delayed

    began = time.time()
    parallel = Parallel(n_jobs=WORKERS)  # loky, automatic batches
    parallel(delayed(burn)() for _ in range(WORKERS))  # the workers are up
    times = parallel(delayed(burn)() for _ in range(n))
    return began, min(start for start, _ in times), max(end for _, end in times), 0.0


def tune(n: int) -> Times:
    os.environ.update(RAY_AIR_NEW_OUTPUT="0", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_USAGE_STATS_ENABLED="0")
    import ray
    from ray import tune

    def trial(_: dict[str, object]) -> dict[str, float]:
        start, end = burn()
        return {"start": start, "end": end}

    began = time.time()
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            trial,
            tune_config=tune.TuneConfig(num_samples=n, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        metrics = [results[i].metrics or {} for i in range(len(results))]
    ray.shutdown()
    return began, min(m["start"] for m in metrics), max(m["end"] for m in metrics), 0.0


if __name__ == "__main__":
    engines: dict[str, Callable[[int], Times]] = {"albench": albench, "joblib": joblib, "tune": tune}
    number = int(sys.argv[2])
    before, first, last, behind = engines[sys.argv[1]](number)
    answer = {"n": number, "startup": first - before, "wall": last - first, "busy": number * SECONDS, "behind": behind}
    print(json.dumps(answer))

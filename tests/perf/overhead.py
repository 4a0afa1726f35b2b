"""Run so many 50 ms trials on two workers of one engine: ``overhead.py albench|joblib|tune N`` prints JSON.

``wall`` runs from the first trial's begin to the receipt of the last result (for Tune, in its favour, to the last
trial's end), ``startup`` is all before that, from after the imports; the ``busy`` seconds are what the trials ask for.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from perf.burning import SECONDS, Burn, burn

from albench.benchmark.types import Budget, Count, Part, Resources, Segment, Trial

WORKERS = 2
Times = tuple[float, float, float]  # before everything, first trial's begin, end


def albench(n: int) -> Times:
    from albench.benchmark.engine.plan import Plan
    from albench.benchmark.engine.scheduler import Cluster
    from albench.benchmark.engine.worker import Ended
    from albench.benchmark.loop import Job
    from albench.datasets.embeddings.cache.store import make_pool
    from albench.strategies.random import Random

    budget = Budget("one", Count(0), (Segment(Count(1), 1),))
    made, pixels, learner, strategy = (Part(name) for name in ("made", "pixels", "burn", "random"))
    trials = [Trial(made, pixels, learner, strategy, budget, seed, "made") for seed in range(n)]
    jobs = [Job(trial, Random(), Burn(), Resources()) for trial in trials]
    arrays = smallest_pool()
    began = time.time()
    cluster = Cluster(WORKERS, None)
    ends = []
    for events in cluster.run(Plan(jobs, WORKERS), lambda _: arrays, make_pool):
        ends += [event for event in events if isinstance(event, Ended)]
    ended = time.time()
    cluster.close()
    assert len(ends) == n
    assert all(event.end.outcome == "done" for event in ends)
    return began, min(event.ended_at / 1000 - event.end.wall_s for event in ends), ended


def smallest_pool() -> dict[str, np.ndarray]:
    labels = np.arange(20) % 2
    features = np.zeros((20, 2), np.float32)
    names = np.array(["a", "b"])
    return {
        "features": features,
        "labels": labels,
        "test_features": features,
        "test_labels": labels,
        "class_names": names,
        "content": np.array("made up"),
    }


def joblib(n: int) -> Times:
    from joblib import Parallel, delayed

    began = time.time()
    parallel = Parallel(n_jobs=WORKERS)  # loky, automatic batches
    parallel(delayed(burn)() for _ in range(WORKERS))  # the workers are up
    times = parallel(delayed(burn)() for _ in range(n))
    return began, min(start for start, _ in times), time.time()


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
    return began, min(m["start"] for m in metrics), max(m["end"] for m in metrics)


if __name__ == "__main__":
    engines: dict[str, Callable[[int], Times]] = {"albench": albench, "joblib": joblib, "tune": tune}
    number = int(sys.argv[2])
    before, first, last = engines[sys.argv[1]](number)
    print(json.dumps({"n": number, "startup": first - before, "wall": last - first, "busy": number * SECONDS}))

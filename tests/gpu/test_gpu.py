"""All that runs on a GPU against the CPU, in one script: the same picks, and how long. Off by default (marker ``gpu``).

    PYTHONPATH=typings:tests python -m pytest -m gpu -n 0 -s tests/gpu

needs torch, numpy, scipy, scikit-learn, array-api-compat and what albench's learners import; neither Ray nor MLflow.
Without a GPU the same assertions hold the GPU's code, run by torch on the CPU, on pools a hundredth as large. With one
the table at the end (``ALBENCH_GPU_OUT`` names a CSV) belongs into ``results/published/``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from support.made import made_pool

from albench.benchmark import device, registry
from albench.benchmark.engine.costs import Cards
from albench.benchmark.engine.worker import Ended, RoundDone, execute
from albench.benchmark.learners.alfm_head import ALFMHead
from albench.benchmark.learners.laplace_head import LaplaceHead
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.loop import Job, run_trial
from albench.benchmark.types import (
    Array,
    Budget,
    Count,
    Features,
    Learner,
    Lesson,
    Model,
    Outcome,
    Part,
    Pool,
    Resources,
    Segment,
    Trial,
)
from albench.strategies.kernels.distances import euclidean
from albench.strategies.kernels.farthest import farthest
from albench.strategies.kernels.graphs import ball_graph, nearest_neighbours
from albench.strategies.kernels.head.gradients import gradients
from albench.strategies.kernels.herding import gaussian, herd
from albench.strategies.kernels.kmeans import kmeans
from albench.strategies.kernels.sampling import spread
from albench.strategies.kernels.scores import entropy, least_confidence, margin

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(480)]

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "torch"
CARD = torch.cuda.get_device_name() if CUDA else "no GPU: torch on the CPU"
BANDWIDTH = 3.35e12  # bytes a second an H100 reads
ROWS, DIMS, CLASSES, N = (50_000, 512, 10, 1000) if CUDA else (2000, 64, 10, 50)
LARGE, LARGE_DIMS, LARGE_N = (1_281_167, 384, 1000) if CUDA else (20_000, 48, 50)
TABLE: list[dict[str, Any]] = []


@pytest.fixture(scope="module", autouse=True)
def _table() -> Iterator[None]:
    yield
    table = pd.DataFrame(TABLE)
    print(f"\n{CARD}\n{table.round(4).to_string(index=False)}")
    if out := os.environ.get("ALBENCH_GPU_OUT"):
        table.assign(card=CARD).to_csv(out, index=False)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return made_pool(ROWS, ROWS // 5, DIMS, CLASSES)


@pytest.fixture(scope="module")
def probs(pool: Pool) -> Features:
    odds = np.exp(pool.features[:, :CLASSES] * 30)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)


def seconds(compute: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median seconds of some calls, the first of which (it brings arrays over) does not count."""
    found, times = compute(), []
    for _ in range(repeats):
        if CUDA:
            torch.cuda.synchronize()
        began = time.perf_counter()
        found = compute()
        if CUDA:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return float(np.median(times)), found


def beside(kernel: str, compute: Callable[[], Any], bytes_read: float, rows: int = ROWS) -> tuple[Any, Any]:
    """Return what the CPU and the GPU give, and note their seconds beside the time the card takes to read so much."""
    host_s, host = seconds(compute, 1)
    if CUDA:
        torch.cuda.reset_peak_memory_stats()
    with device.on(DEVICE):
        there_s, there = seconds(compute, 3)
    note(kernel, rows, host_s, there_s, bytes_read)
    return host, there


def note(kernel: str, rows: int, host_s: float, there_s: float, bytes_read: float) -> None:
    peak = torch.cuda.max_memory_allocated() / 2**20 if CUDA else float("nan")
    times = {"cpu_s": host_s, "gpu_s": there_s, "bound_s": bytes_read / BANDWIDTH}
    TABLE.append({"kernel": kernel, "rows": rows, **times, "cpu/gpu": host_s / there_s, "peak_mib": peak})


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_farthest_first(pool: Pool) -> None:
    labelled, reads = np.arange(100), ROWS * DIMS * 2.0 * N  # float16, once a pick
    host, there = beside("farthest first", lambda: farthest(euclidean(pool.features), N, rng(), labelled), reads)
    assert np.array_equal(host, there)


def test_sampling(pool: Pool) -> None:
    host, there = beside("D² sampling", lambda: spread(euclidean(pool.features), 0, N, rng()), ROWS * DIMS * 2.0 * N)
    assert (host == there).mean() > 0.99  # distances in single precision on the CPU decide a draw in a thousand


def test_badge(pool: Pool, probs: Features) -> None:
    reads = ROWS * (DIMS + CLASSES) * 2.0 * N
    host, there = beside("BADGE", lambda: spread(gradients(probs, pool.features), 0, N, rng()), reads)
    assert (host == there).mean() > 0.99


def test_clusters(pool: Pool) -> None:
    k = N // 2
    (centres, nearest), (centres_there, found) = beside(
        "k-means", lambda: kmeans(pool.features, k, rng()), ROWS * DIMS * 2.0 * 10
    )
    inertia = [np.square(pool.features - c[near]).sum() for c, near in ((centres, nearest), (centres_there, found))]
    assert inertia[1] <= 1.001 * inertia[0]


def test_herding(pool: Pool) -> None:
    rows, n = pool.features[: ROWS // 5], N // 10
    none = np.zeros(len(rows), np.float32)
    flop_bytes = 2.0 * len(rows) ** 2 * DIMS / 60e12 * BANDWIDTH  # products bind here: 60 TFLOP/s in single precision
    host, there = beside(
        "herding", lambda: herd(gaussian(rows, rows, 1.0), len(rows), none, n, rng()), flop_bytes, len(rows)
    )
    assert np.array_equal(host, there)


def test_neighbours_and_balls(pool: Pool) -> None:
    rows, reads = pool.features[: ROWS // 2], (ROWS // 2) * DIMS * 2.0
    (ids, far), (found, _) = beside("neighbours", lambda: nearest_neighbours(rows, 20), reads, len(rows))
    assert np.array_equal(ids, found)
    radius = float(np.median(far[:, 5]))
    graph, there = beside("ball graph", lambda: ball_graph(rows, radius), reads, len(rows))
    assert np.array_equal(graph.indices, there.indices)


@pytest.mark.parametrize("score", [least_confidence, margin, entropy], ids=lambda f: f.__name__)
def test_scores(score: Callable[[Array], Array], probs: Features) -> None:
    probs.setflags(write=False)
    host, there = beside(score.__name__, lambda: device.fetch(score(device.put(probs))), probs.nbytes)
    assert np.allclose(host, there, atol=1e-6)


def test_the_linear_learner(pool: Pool) -> None:
    M = min(10_000, ROWS // 2)
    lesson = Lesson.of(pool.features[:M], pool.labels[:M], CLASSES, rng())
    lesson.view.array.setflags(write=False)

    def said() -> Features:
        model = Linear().fit(lesson)
        return device.fetch(model.scores(device.put(pool.test_features)))

    host, there = beside("logistic regression", said, M * DIMS * 8.0 * 100, M)
    assert np.abs(host - there).max() < 1e-4


FIRST = ["margin", "entropy", "coreset", "badge", "kmeans", "typiclust", "probcover", "max-herding"]


@pytest.mark.parametrize("name", FIRST)
def test_a_trial_buys_the_same_and_repeats_bit_for_bit(name: str) -> None:
    _buys_alike(name, Linear(), made_pool(min(ROWS, 5000), 500, DIMS, CLASSES), 50, 0.9)


@pytest.mark.parametrize("name", sorted(set(registry.strategies.names()) - {*FIRST, "random"}))
def test_every_other_rule_beside_a_perceptron(name: str) -> None:
    network = MLP(width=64, steps=100, passes="dropout")  # trained in single precision: weights agree to rounding
    _buys_alike(name, network, made_pool(600 if CUDA else 200, 100, 64, 2 if "binary" in name else 10), 10, 0.5)


@pytest.mark.parametrize("head", [ALFMHead(rate=1e-3, epochs=60), LaplaceHead(epochs=60)], ids=str)
def test_margin_beside_heads_on_frozen_features(head: Learner) -> None:
    _buys_alike("margin", head, made_pool(600 if CUDA else 200, 100, 64, 10), 10, 0.5)


def _buys_alike(name: str, learner: Learner, small: Pool, n: int, least: float) -> None:
    rule = registry.strategies.get(name).cls()
    validation = Count(n) if "validation" in registry.needs_of(rule) else Count(0)
    budget = Budget("b", Count(n), (Segment(Count(n), 2),), validation=validation)
    trial = Trial(Part("made"), Part("raw", was="pixels"), Part("one"), Part(name), budget, 0, "f")
    host = list(run_trial(trial, small, rule, learner))
    with device.on(DEVICE):
        there, again = (list(run_trial(trial, small, rule, learner)) for _ in range(2))
    shared = [len(np.intersect1d(a.selected, b.selected)) / len(a.selected) for a, b in zip(host, there, strict=True)]
    assert min(shared) >= least, shared
    for one, other in zip(there, again, strict=True):
        assert np.array_equal(one.selected, other.selected)
        assert one.scores == other.scores


def test_the_size_of_imagenet() -> None:
    large = made_pool(LARGE, 1000, LARGE_DIMS, 100)
    reads = LARGE * LARGE_DIMS * 2.0 * LARGE_N
    with device.on(DEVICE):
        took, picks = seconds(lambda: farthest(euclidean(large.features), LARGE_N, rng()), 1)
        note("farthest first", LARGE, float("nan"), took, reads)
        assert len(np.unique(picks)) == LARGE_N
        took, (_, nearest) = seconds(lambda: kmeans(large.features, LARGE_N, rng()), 1)
        note("k-means", LARGE, float("nan"), took, LARGE * LARGE_DIMS * 2.0 * 10)
        assert len(np.unique(nearest)) == LARGE_N


@pytest.fixture
def card() -> str:
    if not CUDA:
        reason = "no GPU: what a trial uses of one, and what happens when it is full, cannot be seen"
        print(f"\nskipped: {reason}")
        pytest.skip(reason)
    return CARD


class Greedy:
    """A learner that asks for more than any card has."""

    gives = Linear().gives

    def fit(self, lesson: Lesson) -> Model:
        torch.empty(2**44, dtype=torch.uint8, device=device.active())
        return Linear().fit(lesson)


def test_what_a_trial_uses_of_a_card_and_one_that_finds_no_room(card: str) -> None:
    small, rule = made_pool(5000, 500, DIMS, CLASSES), registry.strategies.get("margin").cls()
    budget, share = Budget("b", Count(50), (Segment(Count(50), 2),)), Resources(num_gpus=0.25)
    trials = [
        Trial(Part("made"), Part("raw", was="pixels"), Part(name), Part("margin"), budget, 0, "f") for name in "abc"
    ]
    learners: list[Learner] = [Linear(), Greedy(), Linear()]
    jobs = [Job(trial, rule, learner, share) for trial, learner in zip(trials, learners, strict=True)]
    events = [event for some in execute(jobs, {}, frozenset(), lambda _: small) for event in some]
    first, full, after = (event for event in events if isinstance(event, Ended))
    assert (first.end.outcome, first.end.device) == (Outcome.DONE, card)
    assert (full.end.outcome, full.card_full) == (Outcome.OOM, True)
    assert "Tried to allocate 16384.00 GiB" in full.end.reason
    assert after.end.outcome is Outcome.DONE  # in the same process
    used = [event.round.card for event in events if isinstance(event, RoundDone)]
    for of, event in zip(used, (e.round for e in events if isinstance(e, RoundDone)), strict=True):
        assert of is not None
        assert of.seconds == pytest.approx((event.select_s + event.fit_s + event.eval_s) / 4)
        assert of.peak_mb * 2**20 >= small.features.nbytes  # the pool lies there
    assert after.filled is not None
    assert after.filled.card_mb == pytest.approx(torch.cuda.get_device_properties().total_memory / 2**20, rel=0.01)
    cards = Cards()
    cards.note(jobs[0].load, after.filled)
    assert cards.share(jobs[0].load) < 0.5
    print(f"\na round of margin on {len(small)} x {DIMS}: {used[-1]}; a trial's share: {cards.share(jobs[0].load)}")

"""Several trials a card: by what trials like them were measured to need, and alone where that did not do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.trials import make_pool, make_trial

from albench.benchmark.device import Filled
from albench.benchmark.engine import worker
from albench.benchmark.engine.costs import BESIDE_MB, MARGIN, Cards
from albench.benchmark.engine.plan import Chunk, Plan
from albench.benchmark.engine.worker import Ended, RoundDone, Started
from albench.benchmark.learners.linear import Linear
from albench.benchmark.loop import Job
from albench.benchmark.registry import strategies
from albench.benchmark.types import Lesson, Model, Outcome, Resources, Round, Scores, TrialEnd

AUTO, H100_MB = Resources(num_gpus=1.0, auto=True), 81_559.0
QUARTER = Resources(num_gpus=0.25)
LARGE, SMALL = ("d", "e", "large"), ("d", "e", "small")


def jobs(
    seeds: int, resources: Resources, names: tuple[str, ...] = ("random", "margin"), initial: str = "0"
) -> list[Job]:
    random = strategies.get("random").cls()
    return [Job(make_trial(n, initial, seed=s), random, Linear(), resources) for s in range(seeds) for n in names]


def done(job: Job, peak_mb: float, card_mb: float = H100_MB) -> Ended:
    return Ended(TrialEnd(job.trial.trial_id, Outcome.DONE, wall_s=9.0), 0, Filled(peak_mb, card_mb))


def no_room(job: Job) -> Ended:
    end = TrialEnd(job.trial.trial_id, Outcome.OOM, attempts=job.attempts)
    return Ended(end, 0, card_full=True)


def taken(plan: Plan, resources: Resources) -> Chunk:
    return plan.next_chunk(resources) or pytest.fail(f"nothing waits for {resources}")


def test_a_load_has_a_card_of_its_own_until_it_was_measured() -> None:
    cards = Cards()
    assert cards.share(LARGE) == 1.0
    assert cards.note(LARGE, Filled(20_000, H100_MB))
    assert (cards.share(LARGE), cards.share(SMALL)) == (0.3333, 1.0)  # three times 27,048 MiB
    assert not cards.note(LARGE, Filled(1_000, H100_MB))  # the largest peak counts
    assert cards.note(LARGE, Filled(70_000, H100_MB))
    assert cards.share(LARGE) == 1.0
    assert cards.note(SMALL, Filled(100, H100_MB))
    assert cards.share(SMALL) == 10_000 // int(H100_MB / (MARGIN * 100 + BESIDE_MB)) / 10_000
    assert cards.note(SMALL, Filled(100, 16_000))  # a smaller card: what fits there fits everywhere
    assert cards.share(SMALL) == 0.1428


@given(peak_mb=st.floats(0, 1e5), card_mb=st.floats(1_000, 2e5))
def test_as_many_as_ray_lets_on_a_card_fit_on_it(peak_mb: float, card_mb: float) -> None:
    cards = Cards()
    cards.note(LARGE, Filled(peak_mb, card_mb))
    share = cards.share(LARGE)
    at_once = int(round(1 / share, 9))
    assert at_once * round(share * 10_000) <= 10_000  # Ray counts in ten-thousandths
    assert at_once == 1 or at_once * (MARGIN * peak_mb + BESIDE_MB) <= card_mb
    assert (at_once + 1) * (MARGIN * peak_mb + BESIDE_MB) > card_mb


@pytest.mark.parametrize("initial", ["0", "6"])
def test_once_a_trial_was_measured_those_at_home_ask_for_its_share(initial: str) -> None:
    plan = Plan(jobs(4, AUTO, initial=initial), workers=4)
    assert plan.waiting() == [AUTO]
    first, second = taken(plan, AUTO), taken(plan, AUTO)
    for event in (Started(start_id, None) for start_id in first.share):  # type: ignore[arg-type] # nobody looks at it
        plan.note(event, "the start")
    plan.note(done(first.jobs[0], 14_000))
    (shared,) = plan.waiting()
    assert (shared.num_gpus, shared.auto) == (0.25, True)
    plan.give_back(second)  # its worker was lost: it asks for the same as the others now
    assert plan.waiting() == [shared]
    third = taken(plan, shared)
    assert third.resources == shared
    plan.note(done(third.jobs[0], 30_000))  # another rule needs more
    assert [resources.num_gpus for resources in plan.waiting()] == [0.5]


def test_loads_are_told_apart_and_what_is_fixed_stays() -> None:
    small, large = jobs(3, AUTO, ("random",)), jobs(3, AUTO, ("margin",))
    large = [replace(job, trial=replace(job.trial, learner=replace(job.trial.learner, label="large"))) for job in large]
    fixed = jobs(3, QUARTER, ("coreset",))
    plan = Plan([*small, *large, *fixed], workers=4)
    chunk = taken(plan, AUTO)
    plan.note(done(chunk.jobs[0], 1_000))
    assert {resources.num_gpus for resources in plan.waiting()} == {0.0416, 1.0, 0.25}
    assert taken(plan, AUTO).jobs[0].load != chunk.jobs[0].load  # the next load to be measured
    assert taken(plan, QUARTER).jobs[0].trial.strategy.name == "coreset"


def test_who_finds_no_room_beside_others_is_tried_once_more_alone() -> None:
    plan = Plan(jobs(1, QUARTER), workers=4)
    chunk, other = taken(plan, QUARTER), taken(plan, QUARTER)
    plan.note(round_of(chunk.jobs[0], 7))
    assert plan.goes_on(no_room(chunk.jobs[0]))
    assert plan.left == 2
    (alone,) = plan.waiting()
    assert alone == Resources(num_gpus=1.0)
    again = taken(plan, alone)
    assert again.apart  # in a process of its own, which leaves nothing on the card
    assert (again.jobs[0].trial, again.jobs[0].attempts) == (chunk.jobs[0].trial, 2)
    assert [batch.rows.tolist() for batch in again.jobs[0].history] == [[7]]
    assert not plan.goes_on(no_room(again.jobs[0]))  # now it is its own
    plan.note(no_room(again.jobs[0]))
    plan.note(done(other.jobs[0], 1))
    assert plan.left == 0


def test_others_fit_the_start_of_who_finds_no_room() -> None:
    plan = Plan(jobs(1, QUARTER, ("random", "margin", "coreset"), initial="6"), workers=4)
    first = taken(plan, QUARTER)
    assert plan.next_chunk(QUARTER) is None  # it waits for the start
    assert plan.goes_on(no_room(first.jobs[0]))
    assert taken(plan, QUARTER).share == first.share


@pytest.mark.parametrize("num_gpus", [0.0, 1.0, 2.0])
def test_who_shares_no_card_is_not_tried_again(num_gpus: float) -> None:
    resources = Resources(num_gpus=num_gpus)
    plan = Plan(jobs(1, resources), workers=4)
    (job,) = taken(plan, resources).jobs
    assert not plan.goes_on(no_room(job))
    assert not plan.goes_on(replace(no_room(job), card_full=False))


def round_of(job: Job, row: int) -> RoundDone:
    rows = np.array([row])
    return RoundDone(
        job.trial.trial_id, Round(0, rows, 1, rows, "strategy", Scores(0.5, 0.5, 0.5, None, None), 0, 0, 0, 0), 0
    )


@given(luck=st.integers(0, 10_000), initial=st.sampled_from(["0", "6"]))
def test_every_trial_ends_once_whatever_share_it_has(luck: int, initial: str) -> None:
    rng = np.random.default_rng(luck)
    waiting = jobs(4, AUTO, initial=initial)
    plan = Plan(waiting, workers=3)
    at_work: list[Chunk] = []
    ended: list[str] = []
    while plan.left:
        classes = plan.waiting()
        chunk = plan.next_chunk(classes[rng.integers(len(classes))]) if classes and len(at_work) < 3 else None
        if chunk is not None:
            at_work.append(chunk)
            continue
        assert at_work, "nothing is at work and nothing can be handed out"
        chunk = at_work.pop(rng.integers(len(at_work)))
        assert len({job.resources for job in chunk.jobs}) == 1
        if rng.random() < 0.2:
            plan.give_back(chunk)
            continue
        for start_id in chunk.share:
            plan.note(Started(start_id, None), "start")  # type: ignore[arg-type] # nobody looks at it
        for job in chunk.jobs:
            event = no_room(job) if rng.random() < 0.4 else done(job, float(rng.integers(100, 60_000)))
            if not plan.goes_on(event):
                plan.note(event)
                ended.append(job.trial.trial_id)
    assert sorted(ended) == sorted(job.trial.trial_id for job in waiting)
    assert plan.waiting() == []


class Greedy:
    """A learner for which there is never room."""

    gives = Linear.gives

    def __init__(self, error: Exception) -> None:
        self._error = error

    def fit(self, lesson: Lesson) -> Model:
        raise self._error


class OutOfMemoryError(RuntimeError):
    """As torch's is called."""


FULL = OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.77 GiB")


@pytest.mark.parametrize(
    ("error", "num_gpus", "outcome", "card_full", "reason"),
    [
        (FULL, 0.25, Outcome.OOM, True, f"OutOfMemoryError: {FULL}"),
        (FULL, 1.0, Outcome.OOM, True, f"alone on its card: OutOfMemoryError: {FULL}"),
        (RuntimeError("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED"), 0.25, Outcome.OOM, True, "RuntimeError: cuBLAS"),
        (MemoryError("5 GiB"), 0.25, Outcome.OOM, False, "MemoryError: 5 GiB"),
        (RuntimeError("out of memory"), 0.0, Outcome.FAILED, False, "RuntimeError: out of memory"),
        (ValueError("no"), 0.25, Outcome.FAILED, False, "ValueError: no"),
    ],
)
def test_a_card_without_room_is_an_outcome_that_says_what_was_asked_for(
    error: Exception, num_gpus: float, outcome: Outcome, card_full: bool, reason: str
) -> None:
    job = Job(make_trial(), strategies.get("random").cls(), Greedy(error), Resources(num_gpus=num_gpus))
    (event,) = worker._run(job, {}, frozenset(), lambda _: make_pool())
    assert isinstance(event, Ended)
    assert (event.end.outcome, event.card_full) == (outcome, card_full)
    assert event.end.reason.startswith(reason)
    assert "\n" not in event.end.reason

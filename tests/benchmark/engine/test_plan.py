"""The scheduling policy: everything is handed out once, together where it pays, and nothing is lost with a worker."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.trials import make_trial

from albench.benchmark.engine.costs import Costs, Kind
from albench.benchmark.engine.plan import MAX_ATTEMPTS, TARGET_S, Chunk, Plan
from albench.benchmark.engine.worker import Ended, RoundDone, Started
from albench.benchmark.learners.linear import Linear
from albench.benchmark.loop import Job
from albench.benchmark.registry import strategies
from albench.benchmark.types import Outcome, Resources, Round, Scores, TrialEnd

ANY = Resources()


def jobs(seeds: int = 4, names: tuple[str, ...] = ("random", "margin", "coreset"), initial: str = "6") -> list[Job]:
    return [
        Job(make_trial(name, initial, seed=seed), strategies.get("random").cls(), Linear(), ANY)
        for seed in range(seeds)
        for name in names
    ]


def done(job: Job, seconds: float = 0.1) -> Ended:
    return Ended(TrialEnd(job.trial.trial_id, Outcome.DONE, wall_s=seconds), 0)


def round_of(job: Job, row: int) -> RoundDone:
    scores = Scores(0.5, 0.5, 0.5, None, None)
    rows = np.array([row])
    return RoundDone(job.trial.trial_id, Round(0, rows, 1, rows, "strategy", scores, 0, 0, 0, 0), 0)


def started(chunk: Chunk) -> list[Started]:
    return [Started(start_id, None) for start_id in chunk.share]  # type: ignore[arg-type] # the plan never looks at it


def test_a_group_waits_for_its_first_trial_to_start() -> None:
    plan = Plan(jobs(seeds=2), workers=2)
    first, second = plan.next_chunk(ANY), plan.next_chunk(ANY)
    assert first is not None
    assert second is not None
    assert len(first.jobs) == len(second.jobs) == 1
    assert first.share != second.share
    assert plan.next_chunk(ANY) is None  # both groups are starting
    for event in started(first):
        plan.note(event, handle="the start")
    third = plan.next_chunk(ANY)
    assert third is not None
    assert third.starts == dict.fromkeys(first.share, "the start")
    assert not third.share


def test_a_group_whose_first_trial_fails_before_it_starts_is_not_stuck() -> None:
    plan = Plan(jobs(seeds=1), workers=2)
    chunk = plan.next_chunk(ANY)
    assert chunk is not None
    plan.note(Ended(TrialEnd(chunk.jobs[0].trial.trial_id, Outcome.FAILED), 0))
    assert plan.next_chunk(ANY) is not None


def test_short_trials_travel_together_and_long_ones_first() -> None:
    plan = Plan(jobs(seeds=60, initial="0"), workers=1)
    for seconds in (0.3, 0.01, 0.02):
        chunk = plan.next_chunk(ANY)
        assert chunk is not None
        assert len(chunk.jobs) == 1  # nothing is known of its kind yet
        plan.note(done(chunk.jobs[0], seconds))
    costs = dict(zip(dict.fromkeys(j.kind for j in jobs(1, initial="0")), (0.3, 0.01, 0.02), strict=True))
    first = plan.next_chunk(ANY)
    assert first is not None
    assert {costs[job.kind] for job in first.jobs[:3]} == {0.3}
    assert sum(costs[job.kind] for job in first.jobs) <= TARGET_S + 1e-9
    assert len(first.jobs) >= 3


def ids(chunk: Chunk | None) -> list[str]:
    return [job.trial.trial_id for job in chunk.jobs] if chunk else []


def test_a_cell_that_turns_out_cheap_goes_behind_the_costly_ones() -> None:
    cheap, costly = jobs(4, ("random",), "0"), jobs(4, ("margin",), "0")
    plan = Plan([*cheap, *costly], workers=1)
    for job, seconds in ((cheap[0], 0.1), (costly[0], 9.0)):
        chunk = plan.next_chunk(ANY)
        assert chunk is not None
        assert chunk.jobs == (job,)
        plan.note(done(job, seconds))
    order = [trial_id for chunk in iter(lambda: plan.next_chunk(ANY), None) for trial_id in ids(chunk)]
    assert order == [job.trial.trial_id for job in (*costly[1:], *cheap[1:])]


def test_of_equal_groups_the_begun_one_goes_on_first() -> None:
    trials = jobs(seeds=3)
    plan = Plan(trials, workers=1)
    first = plan.next_chunk(ANY)
    assert first is not None
    for event in started(first):
        plan.note(event, handle="the start")
    assert ids(plan.next_chunk(ANY)) == [trials[1].trial.trial_id]  # of the same seed


def test_what_a_trial_costs_here_does_not_grow_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    mean = Costs.mean

    def counted(costs: Costs, kind: Kind) -> float | None:
        nonlocal asked
        asked += 1
        return mean(costs, kind)

    monkeypatch.setattr(Costs, "mean", counted)
    per_trial = []
    for seeds in (20, 200):
        asked, plan = 0, Plan(jobs(seeds), workers=2)
        while (chunk := plan.next_chunk(ANY)) is not None:
            for start in started(chunk):
                plan.note(start, "the start")
            for job in chunk.jobs:
                plan.note(done(job, 1.0))
        per_trial.append(asked / (3 * seeds))
    assert per_trial[1] == pytest.approx(per_trial[0], rel=0.2)


def test_chunks_shrink_towards_the_end() -> None:
    plan = Plan(jobs(seeds=40, names=("random",), initial="0"), workers=2)
    sizes = []
    while (chunk := plan.next_chunk(ANY)) is not None:
        sizes.append(len(chunk.jobs))
        for job in chunk.jobs:
            plan.note(done(job, 0.1))
    assert sum(sizes) == 40
    assert max(sizes) > sizes[-1]
    assert sizes[-1] == 1


def test_what_a_dead_worker_had_goes_on_behind_its_last_round() -> None:
    plan = Plan(jobs(seeds=1, initial="0"), workers=1)
    chunk = plan.next_chunk(ANY)
    assert chunk is not None
    plan.note(round_of(chunk.jobs[0], 7))
    assert plan.blame(chunk, "killed") == []
    again = [c.jobs[0] for c in iter(lambda: plan.next_chunk(ANY), None)]
    (job,) = [job for job in again if job.trial == chunk.jobs[0].trial]
    assert [batch.rows.tolist() for batch in job.history] == [[7]]
    assert job.attempts == 2


def test_a_trial_that_kills_its_worker_again_and_again_is_lost_alone() -> None:
    plan = Plan(jobs(seeds=1, names=("random", "margin"), initial="0"), workers=1)
    ends: list[TrialEnd] = []
    lost = plan.next_chunk(ANY)
    for _ in range(MAX_ATTEMPTS):
        assert lost is not None
        assert ends == []
        ends = plan.blame(lost, "killed")
        lost = next((c for c in iter(lambda: plan.next_chunk(ANY), None) if c.jobs[0].attempts > 1), None)
    assert [(end.outcome, end.attempts) for end in ends] == [(Outcome.LOST, MAX_ATTEMPTS)]
    assert plan.left == 1


def test_which_of_several_did_harm_is_found_out_apart_and_by_clean_workers_only() -> None:
    plan = Plan(jobs(seeds=8, names=("random",), initial="0"), workers=1)
    (first,) = (plan.next_chunk(ANY) or pytest.fail("nothing waits")).jobs
    plan.note(done(first, 0.01))  # cheap, so that the others travel together
    chunk = plan.next_chunk(ANY)
    assert chunk is not None
    assert len(chunk.jobs) > 2
    assert plan.blame(chunk, "killed", tries=1) == []  # it was one of several
    while (other := plan.next_chunk(ANY, clean=False)) is not None:
        assert not other.apart
        for job in other.jobs:
            plan.note(done(job))
    apart = plan.next_chunk(ANY)
    assert apart is not None
    assert apart.apart
    assert [job.attempts for job in apart.jobs] == [1] * len(chunk.jobs)
    plan.note(done(apart.jobs[0]))
    (end,) = plan.blame(apart, "killed", Outcome.FAILED, tries=1)  # now the first unfinished is the one
    assert (end.trial_id, end.outcome, end.reason) == (apart.jobs[1].trial.trial_id, Outcome.FAILED, "killed")
    others = plan.next_chunk(ANY)
    assert others is not None
    assert others.apart  # and later ones of the kind as well
    assert [job.trial for job in others.jobs] == [job.trial for job in apart.jobs[2:]]
    plan.give_back(others)
    assert plan.waiting() == [ANY]


def test_once_a_trial_has_done_harm_others_of_its_kind_run_apart() -> None:
    plan = Plan(jobs(seeds=3, names=("random", "margin"), initial="0"), workers=1)
    first = plan.next_chunk(ANY)
    assert first is not None
    assert not first.apart
    (bad,) = first.jobs
    assert plan.blame(first, "killed") == []
    ordinary = [job for chunk in iter(lambda: plan.next_chunk(ANY, clean=False), None) for job in chunk.jobs]
    assert {job.kind for job in ordinary}.isdisjoint({bad.kind})
    assert plan.suspects(ANY)
    apart = list(iter(lambda: plan.next_chunk(ANY), None))
    assert all(chunk.apart for chunk in apart)
    assert [job.kind for chunk in apart for job in chunk.jobs] == [bad.kind] * 3
    assert plan.waiting() == []


def test_each_kind_of_worker_gets_its_own_trials() -> None:
    big = Resources(num_gpus=1)
    mixed = [replace(job, resources=big if job.trial.seed % 2 else ANY) for job in jobs(4, ("random",), "0")]
    plan = Plan(mixed, workers=2)
    assert set(plan.waiting()) == {ANY, big}
    for resources in (ANY, big):
        for chunk in iter(lambda kind=resources: plan.next_chunk(kind), None):  # type: ignore[misc] # a loop variable
            assert all(job.resources == resources for job in chunk.jobs)
    assert plan.waiting() == []


@given(luck=st.integers(0, 10_000), workers=st.integers(1, 4), initial=st.sampled_from(["0", "6"]))
def test_every_trial_ends_exactly_once_whatever_happens(luck: int, workers: int, initial: str) -> None:
    rng = np.random.default_rng(luck)
    waiting = jobs(seeds=3, initial=initial)
    plan = Plan(waiting, workers)
    at_work: list[Chunk] = []
    ended: list[str] = []
    while plan.left:
        chunk = plan.next_chunk(ANY) if len(at_work) < workers else None
        if chunk is not None:
            at_work.append(chunk)
            continue
        assert at_work, "nothing is at work and nothing can be handed out"
        chunk = at_work.pop(rng.integers(len(at_work)))
        survived = int(rng.integers(len(chunk.jobs) + 1))
        for event in started(chunk) if survived or rng.random() < 0.5 else []:
            plan.note(event, "start")
        for job in chunk.jobs[:survived]:
            plan.note(done(job))
            ended.append(job.trial.trial_id)
        if rng.random() < 0.5:
            ended += [end.trial_id for end in plan.blame(chunk, "it died")]
        else:
            plan.give_back(chunk)
    assert sorted(ended) == sorted(job.trial.trial_id for job in waiting)

from typing import Any, Self

import numpy as np
import pandas as pd
import pytest

from albench.benchmark.seeds import generator
from albench.benchmark.types import FULL_DATA, Rows
from albench.results.measures import findings, stats, tables
from albench.results.measures.tables import Key, Setting, Summary
from albench.results.record import schema

SETTING = Setting("digits", "raw", "linear")


class Frames:
    """Rounds and trials by hand: every trial buys 10 labels a round."""

    def __init__(self) -> None:
        self.rounds: list[dict[str, Any]] = []
        self.trials: list[dict[str, Any]] = []

    def add(
        self,
        strategy: str,
        seed: int,
        curve: list[float],
        outcome: str = "done",
        reason: str = "",
        picks: list[Rows] | None = None,
        by: list[str] | None = None,
        **names: str,
    ) -> Self:
        """One trial; ``curve`` is the accuracy of each round, the first of which is round 0."""
        identity: dict[str, Any] = dict(zip(("dataset", "embedding", "learner"), SETTING, strict=True))
        identity |= {"budget": "low", "strategy": strategy, "seed": seed, "strategy_params": "{}"} | names
        identity["trial_id"] = "-".join(str(value) for value in identity.values())
        for r, accuracy in enumerate(curve):
            default = np.arange(10 * r, 10 * r + 10) + (0 if r == 0 else hash_of(identity["trial_id"]))
            self.rounds.append({
                **identity, "round": r, "n_labelled": 10 * (r + 1), "accuracy": accuracy, "class_counts": [],
                "selected": default if picks is None else picks[r],
                "bought_by": by[r] if by else "strategy" if r else "initial", "select_s": 0.5,
            })  # fmt: skip
        if outcome:
            self.trials.append({**identity, "outcome": outcome, "reason": reason, "host": "h", "device": "cpu"})
        return self

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return (
            pd.DataFrame(self.rounds, columns=schema.ROUNDS.names),
            pd.DataFrame(self.trials, columns=schema.TRIALS.names),
        )

    def summary(self, **options: Any) -> Summary:
        return tables.summarise(*self.frames(), **options)


def hash_of(text: str) -> int:
    """A number of its own for each trial, so that no two trials pick the same rows."""
    return int(generator(text).integers(1, 10**6)) * 1000


def key(strategy: str, **names: str) -> Key:
    return Key(*SETTING, "low", strategy)._replace(**names)


def two_strategies(n: int = 3) -> Frames:
    frames = Frames()
    for seed in range(n):
        frames.add("random", seed, [0.5, 0.6 + seed / 100])
        frames.add("margin", seed, [0.5, 0.7 + seed / 100])
    return frames


def test_a_cell_by_hand() -> None:
    cell = two_strategies().summary().cells[key("margin")]
    assert cell.by_seed.index.tolist() == [0, 1, 2]
    assert cell.by_seed["aubc/1"].tolist() == pytest.approx([0.6, 0.605, 0.61])
    assert cell.by_seed["final/1"].tolist() == pytest.approx([0.7, 0.71, 0.72])
    assert (cell.n, cell.aubc.n) == (3, 3)
    assert [cell.aubc.mean, cell.final.mean] == pytest.approx([0.605, 0.71])
    assert [cell.aubc_sd, cell.final_sd] == pytest.approx([0.005, 0.01])
    assert cell.gain_final.mean == pytest.approx(10)
    assert cell.gain_aubc.mean == pytest.approx(5)
    assert np.isnan(cell.gain_aubc.low)  # three seeds that gain the same prove nothing,
    assert two_strategies(6).summary().cells[key("margin")].gain_aubc.low == pytest.approx(5)  # six do
    assert cell.aubc.low < cell.aubc.mean < cell.aubc.high
    assert (cell.outcomes, cell.status, cell.reasons) == ({"done": 3}, "", ())


def test_a_cell_has_its_curves() -> None:
    cell = two_strategies().summary().cells[key("margin")]
    assert cell.curves.index.tolist() == [0, 1, 2]
    assert list(cell.curves) == [10, 20]
    assert cell.curves[20].tolist() == [0.7, 0.71, 0.72]
    assert cell.at(20) == cell.final == stats.mean_interval([0.7, 0.71, 0.72])


def test_the_order_of_rows_and_other_cells_change_nothing() -> None:
    frames = two_strategies()
    rounds, trials = frames.frames()
    one = tables.summarise(rounds, trials)
    other = tables.summarise(rounds.sample(frac=1, random_state=3), trials.sample(frac=1, random_state=3))
    assert list(one.cells) == list(other.cells)
    more = frames.add("badge", 0, [0.5, 0.9]).summary()
    for name in ("random", "margin"):
        for summary in (other, more):
            assert summary.cells[key(name)].gain_aubc == one.cells[key(name)].gain_aubc
            assert summary.cells[key(name)].aubc == one.cells[key(name)].aubc


def test_gains_are_over_the_seeds_both_have_and_never_imputed() -> None:
    frames = two_strategies(4)
    frames.add("badge", 0, [0.5, 0.9]).add("badge", 1, [0.5, 0.9])
    frames.add("badge", 2, [0.5], "failed", "ValueError: boom")
    frames.add("badge", 3, [0.5, 0.6], "timeout", "longer than 5 s")
    cell = frames.summary().cells[key("badge")]
    assert (cell.n, cell.final.mean, cell.gain_final.n) == (2, 0.9, 2)
    assert cell.gain_final.mean == pytest.approx(100 * (0.9 - 0.605))
    assert cell.status == "1 failed, 1 timeout"
    assert cell.reasons == ("ValueError: boom", "longer than 5 s")


def test_a_cell_without_values_shows_what_became_of_it() -> None:
    frames = two_strategies(6)
    for seed in range(2):
        frames.add("badge", seed, [], "unsupported", "knn gives no probabilities")
    summary = frames.summary()
    cell = summary.cells[key("badge")]
    assert (cell.n, cell.status, cell.reasons) == (0, "2 unsupported", ("knn gives no probabilities",))
    assert np.isnan([cell.aubc.mean, cell.gain_aubc.mean, cell.final_sd]).all()
    assert summary.best(SETTING, "low") == {"margin"}


def test_half_done_trials_and_those_not_begun_are_left_and_not_in_the_means() -> None:
    frames = two_strategies(2).add("margin", 2, [0.1, 0.1], outcome="")
    plan = two_strategies(4).add("badge", 0, []).frames()[1]
    cells = frames.summary(plan=plan).cells
    assert cells[key("margin")].outcomes == {"done": 2, "left": 2}  # seed 2 half done, seed 3 not begun
    assert cells[key("random")].outcomes == {"done": 2, "left": 2}
    assert cells[key("badge")].outcomes == {"left": 1}
    assert cells[key("margin")].final.mean == pytest.approx(0.705)
    assert frames.summary().cells[key("margin")].outcomes == {"done": 2, "left": 1}


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_done_trial_that_lost_a_round_is_left(lost: int) -> None:
    frames = Frames().add("random", 0, [0.5, 0.6, 0.7]).add("random", 1, [0.5, 0.6, 0.7])
    rounds, trials = frames.frames()
    rounds = rounds[~((rounds["seed"] == 1) & (rounds["round"] == lost))]
    cell = tables.summarise(rounds, trials).cells[key("random")]
    assert (cell.n, cell.outcomes) == (1, {"done": 1, "left": 1})
    assert "without all rounds" in cell.reasons[0]


def test_one_seed_has_no_interval_and_no_best() -> None:
    summary = two_strategies(1).summary()
    cell = summary.cells[key("margin")]
    assert [cell.n, cell.final.mean, cell.gain_final.mean] == pytest.approx([1, 0.7, 10])
    assert np.isnan([cell.final.low, cell.gain_final.high, cell.final_sd]).all()
    assert summary.best(SETTING, "low") == set()


def test_the_best_are_those_that_a_paired_difference_cannot_tell_apart() -> None:
    rng = np.random.default_rng(0)
    frames = Frames()
    for seed in range(8):
        luck = rng.normal(0, 0.1)  # common to all: without pairing nothing could be told apart
        frames.add("random", seed, [0.5, 0.5 + luck])
        frames.add("margin", seed, [0.5, 0.6 + luck])
        frames.add("badge", seed, [0.5, 0.6 + luck + rng.normal(0.001, 0.01)])
    summary = frames.summary()
    assert summary.best(SETTING, "low") == {"margin", "badge"}
    assert summary.cells[key("random")].aubc.high > summary.cells[key("margin")].aubc.low


def test_the_full_data_bound_is_apart() -> None:
    frames = two_strategies()
    for seed in range(2):
        frames.add("random", seed, [0.95 + seed / 100], budget=FULL_DATA, picks=[np.arange(500)])
    summary = frames.summary()
    assert summary.budgets() == ["low"]
    assert [summary.bounds[SETTING].final.mean, summary.bounds[SETTING].n] == pytest.approx([0.955, 2])
    assert {name.budget for name in summary.cells} == {"low"}


def test_the_baseline_is_first_then_the_given_order_then_names() -> None:
    frames = Frames()
    for name in ("a", "b", "c", "random"):
        frames.add(name, 0, [0.5, 0.6])
    assert frames.summary().strategies() == ["random", "a", "b", "c"]
    assert frames.summary(baseline="b").strategies() == ["b", "a", "c", "random"]
    assert frames.summary(order={"strategy": ["c", "a"]}).strategies() == ["random", "c", "a", "b"]
    assert frames.summary(baseline="b").cells[key("random")].gain_final.mean == 0


def test_the_best_at_a_number_of_labels_may_be_another_than_by_area() -> None:
    frames = Frames()
    for seed in range(6):
        luck = seed / 100
        frames.add("random", seed, [0.5, 0.6 + luck, 0.9 + luck])
        frames.add("margin", seed, [0.5, 0.9 + luck, 0.85 + luck])
    summary = frames.summary()
    assert summary.labels(SETTING, "low") == [10, 20, 30]
    assert summary.best(SETTING, "low") == summary.best(SETTING, "low", 20) == {"margin"}
    assert summary.best(SETTING, "low", 30) == summary.best(SETTING, "low", "final/1") == {"random"}
    assert summary.best(SETTING, "low", 10) == {"random", "margin"}  # the same labels


def test_labels_are_those_that_most_strategies_have() -> None:
    frames = two_strategies(6).add("badge", 0, [0.5, 0.9])
    frames.rounds[-1]["n_labelled"] = 21  # one too many, as in other people's curves
    frames.rounds[-1]["selected"] = frames.rounds[-2]["selected"] = np.array([], dtype=np.int64)
    summary = frames.summary()
    badge = summary.cells[key("badge")]
    assert badge.n == 1
    assert summary.cells[key("margin")].n == 6  # it bought all that its budget has
    assert summary.labels(SETTING, "low") == [10, 20]
    assert (badge.at(21).mean, badge.at(20).n) == (0.9, 0)  # nothing is interpolated
    assert np.isnan(badge.at(20).mean)
    assert summary.best(SETTING, "low", 20) == {"margin"}
    assert Frames().summary().labels(SETTING, "low") == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_accuracy_that_is_no_number_takes_its_trial_out_and_says_so(value: float) -> None:
    frames = two_strategies(3).add("margin", 3, [0.5, value]).add("random", 3, [0.5, 0.6])
    cell = frames.summary().cells[key("margin")]
    assert (cell.n, cell.outcomes, cell.status) == (3, {"done": 3, "unusable": 1}, "1 unusable")
    assert cell.reasons == ("1 done, but with an accuracy that is not a number: in no table",)
    assert cell.final.mean == pytest.approx(0.71)
    assert cell.gain_final.n == 3


def test_no_frames_no_tables() -> None:
    summary = Frames().summary()
    assert (summary.cells, summary.bounds, summary.budgets()) == ({}, {}, [])


# --- findings ------------------------------------------------------------------------------------------------------


def brute_force_jaccard(a: list[Rows], b: list[Rows]) -> float:
    """Mean over rounds of the Jaccard index of all that was bought so far; a and b are lists of arrays."""
    values = []
    for r in range(1, len(a) + 1):
        x, y = (set(np.concatenate(rows[:r]).tolist()) for rows in (a, b))
        values.append(len(x & y) / len(x | y))
    return float(np.mean(values))


@pytest.mark.parametrize("seed", range(5))
def test_the_likeness_of_picks_is_the_mean_jaccard_index(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames, picks = Frames(), {}
    for name in ("a", "b"):
        picks[name] = list(rng.permutation(60)[:50].reshape(5, 10))
        frames.add(name, 0, [0.5] * 6, picks=[np.arange(100, 110), *picks[name]])
    twin = findings.twins(frames.frames()[0], at_least=0.01)[0]
    assert (twin.first, twin.second) == ("a", "b")
    assert twin.jaccard == pytest.approx(brute_force_jaccard(picks["a"], picks["b"]))


def test_twins_are_found_where_they_are_twins_random_included() -> None:
    frames, rng = Frames(), np.random.default_rng(0)
    for dataset in ("binary", "ten"):
        for seed in range(3):
            same = rng.permutation(1000)[:20].reshape(2, 10)
            for name in ("random", "margin", "entropy"):
                own = same if name == "random" or dataset == "binary" else rng.permutation(1000)[:20].reshape(2, 10)
                mixed = [rng.permutation(own[0]), own[1]]  # the order inside a batch says nothing
                frames.add(name, seed, [0.5] * 3, picks=[np.arange(1000, 1010), *mixed], dataset=dataset)
    twins = findings.twins(frames.frames()[0])
    assert [(t.first, t.second, t.jaccard, t.places, t.shared) for t in twins] == [
        (a, b, 1.0, ("binary/raw/linear/low",), 2)
        for a, b in (("entropy", "margin"), ("entropy", "random"), ("margin", "random"))
    ]
    assert "entropy and margin buy the same rows in 1 of 2 settings (binary" in str(twins[0])


def test_one_seed_that_differs_makes_no_twins() -> None:
    frames = Frames()
    for seed in range(3):
        for name in ("a", "b"):
            last = np.arange(10, 20) + (100 if (name, seed) == ("b", 2) else 0)
            frames.add(name, seed, [0.5, 0.5], picks=[np.arange(10), last])
    assert findings.twins(frames.frames()[0]) == []
    assert [twin.jaccard for twin in findings.twins(frames.frames()[0], at_least=0.6)] == [pytest.approx(2 / 3)]


def test_a_first_batch_bought_as_random_makes_no_twin_of_random() -> None:
    first, rng = np.arange(10), np.random.default_rng(0)
    frames = Frames()
    frames.add("random", 0, [0.5, 0.6], picks=[first, 10 + first], by=["strategy", "strategy"])
    frames.add("margin", 0, [0.5, 0.6], picks=[first, 20 + rng.permutation(10)], by=["random", "strategy"])
    frames.add("cold", 0, [0.5], picks=[first], by=["random"])
    rounds = frames.frames()[0]
    assert findings.twins(rounds) == []
    assert findings.first_batches(rounds) == [
        "budget low: cold, margin: first batch bought as random (no labels yet)",
    ]


def grades(frames: Frames) -> dict[str, tuple[str, str]]:
    rounds, trials = frames.frames()
    every = findings.grade(rounds, trials, tables.summarise(rounds, trials))
    assert len({grade.question for grade in every}) == len(every)
    return {grade.question: (grade.answer, grade.why) for grade in every}


def test_a_study_is_graded() -> None:
    assert grades(two_strategies().add("margin", 3, [0.5], "failed")) == {
        "several data distributions": ("no", "datasets: digits"),
        "several starting budgets": ("no", "initial labels: 10"),
        "several query sizes": ("no", "labels per query: 10"),
        "tuned classifier": ("no", "parameters as given: linear"),
        "self- and semi-supervised regimes": ("no", "learned features: none; semi-supervised learners: none"),
        "several training regimes": ("not known", "regime not said: linear"),
        "10 seeds or more": ("no", "some cells rest on 3 seeds; with fewer than 10 small differences stay open"),
        "random as an anchor": ("yes", "in all settings"),
        "full-data bound as an anchor": ("no", "no full-data bound: digits/raw/linear"),
        "one host": ("yes", "h"),
        "one device": ("yes", "cpu"),
        "all trials done that can run": ("no", "6 done, 1 failed"),
    }
    assert "one seed: no interval" in grades(two_strategies(1))["10 seeds or more"][1]
    assert grades(Frames().add("margin", 0, [0.5]))["random as an anchor"] == (
        "no",
        "no random to compare with, so no gain: digits/raw/linear/low",
    )
    assert grades(Frames())["10 seeds or more"] == ("no", "no trial of a strategy is finished")


def test_what_cannot_run_is_no_fault_of_a_study() -> None:
    frames = two_strategies().add("random", 0, [0.5], "unsupported", dataset="wine")
    graded = grades(frames)
    assert graded["random as an anchor"] == ("yes", "in all settings")
    assert graded["all trials done that can run"] == ("yes", "6 done, 1 unsupported")


def test_a_wide_study_is_graded() -> None:
    frames = two_strategies(10)
    for dataset in ("digits", "cifar"):
        picks = [np.arange(10), np.arange(20, 40)]
        names = {"dataset": dataset, "embedding": "simclr(epochs=5)", "learner": "mine", "budget": "cold"}
        frames.add("random", 0, [0.5, 0.5], picks=picks, by=["strategy"] * 2, **names)
        frames.rounds[-2]["round"], frames.rounds[-1]["round"] = 1, 2
        frames.rounds[-1]["n_labelled"] = 30
    frames.trials[-1]["host"] = "other"
    grade = grades(frames)
    assert grade["several data distributions"] == ("yes", "datasets: cifar, digits")
    assert grade["several starting budgets"] == ("in part", "initial labels: 0, 10")  # on digits only
    assert grade["several query sizes"] == ("yes", "labels per query: 10, 20")
    assert grade["tuned classifier"] == (
        "not known",
        "parameters as given: linear; nothing says how the parameters were found of mine",
    )
    assert grade["self- and semi-supervised regimes"] == (
        "in part",
        "learned features: simclr(epochs=5); semi-supervised learners: none; not known: mine",
    )
    assert grade["one host"] == ("no", "several hosts: h, other; pairs of trials may be mixed across them")


def test_a_schedule_per_class_is_one_schedule_on_several_datasets() -> None:
    frames = two_strategies()
    picks = [np.arange(30), np.arange(30, 60)]
    frames.add("random", 0, [0.5, 0.5], picks=picks, dataset="wine", embedding="file(path=x)")
    frames.rounds[-2]["n_labelled"], frames.rounds[-1]["n_labelled"] = 30, 60
    grade = grades(frames)
    assert grade["several starting budgets"] == ("no", "initial labels: 10, 30")
    assert grade["several query sizes"] == ("no", "labels per query: 10, 30")
    assert grade["self- and semi-supervised regimes"][0] == "not known"

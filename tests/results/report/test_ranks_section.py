"""From the rows of a run to the tables of ranks: complete blocks only, and everything left out is named."""

import warnings
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from albench.results.measures import tables
from albench.results.measures.complete import Complete
from albench.results.measures.evidence import Evidence, Runs
from albench.results.record import schema
from albench.results.report.blocks import Block
from albench.results.report.sections import ranks


class Study:
    """Curves of strategies over datasets, two budgets and seeds; a strategy's strength is its accuracy."""

    def __init__(self, strengths: dict[str, float], datasets: int = 6, seeds: int = 5, rounds: int = 4) -> None:
        self.rows: list[dict[str, Any]] = []
        self.trials: list[dict[str, Any]] = []
        rng = np.random.default_rng(0)
        for d, budget, seed in product(range(datasets), ("low", "high"), range(seeds)):
            luck = rng.normal(0, 0.02)
            for name, strength in strengths.items():
                noise = np.append(0, rng.normal(0, 0.003, rounds))  # round 0 is one number
                curve = 0.5 + 0.02 * d + luck + np.append(0, np.full(rounds, strength)) + noise
                self.add(name, f"d{d}", budget, seed, curve)

    def add(
        self, strategy: str, dataset: str, budget: str, seed: int, curve: NDArray[np.float64], learner: str = "l"
    ) -> None:
        names = {"dataset": dataset, "embedding": "e", "learner": learner, "budget": budget, "strategy": strategy}
        trial_id = f"{dataset} {budget} {strategy} {seed}" + ("" if learner == "l" else f" {learner}")
        identity = {**names, "seed": seed, "trial_id": trial_id, "strategy_params": "{}"}
        for r, accuracy in enumerate(curve):
            row = {"round": r, "n_labelled": 10 * (r + 1), "accuracy": accuracy, "selected": np.arange(10)}
            self.rows.append({**identity, **row, "bought_by": "strategy" if r else "initial", "class_counts": []})
        self.trials.append({**identity, "outcome": "done", "reason": ""})

    def fail(self, strategy: str, dataset: str, budget: str, seed: int) -> None:
        trial_id = f"{dataset} {budget} {strategy} {seed}"
        self.rows = [row for row in self.rows if row["trial_id"] != trial_id]
        for trial in self.trials:
            if trial["trial_id"] == trial_id:
                trial |= {"outcome": "failed", "reason": "ValueError: boom"}

    def drop(self, strategy: str, *datasets: str) -> None:
        for rows in (self.rows, self.trials):
            rows[:] = [row for row in rows if row["strategy"] != strategy or row["dataset"] not in datasets]

    def summary(self) -> tables.Summary:
        rounds = pd.DataFrame(self.rows, columns=schema.ROUNDS.names)
        return tables.summarise(rounds, pd.DataFrame(self.trials, columns=schema.TRIALS.names))

    def blocks(self, baseline: str = "random", regimes: dict[str, str] | None = None) -> dict[str, Block]:
        summary = tables.Summary(baseline, self.summary().cells, by_learner=regimes or {})
        evidence = Evidence(Runs(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {}, ()), summary)
        return {block.title: block for block in ranks.blocks(evidence)}


STRENGTHS = {"random": 0.0, "same": 0.0, "good": 0.01, "best": 0.03}


def test_the_true_order_stands_in_the_tables() -> None:
    found = Study(STRENGTHS).blocks()
    assert "4 strategies on 12 complete blocks" in found["Ranks"].text
    rows = {row[0]: row for row in found["Mean ranks"].rows}
    assert list(rows)[:2] == ["best", "good"]
    assert rows["best"][1:4] == ("1.00 [1.00, 1.00]", "1 to 1", "-")
    assert (rows["good"][2], rows["random"][2:4], rows["same"][2:4]) == ("2 to 2", ("3 to 4", "A"), ("3 to 4", "A"))
    assert found["Mean ranks"].columns[4:] == ("rank/1 in high (6 blocks)", "rank/1 in low (6 blocks)")
    assert found["Mean ranks"].strong == {(0, 1)}
    wins = {row[0]: row[1:] for row in found["Wins, ties, losses"].rows}
    assert found["Wins, ties, losses"].columns[1:] == ("random", "best", "good", "same")
    assert wins["best"][:2] == ("12/0/0", "")
    assert wins["random"][1] == "0/0/12"
    penalties = {row[0]: row[1:] for row in found["Pairwise penalty matrix"].rows}
    assert penalties["best"][0] == "1.00"  # round 0, where all are equal, does not count
    assert (penalties["random"][1], penalties["random"][0]) == ("0.00", "")
    assert penalties["mean of the column"][1] == "0.00"
    iqm = {row[0]: row for row in found["Interquartile mean"].rows}
    assert (iqm["best"][1], iqm["random"][3]) == ("60", "-")
    assert float(iqm["best"][3].split()[0]) == pytest.approx(3 * 3.5 / 4, abs=0.2)  # round 0 is shared
    strong = {found["Interquartile mean"].rows[row][0] for row, _ in found["Interquartile mean"].strong}
    assert strong == {"best", "good"}
    pairs = found["Neighbouring ranks"].rows
    assert [row[2] for row in pairs] == ["yes", "yes", "no"]
    assert "2 of 3 neighbouring" in found["Neighbouring ranks"].text
    resolvable = found["What the seeds can resolve"].rows
    assert len(resolvable) == 12
    assert all(row[1] == "5" and row[3] in {"2 of 3", "3 of 3"} for row in resolvable)


def test_names_of_tables_and_figures_are_unique() -> None:
    found = Study(STRENGTHS, datasets=2).blocks().values()
    names = [block.name for block in found if block.name]
    figures = [block.figure.name for block in found if block.figure]
    assert len(names) == len(set(names)) == 7
    assert sorted(figures) == ["penalties", "profile", "ranks"]


def test_regimes_are_ranked_apart() -> None:
    """The network is far better than the head on the same data; neither's ranks know of the other."""
    study = Study(STRENGTHS, datasets=2)
    alone = study.blocks()
    for budget, seed in product(("low", "high"), range(5)):
        for name, accuracy in (("random", 0.9), ("best", 0.8)):
            study.add(name, "d0", budget, seed, np.full(5, accuracy + seed / 100), learner="net")
    apart = study.blocks(regimes={"l": "head on frozen features", "net": "supervised from scratch"})
    assert "4 strategies on 4 complete blocks" in apart["Ranks: head on frozen features"].text
    net = apart["Ranks: supervised from scratch"]
    assert "2 strategies on 2 complete blocks" in net.text
    assert "good is left out: complete in 0 of 2 blocks (not asked for)" in net.items
    assert [row[:2] for row in apart["Mean ranks"].rows] == [("random", "1.00"), ("best", "2.00")]
    unsaid = study.blocks(regimes={"net": "supervised from scratch"})
    assert unsaid["Ranks: regime not said"].text == apart["Ranks: head on frozen features"].text
    assert alone["Ranks"].text == apart["Ranks: head on frozen features"].text


def test_too_few_blocks_say_so() -> None:
    text = Study(STRENGTHS, datasets=2).blocks()["Mean ranks"].text
    assert "With 4 blocks it can tell no pair apart, whatever the values: it takes 8." in text


def test_an_incomplete_block_is_left_out_and_named() -> None:
    study = Study(STRENGTHS)
    study.fail("good", "d1", "low", 2)
    found = study.blocks()
    assert "4 strategies on 11 complete blocks" in found["Ranks"].text
    assert found["Ranks"].items == ("d1/e/l, low is left out: good (1 failed)",)
    assert {row[1] for row in found["Interquartile mean"].rows} == {"55"}


def test_a_strategy_that_is_missing_from_most_blocks_is_left_out_and_named() -> None:
    study = Study(STRENGTHS)
    study.drop("good", "d1", "d2", "d3", "d4")
    complete = Complete.of(study.summary())
    assert complete.strategies == ("random", "best", "same")
    assert len(complete.places) == 12
    assert complete.left_out == ("good is left out: complete in 4 of 12 blocks (not asked for)",)


def test_no_two_strategies_in_one_block_are_not_ranked() -> None:
    study = Study({"random": 0, "a": 0.1}, datasets=2)
    study.drop("random", "d0")
    study.drop("a", "d1")
    found = study.blocks()
    assert list(found) == ["Ranks"]
    assert "No two strategies are complete in any block" in found["Ranks"].text
    assert len(found["Ranks"].items) == 2
    assert "no two strategies to compare" in Study({"random": 0}).blocks()["Ranks"].text
    assert "no two strategies to compare" in Study({}).blocks()["Ranks"].text


def test_more_seeds_for_one_strategy_change_nothing_but_what_is_paired() -> None:
    study = Study(STRENGTHS)
    before = study.blocks()
    study.add("best", "d0", "low", 99, np.full(5, 0.9))
    after = study.blocks()
    assert [block.rows for block in before.values()] == [block.rows for block in after.values()]


def test_a_small_overshoot_is_compared_round_by_round_and_a_short_curve_is_not() -> None:
    study = Study(STRENGTHS)
    for row in study.rows:
        row["selected"] = []  # a curve of other people
        if row["strategy"] == "good":
            row["n_labelled"] = 1000 * (row["round"] + 1) + row["round"]
        else:
            row["n_labelled"] = 1000 * (row["round"] + 1)
    assert len(Complete.of(study.summary()).places) == 12
    study.rows = [row for row in study.rows if (row["trial_id"], row["round"]) != ("d0 low same 1", 4)]
    complete = Complete.of(study.summary())
    assert len(complete.places) == 11
    assert complete.left_out == ("d0/e/l, low is left out: same (seeds differ in their numbers of labels)",)


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_and_two_seeds_make_tables_without_claims(seeds: int) -> None:
    found = Study(STRENGTHS, datasets=1, seeds=seeds).blocks()
    if seeds == 1:
        assert list(found) == ["Ranks", "Mean ranks", "Interquartile mean", "Performance profile of aubc/1"]
        assert "over 1 seed." in found["Ranks"].text
        assert found["Ranks"].text.endswith("With one seed nothing can be tested within a block.")
    else:
        assert "Wins, ties, losses" in found
    assert all("nan" not in text for block in found.values() for row in block.rows for text in row)


def test_without_the_baseline_differences_are_to_the_first() -> None:
    found = Study({"a": 0.0, "b": 0.1}).blocks(baseline="none")
    assert found["Interquartile mean"].columns[3] == "less a, points"
    assert "not possible" in found["Mean ranks"].text


def test_equal_strategies_are_equal() -> None:
    study = Study({"random": 0.0}, datasets=3)
    for row in [*study.rows]:
        study.rows += [{**row, "strategy": name, "trial_id": row["trial_id"] + name} for name in ("x", "y")]
    for row in [*study.trials]:
        study.trials += [{**row, "strategy": name, "trial_id": row["trial_id"] + name} for name in ("x", "y")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = study.blocks()
    assert {row[1] for row in found["Mean ranks"].rows} == {"2.00 [2.00, 2.00]"}
    assert "p = 1." in found["Mean ranks"].text
    assert {row[3] for row in found["Neighbouring ranks"].rows} == {"more than 10,000"}

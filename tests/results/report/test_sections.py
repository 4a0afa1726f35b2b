"""The tables that a report is made of, on curves whose truth is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.curves import LINEAR, SETTING, evidence, lifted

from albench.benchmark.types import FULL_DATA
from albench.results.measures import curves, tables
from albench.results.measures.board.costs import typical
from albench.results.measures.evidence import Evidence, Runs
from albench.results.measures.stats import Interval, mean_interval
from albench.results.report.blocks import Block
from albench.results.report.sections import accuracy, balance, costs, gains, reading, savings
from albench.results.report.sections.board import answer, every
from albench.results.report.sections.curves import points as curve_points


def cells(block: Block, row: str) -> dict[str, str]:
    """One row of a table by its column names; bold cells in stars."""
    i = next(i for i, texts in enumerate(block.rows) if texts[0] == row)
    return {
        name: f"*{text}*" if (i, j) in block.strong else text
        for j, (name, text) in enumerate(zip(block.columns, block.rows[i], strict=True))
    }


# --- accuracy at a number of labels --------------------------------------------------------------------------------


def test_accuracy_at_each_number_of_labels() -> None:
    e = evidence({("random", "low"): lifted(0), ("margin", "low"): lifted(0.05), ("random", FULL_DATA): [[0.9]]})
    head, block = accuracy.blocks(e)
    assert "never" not in head.text
    assert block.columns == ("strategy", "n", "at/1 10", "at/1 20", "at/1 30", "at/1 40", "not done")
    row = cells(block, "margin")
    expected = mean_interval(LINEAR[1] + 0.05 + np.arange(6) / 100)
    assert row["at/1 20"] == f"*{expected.mean:.3f} [{expected.low:.3f}, {expected.high:.3f}]*"
    assert row["n"] == "6"
    assert cells(block, "random")["at/1 20"][0] != "*"  # paired, it loses though the intervals overlap
    assert cells(block, "random")["at/1 10"][0] == row["at/1 10"][0] == "*"  # they start alike
    assert cells(block, "full data (final/1)")["at/1 40"] == "0.900"
    assert cells(block, "full data (final/1)")["at/1 10"] == "-"
    assert (block.name, block.about["budget"]) == ("at-digits-raw-linear-low", "low")


def test_final_accuracy_has_its_own_best() -> None:
    crossing = lifted(0.2) - 0.25 * (np.arange(4) == 3)
    e = evidence({("random", "low"): lifted(0), ("margin", "low"): crossing})
    (board,) = every.blocks(e)
    margin, random = (next(i for i, row in enumerate(board.rows) if name in row) for name in ("margin", "random"))
    aubc, final = board.columns.index("aubc/1"), board.columns.index("final/1")
    assert board.strong == {(margin, aubc), (random, final)}


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([], []),
        ([10, 20, 30], [10, 20, 30]),
        (range(10, 90, 10), list(range(10, 90, 10))),
        (range(10, 210, 10), [10, 20, 40, 80, 160, 200]),
        (range(20, 342), [20, 40, 80, 160, 320, 341]),
        (range(1, 1001), [1, 4, 16, 64, 256, 1000]),
        (range(0, 1000, 7), [0, 7, 21, 70, 259, 994]),
        ([5, 90, 91, 92, 93, 94, 95, 96, 97, 98], [5, 90, 98]),
    ],
)
def test_few_label_counts_are_shown(labels: Any, shown: list[int]) -> None:
    assert curves.thinned(list(labels)) == shown
    assert len(shown) <= 8


# --- the map -------------------------------------------------------------------------------------------------------


def test_the_map_is_shaded_only_where_a_strategy_is_told_apart() -> None:
    noisy = lifted(0.02, 9) + np.random.default_rng(0).normal(0, 0.2, (9, 1))
    e = evidence({
        ("random", "low"): lifted(0, 9), ("up", "low"): lifted(0.1, 9), ("down", "low"): lifted(-0.05, 9),
        ("open", "low"): noisy,
    })  # fmt: skip
    block = answer.blocks(e)[1]
    shades = {row[0]: block.shades[i, 1] for i, row in enumerate(block.rows) if (i, 1) in block.shades}
    assert shades["open"] == 0
    assert cells(block, "open")["digits"].strip("*") not in {"0", "+0.0"}
    assert shades["up"] > 0 > shades["down"]


# --- gains ---------------------------------------------------------------------------------------------------------


def test_who_wins_low_and_loses_high_flips() -> None:
    rng = np.random.default_rng(0)
    few, many = "a-10", "b-100"  # named against the order of their labels below
    e = evidence({
        ("random", many): lifted(0, 9), ("random", few): lifted(0, 9),
        ("flip", many): lifted(-0.1, 9), ("flip", few): lifted(0.1, 9),
        ("up", many): lifted(0.1, 9), ("up", few): lifted(0.05, 9),
        ("open", many): lifted(0.1, 9), ("open", few): lifted(0, 9) + rng.normal(0, 0.05, (9, 1)),
    })  # fmt: skip
    head, block, *by_labels = gains.blocks(e)
    assert [each.title for each in by_labels[1:]] == ["digits/raw/linear, a-10", "digits/raw/linear, b-100"]
    assert block.columns == ("strategy", "a-10, 10 to 40 labels", "b-100, 100 to 400 labels", "flip")
    assert {row[0]: row[-1] for row in block.rows} == dict.fromkeys(("random", "up", "open"), "-") | {
        "flip": "wins a-10, loses b-100"
    }
    assert head.items == ("digits/raw/linear: flip flips: wins a-10, loses b-100",)
    assert cells(block, "flip")["a-10, 10 to 40 labels"].startswith("*+8.3 [+8.3, +8.3] n=9")
    assert cells(block, "up")["b-100, 100 to 400 labels"].startswith("*+8.3")
    assert cells(block, "random")["a-10, 10 to 40 labels"].startswith("aubc/1 0.5")


def test_one_budget_has_gains_along_the_curve() -> None:
    crossing = lifted(0.1, 9) - 0.15 * (np.arange(4) == 3)
    noisy = lifted(0, 9) + np.random.default_rng(0).normal(0, 0.05, (9, 4))
    e = evidence({("random", "low"): lifted(0, 9), ("margin", "low"): crossing, ("badge", "low"): noisy})
    head, block = gains.blocks(e)
    assert head.title == "Gain by number of labels"
    assert block.columns == ("strategy", "n", *(f"gain/1 at {n}" for n in (10, 20, 30, 40)), "flip")
    row = cells(block, "margin")
    points = [row[f"gain/1 at {n}"] for n in (10, 20, 40)]
    assert points == ["+0.0 [+0.0, +0.0]", "*+10.0 [+10.0, +10.0]*", "-5.0 [-5.0, -5.0]"]  # bold: above 0
    assert row["flip"] == "wins at 20, wins at 30, loses at 40"
    gained = [mean_interval(gains_) for gains_ in 100 * (noisy - lifted(0, 9)).T]
    assert [cells(block, "badge")[f"gain/1 at {n}"][0] == "*" for n in (10, 20, 30, 40)] == [g.low > 0 for g in gained]
    assert any(gain.low < 0 < gain.high for gain in gained)
    expected = gained[2]
    assert (
        cells(block, "badge")["gain/1 at 30"].strip("*")
        == f"{expected.mean:+.1f} [{expected.low:+.1f}, {expected.high:+.1f}]"
    )
    assert "random" not in {row[0] for row in block.rows}


# --- savings -------------------------------------------------------------------------------------------------------


def test_label_saving_by_hand() -> None:
    e = evidence({
        ("random", "low"): lifted(0), ("fast", "low"): lifted(0.1), ("slow", "low"): lifted(-0.05),
        ("worse", "low"): lifted(-0.15),
    })  # fmt: skip
    block = savings.blocks(e)[1]
    assert list(cells(block, "fast").values())[2:-1] == [
        "1.00 [1.00, 1.00]",
        "*1.50 [1.50, 1.50]*",  # 0.6 at 20 labels; random needs 30
        "*1.33 [1.33, 1.33]*",
        "*>1.00 [>1.00, >1.00]*",
    ]
    assert cells(block, "slow")["saving/1 at 20"] == "0.75 [0.75, 0.75]"
    assert cells(block, "worse")["saving/1 at 20"] == "<0.50 [<0.50, <0.50]"
    assert savings.saving_text(Interval(1.2, 0.8, np.inf, 3), 0.5, 2) == "1.20 [0.80, >2.00]"
    assert savings.saving_text(Interval(1.2, np.nan, np.nan, 1), 0.5, 2) == "1.20"
    assert savings.saving_text(Interval(np.nan, np.nan, np.nan, 0), 0.5, 2) == "-"


def cell(values: Any, labels: Any) -> tables.Cell:
    """A cell of which only its curves are known."""
    none = Interval(np.nan, np.nan, np.nan, 0)
    curves_ = pd.DataFrame(values, columns=labels)
    return tables.Cell(tables.Key(*SETTING, "low", "x"), curves_, pd.DataFrame(), none, none, none, none, {}, ())


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_the_interval_of_the_saving_holds_the_truth(factor: float) -> None:
    """A strategy that is where random will be at ``factor`` times the labels, with noise of seeds and of rounds."""
    rng, x, held, middle = np.random.default_rng(1), np.arange(10, 210, 10), [], []
    for _ in range(150):
        luck = rng.normal(0, 0.03, (10, 1))
        base, own = (
            cell(0.95 - 0.5 * np.exp(-f * x / 80) + luck + rng.normal(0, 0.015, (10, len(x))), x) for f in (1, factor)
        )
        (interval,) = curves.savings(own, base, [60])
        held.append(interval.low <= factor <= interval.high)
        middle.append(interval.mean)
    assert 0.9 <= np.mean(held) <= 0.99  # 95 %, of 150
    assert np.median(middle) == pytest.approx(factor, abs=0.03)


def test_a_copy_of_the_baseline_seems_to_cost_no_labels_where_curves_are_flat() -> None:
    rng, x, found = np.random.default_rng(5), np.arange(10, 210, 10), []
    mean = np.minimum(0.5 + 0.006 * (x - 10), 0.8)
    for _ in range(150):
        luck = rng.normal(0, 0.01, (10, 1))
        base, own = (cell(mean + luck + rng.normal(0, 0.01, (10, len(x))), x) for _ in range(2))
        (interval,) = curves.savings(own, base, [200])
        found.append((interval.high < 1, interval.low > 1))
    loses, wins = np.mean(found, axis=0)
    assert loses <= 0.06
    assert wins <= 0.06


def test_a_round_that_a_strategy_lacks_is_not_made_up() -> None:
    own = evidence({("random", "low"): lifted(0), ("margin", "low"): lifted(0.1), ("badge", "low"): lifted(0.1)})
    badge, last = own.rounds["strategy"] == "badge", own.rounds["round"] == 2
    own.rounds.loc[badge, "selected"] = pd.Series([np.array([])] * len(own.rounds))
    own.rounds.loc[badge & last, "n_labelled"] = 31
    e = Evidence.of(own.runs)
    for section, name in ((accuracy, "at/1"), (savings, "saving/1 at")):
        block = section.blocks(e)[1]
        assert cells(block, "margin")[f"{name} 30"].startswith("*")
        assert cells(block, "badge")[f"{name} 30"] == "-"
        assert cells(block, "badge")[f"{name} 20"] == cells(block, "margin")[f"{name} 20"]


def test_a_saving_is_over_the_seeds_that_both_have() -> None:
    e = evidence({("random", "low"): lifted(0, 2), ("fast", "low"): lifted(0.1, 5)})
    block = savings.blocks(e)[1]
    assert cells(block, "fast")["n"] == "2"
    assert cells(block, "fast")["saving/1 at 20"] == "*1.50 [1.50, 1.50]*"


# --- balance, costs ------------------------------------------------------------------------------------------------


def test_class_balance_of_what_was_bought() -> None:
    e = evidence({("random", "low"): lifted(0, 3), ("random", FULL_DATA): [[0.9]]})
    block = balance.blocks(e)[1]
    row = cells(block, "random")
    share = np.array([37, 3]) / 40  # the class counts of the last round, and a class without labels
    even = -(share * np.log(share)).sum() / np.log(3)
    assert row["balance/1"] == f"{even:.2f} [{even:.2f}, {even:.2f}]"
    assert (row["rarest/1"], row["classes with a label"], row["n"]) == ("0.00 [0.00, 0.00]", "2.0 [2.0, 2.0] of 3", "3")
    assert cells(block, "the whole pool")["classes with a label"] == "1.0 of 3"


def test_costs_and_the_pareto_front() -> None:
    names = {"random": 0.0, "cheap": 0.02, "expensive": 0.05, "dominated": 0.01}
    e = evidence({(name, "low"): lifted(by, 3) for name, by in names.items()})
    block = costs.blocks(e)[1]
    row = cells(block, "expensive")
    assert row["seconds in queries"] == "*3.60 [3.60, 3.60]*"  # 0.9 s in each of four rounds
    assert (row["seconds in fits"], row["peak memory, MB"]) == ("4.00 [4.00, 4.00]", "103 [103, 103]")
    front = [name for name in names if cells(block, name)["aubc/1"].startswith("*")]
    assert front == ["cheap", "expensive"]  # random takes as many letters as dominated, less one
    assert block.figure is not None
    assert sum(point["front"] for point in block.figure.spec["data"]["values"]) == 2


def test_what_was_used_of_a_card_is_a_cost_where_every_round_says_it() -> None:
    e = evidence({(name, "low"): lifted(0, 2) for name in ("random", "margin", "badge")})
    before, table = costs.blocks(e)
    assert "GPU" not in f"{before.text} {table.columns}"
    on_card = e.rounds["strategy"] != "badge"
    e.rounds.loc[on_card, "gpu_s"] = 0.5
    e.rounds.loc[on_card, "peak_gpu_mb"] = e.rounds["round"] + 7.0
    e.rounds.loc[on_card & (e.rounds["strategy"] == "margin") & (e.rounds["round"] > 0), "energy_j"] = 3.0
    text, block = costs.blocks(Evidence.of(Runs(e.rounds, e.trials, e.trials, {"run": {}}, ())))[:2]
    assert "a quarter of a card is billed for a quarter" in text.text
    assert "energy, J" not in block.columns  # it is not known of round 0
    margin, badge = cells(block, "margin"), cells(block, "badge")
    assert (margin["GPU seconds"], margin["peak GPU memory, MB"]) == ("2.00 [2.00, 2.00]", "10 [10, 10]")
    assert (badge["GPU seconds"], badge["peak GPU memory, MB"]) == ("-", "-")
    frame = costs.frame(e.rounds).set_index("strategy")
    assert frame.loc[["margin"], ["gpu_s mean", "peak_gpu_mb high"]].to_numpy().tolist() == [[2, 10]]
    assert frame.index[frame["gpu_s mean"].isna()].tolist() == ["badge"]


def test_the_front_is_what_nothing_dominates() -> None:
    rng = np.random.default_rng(0)
    a, s = rng.integers(0, 6, (2, 40)).astype(float)  # with ties
    expected = [
        not any((a[j] >= a[i] and s[j] <= s[i]) and (a[j] > a[i] or s[j] < s[i]) for j in range(40)) for i in range(40)
    ]
    assert costs.front(a, s).tolist() == expected
    assert costs.front([], []).tolist() == []


def test_typical_seconds_are_never_negative() -> None:
    interval = typical([0.1, 0.1, 0.1, 0.1, 9.0])
    assert 0 < interval.low < interval.mean < 1
    assert typical([0.5, 2.0]).mean == pytest.approx(1)
    assert (typical([0, 0]).mean, costs.seconds_text(typical([0, 0]))) == (0, "0.00")


def test_times_of_several_hosts_are_mixed() -> None:
    e = evidence({("random", "low"): lifted(0), ("margin", "low"): lifted(0.1)})
    e.trials.loc[0, "host"] = "other"
    assert "several hosts (h, other)" in costs.blocks(e)[0].text


# --- the top -------------------------------------------------------------------------------------------------------


def test_the_grade_says_whose_versions_differ() -> None:
    one = {"albench": "1", "libraries": {"numpy": "2"}, "started": "now"}
    curves_ = {("random", "low"): lifted(0)}
    last = [
        reading.blocks(evidence(curves_, **manifests))[1].rows[-1]
        for manifests in (
            {"a": one, "b": {**one, "started": "then"}},
            {"a": one, "b": {**one, "libraries": {"numpy": "3"}}},
            {"a": {**one, "earlier": [{**one, "albench": "0"}]}},
        )
    ]
    assert last == [
        ("one version of everything", "yes", "by the manifests"),
        ("one version of everything", "no", "the runs differ in: libraries.numpy"),
        ("one version of everything", "no", "a was continued 1 time, with other facts in: albench"),
    ]


def test_sections_have_nothing_to_say_of_nothing() -> None:
    nothing = evidence({})
    for section in (accuracy, gains, savings, costs, balance):
        assert section.blocks(nothing) == []
    assert [block.title for block in reading.blocks(nothing)] == ["State", "Grade"]


def test_names_of_tables_are_those_of_files(tmp_path: Path) -> None:
    e = evidence({("random", "low"): lifted(0), ("a(b=1)", "low"): lifted(0), ("random", "high-100"): lifted(0)})
    names = [b.name for section in (accuracy, gains, savings, costs, balance) for b in section.blocks(e) if b.columns]
    assert len(names) == len(set(names)) > 5
    for name in names:
        (tmp_path / name).touch()


def test_a_curve_has_no_point_over_some_of_its_seeds() -> None:
    own = evidence({("random", "low"): lifted(0), ("badge", "low"): lifted(0.1)})
    over = (own.rounds["strategy"] == "badge") & (own.rounds["round"] == 3) & (own.rounds["seed"] < 2)
    nothing = pd.Series([np.empty(0, np.int64)] * len(own.rounds), dtype=object)
    own.runs.rounds["selected"] = nothing  # of other people, who overshoot
    own.runs.rounds.loc[over, "n_labelled"] += 1
    frame = curve_points(Evidence.of(own.runs).summary.cells.values())
    assert frame[frame["strategy"] == "badge"]["n_labelled"].tolist() == [10, 20, 30]
    assert frame[frame["strategy"] == "random"]["n_labelled"].tolist() == [10, 20, 30, 40]
    assert set(frame["n"]) == {6}

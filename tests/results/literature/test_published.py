"""The published numbers that are carried as data: all of both surveys, once each, by names that are ours or theirs."""

import csv
import hashlib
import io
from collections import Counter

import pytest
from support import rules

from albench.benchmark.lesson import Regime
from albench.results.literature import published_numbers
from albench.results.literature.published_numbers import FOLDER, MARKS, NO_TARGETS, published, regime_of

SURVEYS = (  # the rows of each survey, its columns, its sha256 with lines that end in \n alone
    (
        slice(0, 3675),
        "source paper arxiv provenance table dataset dataset_as_printed regime setting strategy strategy_as_printed"
        " labels budget_as_printed metric metric_as_printed value std url",
        "bf86a28c010494481e38e2e56a3e426e2bb0e0b1a7172c8cb2b8a03de7f23750",
    ),
    (
        slice(3675, None),
        "source paper arxiv provenance table dataset regime setting strategy_as_printed labels metric value std url",
        "698047ace82b3063e9645140cb73af8d289c4a37d5c1caee4986a83ef4fd889b",
    ),
)


def _table(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("part", "columns", "digest"), SURVEYS, ids=["first", "second"])
def test_the_data_are_the_surveys_to_the_byte(part: slice, columns: str, digest: str) -> None:
    origins = {origin["origin"]: origin for origin in _table("sources")}
    text = io.StringIO()
    writer = csv.DictWriter(text, columns.split(), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in _table("published")[part]:
        as_surveyed = {} if part.start == 0 else {"dataset": row["dataset_as_printed"]}
        writer.writerow({**origins[row["origin"]], **row, **as_surveyed})
    assert hashlib.sha256(text.getvalue().encode()).hexdigest() == digest


def test_no_number_is_entered_twice() -> None:
    """Not within a survey, and not by both: one place, rule, budget and metric has one value."""
    origins = {origin["origin"]: origin for origin in _table("sources")}
    said = ("url", "table", "regime", "setting")
    kept = ("dataset_as_printed", "strategy_as_printed", "labels", "budget_as_printed", "metric")
    found = Counter(
        (*(origins[row["origin"]][name] for name in said), *(row[name] for name in kept)) for row in _table("published")
    )
    assert {names: n for names, n in found.items() if n > 1} == {}
    assert len({tuple(origin[name] for name in origin if name != "origin") for origin in origins.values()}) == 274


def test_rules_go_by_our_names_and_others_by_their_own() -> None:
    rows = _table("published")
    no_longer = {"bait-diagonal", "power-bald"}  # of the first survey: what BAIT and Power say with a parameter
    assert {row["strategy"] for row in rows if row["strategy"]} <= {*rules.names(), *no_longer}
    first = {row["strategy_as_printed"]: row["strategy"] for row in rows[:3675] if row["strategy"]}
    said = [row for row in rows[3675:] if not row["origin"].startswith("simeoni")]  # who say not which uncertainty
    assert all(row["strategy"] == first.get(row["strategy_as_printed"], row["strategy"]) for row in said)
    assert {row.rule for row in published() if row.strategy == "BoSS +Margin"} == {"boss +margin"}


def test_every_row_has_a_mark_and_a_regime() -> None:
    rows = published()
    assert len(rows) == 5819
    assert {row.mark for row in rows} == {mark for mark, _ in MARKS.values()}
    assert len({mark for mark, _ in MARKS.values()}) == len(set(MARKS.values()))
    assert set(NO_TARGETS) < {row.mark for row in rows}
    known = published_numbers._regimes()
    assert {row.kind for row in known} == {*Regime, ""}
    assert all(regime_of(row.source, row.regime, row.dataset, row.setting) in known for row in rows)


def test_digits_count_the_zeros_that_are_not_written() -> None:
    table = [row for row in published() if row.origin == "rebenchmark-01"]
    assert {row.digits for row in table} == {4}

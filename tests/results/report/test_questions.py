"""Five people's questions, each answered from the opened page in a click or two and without scrolling; and on paper."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import Tab, opened
from support.synthetic import write_run

from albench.results.measures.board.costs import cell_costs
from albench.results.measures.evidence import Evidence, read_runs
from albench.results.measures.tables import Cell
from albench.results.measures.words import interval_text
from albench.results.report.report import write_report
from albench.results.report.sections.costs import seconds_text

STRATEGIES = ("random", "margin", "typiclust")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_run(tmp_path_factory.mktemp("questions") / "run", ["digits"], ["all"], STRATEGIES, rounds=100)
    write_report([run], run / "report")
    return run


@pytest.fixture(scope="module")
def evidence(run: Path) -> Evidence:
    return Evidence.of(read_runs([run]))


@pytest.fixture
def tab(chromium: Any, run: Path) -> Iterator[Tab]:
    with opened(chromium, run / "report" / "report.html") as tab:
        yield tab


def cell_of(evidence: Evidence, strategy: str) -> Cell:
    setting, budget = evidence.summary.places()[0]
    cell = evidence.summary.get(setting, budget, strategy)
    assert cell is not None
    return cell


def click(tab: Tab, link: str) -> None:
    tab.page.get_by_role("navigation").get_by_role("link", name=link, exact=True).click()


def seen(tab: Tab, place: str, strategy: str, title: str, n: int = 1) -> str:
    """Return what stands in a row from a column on, ``n`` cells, once they lie in the window as it is."""
    script = """([place, strategy, title, n]) => {
        const table = document.querySelector(`#${place} table`);
        const at = [...table.tHead.rows[0].cells].findIndex((head) => head.innerText === title);
        const row = [...table.tBodies[0].rows].find((row) => row.cells[0].innerText === strategy);
        const cells = [...(row?.cells ?? [])].slice(at, at + n);
        const isIn = (box) => box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
        const areSeen = cells.length === n && cells.every((cell) => isIn(cell.getBoundingClientRect()));
        return areSeen ? cells.map((cell) => cell.innerText).join(" ") : "";
    }"""
    found = tab.page.wait_for_function(script, arg=[place, strategy, title, n])  # a link opens its fold a moment later
    return str(found.json_value())


def test_which_rule_for_10_labels(tab: Tab, evidence: Evidence) -> None:
    click(tab, "Accuracy by number of labels")
    place = "accuracy-by-number-of-labels-digits-raw-linear-all"
    for name in STRATEGIES:
        expected = interval_text(cell_of(evidence, name).at(10))
        assert seen(tab, place, name, "accuracy at 10 labels", 2) == expected
        assert seen(tab, place, name, "accuracy at 1000 labels") == f"{cell_of(evidence, name).at(1000).mean:.3f}"
    bold = tab.page.locator(f"#{place} tr:has(td.strong:nth-child(3)) th").all_inner_texts()
    assert set(bold) == set(evidence.summary.best(*evidence.summary.places()[0], 10))


def test_does_typiclust_still_help_at_1000_labels(tab: Tab, evidence: Evidence) -> None:
    click(tab, "Gain by number of labels")
    gain = cell_of(evidence, "typiclust").gain_at(1000, cell_of(evidence, "random"))
    place = "gain-by-number-of-labels-digits-raw-linear-all"
    assert seen(tab, place, "typiclust", "gain at 1000 labels", 2) == interval_text(gain, 1, "+")


def test_is_margin_really_better_than_random_here(tab: Tab, evidence: Evidence) -> None:
    gain = cell_of(evidence, "margin").gain_aubc
    assert seen(tab, "answer-gain-over-random", "margin", "digits") == f"{gain.mean:+.1f}"
    cell = tab.page.locator("#answer-gain-over-random tr[data-strategy=margin] td")
    assert ("up" in cell.get_attribute("class").split()) == (gain.low > 0)  # shaded where it is told apart
    click(tab, "Leaderboard")
    assert seen(tab, "leaderboard", "margin", "mean gain, points (gain/1)", 2) == interval_text(gain, 1, "+")


def test_what_does_it_cost(tab: Tab, evidence: Evidence) -> None:
    click(tab, "Leaderboard")
    costs = cell_costs(evidence.finished)
    for name in STRATEGIES:
        seconds = costs[cell_of(evidence, name).key]["select_s"]
        assert seen(tab, "leaderboard", name, "seconds in queries") == f"{seconds.mean:#.2g}".rstrip(".")
    click(tab, "Cost")
    rounds = evidence.finished.query("strategy == 'typiclust'").groupby("seed")["select_s"].sum()
    told = seen(tab, "cost-digits-raw-linear-all", "random", "seconds in queries", 2)
    assert told == seconds_text(costs[cell_of(evidence, "random").key]["select_s"])
    assert seconds.mean == pytest.approx(np.exp(np.log(rounds).mean()))


def test_can_i_print_it(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 1032, "height": 703})  # a sheet of A4 within its margins
    tab.page.emulate_media(media="print")
    tab.page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
    tables = "[...document.querySelectorAll('table')]"
    assert tab.page.evaluate(f"Math.max(...{tables}.map((table) => table.tHead.rows[0].cells.length))") > 18
    cut = f"{tables}.filter((table) => table.offsetWidth > table.parentElement.clientWidth).length"
    assert tab.page.evaluate(cut) == 0


def test_can_i_cite_and_paste_it(chromium: Any, run: Path) -> None:
    with opened(chromium, run / "report" / "report.html") as tab:
        tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        click(tab, "Cite")
        tab.page.locator("#cite .copy").click()
        tab.page.get_by_role("button", name="copied").wait_for()
        pasted = tab.page.evaluate("navigator.clipboard.readText()")
        assert pasted.strip() == (run / "report" / "cite.bib").read_text().strip()
        tab.page.locator("#leaderboard .copy").click()
        tab.page.locator("#leaderboard").get_by_role("button", name="copied").wait_for()
        first, *rows = tab.page.evaluate("navigator.clipboard.readText()").strip().split("\n")
        assert first.split("\t")[:2] == ["strategy", "mean rank (rank/1)"]
        assert [row.split("\t")[0] for row in rows] == tab.page.locator("#leaderboard tbody th").all_inner_texts()

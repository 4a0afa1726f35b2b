"""The view of the page is in its address: a link shows it again, and the back button takes a step back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import Tab, opened
from support.synthetic import write_run

from albench.results.report.report import write_report

RANKS = 1  # the place of a column of the leaderboard, which has the best first


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("address")
    write_report([write_run(folder / "run", rounds=3)], folder / "out")
    return folder / "out" / "report.html"


@pytest.fixture
def tab(chromium: Any, report: Path) -> Iterator[Tab]:
    with opened(chromium, report) as tab:
        yield tab
        assert tab.said == []


def address(tab: Tab) -> str:
    hash_: str = tab.page.evaluate("location.hash")
    return hash_


def sort_by(tab: Tab, place: int) -> None:
    tab.page.locator(f"#leaderboard th[data-place='{place}'] button").click()


def ranked(tab: Tab) -> list[str]:
    names: list[str] = tab.page.locator("#leaderboard tbody th").all_inner_texts()
    return names


def test_sorting_and_folds_are_in_the_address_and_a_link_shows_them_again(
    chromium: Any, report: Path, tab: Tab
) -> None:
    assert address(tab) == ""
    made = ranked(tab)
    sort_by(tab, RANKS)
    assert address(tab) == f"#down=leaderboard_{RANKS}"
    tab.page.locator("#cost > summary").click()
    tab.page.locator("#view [name=budget]").select_option("low")
    tab.page.wait_for_function("location.hash.includes('open=cost')")
    shown, there = ranked(tab), tab.page.url
    assert shown != made
    for width in (1440, 390):
        with opened(chromium, report, width) as other:
            other.page.goto(there)
            other.page.reload()
            assert ranked(other) == shown
            assert other.page.locator("details.section[open]").evaluate_all("(all) => all.map((one) => one.id)") == [
                "cost"
            ]
            assert other.page.locator("#view [name=budget]").input_value() == "low"
            assert other.page.url == there
            assert other.said == []


def test_what_is_as_at_first_is_not_in_the_address(tab: Tab) -> None:
    made = ranked(tab)
    for way in ("down", "up"):
        sort_by(tab, RANKS)
        assert address(tab) == f"#{way}=leaderboard_{RANKS}"
    sort_by(tab, RANKS)
    assert (address(tab), ranked(tab)) == ("", made)
    for fold in (tab.page.locator("#ranks > summary"), tab.page.locator(".badges summary").first):
        fold.click()
        tab.page.wait_for_function("location.hash.startsWith('#open=')")
        fold.click()
        tab.page.wait_for_function("location.hash === ''")
    tab.page.locator("#view [name=budget]").select_option("low")
    tab.page.locator("#view").get_by_role("button", name="reset").click()
    assert address(tab) == ""


def test_the_back_button_takes_steps_back(tab: Tab) -> None:
    made = ranked(tab)
    setting = tab.page.locator("#view [name=setting]")
    setting.select_option("wine/raw/linear")
    sort_by(tab, RANKS)
    assert ranked(tab) != made
    tab.page.get_by_role("link", name="Cost", exact=True).click()
    tab.page.locator("#cost[open]").wait_for()
    tab.page.go_back()
    tab.page.locator("#cost:not([open])").wait_for()
    assert ranked(tab) != made
    tab.page.go_back()
    tab.page.wait_for_function("!document.querySelector('th[aria-sort]')")
    assert (ranked(tab), setting.input_value()) == (made, "wine/raw/linear")
    tab.page.go_back()
    tab.page.wait_for_function("document.querySelector('#view [name=setting]').value === 'digits/raw/linear'")
    assert address(tab) == ""
    for _ in range(3):
        tab.page.go_forward()
    tab.page.locator("#cost[open]").wait_for()
    assert setting.input_value() == "wine/raw/linear"


def test_a_link_of_the_page_leaves_the_view_as_it_is(tab: Tab) -> None:
    tab.page.locator("#view [name=setting]").select_option("wine/raw/linear")
    sort_by(tab, RANKS)
    before = ranked(tab)
    tab.page.get_by_role("link", name="Cost", exact=True).click()
    tab.page.wait_for_function("location.hash.endsWith('at=cost')")
    titles = tab.page.locator("#cost h3:visible").all_inner_texts()
    assert sorted(titles) == ["wine/raw/linear, high", "wine/raw/linear, low"]
    assert ranked(tab) == before
    assert address(tab) == f"#setting=wine%2Fraw%2Flinear&down=leaderboard_{RANKS}&at=cost"
    assert tab.page.locator("#cost").bounding_box()["y"] < 100


def test_an_address_that_means_nothing_shows_the_page_as_at_first(chromium: Any, report: Path) -> None:
    with opened(chromium, report) as tab:
        made = ranked(tab)
        for wrong in ("#100%", "#nowhere", "#up=leaderboard_99&down=x&open=nothing"):
            tab.page.goto("about:blank")
            tab.page.goto(report.as_uri() + wrong)
            assert ranked(tab) == made
            assert tab.page.locator("#learning-curves .part:visible").count() == 2
            assert tab.page.locator("details.section[open]").count() == 0
        assert tab.said == []


def test_paper_leaves_the_address_as_it_is(tab: Tab, tmp_path: Path) -> None:
    sort_by(tab, RANKS)
    tab.page.pdf(path=str(tmp_path / "page.pdf"))
    tab.page.wait_for_timeout(100)  # the events of folds come late
    assert address(tab) == f"#down=leaderboard_{RANKS}"

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from support.browser import Tab, browser, opened
from support.synthetic import write_run

from albench.results.report import page as pages
from albench.results.report.blocks import Block, Figure
from albench.results.report.report import write_report

WIDTHS = [390, 1440]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_report([write_run(folder / "run")], folder / "out")
    return folder / "out" / "report.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture
def tab(chromium: Any, report: Path) -> Iterator[Tab]:
    with opened(chromium, report) as tab:
        yield tab
        assert tab.said == []
        assert tab.asked == [report.as_uri()]


def scroll_through(tab: Tab) -> None:
    for figure in tab.page.locator("figure:visible").all():
        figure.scroll_into_view_if_needed()
        figure.locator("svg.marks").wait_for()


def leaderboard(tab: Tab) -> Any:
    return tab.page.locator("section", has=tab.page.get_by_role("heading", name="Every setting", exact=True))


def column(table: Any, name: str) -> list[str]:
    """Return the texts of a column, as the rows that are seen stand."""
    script = """(table, name) => {
        const at = [...table.tHead.rows[0].cells].findIndex((head) => head.textContent === name);
        return [...table.tBodies[0].rows].filter((row) => row.offsetHeight).map((row) => row.cells[at].textContent);
    }"""
    texts: list[str] = table.evaluate(script, name)
    return texts


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_quiet_asks_for_nothing_and_fits(
    chromium: Any, report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    with opened(chromium, report, width, scheme=scheme) as tab:
        scroll_through(tab)
        assert tab.page.locator("figure svg.marks").count() == tab.page.locator("figure").count() > 4
        assert tab.said == []
        assert tab.asked == [report.as_uri()]
        assert tab.page.evaluate("document.documentElement.scrollWidth") == width
        ground = tab.page.evaluate("getComputedStyle(document.querySelector('tbody th')).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_charts_are_drawn_when_they_come_into_view(tab: Tab) -> None:
    assert tab.page.locator("figure svg.marks").count() < tab.page.locator("figure").count()
    scroll_through(tab)


def test_charts_follow_the_window_and_the_scheme(tab: Tab) -> None:
    chart = tab.page.locator("figure").first
    chart.scroll_into_view_if_needed()
    wide = chart.locator("svg.marks").bounding_box()["width"]
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.page.wait_for_function("document.querySelector('figure svg.marks').getBoundingClientRect().width < 390")
    assert wide > 600
    words = "getComputedStyle(document.querySelector('figure svg .role-axis-label text')).fill"
    before = tab.page.evaluate(words)
    tab.page.emulate_media(color_scheme="dark")
    tab.page.wait_for_function(f"{words} !== '{before}'")


def test_a_table_sorts_by_numbers_and_by_words(tab: Tab) -> None:
    table = leaderboard(tab).locator("table")
    before = column(table, "final/1")
    head = table.get_by_role("columnheader", name="final/1", exact=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    numbers = [float(text.split()[0]) for text in column(table, "final/1")]
    assert numbers == sorted(numbers, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text.split()[0]) for text in column(table, "final/1")] == numbers[::-1]
    assert sorted(column(table, "final/1")) == sorted(before)
    gains = table.get_by_role("columnheader", name="gain/1 of final/1")
    for _ in range(2):
        gains.get_by_role("button").click()
        texts = column(table, "gain/1 of final/1")
        assert texts[-6:] == ["-"] * 6  # random and the two bounds have no gain: last, either way
        assert "-" not in texts[:-6]
    table.get_by_role("columnheader", name="strategy").get_by_role("button").click()
    assert column(table, "strategy") == sorted(column(table, "strategy"))
    assert table.locator("th[aria-sort]").count() == 1


def test_a_table_sorts_by_keyboard_alone(tab: Tab) -> None:
    tab.page.locator("#filters select").first.focus()
    here = (
        "[document.activeElement.closest('section')?.querySelector('h2')?.innerText, document.activeElement.innerText]"
    )
    for _ in range(200):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate(here) == ["Every setting", "aubc/1"]:
            break
    assert tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.page.keyboard.press("Enter")
    table = leaderboard(tab).locator("table")
    assert table.get_by_role("columnheader", name="aubc/1", exact=True).get_attribute("aria-sort") == "descending"
    tab.page.keyboard.press("Space")
    numbers = [float(text.split()[0]) for text in column(table, "aubc/1")[:-2]]  # the bounds have none
    assert numbers == sorted(numbers)


def test_filters_narrow_tables_and_charts(tab: Tab) -> None:
    form = tab.page.locator("#filters")
    assert [select.get_attribute("name") for select in form.locator("select").all()] == [
        "dataset",
        "budget",
        "strategy",
    ]
    table = leaderboard(tab).locator("table")
    charts = tab.page.locator("section:has(figure):visible")
    every, all_charts = len(column(table, "dataset")), charts.count()
    form.get_by_label("dataset").select_option("wine")
    assert set(column(table, "dataset")) == {"wine"}
    assert len(column(table, "dataset")) == every / 2
    assert charts.count() < all_charts
    assert tab.page.get_by_role("heading", name="digits/pixels/linear").count() == 0
    form.get_by_label("budget").select_option("low")
    form.get_by_label("strategy").select_option("margin")
    assert [column(table, name) for name in ("dataset", "budget", "strategy")] == [["wine"], ["low"], ["margin"]]
    assert " 1 of " in " " + form.locator("output").inner_text()
    form.get_by_role("button", name="Show all").click()
    tab.page.wait_for_function("!document.querySelector('tbody tr[hidden]')")
    assert (len(column(table, "dataset")), charts.count()) == (every, all_charts)


def test_a_curve_answers_the_pointer(tab: Tab) -> None:
    figure = tab.page.locator("figure[data-name=curves-digits-pixels-linear-low]")
    figure.scroll_into_view_if_needed()
    figure.locator("svg.marks").wait_for()
    point = figure.locator("svg .mark-symbol.role-mark path").nth(3)
    point.hover(force=True)
    tooltip = tab.page.locator("#vg-tooltip-element")
    tooltip.get_by_text("95 % interval").wait_for()
    words = tooltip.inner_text()
    for part in ("strategy", "labels", "accuracy", "seeds", "3", " to "):
        assert part in words
    assert any(name in words for name in ("random", "margin", "entropy", "coreset"))


def test_a_name_in_the_legend_shows_its_curve_alone(tab: Tab) -> None:
    figure = tab.page.locator("figure[data-name=curves-digits-pixels-linear-low]")
    figure.scroll_into_view_if_needed()
    lines = figure.locator("svg .mark-line.role-mark path")
    lines.first.wait_for()
    assert {line.get_attribute("opacity") or "1" for line in lines.all()} == {"1"}
    figure.locator("svg .role-legend-label text", has_text="margin").click()
    figure.page.wait_for_function(
        "document.querySelectorAll('figure svg .mark-line.role-mark path[opacity=\"0.12\"]').length === 3"
    )


# --- the page without a browser ------------------------------------------------------------------------------------


def test_vega_is_put_together_once_and_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda snippet: f"/* {snippet} */")
    pages.vega.cache_clear()
    try:
        first = pages.vega()
        pages.vega.cache_clear()
        monkeypatch.setattr(vl_convert, "javascript_bundle", None)
        assert pages.vega() == first
        assert [path.read_text() for path in (cache / "page").iterdir()] == [first]
    finally:
        pages.vega.cache_clear()


def test_a_cache_that_cannot_be_written_costs_time_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda snippet: "/* vega */")
    cache.write_text("a file")
    pages.vega.cache_clear()
    try:
        assert pages.vega() == "/* vega */"
    finally:
        pages.vega.cache_clear()


def test_vega_is_in_pages_with_charts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "vega", lambda: "/* vega */")
    assert "/* vega */" not in pages.html("t", [Block("b")])
    assert "/* vega */" in pages.html("t", [Block("b", figure=Figure("f", {"mark": "bar"}))])


def test_no_text_of_a_chart_can_end_its_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "vega", lambda: "")
    text = pages.html("t", [Block("b", figure=Figure("f", {"description": "</script><script>alert(1)</script>"}))])
    assert "alert(1)" in text
    assert "<script>alert" not in text


def test_filters_are_what_several_values_are_of() -> None:
    rows = (("digits", "low", "random"), ("wine", "low", "margin"))
    tables = [
        Block("cells", columns=("dataset", "budget", "strategy"), rows=rows),
        Block("other", columns=("strategy", "aubc/1"), rows=(("coreset", "1"),)),  # no cells: not filtered
        Block("chart", about={"dataset": "cifar", "budget": "low"}),
    ]
    assert pages.filters(tables) == {"dataset": ["digits", "wine", "cifar"], "strategy": ["random", "margin"]}

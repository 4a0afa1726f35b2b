from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from support.browser import Tab, opened
from support.synthetic import write_run

from albench.results.report.report import write_report

WIDTHS = [390, 1440]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_report([write_run(folder / "run")], folder / "out")
    return folder / "out" / "report.html"


@pytest.fixture
def tab(chromium: Any, report: Path) -> Iterator[Tab]:
    with opened(chromium, report) as tab:
        yield tab
        assert tab.said == []
        assert tab.asked == [report.as_uri()]


def unfold(tab: Tab) -> None:
    tab.page.evaluate("document.querySelectorAll('main details.section').forEach((fold) => { fold.open = true })")


def scroll_through(tab: Tab) -> None:
    unfold(tab)
    for figure in tab.page.locator("figure:visible").all():
        figure.scroll_into_view_if_needed()
        figure.locator("svg.marks").wait_for()


def section(tab: Tab, title: str) -> Any:
    """Return a section of the page, unfolded."""
    found = tab.page.locator(".section", has=tab.page.get_by_role("heading", name=title, exact=True, level=2))
    found.evaluate("(section) => { if (section.matches('details')) section.open = true }")
    return found


def column(table: Any, name: str) -> list[str]:
    """Return the texts of a column, as the rows that are seen stand."""
    script = """(table, name) => {
        const at = [...table.tHead.rows[0].cells].findIndex((head) => head.textContent === name);
        return [...table.tBodies[0].rows].filter((row) => row.offsetHeight).map((row) => row.cells[at].textContent);
    }"""
    texts: list[str] = table.evaluate(script, name)
    return texts


def every_setting(tab: Tab) -> Any:
    """Return the table of all cells, with every setting in it."""
    tab.page.locator("#view [name=setting]").select_option("")
    return section(tab, "Every setting").locator("table")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_quiet_asks_for_nothing_and_fits(
    chromium: Any, report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    with opened(chromium, report, width, scheme=scheme) as tab:
        scroll_through(tab)
        assert tab.page.locator("figure:visible svg.marks").count() == tab.page.locator("figure:visible").count() > 4
        assert tab.said == []
        assert tab.asked == [report.as_uri()]
        assert tab.page.evaluate("document.documentElement.scrollWidth") == width
        ground = tab.page.evaluate("getComputedStyle(document.querySelector('tbody th')).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        script = """() => [...document.querySelectorAll("main *")].filter((e) => e.clientHeight
            && e.scrollHeight > e.clientHeight + 2
            && ["auto", "scroll"].includes(getComputedStyle(e).overflowY)).length"""
        assert tab.page.evaluate(script) == 0  # no scroller inside the page but from side to side


def test_the_answer_stands_first_and_the_board_has_one_row_a_strategy(tab: Tab) -> None:
    top = tab.page.locator("main .section").first
    assert top.get_by_role("heading", level=2).inner_text() == "Answer"
    first = top.locator("li").first
    assert first.inner_text().startswith("digits, high (10 to 50 labels): coreset, +")
    assert first.bounding_box()["y"] < 300
    board = section(tab, "Leaderboard").locator("table")
    assert sorted(column(board, "strategy")) == ["coreset", "entropy", "margin", "random"]
    assert tab.page.locator(".badges details:not([open]) summary").all_inner_texts()[0] == "50 trials done"


def test_folds_are_closed_and_a_link_opens_the_one_it_leads_to(tab: Tab) -> None:
    cost = tab.page.locator("#cost")
    assert cost.get_attribute("open") is None
    tab.page.get_by_role("link", name="Cost", exact=True).click()
    cost.locator("table").first.wait_for()
    assert cost.locator("figure").first.is_visible()


def test_the_titles_of_charts_stand_once(tab: Tab) -> None:
    figure = tab.page.locator("figure:visible").first
    figure.locator("svg.marks").wait_for()
    assert "mean accuracy, 95 %" in figure.inner_text()
    assert "digits/raw/linear" not in figure.inner_text()


def test_charts_are_drawn_when_they_come_into_view(tab: Tab) -> None:
    assert tab.page.locator("figure svg.marks").count() < tab.page.locator("figure").count()
    scroll_through(tab)


def test_charts_follow_the_window_and_the_scheme(tab: Tab) -> None:
    chart = tab.page.locator("figure").first
    chart.scroll_into_view_if_needed()
    wide = chart.locator("svg.marks").bounding_box()["width"]
    tab.page.set_viewport_size({"width": 390, "height": 844})
    chart.scroll_into_view_if_needed()
    tab.page.wait_for_function("document.querySelector('figure svg.marks').getBoundingClientRect().width < 390")
    assert wide > 400
    words = "getComputedStyle(document.querySelector('figure svg .role-axis-label text')).fill"
    before = tab.page.evaluate(words)
    tab.page.emulate_media(color_scheme="dark")
    tab.page.wait_for_function(f"{words} !== '{before}'")


def test_paper_has_every_chart_and_every_fold(chromium: Any, report: Path, tmp_path: Path) -> None:
    with opened(chromium, report) as tab:
        tab.page.evaluate("""() => addEventListener("afterprint", () => {
            const figures = [...document.querySelectorAll("figure")];
            window.onPaper = figures.map((figure) => figure.querySelectorAll("svg.marks").length);
        })""")
        tab.page.pdf(path=str(tmp_path / "page.pdf"), prefer_css_page_size=True)
        drawn = tab.page.evaluate("window.onPaper")
        assert drawn == [1] * tab.page.locator("figure").count()
        assert len(drawn) > 15
        assert tab.page.locator("#cost[open]").count() == 0  # folded again
        assert tab.said == []


def test_a_table_sorts_by_numbers_and_by_words(tab: Tab) -> None:
    table = every_setting(tab)
    name = "final accuracy (final/1)"
    before = column(table, name)
    head = table.get_by_role("columnheader", name=name, exact=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    numbers = [float(text) for text in column(table, name)]
    assert numbers == sorted(numbers, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in column(table, name)] == numbers[::-1]
    assert sorted(column(table, name)) == sorted(before)
    end = "gain at the end, points (gain/1)"
    gains = table.get_by_role("columnheader", name=end)
    for _ in range(2):
        gains.get_by_role("button").click()
        texts = column(table, end)
        assert texts[-6:] == ["-"] * 6  # random and the two bounds have no gain: last, either way
        assert "-" not in texts[:-6]
    table.get_by_role("columnheader", name="strategy").get_by_role("button").click()
    assert column(table, "strategy") == sorted(column(table, "strategy"))
    assert table.locator("th[aria-sort]").count() == 1


def test_a_table_sorts_by_keyboard_alone_and_says_what_a_column_means(tab: Tab) -> None:
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.innerText") == "Skip to the answer"
    tab.page.locator("#view select").first.focus()
    here = (
        "[document.activeElement.closest('section')?.querySelector('h2')?.innerText, document.activeElement.innerText]"
    )
    name = "mean rank (rank/1)"
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate(here) == ["Leaderboard", name]:
            break
    assert tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert "1 is best" in tab.page.locator("#tip").inner_text()
    assert tab.page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "tip"
    tab.page.keyboard.press("Escape")
    assert not tab.page.locator("#tip").is_visible()
    tab.page.keyboard.press("Enter")
    table = section(tab, "Leaderboard").locator("table")
    assert table.get_by_role("columnheader", name=name).get_attribute("aria-sort") == "descending"
    tab.page.keyboard.press("Space")
    numbers = [float(text) for text in column(table, name)]
    assert numbers == sorted(numbers)


def test_one_setting_is_seen_at_a_time_and_others_are_picked(tab: Tab) -> None:
    form = tab.page.locator("#view")
    assert form.locator("output").inner_text() == "1 of 2 settings, 4 of 4 strategies, 19 of 38 charts and tables"
    assert set(column(section(tab, "Every setting").locator("table"), "dataset")) == {"digits"}
    charts = tab.page.locator("#learning-curves .part:visible")
    assert charts.count() == 2
    boxes = [charts.nth(i).bounding_box() for i in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"]  # two across
    form.get_by_label("setting").select_option("wine/raw/linear")
    form.get_by_label("budget").select_option("low")
    table = section(tab, "Every setting").locator("table")
    assert [{*column(table, name)} for name in ("dataset", "budget")] == [{"wine"}, {"low", "full-data"}]
    assert charts.count() == 1
    form.get_by_role("button", name="reset").click()
    assert charts.count() == 2
    assert form.locator("output").inner_text().startswith("1 of 2 settings")
    assert len(column(every_setting(tab), "dataset")) == 18


def pick(tab: Tab, *names: str) -> None:
    tab.page.locator("#pick summary").click()
    tab.page.locator("#pick").get_by_role("button", name="none").click()
    for name in names:
        tab.page.locator("#pick").get_by_label(name).check()
    tab.page.keyboard.press("Escape")


def test_strategies_that_are_picked_filter_tables_and_charts(tab: Tab) -> None:
    pick(tab, "random", "margin")
    for title in ("Leaderboard", "Every setting"):
        table = section(tab, title).locator("table").first
        assert set(column(table, "strategy")) - {"full-data"} == {"random", "margin"}
    figure = tab.page.locator("#learning-curves figure:visible").first
    figure.scroll_into_view_if_needed()
    figure.locator("svg .role-legend-label text").nth(1).wait_for()
    assert set(figure.locator("svg .role-legend-label text").all_text_contents()) == {"random", "margin"}
    assert figure.locator("svg .mark-line.role-mark path").count() == 2
    wins = section(tab, "Ranks").locator("#ranks-wins-ties-losses table")
    heads = wins.evaluate(
        "(table) => [...table.tHead.rows[0].cells].filter((h) => h.offsetWidth).map((h) => h.innerText)"
    )
    assert sorted(heads) == ["margin", "random", "strategy"]
    assert "2 of 4 strategies" in tab.page.locator("#view output").inner_text()


def test_a_view_is_in_the_address(chromium: Any, report: Path, tab: Tab) -> None:
    tab.page.locator("#view").get_by_label("setting").select_option("wine/raw/linear")
    tab.page.locator("#view").get_by_label("budget").select_option("high")
    pick(tab, "margin", "coreset")
    address = tab.page.evaluate("location.href")
    with opened(chromium, report) as other:
        other.page.goto(f"{address}&at=cost")
        other.page.reload()
        assert other.page.locator("#view [name=setting]").input_value() == "wine/raw/linear"
        assert other.page.locator("#learning-curves .part:visible h3").all_inner_texts() == ["wine/raw/linear, high"]
        table = section(other, "Leaderboard").locator("table")
        assert sorted(column(table, "strategy")) == ["coreset", "margin"]
        assert other.page.locator("#cost table:visible").count() == 1


def test_an_empty_view_says_why(tab: Tab) -> None:
    pick(tab)
    assert "Nothing to show: no strategy is picked." in tab.page.locator("#view output").inner_text()
    figure = tab.page.locator("#learning-curves figure:visible").first
    figure.scroll_into_view_if_needed()
    figure.get_by_text("None of the strategies that are picked is in this chart.").wait_for()
    tab.page.goto(tab.page.url.partition("#")[0] + "#setting=wine/raw/linear&budget=none")
    tab.page.locator("#learning-curves .empty:visible").wait_for()
    assert "Nothing here: no budget none of wine" in tab.page.locator("#learning-curves .empty").inner_text()


def test_numbers_come_before_what_a_row_is_about_on_a_narrow_window(tab: Tab) -> None:
    heads = "[...document.querySelector('#every-setting table').tHead.rows[0].cells].map((h) => h.innerText)"
    section(tab, "Every setting")
    wide = tab.page.evaluate(heads)
    assert wide[1] == "dataset"
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.page.wait_for_function(f"{heads}[1] === 'n'")
    assert tab.page.evaluate(heads)[-4:] == ["dataset", "embedding", "learner", "budget"]
    tab.page.set_viewport_size({"width": 1440, "height": 844})
    tab.page.wait_for_function(f"{heads}[1] === 'dataset'")
    assert tab.page.evaluate(heads) == wide


def test_a_table_links_its_files_and_the_grid(tab: Tab) -> None:
    links = section(tab, "Leaderboard").locator(".files a")
    assert [link.get_attribute("href") for link in links.all()] == [
        *("tables/leaderboard.csv", "tables/leaderboard.tex", "#the-grid-of-run")
    ]
    links.nth(2).click()
    tab.page.locator("#the-grid-of-run pre").wait_for()
    assert "seeds: 3" in tab.page.locator("#the-grid-of-run").inner_text()


def test_the_points_of_a_chart_are_told_by_the_arrow_keys(tab: Tab) -> None:
    figure = tab.page.locator("figure[data-name=curves-digits-raw-linear-low]")
    figure.scroll_into_view_if_needed()
    figure.locator("svg.marks").wait_for()
    figure.focus()
    tab.page.keyboard.press("ArrowRight")
    first = tab.page.locator("#tip").inner_text()
    for part in ("strategy: random", "labels: 10", "95 % interval: "):
        assert part in first
    tab.page.keyboard.press("ArrowRight")
    assert "labels: 20" in tab.page.locator("#tip").inner_text()


def test_a_curve_answers_the_pointer(tab: Tab) -> None:
    figure = tab.page.locator("figure[data-name=curves-digits-raw-linear-low]")
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
    figure = tab.page.locator("figure[data-name=curves-digits-raw-linear-low]")
    figure.scroll_into_view_if_needed()
    lines = figure.locator("svg .mark-line.role-mark path")
    lines.first.wait_for()
    assert {line.get_attribute("opacity") or "1" for line in lines.all()} == {"1"}
    figure.locator("svg .role-legend-label text", has_text="margin").click()
    figure.page.wait_for_function(
        "document.querySelectorAll('figure svg .mark-line.role-mark path[opacity=\"0.12\"]').length === 3"
    )

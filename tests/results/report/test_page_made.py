"""The page without a browser: what is in its text."""

from pathlib import Path

import pytest

from albench.results.report.blocks import Block, Figure
from albench.results.report.page import page as pages
from albench.results.report.page.tables import table
from albench.results.report.sections.provenance import bibtex


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


def test_papers_that_a_text_names_are_links_and_nothing_else_is_markup() -> None:
    said = pages.linked("A <b>, ICML 2022 (arXiv 2202.02794); UCI, doi:10.24432/C50P49; arXiv cmp-lg/9407020")
    assert said == (
        'A &lt;b&gt;, ICML 2022 (<a href="https://arxiv.org/abs/2202.02794">arXiv 2202.02794</a>); UCI,'
        ' <a href="https://doi.org/10.24432/C50P49">doi:10.24432/C50P49</a>;'
        ' <a href="https://arxiv.org/abs/cmp-lg/9407020">arXiv cmp-lg/9407020</a>'
    )


def test_a_value_and_its_interval_have_columns_of_their_own() -> None:
    block = Block(
        "t",
        columns=("strategy", "n", "at/1 10", "gain/1 of aubc/1", "learner", "not done"),
        rows=(
            ("random", "3", "0.5 [0.4, 0.6]", "-", "l", ""),
            ("galaxy †", "2", "0.6 [0.5, 0.7] n=2", "+1.0", "l", "1 failed"),
            ("margin", "2", "aubc/1 0.6 [0.5, 0.7]", "", "", ""),
        ),
        strong=frozenset({(1, 2)}),
    )
    made = table(block, ("random", "galaxy"))
    assert [(column.title, column.kind) for column in made.columns] == [
        *(("strategy", "name"), ("n", "number"), ("accuracy at 10 labels", "number"), ("95 % interval", "interval")),
        *(("gain in area, points (gain/1)", "number"), ("learner", "identity"), ("not done", "text")),
    ]
    assert [cell.text for cell in made.rows[1].cells] == [
        "galaxy †",
        "2",
        "0.6",
        "[0.5, 0.7] n=2",
        "+1.0",
        "l",
        "1 failed",
    ]
    assert [cell.text for cell in made.rows[2].cells][2:4] == ["aubc/1 0.6", "[0.5, 0.7]"]
    assert [cell.strong for cell in made.rows[1].cells] == [False, False, True, *[False] * 4]
    assert (made.rows[1].strategy, made.rows[1].about) == ("galaxy", {"learner": "l"})
    assert "by the round that has exactly that many" in made.columns[2].meaning


def test_what_to_cite_is_bibtex_too() -> None:
    paper = "Hacohen & Weinshall, On a Budget_1, ICML 2022 (arXiv 2202.02794)"
    text = bibtex({"typiclust": paper, "digits": "A (1998), doi:10.24432/C50P49"})
    assert text.split("\n\n") == [
        "@misc{typiclust,\n"
        "  title = {{Hacohen \\& Weinshall, On a Budget\\_1, ICML 2022 (arXiv 2202.02794)}},\n"
        "  year = {2022},\n"
        "  eprint = {2202.02794},\n  archiveprefix = {arXiv},\n  url = {https://arxiv.org/abs/2202.02794}\n}",
        "@misc{digits,\n  title = {{A (1998), doi:10.24432/C50P49}},\n  year = {1998},\n  doi = {10.24432/C50P49},\n"
        "  url = {https://doi.org/10.24432/C50P49}\n}",
    ]

"""The forms of a report: which files there are, and what becomes of them when a part of it fails."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.synthetic import write_run

from albench.results.measures import evidence, tables
from albench.results.report import report
from albench.results.report.blocks import Block, Figure
from albench.results.report.sections.board import leaderboard


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", datasets=["digits"], budgets=["low"])


def write(directories: list[Path], out: Path) -> tuple[report.Report, str, str]:
    written = report.write_report(directories, out)
    return written, (out / "report.md").read_text(), (out / "report.html").read_text()


def test_figures_are_drawn_when_asked_for(run: Path, tmp_path: Path) -> None:
    written, text, _ = write([run], tmp_path / "out")
    assert {path.suffix for path in written.files} == {".md", ".html", ".csv", ".tex", ".bib"}
    assert "](figures/" not in text
    written = report.write_report([run], tmp_path / "out", figures=True)
    drawn = {path.name for path in written.files if path.parent.name == "figures"}
    assert {"curves-digits-raw-linear-low.svg", "curves-digits-raw-linear-low.png"} <= drawn
    text = (tmp_path / "out" / "report.md").read_text()
    shown = set(re.findall(r"]\(figures/(.+?)\)", text))
    assert shown == {name for name in drawn if name.endswith(".svg")}
    page = (tmp_path / "out" / "report.html").read_text()
    assert {f"figures/{name}" for name in drawn} == set(re.findall(r'href="(figures/.+?)"', page))
    assert 'data-name="gains"' not in page  # its table is the map


def test_tables_alone_have_no_page_and_load_nothing_heavy(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from albench.results.report.report import write_report;"
        f"write_report([Path({str(run)!r})], Path({str(tmp_path / 'out')!r}), tables_only=True);"
        "print([m for m in ('altair', 'vl_convert', 'matplotlib', 'scipy.stats', 'statsmodels') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.md", "cite.bib", "tables", report.INDEX}
    assert "## Budget low" in (tmp_path / "out" / "report.md").read_text()


def test_a_report_replaces_the_earlier_one_and_touches_nothing_else(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report.write_report([run], out, figures=True)
    (out / "figures" / "mine.svg").write_text("<svg/>")
    (tmp_path / "precious.md").write_text("mine")
    with (out / report.INDEX).open("a") as file:
        file.write("\n../precious.md\n/precious.md\nfigures/../../precious.md")
    report.write_report([run], out, tables_only=True)
    left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert left - {"figures/mine.svg", report.INDEX} == set((out / report.INDEX).read_text().splitlines())
    assert "figures/mine.svg" in left
    assert "report.html" not in left
    assert (tmp_path / "precious.md").read_text() == "mine"


def test_an_error_in_one_section_is_a_line_and_the_rest_is_made(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: evidence.Evidence) -> list[Block]:
        raise ZeroDivisionError("a <fault>")

    monkeypatch.setattr(leaderboard, "blocks", fail)
    line = "section leaderboard could not be made: ZeroDivisionError: a <fault>"
    for text in write([run], tmp_path / "out")[1:]:
        assert line in text.replace("&lt;", "<").replace("&gt;", ">")
        assert "Learning curves" in text
        assert "Every setting" in text
    assert line in caplog.messages


def test_a_figure_that_cannot_be_drawn_is_a_line(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Block("Wrong", name="wrong", figure=Figure("wrong", {"mark": "nothing"}))
    monkeypatch.setattr(leaderboard, "blocks", lambda _: [wrong])
    written = report.write_report([run], tmp_path / "out", figures=True)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "- wrong: " in text[text.index("## Pictures that could not be drawn") :]
    names = {path.name for path in written.files}
    assert "curves-digits-raw-linear-low.png" in names
    assert "wrong.svg" not in names


def test_an_empty_last_column_is_left_out(run: Path, tmp_path: Path) -> None:
    _, text, _ = write([run], tmp_path / "out")
    assert "not done |" not in text
    short = write_run(tmp_path / "short", datasets=["digits"], budgets=["low"])
    part = next((short / "trials").glob("*.parquet"))
    pq.write_table(pq.read_table(part).slice(1), part)
    _, text, _ = write([short], tmp_path / "out")
    assert "not done |" in text
    assert "1 left |" in text


def test_names_of_files_are_unique() -> None:
    figure = Figure("x", {})
    blocks = [
        *(Block("a", name="curves"), Block("b", name="b"), Block("c", name="b", figure=figure)),
        *(Block("The same", figure=figure), Block("The same", figure=figure)),
    ]
    made = report.prepared(tables.Summary("random"), blocks)
    assert [block.name for block in made] == ["curves-2", "b", "b-2", "", ""]  # curves.csv is taken
    assert [block.figure and block.figure.name for block in made] == [None, None, "b-2", "the-same", "the-same-2"]


def test_what_moved_between_two_versions_is_said(tmp_path: Path) -> None:
    before = write_run(tmp_path / "before", datasets=["digits"], budgets=["low"])
    after = write_run(tmp_path / "after", datasets=["digits"], budgets=["low"], better=0.02)
    _, text, page = write([before, after], tmp_path / "out")
    own = text[text.index("## What moved from before to after") : text.index("## Accuracy by number")]
    assert "Equal to the last digit: 2 of 5 cells that both have" in own  # random and its bound
    rows = [line.split(" | ") for line in own.splitlines() if line.startswith("| digits")]
    assert [row[4] for row in rows] == ["coreset", "entropy", "margin"]
    assert all(row[-1] == "**+2.00 [+2.00, +2.00]** |" for row in rows)  # of final/1, in points
    assert "- name: before → after" in own
    assert "What moved from before to after" in page
    _, text, _ = write([after], tmp_path / "one")
    assert "What moved" not in text


def test_runs_without_shared_trials_have_nothing_that_moved(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", datasets=["digits"])
    two = write_run(tmp_path / "two", datasets=["wine"])
    assert "What moved" not in write([one, two], tmp_path / "out")[1]

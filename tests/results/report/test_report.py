import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from albench.benchmark.types import FULL_DATA, Budget, Count, Outcome, Part, Round, Scores, Trial, TrialEnd
from albench.results.measures import tables
from albench.results.record import schema
from albench.results.record.store import RunStore, StorageError
from albench.results.report import report, terminal
from albench.results.report.page import page as pages

MANIFEST = {
    "grid_id": "abc",
    "name": "tiny",
    "versions": {"numpy": "2.4.6"},
    "commit": "39d1898",
    "machine": {"cpu": "two cores"},
    "citations": {"margin": "Scheffer et al. 2001"},
}


STRATEGIES = ("random", "badge", "margin", "entropy")


def make_trial(strategy: str, seed: int, budget: str = "low", dataset: str = "digits") -> Trial:
    schedule = Budget(budget, Count(len(budget)), ())  # its name is not in the trial's id, so the schedule must differ
    return Trial(Part(dataset), Part("raw", was="pixels"), Part("linear"), Part(strategy), schedule, seed, "f")


def add(
    store: RunStore,
    strategy: str,
    seed: int,
    curve: list[float],
    outcome: Outcome | None = Outcome.DONE,
    reason: str = "",
    budget: str = "low",
    dataset: str = "digits",
) -> None:
    """Write one trial of 10 labels a round; an outcome of None leaves it half done."""
    trial = make_trial(strategy, seed, budget, dataset)
    for r, accuracy in enumerate(curve):
        rows = np.arange(10 * r, 10 * r + 10) + (1000 * int(trial.trial_id[:4], 16) if r else 0)
        scores = Scores(accuracy, 0.5, 0.5, None, None)
        round_ = Round(
            r, rows, 10 * r + 10, np.array([5], np.int32), "strategy" if r else "initial", scores, 0.25, 0.1, 0.1, 99.0
        )
        store.add_rounds([schema.round_row(trial, round_, 7)])
    if outcome:
        store.add_trials(
            [schema.trial_row(trial, TrialEnd(trial.trial_id, outcome, reason, host="h", device="cpu"), 7)]
        )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three seeds of random, margin (one failed), badge (unsupported), entropy (half done, others planned); a bound."""
    bounds = [make_trial("random", seed, FULL_DATA) for seed in range(3)]
    with RunStore.create(tmp_path / "run", "name: tiny", MANIFEST) as store:
        for seed in range(3):
            add(store, "random", seed, [0.5, 0.6 + seed / 100])
            add(store, "badge", seed, [], Outcome.UNSUPPORTED, "linear has no <head>")
            add(store, "random", seed, [0.95], budget=FULL_DATA)
        add(store, "margin", 0, [0.5, 0.7])
        add(store, "margin", 1, [0.5, 0.712])
        add(store, "margin", 2, [0.5], Outcome.FAILED, "ValueError: a | b")
        add(store, "entropy", 0, [0.5], None)
        store.write_plan([make_trial(name, seed) for name in STRATEGIES for seed in range(3)] + bounds)
    return tmp_path / "run"


def write(directories: list[Path], out: Path) -> tuple[report.Report, str, str]:
    written = report.write_report(directories, out)
    assert all(path.is_file() for path in written.files)
    return written, (out / "report.md").read_text(), (out / "report.html").read_text()


class Page(HTMLParser):
    """The text of a page, its tags, and whether they all close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_every_number_has_its_metric_its_n_and_its_interval(run: Path, tmp_path: Path) -> None:
    _, text, _ = write([run], tmp_path / "out")
    row = next(line for line in text.splitlines() if line.startswith("| margin | digits |"))
    number = r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]"
    points = r"\+\d+\.\d \[\+\d+\.\d, \+\d+\.\d\]"
    gains = rf"{points} \| {points}"
    assert re.fullmatch(
        rf"\| margin \| digits \| .+ \| 2 \| \*\*{number}\*\* \| \*\*{number}\*\* \| {gains} \| 1 failed \|", row
    )
    assert "0.706 [0.630, 0.782]" in row
    columns = "strategy | dataset | embedding | learner | budget | n | area under the curve (aubc/1)"
    more = "final accuracy (final/1) | gain in area, points (gain/1) | gain at the end, points (gain/1)"
    assert f"| {columns} | {more} |" in text
    for metric in ("aubc/1", "final/1", "gain/1"):
        assert f"\n| {metric} | " in text  # its definition


def test_what_is_not_done_is_listed_with_its_reason(run: Path, tmp_path: Path) -> None:
    for escaped in write([run], tmp_path / "out")[1:]:
        text = escaped.replace("\\|", "|").replace("&lt;", "<").replace("&gt;", ">")
        for what in ("3 unsupported", "linear has no <head>", "1 failed", "ValueError: a | b", "3 left"):
            assert what in text
        assert "digits/raw/linear, low, entropy" in text
        assert "15 trials: 8 done, 1 failed, 3 unsupported, 3 left" in text
        assert "The run is not over: 3 trials are left" in text


def test_facts_citations_and_limits_are_there(run: Path, tmp_path: Path) -> None:
    for text in write([run], tmp_path / "out")[1:]:
        for fact in ("versions.numpy", "2.4.6", "39d1898", "machine.cpu", "margin: Scheffer et al. 2001"):
            assert fact in text
        assert "some cells rest on 2 seeds" in text
        assert "several query sizes" in text
        assert re.search(r"full-data( \| |</th>).*\n?.*0\.950", text)


def test_names_cannot_become_markup(run: Path, tmp_path: Path) -> None:
    with RunStore.create(tmp_path / "evil", "name: tiny", {**MANIFEST, "name": "<script>x"}) as store:
        add(store, "<script>alert(1)</script>|**b**", 0, [0.5])
    _, text, page = write([tmp_path / "evil"], tmp_path / "out")
    assert "<script" not in text
    assert not re.search("<script>(alert|x)", page)
    assert any("<script>alert(1)</script>|**b**" in words for words in Page(page).text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\|" in text


def test_the_page_stands_alone(run: Path, tmp_path: Path) -> None:
    page = write([run], tmp_path / "out")[2]
    parsed = Page(page)
    assert parsed.tags <= {
        *("html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "p", "ul", "ol", "li", "div"),
        *("table", "thead", "tbody", "tr", "th", "td", "strong", "a", "nav", "main", "section", "details", "summary"),
        *("form", "label", "select", "option", "button", "output", "figure", "pre", "code", "script"),
        *("fieldset", "legend", "input"),
    }
    own = page.replace(pages.vega(), "")
    assert len(own) < len(page) / 2
    links = re.findall(
        r'<a href="https://(?:arxiv.org/abs|doi.org)/[^"<>]+">', own
    )  # which ask for nothing until clicked
    assert links
    code = re.sub(r"<pre.*?</pre>", "", own, flags=re.DOTALL)
    assert len(re.findall(r"https?:", code)) == len(links)
    assert not re.search(r"url\(|@import|src=", own)
    assert "default-src 'none'" in own
    assert 'name="viewport"' in own


def test_csv_tables_hold_the_values(run: Path, tmp_path: Path) -> None:
    written, _, _ = write([run], tmp_path / "out")
    frames = {
        path.stem: list(csv.DictReader(io.StringIO(path.read_text())))
        for path in written.files
        if path.suffix == ".csv"
    }
    margin = next(row for row in frames["cells"] if row["strategy"] == "margin")
    assert float(margin["final/1 mean"]) == pytest.approx(0.706)
    assert (margin["final/1 n"], margin["gain/1 of final/1 n"], margin["not_done"]) == ("2", "2", "1 failed")
    assert float(margin["gain/1 of final/1 mean"]) == pytest.approx(10.1)
    badge = next(row for row in frames["cells"] if row["strategy"] == "badge")
    assert (badge["aubc/1 mean"], badge["aubc/1 n"]) == ("", "0")
    assert {row["strategy"] for row in frames["not_done"]} == {"margin", "badge", "entropy"}
    assert [(row["n_labelled"], row["n"]) for row in frames["curves"] if row["strategy"] == "margin"] == [
        ("10", "2"),
        ("20", "2"),
    ]
    assert float(frames["bounds"][0]["final/1 mean"]) == pytest.approx(0.95)
    assert float(frames["cost"][0]["select_s mean"]) == pytest.approx(0.25)


def test_a_table_with_a_name_is_a_file_for_papers_and_one_for_programs(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write([run], out)
    rows = list(csv.DictReader(io.StringIO((out / "tables" / "every-setting.csv").read_text())))
    assert {(row["strategy"], row["budget"]) for row in rows} == {
        ("random", "low"),
        ("margin", "low"),
        ("random", "full-data"),
    }  # badge and entropy have no number
    final = next(row for row in rows if (row["strategy"], row["metric"]) == ("margin", "final/1"))
    assert (final["value"][:5], final["n"], final["unit"]) == ("0.706", "2", "share")
    text = (out / "tables" / "budget-low.tex").read_text()
    assert r"margin & \textbf{0.603 $\pm$" in text
    assert r"full data (final/1) & 0.950 $\pm$0.000 n=3 \\" in text


def test_the_grid_is_in_the_report_as_it_was_written(tmp_path: Path) -> None:
    grid = "name: tiny\nseeds: [0, 1] # <b>few</b>\n"
    with RunStore.create(tmp_path / "run", grid, MANIFEST) as store:
        add(store, "random", 0, [0.5, 0.6])
    _, text, page = write([tmp_path / "run"], tmp_path / "out")
    assert "    name: tiny\n    seeds: [0, 1] # <b>few</b>\n" in text
    assert "<code>name: tiny\nseeds: [0, 1] # &lt;b&gt;few&lt;/b&gt;\n</code>" in page


def test_the_same_runs_give_the_same_files(run: Path, tmp_path: Path) -> None:
    texts = []
    for out in ("one", "two"):
        written, _, _ = write([run], tmp_path / out)
        texts.append([path.read_bytes() for path in written.files])
    assert texts[0] == texts[1]


def test_a_damaged_part_is_in_the_report(run: Path, tmp_path: Path) -> None:
    (run / "rounds" / "part-000077.parquet").write_bytes(b"PAR1")
    for text in write([run], tmp_path / "out")[1:]:
        assert "part-000077.parquet cannot be read and is left out" in text


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    RunStore.create(tmp_path / "run", "name: tiny", MANIFEST).close()
    written, text, page = write([tmp_path / "run"], tmp_path / "out")
    assert written.summary.cells == {}
    for content in (text, page):
        assert "there is nothing to compare yet" in content
        assert "39d1898" in content
    assert shown(written.summary) == "No results yet.\n"


def test_one_strategy_and_one_seed_are_said(tmp_path: Path) -> None:
    with RunStore.create(tmp_path / "run", "name: tiny", MANIFEST) as store:
        add(store, "margin", 0, [0.5, 0.7])
    _, text, _ = write([tmp_path / "run"], tmp_path / "out")
    assert "One strategy: there is nothing to compare it with." in text
    assert "one seed: no interval can be given" in text
    assert "no random to compare with" in text
    assert "| low | 1 | 0.600 | 0.700 | - | - |" in text


def test_several_runs_make_one_table_and_a_trial_counts_once(run: Path, tmp_path: Path) -> None:
    with RunStore.create(tmp_path / "more", "name: more", {"grid_id": "def", "name": "more"}) as store:
        for seed in range(3):
            add(store, "coreset", seed, [0.5, 0.65])
            add(store, "random", seed, [0.5, 0.6 + seed / 100])  # the same trials once more
    written, text, _ = write([run, tmp_path / "more"], tmp_path / "out")
    cells = {key.strategy: cell for key, cell in written.summary.cells.items()}
    assert [cells["random"].n, cells["random"].final.mean] == pytest.approx([3, 0.61])
    assert cells["coreset"].gain_final.n == 3
    assert text.startswith("# albench: tiny, more\n")
    assert "Where more comes from" in text


def test_of_two_versions_of_a_trial_the_newer_is_shown_and_it_is_said(tmp_path: Path) -> None:
    with RunStore.create(tmp_path / "run", "name: tiny", MANIFEST) as store:
        for version, accuracy in ((1, 0.5), (2, 0.8)):
            part = Part("random", version=version)
            trial = Trial(Part("d"), Part("e"), Part("l"), part, Budget("low", Count(0), ()), 0, "f")
            scores = Scores(accuracy, 0.5, 0.5, None, None)
            round_ = Round(0, np.arange(3), 3, np.array([3], np.int32), "initial", scores, 0, 0, 0, 0)
            store.add_rounds([schema.round_row(trial, round_, version)])
            store.add_trials([schema.trial_row(trial, TrialEnd(trial.trial_id, Outcome.DONE), version)])
    written, text, _ = write([tmp_path / "run"], tmp_path / "out")
    assert [cell.final.mean for cell in written.summary.cells.values()] == [0.8]
    assert "1 trial left out: others have the same names and seed" in text


def test_a_planned_trial_stands_for_its_names_though_an_older_version_is_done(tmp_path: Path) -> None:
    with RunStore.create(tmp_path / "run", "name: tiny", MANIFEST) as store:
        add(store, "random", 0, [0.5, 0.6])
        store.write_plan([replace(make_trial("random", 0), strategy=Part("random", version=2))])
    written, text, _ = write([tmp_path / "run"], tmp_path / "out")
    assert [cell.outcomes for cell in written.summary.cells.values()] == [{"left": 1}]
    assert "1 trial of an earlier state of the grid" in text


def test_the_status_says_how_far_a_run_is(run: Path) -> None:
    (run / "rounds" / "part-000077.parquet").write_bytes(b"PAR1")
    lines = report.status_lines(run)
    assert lines[0] == "15 trials: 8 done, 1 failed, 3 unsupported, 3 left"
    assert "digits/raw/linear, low, margin: 1 failed: ValueError: a | b" in lines
    assert "part-000077.parquet" in lines[-1]


def test_a_continued_run_says_what_changed(run: Path, tmp_path: Path) -> None:
    RunStore.create(run, "name: tiny", {**MANIFEST, "commit": "other", "started": "now"}).close()
    _, text, _ = write([run], tmp_path / "out")
    assert "run was continued 1 time, with other facts in: commit" in text
    assert json.loads((run / "manifest.json").read_text())["commit"] == "other"


def test_no_run_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no albench run"):
        report.write_report([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_report_that_cannot_be_written_is_an_error_of_one_line(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError, match=r"out/files.txt cannot be written"):
        report.write_report([run], tmp_path / "out")


# --- the terminal --------------------------------------------------------------------------------------------------


def shown(summary: tables.Summary, width: int = 100, **options: Any) -> str:
    text = io.StringIO()
    terminal.render(summary, Console(width=width, file=text, **options))
    return text.getvalue()


def test_the_terminal_shows_mean_interval_and_gain(run: Path) -> None:
    summary = report.write_report([run], run / "report").summary
    text = shown(summary)
    assert re.search(r"│ random +│ 0\.555 ±0\.012 +│", text)
    assert re.search(r"│ margin +│ 0\.603 ±0\.038 \+5\.0 n=2\* +│", text)
    assert re.search(r"│ badge +│ 3 unsupported +│", text)
    assert re.search(r"│ full data \(final/1\) +│ 0\.950 ±0\.000 n=3 +│", text)
    assert "n=3 seeds where not said" in text
    assert "digits/raw/linear, low, margin: 1 failed: ValueError: a | b\n" in text
    assert "digits/raw/linear, low, badge: 3 unsupported: linear has no <head>\n" in text
    assert "*" not in shown(summary, force_terminal=True, color_system="standard")
    assert "\x1b[1m0.603" in shown(summary, force_terminal=True, color_system="standard")


def test_columns_that_do_not_fit_go_into_further_tables(tmp_path: Path) -> None:
    names = [f"dataset-number-{i}" for i in range(7)]
    with RunStore.create(tmp_path / "run", "name: wide", MANIFEST) as store:
        for name in names:
            for strategy in ("random", "[bold]margin"):
                for seed in range(2):
                    add(store, strategy, seed, [0.5, 0.6 + seed / 10], dataset=name)
    summary = report.write_report([tmp_path / "run"], tmp_path / "out").summary
    for width in (60, 100, 250):
        answers, _, text = shown(summary, width).partition("budget low")
        assert all(answers.count(f"{name}, low") == 1 for name in names)
        text = text.partition("\nleaderboard")[0]
        assert all(len(line) <= width for line in text.splitlines())
        assert all(text.count(name) == 1 for name in names)
        assert "…" not in text
        assert "[bold]margin" in text
    assert len(re.findall("budget low +\n", shown(summary, 250))) == 1
    assert len(re.findall("budget low +\n", shown(summary, 60))) > 2

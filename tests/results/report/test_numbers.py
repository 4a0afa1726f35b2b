"""The numbers of a report's tables as files: what the Markdown shows is made again out of the CSV alone."""

from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.synthetic import STRATEGIES, write_run

from albench.results.measures.stats import Interval
from albench.results.report.numbers import VALUES, Numbers
from albench.results.report.report import write_report

Cells = dict[tuple[str, str], str]
"""The texts of a table by the name of the row and the title of the column."""
WORDS = {"grade", "literature_rest"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six blocks, so that ranks have intervals, and one setting of a single budget."""
    folder = tmp_path_factory.mktemp("report")
    many = write_run(folder / "many", datasets=["digits", "wine", "wdbc"], seeds=4)
    one = write_run(folder / "one", datasets=["eurosat"], budgets=["low"], seeds=4)
    write_report([many, one], folder / "out")
    return folder / "out"


def lines_of(out: Path, section: str, title: str) -> list[str]:
    """Return the rows of a table of the Markdown, its head and the line below first."""
    part = (out / "report.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    text = part.split(f"\n### {title}\n")[1].split("\n### ")[0]
    return [line for line in text.splitlines() if line.startswith("|")]


def shown(out: Path, section: str, title: str) -> Cells:
    """Return a table of the Markdown, without what makes its text bold."""
    lines = lines_of(out, section, title)
    cells = ([unescape(cell).strip(" *") for cell in line[1:-1].split("|")] for line in lines)
    head, _, *rows = cells
    found = {(row[0], column): text for row in rows for column, text in zip(head[1:], row[1:], strict=True)}
    return {(row, column): text for (row, column), text in found.items() if column != "flip"}  # words


def read(out: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(out / "tables" / f"{name}.csv")


def texts(frame: pd.DataFrame, digits: int, sign: str = "") -> list[str]:
    """Return ``0.812 [0.790, 0.833]`` of each row."""

    def text(value: float) -> str:
        return f"{value:{sign}.{digits}f}"

    return [
        text(value) if np.isnan(low) else f"{text(value)} [{text(low)}, {text(high)}]"
        for value, low, high in frame[["value", "low", "high"]].itertuples(index=False)
    ]


def ranks(out: Path) -> Cells:
    frame = read(out, "ranks")
    rank = frame[frame["metric"] == "rank/1"]
    budgets = ["7 blocks" if pd.isna(budget) else budget for budget in rank["budget"]]
    blocks = {"high": "3 blocks", "low": "4 blocks"}
    heads = [f"mean rank ({b})" if b not in blocks else f"mean rank in {b} ({blocks[b]})" for b in budgets]
    made = dict(zip(zip(rank["strategy"], heads, strict=True), texts(rank, 2), strict=True))
    for name, own in frame.groupby("strategy"):
        of = {metric: values["value"].astype(int).tolist() for metric, values in own.groupby("metric")}
        made[str(name), "places"] = f"{of['best place'][0]} to {of['worst place'][0]}"
        made[str(name), "groups"] = " ".join("ABCDEFG"[group - 1] for group in of.get("group", [])) or "-"
    return made


def square(out: Path, name: str, corner: str, digits: int) -> Cells:
    frame = read(out, name).fillna({"strategy": corner})
    made = dict(zip(zip(frame["strategy"], frame["versus"], strict=True), texts(frame, digits), strict=True))
    return made | {(name, name): "" for name in frame["versus"]}


def wins(out: Path) -> Cells:
    frame = read(out, "wins").astype({"value": int}).pivot(index=["strategy", "versus"], columns="metric")["value"]
    made = {pair: f"{own['wins']}/{own['ties']}/{own['losses']}" for pair, own in frame.iterrows()}
    return {(str(a), str(b)): text for (a, b), text in made.items()} | {(s, s): "" for s in STRATEGIES[:4]}


def iqm(out: Path) -> Cells:
    frame = read(out, "iqm")
    mean, less = (frame[frame["metric"] == metric] for metric in ("iqm/1", "iqm/1 difference"))
    columns = {
        "interquartile mean (iqm/1)": zip(mean["strategy"], texts(mean, 3), strict=True),
        "runs": zip(mean["strategy"], mean["n"].astype(str), strict=True),
        "less random, points": [("random", "-"), *zip(less["strategy"], texts(less, 1, "+"), strict=True)],
    }
    return {(name, column): text for column, pairs in columns.items() for name, text in pairs}


def savings(out: Path) -> Cells:
    """A saving that is infinite is told by the numbers of labels that the baseline's curve has."""
    frame = read(out, "saving-wine-raw-linear-low")
    base = read(out, "curves").query("dataset == 'wine' and budget == 'low' and strategy == 'random'")["n_labelled"]
    made: Cells = {}
    for row, text in zip(frame.to_dict("records"), texts(frame, 2), strict=True):
        n, head = row["n_labelled"], f"label saving at {row['n_labelled']} labels"
        known = text.replace("-inf", f"<{base.min() / n:.2f}").replace("inf", f">{base.max() / n:.2f}")
        made |= {(row["strategy"], head): known, (row["strategy"], "n"): str(row["n"]), ("random", head): "-"}
    assert np.isinf(frame["high"]).any()
    return made | {("random", "n"): "4"}


def gains(out: Path) -> Cells:
    frame = read(out, "gains").query("metric == 'gain/1 of aubc/1'")
    heads = frame["dataset"] + ", " + frame["budget"]
    made = {(s, h): f"{v:+.1f}" for s, h, v in zip(frame["strategy"], heads, frame["value"], strict=True)}
    return made | {("random", head): "0" for head in heads}


def test_the_marks_of_the_map_are_in_its_csv(out: Path) -> None:
    frame = read(out, "gains").query("metric == 'not beaten'")
    lines = lines_of(out, "Answer", "Gain over random")[2:]
    bold = {line.split(" | ")[0].strip("| "): line.count("**") // 2 for line in lines}
    found = frame.groupby("strategy")["value"].sum()
    assert found.sum() > 0
    assert {name: bold[str(name)] for name in found.index} == found.to_dict()


def test_where_nothing_was_compared_nothing_is_unbeaten(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", datasets=["wine"], budgets=["low"], seeds=1)
    write_report([run], tmp_path / "out", tables_only=True)
    frame = read(tmp_path / "out", "gains")
    assert set(frame["metric"]) == {"gain/1 of aubc/1"}


def by_labels(out: Path) -> Cells:
    frame = read(out, "gain-eurosat-raw-linear-low")
    names, heads = frame["strategy"], [f"gain at {n} labels" for n in frame["n_labelled"]]
    made = dict(zip(zip(names, heads, strict=True), texts(frame, 1, "+"), strict=True))
    return made | {(name, "n"): str(n) for name, n in zip(names, frame["n"], strict=True)}


def by_budget(out: Path) -> Cells:
    frame = read(out, "gain-wine-raw-linear")
    made: Cells = {}
    for metric, name, words, digits, sign in (
        ("aubc/1", "", "aubc/1 ", 3, ""),
        ("gain/1 of aubc/1", "", "", 1, "+"),
        ("final/1", "full data (final/1)", "", 3, ""),
    ):
        own = frame[frame["metric"] == metric]
        for row, text in zip(own.to_dict("records"), texts(own, digits, sign), strict=True):
            for budget in {"low", "high"} & {row["budget"]} or {"low", "high"}:  # the bound is that of each
                made[name or row["strategy"], f"{budget}, 10 to 50 labels"] = f"{words}{text} n={row['n']}"
    return made


TABLES: dict[str, tuple[str, str, Callable[[Path], Cells]]] = {
    "ranks": ("Ranks", "Mean ranks", ranks),
    "wins": ("Ranks", "Wins, ties, losses", wins),
    "penalties": ("Ranks", "Pairwise penalty matrix", lambda out: square(out, "penalties", "mean of the column", 2)),
    "iqm": ("Ranks", "Interquartile mean", iqm),
    "savings": ("Label saving", "wine/raw/linear, low", savings),
    "gains": ("Answer", "Gain over random", gains),
    "gain by labels": ("Gain by number of labels", "eurosat/raw/linear, low", by_labels),
    "gain by budget": ("Gain by budget", "wine/raw/linear", by_budget),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_csv_alone_makes_the_table(out: Path, name: str) -> None:
    section, title, made = TABLES[name]
    assert shown(out, section, title) == made(out)


def test_files_of_numbers_hold_nothing_else(out: Path) -> None:
    named = {path.stem for path in (out / "tables").glob("*.tex")} | {"profile"}
    for name in named - WORDS:
        frame = read(out, name)
        assert tuple(frame.columns[-len(VALUES) :]) == VALUES, name
        assert frame[["value", "low", "high", "n"]].map(np.isreal).all(axis=None), name
        assert frame[["metric", "value", "unit"]].notna().all(axis=None), name
        assert not frame.duplicated([*frame.columns[: -len(VALUES)], "metric", "value"]).any(), name


def test_what_is_about_less_has_an_empty_cell_and_what_is_no_number_no_row() -> None:
    numbers = Numbers(dataset="digits")
    assert numbers.keep(Interval(1.5, 1, 2, 3), "rank/1", "rank", strategy="b", n_labelled=10) == Interval(1.5, 1, 2, 3)
    assert np.isnan(numbers.keep(np.nan, "p", "share"))
    numbers.keep(7, "rows", "rows", 2, versus="a", dataset="wine")
    frame = numbers.frame()
    assert list(frame) == ["dataset", "strategy", "n_labelled", "versus", *VALUES]
    assert frame.to_csv(index=False).splitlines()[1:] == [
        "digits,b,10,,rank/1,1.5,1.0,2.0,3,rank",
        "wine,,,a,rows,7.0,,,2,rows",
    ]

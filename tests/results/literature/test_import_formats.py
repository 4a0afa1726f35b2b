"""Curves as others publish them: read, and said how, or refused with a command that reads them. No number changes."""

from __future__ import annotations

import csv
import io
import os
import shlex
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.commands import invoke

from albench.benchmark.types import UserError
from albench.results.literature.foreign_columns import parse_columns
from albench.results.literature.foreign_numbers import Format, shares
from albench.results.literature.foreign_table import read_curves

NAMES = ["dataset", "strategy", "seed", "n_labels", "accuracy"]
ROWS = [
    ("toys", rule, seed, n, f"0.{n // 10}{seed}{len(rule)}"[:6])
    for rule in ("random", "margin")
    for seed in (0, 1)
    for n in (10, 1000)
]
Values = list[tuple[object, ...]]


def table(separator: str = ",", rows: Sequence[Sequence[object]] = ROWS, header: Sequence[object] = NAMES) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="\n").writerows([header, *rows])
    return file.getvalue()


def read(path: Path, content: str | bytes, columns: str = "") -> tuple[Values, list[str]]:
    """Return the rows as read, sorted as `ROWS`, and the notes."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    curves = read_curves(path, parse_columns(columns))
    found = curves.rows[["dataset", "strategy", "seed", "n_labels", "accuracy"]].itertuples(index=False, name=None)
    return sorted(found), curves.notes


EXPECTED: Values = sorted((*row[:4], float(row[4])) for row in ROWS)


def of(**change: object) -> list[tuple[object, ...]]:
    """Return `ROWS` with some columns written otherwise."""
    return [tuple(change[k](v) if k in change else v for k, v in zip(NAMES, row, strict=True)) for row in ROWS]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (table(), []),
        (table("|"), ["separated by bars"]),
        (table("\t"), ["separated by tabs"]),
        (table(";", of(accuracy=lambda a: a.replace(".", ","))), ["separated by semicolons", "a comma marks decimals"]),
        (table("\t", of(accuracy=lambda a: a.replace(".", ","))), ["separated by tabs", "a comma marks decimals"]),
        (table(",", of(accuracy=lambda a: a.replace(".", ","))), ["a comma marks decimals"]),  # in quotes
        (b"\xef\xbb\xbf" + table().encode(), []),
        (table().encode("utf-16"), ["read as utf-16, for it is not UTF-8"]),
        (table().encode("utf-16-le"), ["read as utf-16-le, for it is not UTF-8"]),
        (table().encode("utf-16-be"), ["read as utf-16-be, for it is not UTF-8"]),
        (table().replace("\n", "\r\n"), []),
        (table().replace("\n", "\n\n"), []),
        ("# made by hand\n" + table() + "# the end\n", ["2 comment lines (#) left out"]),
        ("# " + table(), ["1 comment line (#) left out"]),  # as numpy.savetxt writes it
        (table().replace("toys", '"toys"'), []),
        (table().replace(",", ", "), []),
        (table(header=["Dataset", "Strategy", "Seed", "# labels", "Test accuracy"]), []),
        (table(header=["dataset", "Query Strategy", "random seed", "num-labels (#)", "acc"]), []),
        (table(rows=of(n_labels=lambda n: f"{n:,}")), ["n_labels '1,000' is 1000"]),
        (table(rows=of(n_labels=lambda n: f"{n:,}".replace(",", " "))), ["n_labels '1 000' is 1000"]),
        (table(rows=of(n_labels=lambda n: f"{n:,}".replace(",", "'"))), ['n_labels "1\'000" is 1000']),
        (
            table(";", of(n_labels=lambda n: f"{n:,}".replace(",", "."), accuracy=lambda a: a.replace(".", ","))),
            ["separated by semicolons", "a comma marks decimals", "n_labels '1.000' is 1000"],
        ),
        (table(rows=of(seed=lambda s: f"{s}.0", n_labels=lambda n: f"{n}.0")), []),
        (table(rows=of(accuracy=lambda a: f"{a}e0")), []),
    ],
)
def test_what_is_clear_is_read_and_said(content: str | bytes, notes: list[str], tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", content) == (EXPECTED, notes)


PERCENT = [f"{100 * float(a):.1f}" for *_, a in ROWS]


def percent(form: str) -> list[tuple[object, ...]]:
    return [(*row[:4], form.format(a)) for row, a in zip(ROWS, PERCENT, strict=True)]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (table(rows=percent("{}")), ""),
        (table(rows=percent("{}%")), ""),
        (table(rows=percent("{} %")), ""),
        (table(rows=percent("{}"), header=[*NAMES[:4], "accuracy (%)"]), ""),
        (table(rows=percent("{}"), header=[*NAMES[:4], "Test Acc [%]"]), ""),
        (table(rows=percent("{}"), header=[*NAMES[:4], "acc%"]), ""),
        (table(rows=percent("{} ± 1.5")), ""),
        (table(rows=percent("{}"), header=[*NAMES[:4], "score"]), "accuracy=score%"),
        (table(rows=percent("{}"), header=[*NAMES[:4], "a,b"]), "accuracy=#5%"),
    ],
)
def test_percent_are_shares_to_the_last_digit(content: str, columns: str, tmp_path: Path) -> None:
    values, notes = read(tmp_path / "a.csv", content, columns)
    expected = sorted((*row[:4], float(f"{float(a) / 100:.6g}")) for row, a in zip(ROWS, PERCENT, strict=True))
    assert values == expected
    assert notes[-1].startswith("accuracy is in percent: ")


@pytest.mark.parametrize("form", ["{} ± 0.01", "{} +/- 0.01", "{}±0.01", "{} (0.01)", r"{} \pm 0.01"])
def test_the_mean_of_mean_and_spread_is_read_and_said(form: str, tmp_path: Path) -> None:
    values, notes = read(tmp_path / "a.csv", table(rows=of(accuracy=form.format)))
    assert values == EXPECTED
    assert notes == [f"accuracy: of 8 fields like {form.format(ROWS[0][4])!r} the mean is read"]


def test_names_in_another_encoding(tmp_path: Path) -> None:
    values, notes = read(tmp_path / "a.csv", table().replace("toys", "jouets é").encode("latin-1"))
    assert {row[0] for row in values} == {"jouets é"}
    assert notes == ["read as cp1252, for it is not UTF-8"]


def wide(over: int) -> str:
    """Return `ROWS` with the values of one column (by its place) as headings."""
    kept = [name for i, name in enumerate(NAMES[:4]) if i != over]
    values: dict[tuple[object, ...], dict[object, str]] = {}
    for row in ROWS:
        values.setdefault(tuple(v for i, v in enumerate(row[:4]) if i != over), {})[row[over]] = row[4]
    heads = list(dict.fromkeys(row[over] for row in ROWS))
    return table(rows=[(*ids, *(of.get(h, "") for h in heads)) for ids, of in values.items()], header=[*kept, *heads])


@pytest.mark.parametrize("over", [1, 2, 3])
def test_a_table_with_one_column_for_each(over: int, tmp_path: Path) -> None:
    heads = {1: "random, margin", 2: "0, 1", 3: "10, 1000"}[over]
    assert read(tmp_path / "a.csv", wide(over)) == (EXPECTED, [f"one column for each {NAMES[over]}: {heads}"])
    assert read(tmp_path / "a.csv", wide(over), f"{NAMES[over]}=*")[0] == EXPECTED


def test_what_was_not_measured_is_left_out_of_a_wide_table(tmp_path: Path) -> None:
    content = wide(1).replace(ROWS[0][4], "", 1)
    values, notes = read(tmp_path / "a.csv", content)
    assert len(values) == len(EXPECTED) - 1
    assert notes[-1] == "1 empty fields left out"


BARS = "05-15 01:49" + "".join(f"|{seed}|{n}|0.{n}{seed}|0.002||\n" for seed in (0, 1) for n in (20, 21, 22))
COUNTS = ",0,1\n" + "".join(f"{n},{'' if n % 2 else f'0.7{n}'},{'' if n % 2 else f'0.8{n}'}\n" for n in range(5))
SPREAD = ",badge2000,random2000\nlr0.1,78.38 +/- 0.57,75.13 +/- 0.49\nlr0.01,75.25 +/- 1.05,76.2 +/- 0.7\n"
MIXED = "dataset,strategy,seed,n_labels,accuracy\nd,random,0,10,0.8\nd,random,0,20,1.5\n"
GERMAN = "d;random;0;10;0,82\nd;random;0;20;0,91\n"
RUNS = "labels,acc_run\n10,0.5\n20,0.6\n"


@pytest.mark.parametrize(
    ("content", "n", "first"),
    [
        (BARS, 6, 0.200),
        (BARS.replace("|", ","), 6, 0.200),
        (COUNTS, 6, 0.70),
        (SPREAD, 4, 0.7525),
        (MIXED, 2, 0.008),
        (GERMAN, 2, 0.82),
        (RUNS, 2, 0.5),
        ("n,random,margin\n10,0.5,0.6\n20,0.6,0.7\n", 4, 0.6),
        ("rule,10,20,30\nrandom,0.5,0.6,0.7\nmargin,0.5,0.7,0.8\n", 6, 0.5),
        ("a,b,c,d,e\ntoys,random,0,10,0.5\ntoys,random,0,20,0.6\n", 2, 0.5),
    ],
)
def test_what_is_not_clear_is_refused_with_a_command_that_reads_it(
    content: str, n: int, first: float, tmp_path: Path
) -> None:
    file, out = tmp_path / "as published.csv", tmp_path / "run"
    file.write_text(content)
    refused = invoke("import", file, "--out", out)
    assert (refused.status, refused.out) == (2, "")
    assert not out.exists()
    command = refused.err.splitlines()[-1].partition("this reads it")[2].partition(": ")[2]
    words = shlex.split(command.partition(" (what stands")[0])
    assert words[:2] == ["albench", "import"]
    assert invoke(*words[1:]).status == 0
    curves = read_curves(file, parse_columns(words[-1]))
    assert len(curves.rows) == n
    assert curves.rows.sort_values(["strategy", "dataset", "seed", "n_labels"])["accuracy"].iloc[0] == first


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (table(rows=of(accuracy=lambda a: f"{a}%" if a == ROWS[0][4] else a)), "accuracy has % in "),
        (
            table(rows=of(n_labels=lambda n: f"{n:,}".replace(",", "."))),
            "n_labels must be a whole number from 1 (1.000",
        ),
        (table(rows=of(n_labels=lambda n: f"{n}k")), "n_labels must be a whole number from 1, not '10k'"),
        (table(rows=of(accuracy=lambda a: f"{a},5")), "accuracy must be a number, not '"),
        (table(rows=of(n_labels=lambda n: f"{n:,}x")), "n_labels must be a whole number"),
        (table(header=[*NAMES[:3], "n_labels (thousands)", "accuracy"]), "no column 'n_labels'"),
        (table(rows=of(seed=lambda s: f"{s}_0")), "seed must be a whole number"),
        ("x" * 200_000 + "," + table(), "is not a CSV file: line 1: field larger than field limit"),
    ],
)
def test_what_cannot_be_told_is_refused(content: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path / "a.csv", content)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ("seed=*,strategy=*", "--columns: * can stand for one column only"),
        ("accuracy=#9", "--columns accuracy: no column '#9'"),
    ],
)
def test_columns_that_cannot_be(columns: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path / "a.csv", table(), columns)
    assert problem in str(caught.value)


@pytest.mark.timeout(60)
def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**40)
    for name, why in (
        ("pipe", "is not an ordinary"),
        ("zero", "is not an ordinary"),
        ("large", "has 1,099,511,627,776"),
    ):
        said = invoke("import", tmp_path / name, "--out", tmp_path / "run")
        assert (said.status, said.out) == (2, "")
        assert why in said.err


@given(st.decimals(0, 100, allow_nan=False, places=4), st.sampled_from(".,"))
def test_a_number_is_what_is_written(value: object, mark: str) -> None:
    text = f"{value}".replace(".", mark)
    assert float(Format(mark).plain(text)) == float(str(value))
    assert shares("a", pd.Series([f"{text}%"]), Format(mark), percent=False).values[0] == pytest.approx(
        float(str(value)) / 100, rel=1e-15
    )


FIELDS = st.sampled_from(
    [
        "0.5",
        "0,5",
        "50%",
        "95 ± 1",
        "1,000",
        "1.000",
        "10",
        "0",
        "-1",
        "nan",
        "",
        "random",
        "é",
        '"',
        "#",
        "*",
        ":",
        "1e999",
        "\0",
    ]
)
FILES = st.builds(
    lambda rows, sign, header, end: "\n".join(sign.join(row) for row in ([header, *rows] if header else rows)) + end,
    st.lists(st.lists(FIELDS, min_size=1, max_size=6), max_size=6),
    st.sampled_from([",", ";", "\t", "|", " "]),
    st.lists(st.sampled_from([*NAMES, "acc", "10", "0", "x", "accuracy (%)", ""]), max_size=6),
    st.sampled_from(["", "\n", "\r", '"']),
)


@settings(max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(FILES.map(str.encode), st.binary(max_size=200)),
    st.sampled_from(
        ["", "strategy=*", "seed=#2", "accuracy=#1%,seed=:0", "dataset=:d,strategy=:s,seed=:1,n_labels=#1,accuracy=#2"]
    ),
)
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path: Path, content: bytes, columns: str) -> None:
    try:
        values, _ = read(tmp_path / "a.csv", content, columns)
    except UserError:
        return
    else:
        assert all(0 <= row[4] <= 1 for row in values)  # type: ignore[operator]  # a float


@settings(max_examples=100, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.decimals(0, 1, allow_nan=False, places=5), min_size=1, max_size=9),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(".,"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["{}", "{}%", "{} ± 0.1"]),
    st.integers(1, 10**7),
)
def test_a_number_is_the_same_however_it_is_written(
    tmp_path: Path, values: list[Decimal], sign: str, mark: str, encoding: str, form: str, first: int
) -> None:
    scale = 100 if "%" in form else 1
    rows = [
        ("d", "random", 0, f"{first + i:,}", form.format(str(v * scale).replace(".", mark)))
        for i, v in enumerate(values)
    ]
    if mark == ",":
        rows = [(*row[:3], row[3].replace(",", "."), row[4]) for row in rows]
    found, _ = read(tmp_path / "a.csv", table(sign, rows).encode(encoding))
    assert found == [("d", "random", 0, first + i, float(value)) for i, value in enumerate(values)]

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.synthetic import write_run

from albench.results.report.blocks import Block
from albench.results.report.latex import LONG_TABLE, escape, table
from albench.results.report.report import write_report

HARD = "50 % of a_b & c#d $x$ {e} ~f ^g \\h <i> |j| ü ± \N{MINUS SIGN} τ → 中 “k” 'l' *m [n]"
BLOCK = Block(
    "Budget_low & co",
    text="Means of 100 % in ±.",
    columns=("strategy", "aubc/1", "note"),
    rows=(("random", "0.704 ±0.030", HARD), ("[margin]", "-1.5 [-2.0, +1.0]", "")),
    strong=frozenset({(1, 1)}),
    name="budget-low",
)


def test_a_table_has_rules_a_caption_a_label_and_the_best_in_bold() -> None:
    text = table(BLOCK)
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\label{tab:budget-low}", r"\caption{Budget\_low \& co. "):
        assert text.count(part) == 1
    assert r"\begin{tabular}{lrp{0.3\linewidth}}" in text
    assert r"random & 0.704 $\pm$0.030 & 50 \% of" in text
    assert r"{[margin]} & \textbf{$-$1.5 [$-$2.0, +1.0]} &  \\" in text
    assert table(BLOCK, "Accuracy").count(r"\caption{Accuracy: Budget\_low") == 1


def test_a_hyphen_is_a_minus_only_before_a_number_of_its_own() -> None:
    assert escape("-2.5 [-3, -.5] n=-1") == "$-$2.5 [$-$3, $-$.5] n=$-$1"
    assert escape("least-confidence 10-20 resnet-18 1e-5 -") == "least-confidence 10-20 resnet-18 1e-5 -"


@given(st.text())
def test_no_text_can_become_markup(text: str) -> None:
    plain = re.sub(r"\\text[a-z]+\{\}|\\ldots\{\}|\\S\{\}|\$[^$]+\$|\\[&%$#_{}]", "", escape(text))
    assert not set(plain) & set("\\&%$#_{}^\n")


WIDE = Block("t", columns=("strategy", *"abcdefghi"), rows=(("margin", *["least-confidence"] * 9),), name="t")


def test_a_wide_table_comes_in_small_print_then_in_parts_and_a_long_one_goes_over_pages() -> None:
    text = table(WIDE)
    assert text.count(r"\begin{table}") == text.count(r"\footnotesize") == text.count("margin & ") == 3
    assert [text.count(f"Part {n} of 3.") for n in (1, 2, 3)] == [1, 1, 1]
    assert text.count(r"\label{tab:t}") == 1
    assert "resizebox" not in text
    assert [line.count("&") for line in text.splitlines() if line.startswith("margin")] == [4, 4, 1]
    smaller = Block("t", columns=("strategy", *"abcd"), rows=(("margin", *["least-confidence"] * 4),), name="t")
    assert (table(smaller).count(r"\footnotesize"), table(smaller).count(r"\begin{table}")) == (1, 1)
    three = Block("t", columns=("strategy", *"abc"), rows=(("random", *["0.839 [0.812, 0.866]"] * 3),), name="t")
    bold = Block("t", columns=three.columns, rows=three.rows, strong=frozenset({(0, 1), (0, 2), (0, 3)}), name="t")
    assert [table(block).count(r"\begin{table}") for block in (three, bold)] == [1, 2]
    again = Block("t", columns=WIDE.columns, rows=WIDE.rows * 2, name="t")
    assert (
        table(again).count("1 & margin & ")
        == table(again).count("2 & margin & ")
        == len(table(again).split("Part")) - 1
    )
    long = Block("t", columns=("a",), rows=(("1",),) * (LONG_TABLE + 1), name="t")
    assert table(long).count(r"\begin{longtable}{r}") == 1
    assert r"\begin{table}" not in table(long)
    assert r"\small" in table(BLOCK)


def test_long_names_may_go_on_in_the_next_line_and_lose_nothing() -> None:
    name = "digits/raw/linear(C=0.0001) -> linear(C=1|0.0001, 3_folds)"
    text = table(Block("t", columns=("strategy", "why"), rows=(("margin", name),), name="t"))
    (row,) = (line for line in text.splitlines() if line.startswith("margin"))
    assert row.count(r"\allowbreak{}") == 8
    assert row.replace(r"\allowbreak{}", "") == rf"margin & {escape(name)} \\"


def test_a_heading_is_broken_where_its_column_is_narrower() -> None:
    block = Block(
        "t", columns=("strategy", "digits/simclr(width=16)/linear"), rows=(("random", "0.839 ±0.018"),), name="t"
    )
    assert r"strategy & \shortstack[r]{digits/ \\ simclr( \\ width=16)/ \\ linear} \\" in table(block)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (apt: texlive-latex-recommended)")
def test_tables_compile_and_none_is_wider_than_the_text(tmp_path: Path) -> None:
    long = Block(HARD, columns=("a", "b"), rows=(("*", HARD), ("[x]", "2"), *((("1", "-"),) * LONG_TABLE)), name="x")
    strong = frozenset((i, j) for i in range(2) for j in range(1, 10))
    bold = Block(
        "bold", columns=WIDE.columns, rows=(("random", *["0.839 [0.812, 0.866]"] * 9),) * 2, strong=strong, name="b"
    )
    words = Block("capitals", columns=("W" * 12, "M" * 12), rows=(("W" * 12, "M" * 12),), name="w")
    made = write_report([write_run(tmp_path / "run")], tmp_path / "report")
    tables = [path.read_text() for path in made.files if path.suffix == ".tex"]
    assert len(tables) > 10
    body = "\n\\clearpage\n".join([table(BLOCK), table(long), table(WIDE), table(bold), table(words), *tables])
    packages = "[T1]{fontenc}\\usepackage[utf8]{inputenc}\\usepackage{booktabs,longtable}"
    text = f"\\documentclass{{article}}\\usepackage{packages}\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert "Missing character" not in log
    assert [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)] == []

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albench.results.report.blocks import Block
from albench.results.report.latex import LONG_TABLE, escape, table

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


def test_a_wide_table_is_shrunk_and_a_long_one_goes_over_pages() -> None:
    wide = Block("t", columns=("strategy",) * 10, rows=(("least-confidence",) * 10,), name="t")
    assert r"\resizebox{\linewidth}" in table(wide)
    assert "graphicx" in table(wide)
    long = Block("t", columns=("a",), rows=(("1",),) * (LONG_TABLE + 1), name="t")
    assert table(long).count(r"\begin{longtable}{r}") == 1
    assert r"\begin{table}" not in table(long)
    assert "resizebox" not in table(BLOCK)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (apt: texlive-latex-recommended)")
def test_tables_compile(tmp_path: Path) -> None:
    long = Block(HARD, columns=("a", "b"), rows=(("*", HARD), ("[x]", "2"), *((("1", "-"),) * LONG_TABLE)), name="x")
    wide = Block("wide", columns=("strategy",) * 10, rows=(("least-confidence",) * 10,), name="wide")
    packages = "[T1]{fontenc}\\usepackage[utf8]{inputenc}\\usepackage{booktabs,graphicx,longtable}"
    body = "\n".join([table(BLOCK), table(long), table(wide)])
    text = f"\\documentclass{{article}}\\usepackage{packages}\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "paper.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "paper.log").read_text(errors="replace")

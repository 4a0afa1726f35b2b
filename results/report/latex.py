"""Tables as LaTeX for a paper: booktabs rules, every character escaped, the best in bold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .blocks import Block, stem

LONG_CELL = 40  # characters from which a column wraps
LONG_TABLE = 45  # rows from which a table goes over pages
PAGE = 92  # characters in a line of small print

_NUMBER = re.compile(r"[+-]?[\d.]")
_EMPTY = {"", "-"}
_MINUS = re.compile(r"(?<![\w.)\]-])-(?=[\d.])")
_ESCAPED = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", '"': "''"},
    **{
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        "±": r"$\pm$",
        "\N{MINUS SIGN}": "$-$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
    },
    **{"\N{EN DASH}": "--", "\N{EM DASH}": "---", "…": r"\ldots{}", "§": r"\S{}", "\N{NO-BREAK SPACE}": "~"},
    **{"τ": r"$\tau$", "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "∞": r"$\infty$", "·": r"$\cdot$"},
    **{"→": r"$\rightarrow$", "←": r"$\leftarrow$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "✓": r"$\checkmark$"},
    **{"“": "``", "”": "''", "\N{LEFT SINGLE QUOTATION MARK}": "`", "\N{RIGHT SINGLE QUOTATION MARK}": "'"},
}
_LATIN = re.compile("[\u00a1-\u017e]")  # what LaTeX's utf8 knows by itself


def table(block: Block, under: str = "") -> str:
    """Return the table of a block as one float with caption and label; a long one goes over pages.

    ``under`` is the heading that the block stands under, for the caption.

    Words are on the left, numbers on the right, columns with long texts wrap; a table wider than a page is shrunk to
    its width. A character that LaTeX does not know is shown by its code point.
    """
    texts = [[row[j] for row in (block.columns, *block.rows)] for j in range(len(block.columns))]
    columns = "".join(_alignment(column[1:]) for column in texts)
    head = [r"\toprule", _row(block.columns), r"\midrule"]
    body = [_row(row, {j for i_, j in block.strong if i_ == i}) for i, row in enumerate(block.rows)]
    caption = rf"\caption{{{_caption(block, under)}}}\label{{tab:{stem(block.name)}}}"
    is_wide = sum(min(max(map(len, column)), LONG_CELL) + 2 for column in texts) > PAGE
    if len(block.rows) > LONG_TABLE:
        size = r"{\scriptsize\setlength{\tabcolsep}{3pt}" if is_wide else r"{\small"
        begin = [size, rf"\begin{{longtable}}{{{columns}}}", caption + r"\\", *head, r"\endfirsthead"]
        middle = [*head, r"\endhead", r"\bottomrule", r"\endfoot", *body]
        return _lines(_needs("booktabs", "longtable"), *begin, *middle, r"\end{longtable}}")
    rules = [rf"\begin{{tabular}}{{{columns}}}", *head, *body, r"\bottomrule", r"\end{tabular}"]
    packages = ["booktabs"]
    if is_wide:
        rules, packages = [r"\resizebox{\linewidth}{!}{%", *rules, "}"], ["booktabs", "graphicx"]
    return _lines(_needs(*packages), r"\begin{table}[tbp]", r"\centering\small", caption, *rules, r"\end{table}")


def _needs(*packages: str) -> str:
    return f"% \\usepackage{{{','.join(packages)}}}"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is; a hyphen before a number becomes a minus."""
    marked = _MINUS.sub("\N{MINUS SIGN}", " ".join(text.split()))
    return "".join(_ESCAPED.get(letter) or _known(letter) for letter in marked)


def _known(letter: str) -> str:
    if (letter.isascii() and letter.isprintable()) or _LATIN.match(letter):
        return letter
    return f"[U+{ord(letter):04X}]"


def _alignment(texts: Sequence[str]) -> str:
    if any(len(text) > LONG_CELL for text in texts):
        return r"p{0.3\linewidth}"
    told = [text for text in texts if text not in _EMPTY]
    return "r" if told and all(_NUMBER.match(text) for text in told) else "l"


def _caption(block: Block, under: str) -> str:
    title = f"{under}: {block.title}" if under else block.title
    return escape(f"{title.rstrip('.')}. {block.text} {block.note}".strip())


def _row(texts: Sequence[str], strong: set[int] | frozenset[int] = frozenset()) -> str:
    cells = [escape(text) for text in texts]
    if cells[0].startswith(("[", "*")):  # which the line break before it would take for its own
        cells[0] = f"{{{cells[0]}}}"
    return " & ".join(rf"\textbf{{{text}}}" if j in strong else text for j, text in enumerate(cells)) + r" \\"


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"

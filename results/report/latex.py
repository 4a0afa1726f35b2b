"""Tables as LaTeX for a paper: booktabs rules, every character escaped, the best in bold."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .blocks import Block, stem

LONG_CELL = 32  # characters from which a column wraps
LONG_TABLE = 45  # rows from which a table goes over pages
TEXT = 345.0  # points that a line of LaTeX's article has
SIZES = {r"\small": (4.7, 12.0), r"\footnotesize": (4.3, 6.0)}
"""Points of a character, and between two columns, by size of print; none is smaller."""
BOLD = 1.15  # how much wider a bold character is
HEAD = 10  # characters that a line of a heading may always have

_NUMBER = re.compile(r"[+-]?[\d.]")
_EMPTY = {"", "-"}
_BREAKS = re.compile(r"(?<=[/, (])")  # where a heading may go to its next line
_IN_NAMES = re.compile(r"(?<=[/,=(_|])(?=\S)")
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

    Words are on the left, numbers on the right, columns with long texts wrap, headings too. What is wider than a line
    (`TEXT`) is set in footnotesize, and, if that is not enough, in parts of fewer columns, each with the first one; no
    table is shrunk. A character that LaTeX does not know is shown by its code point.
    """
    columns = [_Column.of(block, j) for j in range(len(block.columns))]
    size = next((size for size in SIZES if _width(columns, size) <= TEXT), [*SIZES][-1])
    parts = _parts(columns, size)
    is_long = len(block.rows) > LONG_TABLE
    caption, label = _caption(block, under), rf"\label{{tab:{stem(block.name)}}}"
    lines = [_needs("booktabs", *(["longtable"] if is_long else []))]
    for i, part in enumerate(parts):
        more = rf" Part {i + 1} of {len(parts)}." if len(parts) > 1 else ""
        told = rf"\caption{{{caption}{more}}}" + (label if i == 0 else "")
        lines += (_long if is_long else _float)(part, size, told)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Column:
    """A column as LaTeX prints it: how it is set, its heading, its cells, and how many characters it is wide."""

    alignment: str
    head: str
    cells: tuple[str, ...]
    characters: float

    @classmethod
    def of(cls, block: Block, j: int) -> _Column:
        texts = [row[j] for row in block.rows]
        alignment, strong = _alignment(texts), {i for i, j_ in block.strong if j_ == j}
        widest = max(map(_length, texts), default=0.0) * (BOLD if strong else 1.0)
        lines = _broken(block.columns[j], max(HEAD, math.ceil(widest)))
        set_as = _breakable if alignment.startswith("p") else escape
        cells = [set_as(text) for text in texts]
        bold = tuple(rf"\textbf{{{cell}}}" if i in strong else cell for i, cell in enumerate(cells))
        head = [escape(line) for line in lines]
        side = "r" if alignment == "r" else "l"
        stacked = r" \\ ".join(head)
        shown = stacked if len(head) == 1 else rf"\shortstack[{side}]{{{stacked}}}"
        return cls(alignment, shown, bold, max(widest, *map(_length, lines)))

    @property
    def wraps(self) -> bool:
        return self.alignment.startswith("p")


def _width(columns: Sequence[_Column], size: str) -> float:
    """Return the points that columns take beside each other."""
    letter, between = SIZES[size]
    return sum(between + (0.3 * TEXT if column.wraps else letter * column.characters) for column in columns)


def _parts(columns: Sequence[_Column], size: str) -> list[list[_Column]]:
    """Return the columns in parts that fit a line; each begins with the first one, numbered where it repeats."""
    first, *rest = columns
    keys = [first]
    if len(set(first.cells)) < len(first.cells) and _width(columns, size) > TEXT:
        rows = tuple(str(i) for i in range(1, len(first.cells) + 1))
        keys = [_Column("r", r"\#", rows, len(rows[-1])), first]
    parts: list[list[_Column]] = [[*keys]]
    for column in rest:
        if len(parts[-1]) > len(keys) and _width([*parts[-1], column], size) > TEXT:
            parts.append([*keys])
        parts[-1].append(column)
    return parts


def _float(part: Sequence[_Column], size: str, caption: str) -> list[str]:
    begin = [r"\begin{table}[tbp]", rf"\centering{size}{_narrow(size)}", caption]
    begin.append(rf"\begin{{tabular}}{{{''.join(column.alignment for column in part)}}}")
    rows = [r"\toprule", _heads(part), r"\midrule", *_rows(part), r"\bottomrule"]
    return [*begin, *rows, r"\end{tabular}", r"\end{table}"]


def _long(part: Sequence[_Column], size: str, caption: str) -> list[str]:
    head = [r"\toprule", _heads(part), r"\midrule"]
    columns = "".join(column.alignment for column in part)
    begin = [f"{{{size}{_narrow(size)}", rf"\begin{{longtable}}{{{columns}}}", caption + r"\\", *head, r"\endfirsthead"]
    return [*begin, *head, r"\endhead", r"\bottomrule", r"\endfoot", *_rows(part), r"\end{longtable}}"]


def _narrow(size: str) -> str:
    return rf"\setlength{{\tabcolsep}}{{{SIZES[size][1] / 2:g}pt}}"


def _heads(part: Sequence[_Column]) -> str:
    return " & ".join(column.head for column in part) + r" \\"


def _rows(part: Sequence[_Column]) -> list[str]:
    return [_row(cells) for cells in zip(*(column.cells for column in part), strict=True)]


def _length(text: str) -> float:
    """Return how many characters of the usual width a text is as wide as."""
    return sum(2.0 if letter in "MW@%\\" else 1.5 if letter in "mw" or letter.isupper() else 1.0 for letter in text)


def _broken(text: str, width: int) -> list[str]:
    """Return a heading in lines of at most ``width`` characters where it can be broken."""
    lines = [""]
    for word in _BREAKS.split(text):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return [line.strip() for line in lines]


def _needs(*packages: str) -> str:
    return f"% \\usepackage{{{','.join(packages)}}}"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is; a hyphen before a number becomes a minus."""
    marked = _MINUS.sub("\N{MINUS SIGN}", " ".join(text.split()))
    return "".join(_ESCAPED.get(letter) or _known(letter) for letter in marked)


def _breakable(text: str) -> str:
    """Return a text for a column that wraps: a long name may go on in the next line."""
    return r"\allowbreak{}".join(escape(part) for part in _IN_NAMES.split(text))


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


def _row(cells: Sequence[str]) -> str:
    first, *rest = cells
    if first.startswith(("[", "*")):  # which the line break before it would take for its own
        first = f"{{{first}}}"
    return " & ".join([first, *rest]) + r" \\"

"""A report as Markdown with pipe tables; names are escaped so that they cannot become markup.

Brackets of intervals stay legible: only those that could end a link's text are escaped. A bare address stays one, which
some readers link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from .blocks import Block
from .names import plain

_MARKUP = re.compile(r"[\\`*~|]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])")  # an underscore within a word is no markup
_BEGINNING = re.compile(r"^(\d*)([-+#.)=]|\[(?=[ xX]\]))")  # of a list, heading, rule, or task
_ROUND = str.maketrans("[]", "()")  # an odd bracket would end the text of a picture


def markdown(title: str, content: Sequence[Block], pictures: Mapping[str, str] | None = None) -> str:
    """Return the report; ``pictures`` are the files of figures by figure name, shown where the figure belongs."""
    lines = [f"# {_text(title)}"]
    for block in content:
        lines += ["", f"{'#' * block.level} {_text(block.title)}"]
        if block.text:
            lines += ["", _paragraph(block.text)]
        if block.items:
            lines += ["", *(f"- {_paragraph(item)}" for item in block.items)]
        if block.columns:
            lines += ["", _row(_text(plain(column)) for column in block.columns), "|" + " --- |" * len(block.columns)]
        for i, row in enumerate(block.rows):
            cells = (_text(text) for text in row)
            lines.append(_row(f"**{text}**" if (i, j) in block.strong else text for j, text in enumerate(cells)))
        if block.note:
            lines += ["", _paragraph(block.note)]
        if block.figure and pictures and (path := pictures.get(block.figure.name)):
            lines += ["", f"![{_text(block.title.translate(_ROUND))}]({path})"]
        if block.code:
            lines += ["", *(f"    {line}".rstrip() for line in block.code.splitlines())]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", escape(" ".join(text.split()), quote=False))


def _paragraph(text: str) -> str:
    return _BEGINNING.sub(r"\1\\\2", _text(text))


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"

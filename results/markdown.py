"""A report as Markdown with pipe tables; names are escaped so that they cannot become markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from .blocks import Block


def markdown(title: str, content: Sequence[Block], pictures: Mapping[str, str] | None = None) -> str:
    """Return the report; ``pictures`` are the files of figures by figure name, shown where the figure belongs."""
    lines = [f"# {_text(title)}"]
    for block in content:
        lines += ["", f"{'#' * block.level} {_text(block.title)}"]
        if block.text:
            lines += ["", _text(block.text)]
        if block.items:
            lines += ["", *(f"- {_text(item)}" for item in block.items)]
        if block.columns:
            lines += ["", _row(block.columns), "|" + " --- |" * len(block.columns)]
        for i, row in enumerate(block.rows):
            lines.append(_row([f"**{t}**" if (i, j) in block.strong else t for j, t in enumerate(row)]))
        if block.figure and pictures and (path := pictures.get(block.figure.name)):
            lines += ["", f"![{_text(block.title)}]({path})"]
        if block.code:
            lines += ["", *(f"    {line}".rstrip() for line in block.code.splitlines())]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(_text(text) for text in texts) + " |"

"""``<!-- derived: strategies -->`` (learners, encoders, datasets, grids) becomes what ``albench list`` knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from albench.benchmark import registry
from albench.benchmark.grid import packaged
from albench.benchmark.grid.params import describe
from albench.benchmark.registry import Plugin, Registry

MARK = re.compile("<!-- derived: (strategies|learners|encoders|datasets|grids) -->")
ARXIV = re.compile(r"\(?arXiv:? (\d{4}\.\d{4,5})\)?")
SPECIAL = re.compile(r"([*_|<])")


def on_page_markdown(markdown: str, **_: Any) -> str:
    return MARK.sub(lambda mark: "\n".join(_lines(mark[1])), markdown)


def _lines(kind: str) -> Iterator[str]:
    if kind == "grids":
        yield from ("| grid | |", "| --- | --- |")
        yield from (f"| `{name}` | {_prose(text)} |" for name, text in packaged.summaries().items())
        return
    plugins: Registry = getattr(registry, kind)
    found = sorted(map(plugins.get, plugins.names()), key=lambda plugin: (plugin.family, plugin.name))
    for family, members in groupby(found, key=lambda plugin: plugin.family):
        yield from (f"## {family or ('baseline' if kind == 'strategies' else kind)}", "")
        for plugin in members:
            yield from _entry(plugin)


def _entry(plugin: Plugin) -> Iterator[str]:
    """Yield a heading, the summary and the source; what else ``albench list`` tells is folded."""
    yield from (f"### {plugin.name}", "", _prose(plugin.summary), "")
    if plugin.cite:
        yield from (f"*{_cite(plugin.cite)}*", "")
    yield from ('??? info "parameters and all else"', "", "    ```text")
    yield from (f"    {line}" for line in describe(plugin))
    yield from ("    ```", "")


def _prose(text: str) -> str:
    """Return a line of a docstring as Markdown: code stays code, what else would be markup is text."""
    parts = re.split(r"(``.+?``|`.+?`)", text)
    return "".join(part if part.startswith("`") else SPECIAL.sub(r"\\\1", part) for part in parts)


def _cite(text: str) -> str:
    return ARXIV.sub(r"([arXiv \1](https://arxiv.org/abs/\1))", SPECIAL.sub(r"\\\1", text))

"""A report as one HTML page that needs no network: tables to sort and filter, and charts drawn by Vega, which is in it.

The page forbids itself all requests (its content security policy), so that it stays alone whatever is in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ....datasets.reading.base import cache_dir
from ....datasets.reading.plain import whole
from ...measures.tables import Setting, Summary
from ..blocks import ARXIV, DOI, Block, stem
from .tables import Table, table

TEMPLATE = "page.html.j2"
SCRIPTS = ("charts.js", "page.js")
"""One script of the page, in this order: the second begins."""
OPEN = ("Answer", "Leaderboard", "Learning curves", "Section ")
"""Sections whose titles begin so are not folded."""
_HERE = Path(__file__).parent
_PAPERS = ((ARXIV, "https://arxiv.org/abs/"), (DOI, "https://doi.org/"))


@dataclass(frozen=True)
class View:
    """What a reader chooses from: settings as ``digits/raw/linear``, budgets, strategies."""

    settings: Sequence[str] = ()
    budgets: Sequence[str] = ()
    strategies: Sequence[str] = ()

    @classmethod
    def of(cls, summary: Summary) -> View:
        return cls([str(setting) for setting in summary.settings()], summary.budgets(), summary.strategies())


@dataclass(frozen=True)
class Part:
    """A block with its address on the page, the setting and budget that it is about, and its table."""

    id: str
    block: Block
    setting: str
    budget: str
    table: Table | None

    @property
    def is_list(self) -> bool:
        """Whether it is a list and nothing else: then it is folded."""
        return bool(self.block.items) and not self.table and not self.block.figure


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it; ``is_open`` where it is not folded."""

    head: Part
    parts: list[Part] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.head.block.title.startswith(OPEN)


def html(title: str, content: Sequence[Block], view: View | None = None, pictures: Collection[str] = ()) -> str:
    """Return the report as one page, which links ``pictures``: names of figures that are files beside it.

    Vega is in it only where there is a chart.
    """
    view = view or View()
    shown = [block for block in content if block.on_page]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"script_json": _script_json, "linked": linked}
    sections = list(_sections(shown, view))
    return environment.get_template(TEMPLATE).render(
        title=title,
        badges=[section for section in sections if section.head.block.badge],
        sections=[section for section in sections if not section.head.block.badge],
        grid=next((each.head.id for each in sections if each.head.block.title.startswith("The grid of")), ""),
        view=view,
        pictures=pictures,
        style=_asset("page.css"),
        script="\n".join(map(_asset, SCRIPTS)),
        vega=vega() if any(block.figure and block.figure.on_page for block in shown) else "",
    )


def _sections(content: Sequence[Block], view: View) -> Iterator[Section]:
    taken: Counter[str] = Counter()
    section: Section | None = None
    for block in content:
        is_head = section is None or block.level == 2
        name = stem(block.title) if is_head or section is None else stem(section.head.block.title, block.title)
        taken[name] += 1
        own = f"{name}-{taken[name]}" if taken[name] > 1 else name or "part"
        names = [block.about[part] for part in Setting._fields if part in block.about]
        setting = "/".join(names) if len(names) == len(Setting._fields) else ""
        made = table(block, view.strategies) if block.columns else None
        part = Part(own, block, setting, block.about.get("budget", ""), made)
        if is_head or section is None:
            if section is not None:
                yield section
            section = Section(part)
        else:
            section.parts.append(part)
    if section is not None:
        yield section


def linked(text: str) -> Markup:
    """Return a text in which papers that it names by arXiv number or DOI are links; all else is escaped."""
    found = sorted((match.start(), match, base) for pattern, base in _PAPERS for match in pattern.finditer(text))
    parts, end = [], 0
    for start, match, base in found:
        parts += [escape(text[end:start]), Markup('<a href="{}">{}</a>').format(base + match[1], match[0])]
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


@cache
def vega() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, which vl-convert brings.

    Putting it together takes seconds, so it is kept in albench's cache.
    """
    import vl_convert  # noqa: PLC0415  only a report pays for it

    kept = cache_dir() / "page" / f"vega-{version('vl-convert-python')}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except OSError:
        script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    with suppress(OSError), whole(kept) as file:  # a cache that cannot be written costs time only
        file.write(script.encode())
    return script


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _script_json(value: Any) -> str:
    """Return JSON that no text in it can end the script element of."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")

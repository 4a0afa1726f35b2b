"""A report as one HTML page that needs no network: tables to sort and filter, and charts drawn by Vega, which is in it.

The page forbids itself all requests (its content security policy), so that it stays alone whatever is in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2

from ...datasets.reading.base import cache_dir
from ...datasets.reading.plain import whole
from ..measures.tables import IDENTITY
from .blocks import Block

TEMPLATE = "report.html.j2"
_HERE = Path(__file__).parent


def html(title: str, content: Sequence[Block]) -> str:
    """Return the report as one page. Vega is in it only where there is a chart."""
    charts = [block.figure for block in content if block.figure is not None]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["script_json"] = _script_json
    return environment.get_template(TEMPLATE).render(
        title=title,
        content=content,
        filters=filters(content),
        style=_asset("page.css"),
        script=_asset("page.js"),
        vega=vega() if charts else "",
    )


def filters(content: Sequence[Block]) -> dict[str, list[str]]:
    """Return what the page can be narrowed down to: the values of each column of `IDENTITY` that has several."""
    values: dict[str, dict[str, None]] = {name: {} for name in IDENTITY}
    for block in content:
        for name in IDENTITY:
            if name in block.columns and is_filtered(block):
                at = block.columns.index(name)
                values[name] |= dict.fromkeys(row[at] for row in block.rows)
            elif name in block.about:
                values[name] |= {block.about[name]: None}
    return {name: list(found) for name, found in values.items() if len(found) > 1}


def is_filtered(block: Block) -> bool:
    """Return whether the rows of a table are cells of the study: then they follow the filters."""
    return {"dataset", "strategy"} <= set(block.columns)


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
    return (_HERE / "page" / name).read_text(encoding="utf-8")


def _script_json(value: Any) -> str:
    """Return JSON that no text in it can end the script element of."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")

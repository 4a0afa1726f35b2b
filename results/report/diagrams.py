"""The diagrams whose every place is computed, as Vega-Lite specifications: critical differences, the map of gains."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .blocks import Block, Figure
from .charts import LETTER, WIDTH, Spec, axis, figure_of, tip
from .latex import TEXT
from .look import GREY, INK

PAPER = int(TEXT / 72.27 * 72)
"""Pixels that a line of LaTeX has: one of a PDF is 1/72 inch, a point of LaTeX 1/72.27."""
UP, DOWN, DEEPEST = (0x4A, 0x90, 0xD9), (0xE0, 0x8A, 0x3C), 0.8
"""The colours of gains and losses, as on the page, and the share of them in the deepest cell: words stay readable."""
_PRINT, _LINE, _ROW = 8, 10, 14  # points of print, from line to line, from row to row
_LETTER = 4.6  # points of a letter, at most
_NARROWEST, _WIDEST, _LONGEST, _PAD = 24, 90, 110, 4  # points of a cell, of a name, and around it all


def critical_difference(names: Sequence[str], ranks: ArrayLike, groups: Iterable[Sequence[str]], title: str) -> Figure:
    """Draw mean ranks (K,) on a line, 1 being best; a bar joins each group of names that cannot be told apart.

    Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 2006, Figure 1, best at the left.
    """
    mean = dict(zip(names, np.asarray(ranks, dtype=np.float64).tolist(), strict=True))
    order = sorted(names, key=lambda name: mean[name])
    k, half = len(order), (len(order) + 1) // 2
    label = max(map(len, order), default=0) * LETTER + 48  # pixels at each side for a name and its rank
    low, high = 1.0, float(max(k, 2))
    wide = max(WIDTH, round(2 * label + 40 + 16 * max(k, 12)))
    reach = (high - low) * label / (wide - 40 - 2 * label)
    joined = [sorted(mean[name] for name in group) for group in groups if len(group) > 1]
    margin = 0.02 * (high - low)
    bars = [{"x": bar[0] - margin, "to": bar[-1] + margin, "y": 0.4 + 0.4 * i} for i, bar in enumerate(joined)]
    top = 0.7 + 0.4 * len(bars)  # rows below the line where the names begin
    words = []
    for place, name in enumerate(order):
        left = place < half
        end = low - reach * 0.06 if left else high + reach * 0.06
        row = top + (place if left else k - 0.5 - place)  # lines of equal ranks do not meet
        words.append({"name": name, "rank": mean[name], "x": end, "y": row, "left": left})
    axes = {
        "x": axis("x") | {"axis": None, "scale": {"domain": [low - reach, high + reach], "nice": False}},
        "y": axis("y") | {"axis": None, "scale": {"domain": [top + half, -0.9], "nice": False}},
    }
    thick = {"type": "rule", "strokeWidth": 5, "strokeCap": "round"}
    layers = [
        *_ruler(low, high),
        _elbows(words),
        {"data": {"values": bars}, "mark": thick, "encoding": {"x2": {"field": "to"}}},
        *(_words(words, left) for left in (True, False)),
    ]
    height = round(24 * (top + half + 1))
    spec = {"layer": layers, "encoding": axes, "width": wide, "height": height, "view": {"stroke": None}}
    return figure_of("critical_difference", title, None, spec, min_width=min(wide, 2 * label + 180))


def _ruler(low: float, high: float) -> list[Spec]:
    """Return the line of ranks with its ticks and their numbers."""
    line = {"values": [{"x": low, "to": high, "y": 0}]}
    ticks = {"values": [{"x": float(tick), "y": 0, "to": -0.15} for tick in range(round(low), round(high) + 1)]}
    number = {"text": {"field": "x", "type": "quantitative"}}
    told = {"values": [tick for tick in ticks["values"] if high <= 20 or tick["x"] % 5 == 0]}
    return [
        {"data": line, "mark": "rule", "encoding": {"x2": {"field": "to"}}},
        {"data": ticks, "mark": "rule", "encoding": {"y2": {"field": "to"}}},
        {"data": told, "mark": {"type": "text", "dy": -14}, "encoding": number},
    ]


def _elbows(words: list[dict[str, Any]]) -> Spec:
    """Return the lines that lead from each rank to its name."""
    values = [
        {"name": word["name"], "x": x, "y": y, "step": step}
        for word in words
        for step, (x, y) in enumerate([(word["rank"], 0), (word["rank"], word["y"]), (word["x"], word["y"])])
    ]
    encoding = {"detail": {"field": "name"}, "order": {"field": "step", "type": "quantitative"}}
    return {"data": {"values": values}, "mark": {"type": "line", "strokeWidth": 1, "color": GREY}, "encoding": encoding}


def _words(words: list[dict[str, Any]], left: bool) -> Spec:
    text = "datum.name + '  ' + format(datum.rank, '.2f')" if left else "format(datum.rank, '.2f') + '  ' + datum.name"
    return {
        "data": {"values": [word for word in words if word["left"] == left]},
        "transform": [{"calculate": text, "as": "text"}],
        "mark": {"type": "text", "align": "right" if left else "left", "dx": -4 if left else 4, "fontSize": 12},
        "encoding": {
            "text": {"field": "text"},
            "tooltip": [tip("name", "strategy"), tip("rank", "mean rank", ".2f")],
        },
    }


def heat_map(table: Block, columns: Sequence[tuple[str, str]], title: str) -> Figure:
    """Draw a table with shades for paper: as wide as a line of LaTeX (`PAPER`).

    ``columns`` are the table's, after the names, as (panel, head). Panels stand under each other, their heads said
    once where they are alike; where they are wider than a line, all go on below. Each number stands in its cell and the
    strong ones are framed: no colour is needed.
    """
    names = [row[0] for row in table.rows]
    left = min(_LETTER * max(map(len, [*names, *(panel for panel, _ in columns)])), _LONGEST) + 6
    groups = [[j for j, _ in own] for _, own in groupby(enumerate(columns), key=lambda column: column[1][0])]
    panels = _panels(groups, most=max(1, int((PAPER - 2 * _PAD - left) / _NARROWEST)))
    width = min((PAPER - 2 * _PAD - left) / max(map(len, panels)), _WIDEST)
    heads, high, is_upright = _heads([head for _, head in columns], width)
    cells: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    top, said = 0.0, list[list[str]]()
    for panel in panels:
        is_new = said != [heads[j] for j in panel]
        said = [heads[j] for j in panel]
        top += high + 4 if is_new else _LINE + 4 if columns[panel[0]][0] else 0
        rows = [top + _ROW * (i + 0.5) for i in range(len(names))]
        words.append({"kind": "panel", "x": left - 6, "y": top - 3, "text": [columns[panel[0]][0]]})
        words += [{"kind": "name", "x": left - 6, "y": y, "text": [name]} for name, y in zip(names, rows, strict=True)]
        for x, j in ((left + width * (k + 0.5), j) for k, j in enumerate(panel)):
            if is_new:
                words.append({"kind": "head", "x": x, "y": top - 3 - _LINE * (len(heads[j]) - 1), "text": heads[j]})
            cells += [{"x": x, "y": y, **_cell(table, i, j + 1)} for i, y in enumerate(rows)]
        top += _ROW * len(names) + 6
    spec = {
        "layer": [*_cells(cells, width), *_around(words, is_upright, left - 6)],
        "encoding": {
            "x": axis("x") | {"axis": None, "scale": {"domain": [0, PAPER - 2 * _PAD], "nice": False}},
            "y": axis("y") | {"axis": None, "scale": {"domain": [top, 0], "nice": False}},
        },
        "title": {
            "text": title,
            "subtitle": textwrap.wrap(table.text, 80),
            "fontSize": 10,
            "subtitleFontSize": _PRINT,
            "subtitlePadding": 3,
            "offset": 2,
        },
        "width": PAPER,
        "height": round(top),
        "padding": _PAD,
        "view": {"stroke": None},
    }
    return figure_of("heat_map", title, None, spec, min_width=PAPER)


def _panels(groups: Sequence[Sequence[int]], most: int) -> list[list[int]]:
    """Return the columns of each panel: at most so many of a group, first the beginnings of all, then what is left."""
    n_parts = ceil(max(map(len, groups)) / most)
    parts = zip(*(np.array_split(group, n_parts) for group in groups), strict=True)
    return [part.tolist() for row in parts for part in row if len(part)]


def _heads(heads: Sequence[str], width: float) -> tuple[list[list[str]], float, bool]:
    """Return the heads of columns in lines, how high they are, and whether upright: where they fit in no other way."""
    lines = [[head] if _LETTER * len(head) <= width else head.replace("/", "/\n").split("\n") for head in heads]
    if _LETTER * max(len(line) for head in lines for line in head) <= width:
        return lines, _LINE * max(map(len, lines)), False
    return [[head] for head in heads], max(min(_LETTER * max(map(len, heads)), _LONGEST), _LINE), True


def _cell(table: Block, i: int, j: int) -> dict[str, Any]:
    """Return how a cell looks: its text, with a true minus, what it is filled with, whether it is framed."""
    shade, text = table.shades.get((i, j), 0.0), table.rows[i][j]
    share = DEEPEST * abs(shade)
    mixed = (round(255 + share * (part - 255)) for part in (UP if shade > 0 else DOWN))
    short = text if len(text) * _LETTER <= _NARROWEST else "-"  # what is not done is said in the tables
    return {
        "text": short.replace("-", "\N{MINUS SIGN}") if short != "-" else "\N{EN DASH}",
        "fill": f"#{''.join(f'{part:02x}' for part in mixed)}",
        "framed": (i, j) in table.strong,
    }


def _cells(cells: list[dict[str, Any]], width: float) -> list[Spec]:
    data = {"data": {"values": cells}}
    square = {"type": "rect", "width": width - 1, "height": _ROW - 1}
    frame = {"type": "rect", "width": width - 2, "height": _ROW - 2, "filled": False, "stroke": INK, "strokeWidth": 1}
    text = {"type": "text", "fontSize": _PRINT, "fontWeight": {"expr": "datum.framed ? 'bold' : 'normal'"}}
    return [
        {**data, "mark": square, "encoding": {"color": {"field": "fill", "type": "nominal", "scale": None}}},
        {**data, "transform": [{"filter": "datum.framed"}], "mark": frame},
        {**data, "mark": text, "encoding": {"text": {"field": "text"}}},
    ]


def _around(words: list[dict[str, Any]], upright: bool, longest: float) -> list[Spec]:
    """Return the names of rows, columns and panels."""
    flat = {"align": "center", "baseline": "bottom", "lineHeight": _LINE}
    looks = {
        "name": {"align": "right", "baseline": "middle", "limit": longest},
        "panel": {"align": "right", "baseline": "bottom", "limit": longest, "fontWeight": "bold"},
        "head": {"align": "left", "baseline": "middle", "angle": -90, "limit": _LONGEST} if upright else flat,
    }
    return [
        {
            "data": {"values": [word for word in words if word["kind"] == kind]},
            "mark": {"type": "text", "fontSize": _PRINT, **look},
            "encoding": {"text": {"field": "text"}},
        }
        for kind, look in looks.items()
    ]

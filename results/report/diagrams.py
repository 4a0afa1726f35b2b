"""The critical-difference diagram of a report, as a Vega-Lite specification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .blocks import Figure
from .charts import LETTER, WIDTH, Spec, axis, figure_of, tip
from .look import GREY


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

"""The charts of a report as Vega-Lite specifications: one value serves the page, the PNG and the SVG.

A specification is plain data, so making one costs nothing; only drawing it does (`look.svg`). Charts are `WIDTH`
pixels wide with all their words; the page narrows them down to ``usermeta.min_width``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .blocks import Figure
from .look import HOVER, LOOK, PALETTE

WIDTH, HEIGHT = 680, 340
GREY = "#717581"
STRATEGY_COLOURS = (GREY, *(colour for colour in PALETTE if colour != GREY))
"""The first strategy is the baseline and grey; from the eleventh on colours repeat with dashed lines."""

Spec = dict[str, Any]
_DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
_BOUND = [4, 4]
_CONFIG = {**LOOK, "legend": {**LOOK["legend"], "columns": 5}}
_LETTER, _BOLD, _LINE = 6.4, 8.5, 13  # pixels of a letter in a label and in a title, and of a line
_PICKED: Spec = {"name": "picked", "select": {"type": "point", "fields": ["strategy"]}, "bind": "legend"}
_FADED: Spec = {"condition": {"param": "picked", "value": 1}, "value": 0.12}


def curves(
    frame: pd.DataFrame, title: str, strategies: Sequence[str] = (), bounds: Collection[str] = frozenset()
) -> Figure:
    """Draw learning curves with bands: columns strategy, n_labelled, mean, low, high, and n where there is one.

    Rows where ``low`` or ``high`` is NaN have a line and no band. ``strategies`` fixes colours and their order over
    several charts; without it they are those of the frame, in its order. ``bounds`` are grey and dashed.
    """
    names = list(strategies) or list(dict.fromkeys(frame["strategy"]))
    shown = [name for name in names if name in set(frame["strategy"])]
    colour = _strategy_colour(names, shown, bounds=bounds)
    x = _axis("n_labelled", "labels") | {"scale": {"zero": False, "nice": False, "padding": 8}}
    band = {
        "mark": {"type": "area", "tooltip": None},
        "transform": [{"filter": "isValid(datum.low)"}],
        "encoding": {
            "y": _axis("low", "accuracy", zero=False),
            "y2": {"field": "high"},
            "opacity": {"condition": {"param": "picked", "value": 0.14}, "value": 0.02},
        },
    }
    told = {
        **{"strategy": "d.strategy", "labels": "d.n_labelled", "accuracy": "format(d.mean, '.3f')"},
        "95 % interval": "isValid(d.low) ? format(d.low, '.3f') + ' to ' + format(d.high, '.3f') : 'none'",
        **({"seeds": "d.n"} if "n" in frame else {}),
    }
    layers = [
        band,
        {
            "params": [_PICKED],
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {"y": _axis("mean"), "opacity": _FADED, **_dash(names, shown, bounds)},
        },
        _hover({"y": _axis("mean")}, told),
    ]
    encoding = {"x": x, "color": colour}
    return _figure("curves", title, frame, {"layer": layers, "encoding": encoding})


def profile(names: Sequence[str], taus: ArrayLike, shares: ArrayLike, title: str) -> Figure:
    """Draw the performance profile: ``shares`` (K, T) of runs of each strategy that reach accuracy ``taus`` (T,)."""
    at, values = np.asarray(taus, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    frame = pd.DataFrame(
        {"strategy": np.repeat(list(names), len(at)), "tau": np.tile(at, len(names)), "share": values.ravel()}
    )
    told = {"strategy": "d.strategy", "accuracy τ": "format(d.tau, '.3f')", "runs above τ": "format(d.share, '.0%')"}
    y = _axis("share", "share of runs with accuracy > τ") | {"axis": {"format": ".0%"}}
    layers = [
        {
            "params": [_PICKED],
            "mark": {"type": "line", "strokeWidth": 2, "interpolate": "step-after"},
            "encoding": {"opacity": _FADED, **_dash(names, names)},
        },
        _hover({}, told),
    ]
    encoding = {"x": _axis("tau", "accuracy τ", zero=False), "y": y, "color": _strategy_colour(names, names)}
    return _figure("profile", title, frame, {"layer": layers, "encoding": encoding})


def matrix(
    names: Sequence[str], values: ArrayLike, title: str, legend: str, rows: str = "", columns: str = ""
) -> Figure:
    """Draw values (K, K), row by column, as shaded squares with their numbers; NaN is left empty.

    ``legend`` says what a number is, ``rows`` and ``columns`` what it is of (titles of the axes).
    """
    array = np.asarray(values, dtype=np.float64)
    k, longest = len(names), max(map(len, names), default=0) * _LETTER
    frame = pd.DataFrame(
        {"row": np.repeat(list(names), k), "column": np.tile(list(names), k), "value": array.ravel()}
    ).dropna()
    high = float(frame["value"].max()) if len(frame) else 1.0
    low = min(0.0, float(frame["value"].min())) if len(frame) else 0.0
    shade: Spec = {"field": "value", "type": "quantitative", "title": legend}
    shade["scale"] = {"domain": [low, max(high, low + 1e-9)], "scheme": "blues"}
    shade["legend"] = {"gradientLength": 200, "titleLimit": WIDTH, "format": ".2~f"}
    dark = f"datum.value > {low + 0.55 * (high - low)!r}"
    tooltip = [_tip("row"), _tip("column"), _tip("value", legend, ".3f")]
    layers = [
        {"mark": {"type": "rect"}, "encoding": {"color": shade, "tooltip": tooltip}},
        {
            "mark": {"type": "text", "fontSize": 11 if k <= 12 else 9},
            "encoding": {
                "text": {"field": "value", "type": "quantitative", "format": ".2f"},
                "color": {"condition": {"test": dark, "value": "white"}, "value": "#1a1a1a"},
            },
        },
    ]
    axes = {"x": _names("column", names, columns), "y": _names("row", names, rows)}
    axes["x"]["axis"] |= {"orient": "top", "labelAngle": -45}
    cell = 46 if k <= 12 else 34
    wide, narrow = longest + 60 + cell * k, longest + 40 + 30 * k
    view = {"stroke": None}
    spec = {"layer": layers, "encoding": axes, "width": max(round(wide), 320), "height": 30 * k, "view": view}
    return _figure("matrix", title, frame, spec, min_width=narrow)


def _names(field: str, names: Sequence[str], title: str) -> Spec:
    axis = {"domain": False, "ticks": False}
    return {"field": field, "type": "nominal", "scale": {"domain": list(names)}, "title": title or None, "axis": axis}


def critical_difference(names: Sequence[str], ranks: ArrayLike, groups: Iterable[Sequence[str]], title: str) -> Figure:
    """Draw mean ranks (K,) on a line, 1 being best; a bar joins each group of names that cannot be told apart.

    Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 2006, Figure 1, best at the left.
    """
    mean = dict(zip(names, np.asarray(ranks, dtype=np.float64).tolist(), strict=True))
    order = sorted(names, key=lambda name: mean[name])
    k, half = len(order), (len(order) + 1) // 2
    label = max(map(len, order), default=0) * _LETTER + 48  # pixels at each side for a name and its rank
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
        "x": _axis("x") | {"axis": None, "scale": {"domain": [low - reach, high + reach], "nice": False}},
        "y": _axis("y") | {"axis": None, "scale": {"domain": [top + half, -0.9], "nice": False}},
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
    return _figure("critical_difference", title, None, spec, min_width=min(wide, 2 * label + 180))


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
            "tooltip": [_tip("name", "strategy"), _tip("rank", "mean rank", ".2f")],
        },
    }


def pareto(frame: pd.DataFrame, title: str, strategies: Sequence[str] = ()) -> Figure:
    """Draw accuracy against cost: columns strategy, seconds (> 0), accuracy, front (bool: nothing is better in both).

    The front is a dashed line with its names, as far as there is room; the others are named by colour and tooltip.
    """
    names = list(strategies) or list(dict.fromkeys(frame["strategy"]))
    shown = [name for name in names if name in set(frame["strategy"])]
    x = _axis("seconds", "seconds (log scale)") | {"scale": {"type": "log", "nice": False, "padding": 50}}
    x["axis"] = {"format": "~g", "tickCount": 5}
    y = _axis("accuracy", "accuracy") | {"scale": {"zero": False, "nice": False, "padding": 24}}
    tooltip = [_tip("strategy"), _tip("seconds", "seconds", ".3~g"), _tip("accuracy", "accuracy", ".3f")]
    on_front = {"filter": "datum.front"}
    layers = [
        {"transform": [on_front], "mark": {"type": "line", "strokeDash": [4, 4], "color": GREY, "strokeWidth": 1.5}},
        {
            "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
            "encoding": {"color": _strategy_colour(names, shown, "circle"), "tooltip": tooltip},
        },
        {
            "transform": [{"filter": {"field": "strategy", "oneOf": _readable(frame[frame["front"]])}}],
            "mark": {"type": "text", "align": "right", "baseline": "bottom", "dx": -6, "dy": -4},
            "encoding": {"text": {"field": "strategy"}},
        },
    ]
    return _figure("pareto", title, frame, {"layer": layers, "encoding": {"x": x, "y": y}})


def _readable(front: pd.DataFrame) -> list[str]:
    """Return the names, from the most accurate down, that stand left of their points without covering each other."""
    x, y = np.log(front["seconds"].to_numpy(dtype=np.float64)), front["accuracy"].to_numpy(dtype=np.float64)
    span_x, span_y = max(float(np.ptp(x)), 1e-9), max(float(np.ptp(y)), 1e-9) if len(y) else 1.0
    kept: dict[str, tuple[float, float, float]] = {}  # name -> left, right, height in pixels
    for i in np.argsort(-y, kind="stable"):
        name = str(front["strategy"].iloc[i])
        right, height = (WIDTH - 180) * float(x[i]) / span_x, (HEIGHT - 60) * float(y[i]) / span_y
        left = right - _LETTER * len(name)
        if all(right < of[0] or of[1] < left or abs(height - of[2]) > _LINE for of in kept.values()):
            kept[name] = (left, right, height)
    return list(kept)


def bars(frame: pd.DataFrame, title: str, x: str, y: str, colour: str) -> Figure:
    """Draw stacked bars: shares ``y`` over the ordered values of column ``x``, one colour per value of ``colour``.

    Both keep the frame's order. There is a legend for up to ten colours; beyond, the ten repeat.
    """
    names = [str(name) for name in dict.fromkeys(frame[colour])]
    scale = {"domain": names, "range": [PALETTE[i % len(PALETTE)] for i in range(len(names))]}
    rows = frame[[x, y, colour]].assign(**{colour: frame[colour].astype(str)})
    rows["place"] = pd.factorize(rows[colour])[0]
    shade: Spec = {"field": colour, "type": "nominal", "scale": scale, "title": colour.replace("_", " ")}
    if len(names) > len(PALETTE):
        shade["legend"] = None
    angle = -45 if rows[x].astype(str).str.len().max() > 4 else 0
    mark = {"type": "bar", "stroke": "white", "strokeWidth": 0.5, "clip": True}
    encoding = {
        "x": {"field": x, "type": "ordinal", "sort": None, "title": x.replace("_", " "), "axis": {"labelAngle": angle}},
        "y": _axis(y, y.replace("_", " ")) | {"scale": {"domain": [0, 1]}},
        "color": shade,
        "order": {"field": "place", "type": "quantitative"},
        "tooltip": [_tip(x), _tip(colour), _tip(y, format_=".4~g")],
    }
    return _figure("bars", title, rows, {"mark": mark, "encoding": encoding})


def gallery(frame: pd.DataFrame, title: str) -> Figure:
    """Draw pictures in rows, one for each strategy: columns strategy, place (0, 1, ...), row, class, seeds, url."""
    names = list(dict.fromkeys(frame["strategy"]))
    n_columns, label = int(frame["place"].max()) + 1, max(map(len, names)) * _LETTER
    side, step = 48, 72  # pixels of a picture, and from row to row
    x = _axis("place") | {"axis": None, "scale": {"domain": [-0.5, n_columns - 0.5], "nice": False}}
    tooltip = [_tip("strategy"), _tip("row"), _tip("class"), _tip("seeds", "on seeds")]
    words = {"calculate": "datum.class + ' (' + datum.seeds + ')'", "as": "words"}
    layers = [
        {
            "mark": {"type": "image", "width": side, "height": side, "yOffset": -8},
            "encoding": {"url": {"field": "url"}},
        },
        {
            "transform": [words],
            "mark": {"type": "text", "yOffset": side / 2 + 2, "fontSize": 10, "limit": 104},
            "encoding": {"text": {"field": "words"}, "tooltip": tooltip},
        },
    ]
    size = {"width": round(label + 40 + 112 * n_columns), "height": step * len(names), "view": {"stroke": None}}
    spec = {"layer": layers, "encoding": {"x": x, "y": _names("strategy", names, "")}, **size}
    return _figure("gallery", title, frame, spec, min_width=label + 60 * n_columns)


def _figure(name: str, title: str, frame: pd.DataFrame | None, spec: Spec, min_width: float = 300) -> Figure:
    words = title.split("\n")
    data = {} if frame is None else {"data": {"values": _values(frame)}}
    lines = textwrap.wrap(words[0], round(spec.get("width", WIDTH) / _BOLD))  # a wider title would squeeze the chart
    heading = {"title": {"text": lines, **({"subtitle": words[1:]} if words[1:] else {})}} if title else {}
    whole = {
        **{"description": words[0], "width": WIDTH, "height": HEIGHT, **heading, **data, **spec},
        **{"autosize": {"type": "fit-x", "contains": "padding"}, "config": _CONFIG},
        "usermeta": {"min_width": round(min_width)},
    }
    return Figure(name, whole)


def _values(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as JSON has them: numbers to five digits, what is not finite as null."""
    columns = {
        str(name): [_number(value) for value in column] if column.dtype.kind == "f" else column.tolist()
        for name, column in frame.items()
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _axis(field: str, title: str | None = None, zero: bool | None = None) -> Spec:
    scale = {} if zero is None else {"scale": {"zero": zero}}
    return {"field": field, "type": "quantitative", **({"title": title} if title else {}), **scale}


def _tip(field: str, title: str = "", format_: str = "") -> Spec:
    return {"field": field, "title": title or field, **({"format": format_, "type": "quantitative"} if format_ else {})}


def _hover(encoding: Spec, told: Mapping[str, str]) -> Spec:
    """Return the points of lines, seen only where the pointer is nearest; ``told`` are expressions of a point ``d``.

    One expression, not one field each: Vega-Lite 6 looks words up in the wrong place where the nearest point answers.
    """
    words = ", ".join(f"{title!r}: {expression}" for title, expression in told.items())
    tooltip = {"value": {"expr": re.sub(r"\bd\.", "(datum.datum || datum).", f"{{{words}}}")}}
    select = {"type": "point", "on": "pointerover", "clear": "pointerout", "nearest": True}
    opacity = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    return {
        "name": HOVER,
        "params": [{"name": "near", "select": select}],
        "mark": {"type": "point", "filled": True, "size": 70},
        "encoding": {**encoding, "opacity": opacity, "tooltip": tooltip},
    }


def _strategy_colour(
    names: Sequence[str], shown: Sequence[str], symbol: str = "stroke", bounds: Collection[str] = frozenset()
) -> Spec:
    colours = [GREY if name in bounds else STRATEGY_COLOURS[names.index(name) % len(PALETTE)] for name in shown]
    return _by_strategy(shown, colours, {"symbolType": symbol, "symbolOpacity": 1, "symbolStrokeWidth": 3})


def _dash(names: Sequence[str], shown: Sequence[str], bounds: Collection[str] = frozenset()) -> Spec:
    dashes = [_BOUND if name in bounds else _DASHES[names.index(name) // len(PALETTE) % len(_DASHES)] for name in shown]
    return {} if len(names) <= len(PALETTE) and not bounds else {"strokeDash": _by_strategy(shown, dashes, {})}


def _by_strategy(shown: Sequence[str], values: Sequence[Any], legend: Spec) -> Spec:
    scale = {"domain": list(shown), "range": values}
    return {"field": "strategy", "type": "nominal", "title": None, "scale": scale, "legend": legend}

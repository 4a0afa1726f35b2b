"""The charts of a report as Vega-Lite specifications: one value serves the page, the PNG and the SVG.

A specification is plain data, so making one costs nothing; only drawing it does (`look.svg`). Charts are `WIDTH`
pixels wide with all their words; the page narrows them down to ``usermeta.min_width``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..measures.curves import thinned
from .blocks import Figure
from .look import DARK_PLACES, DASHES, GREY, HOVER, INK, LINES, LOOK, ON_COLOUR, PALETTE, SHAPES

WIDTH, HEIGHT = 680, 340

Spec = dict[str, Any]
_BOUND = [4, 4]
_CONFIG = {**LOOK, "legend": {**LOOK["legend"], "columns": 5}}
LETTER, _BOLD, _LINE = 6.4, 8.5, 13  # pixels of a letter in a label and in a title, and of a line
_PICKED: Spec = {"name": "picked", "select": {"type": "point", "fields": ["strategy"]}, "bind": "legend"}
_FADED: Spec = {"condition": {"param": "picked", "value": 1}, "value": 0.12}


def curves(
    frame: pd.DataFrame,
    title: str,
    strategies: Sequence[str] = (),
    bounds: Collection[str] = frozenset(),
    full: float | None = None,
) -> Figure:
    """Draw learning curves with bands: columns strategy, n_labelled, mean, low, high, and n where there is one.

    Rows where ``low`` or ``high`` is NaN have a line and no band. ``strategies`` fixes colours, dashes and marks, and
    their order, over several charts; without it they are those of the frame, in its order. ``bounds`` are grey and
    dashed; ``full`` is the accuracy on all labels, a line across.
    """
    names = list(strategies) or list(dict.fromkeys(frame["strategy"]))
    shown = [name for name in names if name in set(frame["strategy"])]
    colour = _strategy_colour(names, shown, bounds=bounds)
    x = axis("n_labelled", "labels") | {"scale": {"zero": False, "nice": False, "padding": 8}}
    band = {
        "mark": {"type": "area", "tooltip": None},
        "transform": [{"filter": "isValid(datum.low)"}],
        "encoding": {
            "y": axis("low", "accuracy", zero=False),
            "y2": {"field": "high"},
            "opacity": {"condition": {"param": "picked", "value": 0.1}, "value": 0.02},
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
            "encoding": {"y": axis("mean"), "opacity": _FADED, "strokeDash": _dash(names, shown, bounds)},
        },
        _marks(names, shown, "n_labelled", thinned(sorted(frame["n_labelled"].unique().tolist())), {"y": axis("mean")}),
        *([] if full is None else _full(full)),
        _hover({"y": axis("mean")}, told),
    ]
    encoding = {"x": x, "color": colour}
    return figure_of("curves", title, frame, {"layer": layers, "encoding": encoding})


def _marks(names: Sequence[str], shown: Sequence[str], x: str, at: Sequence[Any], y: Spec) -> Spec:
    """Return the marks of lines, a shape a strategy, at some places of the axis x."""
    mark = {"type": "point", "filled": True, "size": 45}
    keep = {"filter": {"field": x, "oneOf": list(at)}}
    return {"transform": [keep], "mark": mark, "encoding": {**y, "opacity": _FADED, "shape": _shape(names, shown)}}


def _shape(names: Sequence[str], shown: Sequence[str]) -> Spec:
    shapes = [SHAPES[names.index(name) % len(SHAPES)] for name in shown]
    return _by_strategy(shown, shapes, _strategy_colour(names, shown)["legend"])


def _full(accuracy: float) -> list[Spec]:
    """Return the line of the accuracy on all labels, and its words at the left."""
    data = {"values": [{"full": _number(accuracy), "words": f"full data {accuracy:.3f}"}]}
    y = {"y": {"field": "full", "type": "quantitative"}}
    words = {"type": "text", "align": "left", "baseline": "bottom", "dx": 4, "dy": -2, "fontSize": 11}
    text = {**y, "x": {"value": 0}, "color": {"value": INK}, "text": {"field": "words"}}
    line = {"type": "rule", "strokeDash": _BOUND, "strokeWidth": 1.5}
    return [
        {
            "data": data,
            "mark": line,
            "encoding": {**y, "x": {"value": 0}, "x2": {"value": "width"}, "color": {"value": INK}},
        },
        {"data": data, "mark": words, "encoding": text},
    ]


def profile(names: Sequence[str], taus: ArrayLike, shares: ArrayLike, title: str) -> Figure:
    """Draw the performance profile: ``shares`` (K, T) of runs of each strategy that reach accuracy ``taus`` (T,)."""
    at, values = np.asarray(taus, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    frame = pd.DataFrame(
        {"strategy": np.repeat(list(names), len(at)), "tau": np.tile(at, len(names)), "share": values.ravel()}
    )
    told = {"strategy": "d.strategy", "accuracy τ": "format(d.tau, '.3f')", "runs above τ": "format(d.share, '.0%')"}
    y = axis("share", "share of runs with accuracy > τ") | {"axis": {"format": ".0%"}}
    layers = [
        {
            "params": [_PICKED],
            "mark": {"type": "line", "strokeWidth": 2, "interpolate": "step-after"},
            "encoding": {"opacity": _FADED, "strokeDash": _dash(names, names)},
        },
        _marks(names, names, "tau", [_number(tau) for tau in at[:: max(1, len(at) // 10)].tolist()], {}),
        _hover({}, told),
    ]
    encoding = {"x": axis("tau", "accuracy τ", zero=False), "y": y, "color": _strategy_colour(names, names)}
    return figure_of("profile", title, frame, {"layer": layers, "encoding": encoding})


def matrix(
    names: Sequence[str], values: ArrayLike, title: str, legend: str, rows: str = "", columns: str = ""
) -> Figure:
    """Draw values (K, K), row by column, as shaded squares with their numbers; NaN is left empty.

    ``legend`` says what a number is, ``rows`` and ``columns`` what it is of (titles of the axes).
    """
    array = np.asarray(values, dtype=np.float64)
    k, longest = len(names), max(map(len, names), default=0) * LETTER
    frame = pd.DataFrame(
        {"row": np.repeat(list(names), k), "column": np.tile(list(names), k), "value": array.ravel()}
    ).dropna()
    high = float(frame["value"].max()) if len(frame) else 1.0
    low = min(0.0, float(frame["value"].min())) if len(frame) else 0.0
    shade: Spec = {"field": "value", "type": "quantitative", "title": legend}
    shade["scale"] = {"domain": [low, max(high, low + 1e-9)], "scheme": "blues"}
    shade["legend"] = {"gradientLength": 200, "titleLimit": WIDTH, "format": ".2~f"}
    dark = f"datum.value > {low + 0.55 * (high - low)!r}"
    tooltip = [tip("row"), tip("column"), tip("value", legend, ".3f")]
    layers = [
        {"mark": {"type": "rect"}, "encoding": {"color": shade, "tooltip": tooltip}},
        {
            "mark": {"type": "text", "fontSize": 11 if k <= 12 else 9},
            "encoding": {
                "text": {"field": "value", "type": "quantitative", "format": ".2f"},
                "color": {"condition": {"test": dark, "value": "white"}, "value": ON_COLOUR},
            },
        },
    ]
    axes = {"x": _names("column", names, columns), "y": _names("row", names, rows)}
    axes["x"]["axis"] |= {"orient": "top", "labelAngle": -45}
    cell = 46 if k <= 12 else 34
    wide, narrow = longest + 60 + cell * k, longest + 40 + 30 * k
    view = {"stroke": None}
    spec = {"layer": layers, "encoding": axes, "width": max(round(wide), 320), "height": 30 * k, "view": view}
    return figure_of("matrix", title, frame, spec, min_width=narrow)


def _names(field: str, names: Sequence[str], title: str) -> Spec:
    axis = {"domain": False, "ticks": False}
    return {"field": field, "type": "nominal", "scale": {"domain": list(names)}, "title": title or None, "axis": axis}


def pareto(frame: pd.DataFrame, title: str, strategies: Sequence[str] = ()) -> Figure:
    """Draw mean aubc/1 against cost: columns strategy, seconds (> 0), accuracy, front (nothing is better in both).

    The front is a dashed line with its names, as far as there is room; the others are named by colour and tooltip.
    """
    names = list(strategies) or list(dict.fromkeys(frame["strategy"]))
    shown = [name for name in names if name in set(frame["strategy"])]
    x = axis("seconds", "seconds (log scale)") | {"scale": {"type": "log", "nice": False, "padding": 50}}
    x["axis"] = {"format": "~g", "tickCount": 5}
    y = axis("accuracy", "area under the curve (aubc/1)") | {"scale": {"zero": False, "nice": False, "padding": 24}}
    tooltip = [tip("strategy"), tip("seconds", "seconds", ".3~g"), tip("accuracy", "aubc/1", ".3f")]
    on_front = {"filter": "datum.front"}
    layers = [
        {"transform": [on_front], "mark": {"type": "line", "strokeDash": [4, 4], "color": GREY, "strokeWidth": 1.5}},
        {
            "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
            "encoding": {"color": _strategy_colour(names, shown), "shape": _shape(names, shown), "tooltip": tooltip},
        },
        {
            "transform": [{"filter": {"field": "strategy", "oneOf": _readable(frame[frame["front"]])}}],
            "mark": {"type": "text", "align": "right", "baseline": "bottom", "dx": -6, "dy": -4},
            "encoding": {"text": {"field": "strategy"}},
        },
    ]
    return figure_of("pareto", title, frame, {"layer": layers, "encoding": {"x": x, "y": y}})


def _readable(front: pd.DataFrame) -> list[str]:
    """Return the names, from the most accurate down, that stand left of their points without covering each other."""
    x, y = np.log(front["seconds"].to_numpy(dtype=np.float64)), front["accuracy"].to_numpy(dtype=np.float64)
    span_x, span_y = max(float(np.ptp(x)), 1e-9), max(float(np.ptp(y)), 1e-9) if len(y) else 1.0
    kept: dict[str, tuple[float, float, float]] = {}  # name -> left, right, height in pixels
    for i in np.argsort(-y, kind="stable"):
        name = str(front["strategy"].iloc[i])
        right, height = (WIDTH - 180) * float(x[i]) / span_x, (HEIGHT - 60) * float(y[i]) / span_y
        left = right - LETTER * len(name)
        if all(right < of[0] or of[1] < left or abs(height - of[2]) > _LINE for of in kept.values()):
            kept[name] = (left, right, height)
    return list(kept)


def bars(frame: pd.DataFrame, title: str, x: str, y: str, colour: str) -> Figure:
    """Draw stacked bars: shares ``y`` over the ordered values of column ``x``, one colour per value of ``colour``.

    Both keep the frame's order. There is a legend for up to ten colours; beyond, the ten repeat. A part that has
    room for its name shows it: no ten colours stay apart in grey print.
    """
    names = [str(name) for name in dict.fromkeys(frame[colour])]
    scale = {"domain": names, "range": [PALETTE[i % len(PALETTE)] for i in range(len(names))]}
    rows = frame[[x, y, colour]].assign(**{colour: frame[colour].astype(str)})
    rows["place"] = pd.factorize(rows[colour])[0]
    shade: Spec = {"field": colour, "type": "nominal", "scale": scale, "title": colour.replace("_", " ")}
    if len(names) > len(PALETTE):
        shade["legend"] = None
    angle = -45 if rows[x].astype(str).str.len().max() > 4 else 0
    stacked = axis(y, y.replace("_", " ")) | {"scale": {"domain": [0, 1]}, "stack": "zero"}
    tooltip = [tip(x), tip(colour), tip(y, format_=".4~g")]
    dark = " || ".join(f"datum.place % {len(PALETTE)} == {place}" for place in DARK_PLACES)
    layers = [
        {
            "mark": {"type": "bar", "stroke": "white", "strokeWidth": 0.5, "clip": True},
            "encoding": {"y": stacked, "color": shade, "tooltip": tooltip},
        },
        {
            "mark": {"type": "text", "fontSize": 10, "limit": round((WIDTH - 160) / max(rows[x].nunique(), 1))},
            "encoding": {
                "y": stacked | {"bandPosition": 0.5},
                "text": {"condition": {"test": f"datum[{y!r}] >= 0.04", "field": colour}, "value": ""},
                "color": {"condition": {"test": dark, "value": "white"}, "value": ON_COLOUR},
            },
        },
    ]
    encoding = {
        "x": {"field": x, "type": "ordinal", "sort": None, "title": x.replace("_", " "), "axis": {"labelAngle": angle}},
        "order": {"field": "place", "type": "quantitative"},
    }
    return figure_of("bars", title, rows, {"layer": layers, "encoding": encoding})


def gallery(frame: pd.DataFrame, title: str) -> Figure:
    """Draw pictures in rows, one for each strategy: columns strategy, place (0, 1, ...), row, class, seeds, url."""
    names = list(dict.fromkeys(frame["strategy"]))
    n_columns, label = int(frame["place"].max()) + 1, max(map(len, names)) * LETTER
    side, step = 48, 72  # pixels of a picture, and from row to row
    x = axis("place") | {"axis": None, "scale": {"domain": [-0.5, n_columns - 0.5], "nice": False}}
    tooltip = [tip("strategy"), tip("row"), tip("class"), tip("seeds", "on seeds")]
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
    return figure_of("gallery", title, frame, spec, min_width=label + 60 * n_columns)


def figure_of(name: str, title: str, frame: pd.DataFrame | None, spec: Spec, min_width: float = 300) -> Figure:
    """Return a specification as a figure: with the house look, its title (then a subtitle) and the rows of a frame."""
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


def axis(field: str, title: str | None = None, zero: bool | None = None) -> Spec:
    """Return the channel of a quantitative axis."""
    scale = {} if zero is None else {"scale": {"zero": zero}}
    return {"field": field, "type": "quantitative", **({"title": title} if title else {}), **scale}


def tip(field: str, title: str = "", format_: str = "") -> Spec:
    """Return a field of a tooltip."""
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


def _strategy_colour(names: Sequence[str], shown: Sequence[str], bounds: Collection[str] = frozenset()) -> Spec:
    places = [0 if name in bounds else names.index(name) for name in shown]
    colours = [LINES[(place - 1) % len(LINES)] if place else GREY for place in places]  # the first is the baseline
    return _by_strategy(shown, colours, {"symbolOpacity": 1, "symbolStrokeWidth": 0})


def _dash(names: Sequence[str], shown: Sequence[str], bounds: Collection[str] = frozenset()) -> Spec:
    """Return the dashes of lines: all lines have them, so that they are told apart in grey print."""
    dashes = [_BOUND if name in bounds else DASHES[names.index(name) % len(DASHES)] for name in shown]
    return _by_strategy(shown, dashes, _strategy_colour(names, shown)["legend"])


def _by_strategy(shown: Sequence[str], values: Sequence[Any], legend: Spec) -> Spec:
    scale = {"domain": list(shown), "range": values}
    return {"field": "strategy", "type": "nominal", "title": None, "scale": scale, "legend": legend}

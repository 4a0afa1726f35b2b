"""The map of `albench show`: classes in two dimensions and what strategies would buy, as a Vega-Altair chart.

Altair takes half a second to import: who draws now and then imports this module when it draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from ...benchmark.types import Floats, Labels, Rows, UserError
from ...datasets.reading.plain import whole
from .look import INK, LOOK, PALETTE, data_uri, png, svg, thumbnail

PANEL = 340  # width and height of a map
MARGIN = 14  # of the panel, without points
COLUMNS = 3  # maps side by side
ROW, MOST = 6, 24  # thumbnails in a row, and in all
SHARP = 160  # pixels of a thumbnail, about four times what it takes on the page
NUMBERED = 60  # more picks than this carry no numbers: nobody could read them

Chart = alt.TopLevelMixin
Values = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Bought:
    """What a strategy bought: ``picks`` are rows of the map's points, in order of purchase.

    ``images`` are those of the first picks, (H, W, channels) uint8; none where the dataset has none.
    """

    strategy: str
    notes: Sequence[str]
    picks: Rows
    images: Sequence[NDArray[np.uint8]] = ()


def save(chart: Chart, path: Path) -> None:
    """Write a chart as the suffix of ``path`` says; a file that was there is replaced when the new one is whole."""
    drawn = svg(chart.to_dict())
    content = drawn.encode() if path.suffix.lower() == ".svg" else png(drawn)
    try:
        with whole(path) as file:
            file.write(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def class_map(
    title: str,
    caption: Sequence[str],
    points: Floats,
    labels: Labels,
    class_names: Sequence[str],
    bought: Sequence[Bought] = (),
    start: Sequence[int] | Rows = (),
) -> Chart:
    """Draw points (R, 2) coloured by class: one panel, or one per strategy with its picks and their thumbnails.

    Picks are rings of their class's colour, numbered in order of purchase; ``start`` are the points whose labels were
    there before, drawn as crosses. There is a legend for up to ten classes; beyond, the ten colours repeat.
    """
    names, colours = list(class_names), [PALETTE[i % len(PALETTE)] for i in range(len(class_names))]
    dots: Values = [{**_at(spot), "class": names[c]} for spot, c in zip(_fitted(points), labels, strict=True)]
    legend = alt.Legend(symbolOpacity=1, symbolSize=90) if len(names) <= len(PALETTE) else None
    colour = alt.Color("class:N", legend=legend).scale(domain=names, range=colours).title(None)
    ground = _ground(len(dots), colour)
    panels: list[alt.LayerChart | alt.VConcatChart] = [_panel(ground, dots, each, colour) for each in bought]
    panels = panels or [ground]
    rows = math.ceil(len(panels) / COLUMNS)
    data = {"dots": dots, "start": [dots[row] for row in start]}
    chart = alt.ConcatChart(
        concat=panels,
        columns=math.ceil(len(panels) / rows),
        spacing={"row": 36, "column": 28},
        title=alt.Title(title, subtitle=list(caption)),
        datasets=data,
    )
    chart.config = alt.Config.from_dict(LOOK)
    return chart


def _fitted(points: Floats) -> Floats:
    """Return points (R, 2) in pixels of a panel, both axes in the same unit."""
    low, high = points.min(axis=0), points.max(axis=0)
    unit = (PANEL - 2 * MARGIN) / max(float((high - low).max()), np.finfo(np.float64).tiny)
    fitted: Floats = PANEL / 2 + (points - (low + high) / 2) * unit
    return fitted


def _at(spot: Floats) -> dict[str, Any]:
    return {"x": round(float(spot[0]), 1), "y": round(float(spot[1]), 1)}


def _ground(n_dots: int, colour: alt.Color) -> alt.LayerChart:
    """Draw all points, small and faded, and the labels that were there before."""
    x, y = (axis.scale(domain=(0, PANEL), nice=False) for axis in (alt.X("x:Q", axis=None), alt.Y("y:Q", axis=None)))
    size = min(40, max(9, 24_000 / n_dots))
    dots = alt.Chart(alt.NamedData("dots")).mark_circle(size=size, opacity=0.55)
    start = alt.Chart(alt.NamedData("start")).mark_point(shape="cross", size=55, filled=True, opacity=1, color=INK)
    return alt.LayerChart(layer=[dots.encode(x, y, colour), start.encode(x, y)], width=PANEL, height=PANEL)


def _panel(ground: alt.LayerChart, dots: Values, bought: Bought, colour: alt.Color) -> alt.VConcatChart:
    """Draw what one strategy bought on the ground, with its thumbnails below.

    Rings that would hide each other are moved apart; a line leads to where the point is.
    """
    numbered = len(bought.picks) <= NUMBERED
    across = 19 if numbered else 8
    spots = np.array([(dots[row]["x"], dots[row]["y"]) for row in bought.picks])
    picks = [
        {**_at(spot), "to_x": dots[row]["x"], "to_y": dots[row]["y"], "class": dots[row]["class"], "order": order}
        for order, (row, spot) in enumerate(
            zip(bought.picks, apart(spots, across) if numbered else spots, strict=True), 1
        )
    ]
    chart = alt.Chart(alt.InlineData(values=picks)).encode(alt.X("x:Q"), alt.Y("y:Q"))
    lines = chart.mark_rule(color=INK).encode(alt.X2("to_x"), alt.Y2("to_y"))
    width = 3 if numbered else 1.8
    rings = chart.mark_point(size=0.75 * across**2, filled=True, fill="white", strokeWidth=width, opacity=1)
    layers = [ground, lines, rings.encode(_stroke(colour))]
    if numbered:
        layers.append(chart.mark_text(fontSize=10, fontWeight="bold", color=INK).encode(text="order:Q"))
    map_ = alt.LayerChart(layer=layers, title=alt.Title(bought.strategy, subtitle=list(bought.notes)))
    parts = [map_, _thumbnails(picks, bought.images, colour)] if len(bought.images) else [map_]
    return alt.VConcatChart(vconcat=parts, spacing=8)


def apart(spots: Floats, distance: float) -> Floats:
    """Return spots (n, 2), pushed away from each other until hardly any are nearer than ``distance`` pixels."""
    moved, turn = spots, np.arange(len(spots))
    own = 0.01 * np.stack([np.cos(turn), np.sin(turn)], axis=1)  # equal spots part in different directions
    for _ in range(200):
        gaps = (moved + own)[:, None] - (moved + own)
        lengths = np.linalg.norm(gaps, axis=2) + np.eye(len(spots)) * distance
        push = np.clip(distance - lengths, 0, None) / lengths
        if not push.any():
            break
        moved = np.clip(moved + 0.3 * (gaps * push[..., None]).sum(axis=1), distance / 2, PANEL - distance / 2)
    return moved


def _stroke(colour: alt.Color) -> alt.Stroke:
    return alt.Stroke("class:N", legend=None).scale(colour["scale"])


def _thumbnails(picks: Values, images: Sequence[NDArray[np.uint8]], colour: alt.Color) -> alt.LayerChart:
    """Draw the first picks in order of purchase: framed in the colour of their class, numbered, its name below."""
    cells = [
        {
            "class": pick["class"],
            "order": pick["order"],
            "url": data_uri(thumbnail(image, SHARP)),
            "column": i % ROW,
            "row": i // ROW,
        }
        for i, (pick, image) in enumerate(zip(picks[:MOST], images, strict=False))
    ]
    n_rows, width = math.ceil(len(cells) / ROW), PANEL / ROW
    side, up = width - 8, -7  # pixels; up makes room for the name
    left, top = 7 - side / 2, up + 7 - side / 2  # where the number is
    chart = alt.Chart(alt.InlineData(values=cells)).encode(
        alt.X("column:Q", axis=None).scale(domain=(-0.5, ROW - 0.5), nice=False),
        alt.Y("row:Q", axis=None).scale(domain=(n_rows - 0.5, -0.5), nice=False),
    )
    layers = [
        chart.mark_square(size=(side + 3) ** 2, yOffset=up, filled=False, strokeWidth=3, opacity=1).encode(
            _stroke(colour)
        ),
        chart.mark_image(width=side, height=side, yOffset=up).encode(url="url:N"),
        chart.mark_square(size=15**2, color="white", opacity=0.9, xOffset=left, yOffset=top),
        chart.mark_text(fontSize=9, fontWeight="bold", color=INK, xOffset=left, yOffset=top).encode(text="order:Q"),
        chart.mark_text(yOffset=up + side / 2 + 10, fontSize=9.5, limit=width, color=INK).encode(text="class:N"),
    ]
    height = n_rows * (width + 14)
    return alt.LayerChart(layer=layers, width=PANEL, height=height, view=alt.ViewConfig(stroke=None))

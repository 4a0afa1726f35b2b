"""The house look of every chart, and the picture of a chart: vl-convert brings its fonts and needs no network."""

from __future__ import annotations

from typing import Any

PALETTE = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
"""Ten colours that stay apart for colour-blind eyes: Petroff (2021), Accessible Color Sequences, arXiv 2107.02270."""

INK, FAINT, FRAME = "#222222", "#666666", "#d5d5d5"
SUFFIXES = (".png", ".svg")
SCALE = 2
"""Pixels of a PNG per pixel of the chart."""

LOOK: dict[str, Any] = {
    "background": "white",
    "padding": 16,
    "font": "sans-serif",
    "view": {"stroke": FRAME},
    "title": {
        **{"anchor": "start", "fontSize": 15, "color": INK, "offset": 8},
        **{"subtitleFontSize": 11, "subtitleColor": FAINT, "subtitlePadding": 5},
    },
    "legend": {
        **{"orient": "bottom", "columns": len(PALETTE), "labelFontSize": 12, "labelColor": INK, "offset": 14},
        **{"titleColor": INK, "titleFontWeight": "normal", "titleLimit": 640, "labelLimit": 220},
    },
    "axis": {
        **{"labelColor": INK, "titleColor": INK, "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal"},
        **{"gridColor": "#ececec", "domainColor": FRAME, "tickColor": FRAME, "labelLimit": 220, "titlePadding": 8},
    },
    "axisQuantitative": {"tickCount": 7},
    "text": {"color": INK, "fontSize": 11},
    "rule": {"color": INK},
}
"""A Vega-Lite ``config``: a light ground, dark words, titles at the left, the legend below."""


HOVER = "hover"
"""The name of a layer that is seen under the pointer only: a picture is drawn without it."""


def svg(spec: dict[str, Any]) -> str:
    """Return a Vega-Lite specification drawn as SVG."""
    import vl_convert  # noqa: PLC0415  only who draws pays for it

    still = spec
    if "layer" in spec:
        still = {**spec, "layer": [layer for layer in spec["layer"] if layer.get("name") != HOVER]}
    return vl_convert.vegalite_to_svg(still, allowed_base_urls=[])


def png(drawn: str) -> bytes:
    """Return a drawn SVG as PNG, `SCALE` pixels for each of its own."""
    import vl_convert  # noqa: PLC0415

    return vl_convert.svg_to_png(drawn, scale=SCALE)

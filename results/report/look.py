"""The house look of every chart, and the picture of a chart: vl-convert brings its fonts and needs no network."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

PALETTE = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
"""Ten colours of areas, apart for colour-blind eyes: Petroff (2021), Accessible Color Sequences, arXiv 2107.02270."""
ON_COLOUR = "#1a1a1a"
"""Of words in a coloured field, which the dark scheme of the page leaves as they are; `INK` it lightens."""
DARK_PLACES = (2, 4)
"""Where `PALETTE` is so dark that words on it are white."""
LINES = ("#488dc5", "#9d2125", "#c58413", "#4b185d", "#ec675d", "#28168f", "#ba0def", "#64082d")
"""Eight colours of lines: each has a contrast of 3:1 or more on white; any two (and `GREY`) differ by 25 in CIELAB, as
protan, deutan and tritan eyes see them too (Machado et al. 2009); found by search."""
GREY = "#6b6e76"
DASHES: tuple[list[int], ...] = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 2], [12, 4], [1, 4])
SHAPES = (
    *("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"),
    "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",  # a saltire
    "M0,-1L.3,-.3L1,-.3L.45,.15L.65,.9L0,.45L-.65,.9L-.45,.15L-1,-.3L-.3,-.3Z",  # a star
    "M-.9,-.9L.9,-.9L-.9,.9L.9,.9Z",  # an hourglass
    "M-1,-.35L1,-.35L1,.35L-1,.35Z",  # a bar
)
"""With these in turn, lines are told apart in grey print: seven dashes and twelve marks make 84 pairs."""

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


def pdf(drawn: str) -> bytes:
    """Return a drawn SVG as PDF, for LaTeX; the fonts in it come in any order, so no two files are alike."""
    import vl_convert  # noqa: PLC0415

    return vl_convert.svg_to_pdf(drawn)


def thumbnail(image: NDArray[np.uint8], side: int) -> bytes:
    """Return an image (H, W, channels) at most ``side`` wide and high, as PNG or JPEG; small pixels stay squares."""
    from PIL import Image  # noqa: PLC0415

    picture = Image.fromarray(image[..., :3] if image.shape[2] >= 3 else image[..., 0])
    longest, file = max(picture.size), io.BytesIO()
    if longest > side:
        picture.thumbnail((side, side))
        picture.save(file, format="jpeg", quality=90)  # a photo; a fifth of what a PNG takes
    else:
        width, height = (length * (side // longest) for length in picture.size)
        picture.resize((width, height), Image.Resampling.NEAREST).save(file, format="png")
    return file.getvalue()


def data_uri(picture: bytes) -> str:
    """Return a PNG or JPEG as an address that holds it, so that a page needs no other file."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"

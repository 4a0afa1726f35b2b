import io
import re
from itertools import pairwise
from typing import Any

import altair
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from albench.results.report import charts, diagrams, look
from albench.results.report.blocks import Block, Figure
from albench.results.report.latex import TEXT

CHANNELS = (("line", "strokeDash"), ("point", "shape"))
NAMES = ["random", "margin", "k-means", "typiclust"]
HARD = ["random", "a.b[c]'\"", "<b>x</b>", "datum.x"]


def learning_curves(names: list[str]) -> pd.DataFrame:
    rows = [
        (name, labels, 0.5 + i / 10 + labels / 100, 0.4 + i / 10, 0.9 if labels < 20 else np.nan, 5)
        for i, name in enumerate(names)
        for labels in (10, 20)
    ]
    return pd.DataFrame(rows, columns=["strategy", "n_labelled", "mean", "low", "high", "n"])


def every(names: list[str]) -> dict[str, Figure]:
    k = len(names)
    costs = pd.DataFrame({"strategy": names, "seconds": np.geomspace(1e-3, 9, k), "accuracy": 0.5, "front": True})
    classes = pd.DataFrame([(r, str(c), 1 / 12) for r in range(3) for c in range(12)], columns=["round", "class", "n"])
    url = look.data_uri(look.thumbnail(np.zeros((4, 4, 3), np.uint8), 8))
    first = pd.DataFrame({"strategy": names, "place": 0, "row": 7, "class": "<cat>", "seeds": 3, "url": url})
    values = np.linspace(0, 1, k * k).reshape(k, k)
    values[np.diag_indices(k)] = np.nan
    return {
        "curves": charts.curves(learning_curves(names), "t\nsubtitle"),
        "ranks": diagrams.critical_difference(names, np.arange(1, k + 1), [names[:2]], "t"),
        "matrix": charts.matrix(names, values, "t", "share"),
        "profile": charts.profile(names, [0.1, 0.5, 0.9], np.full((k, 3), 0.5), "t"),
        "pareto": charts.pareto(costs, "t"),
        "bars": charts.bars(classes, "t", "round", "n", "class"),
        "gallery": charts.gallery(first, "t"),
        "map": gains(names, [("low", "digits"), ("high", "digits/<b>")]),
    }


def gains(names: list[str], columns: list[tuple[str, str]]) -> Figure:
    """Return a map of gains from -12.5 to 12.5, the last cell of each row strong."""
    values = np.linspace(-1, 1, len(names) * len(columns)).reshape(len(names), -1)
    rows = tuple((name, *(f"{12.5 * value:+.1f}" for value in own)) for name, own in zip(names, values, strict=True))
    shades = {(i, j + 1): float(value) for (i, j), value in np.ndenumerate(values)}
    strong = frozenset((i, len(columns)) for i in range(len(names)))
    return diagrams.heat_map(Block("t", "words", rows=rows, shades=shades, strong=strong), columns, "t")


def layer(figure: Figure, mark: str) -> dict[str, Any]:
    """Return the first layer with a mark."""
    kinds = [each["mark"] if isinstance(each["mark"], str) else each["mark"]["type"] for each in figure.spec["layer"]]
    found: dict[str, Any] = figure.spec["layer"][kinds.index(mark)]
    return found


def texts(drawn: str) -> set[str]:
    return set(re.findall(r"<text[^>]*>([^<]+)</text>", drawn))


@pytest.mark.parametrize("names", [NAMES, HARD, ["one"]], ids=["usual", "hard names", "one"])
@pytest.mark.parametrize("kind", ["curves", "ranks", "matrix", "profile", "pareto", "bars", "gallery", "map"])
def test_every_chart_is_valid_and_can_be_drawn(kind: str, names: list[str]) -> None:
    figure = every(names)[kind]
    altair.Chart.from_dict(figure.spec)  # its schema is the oracle
    drawn = look.svg(figure.spec)
    assert drawn.startswith("<svg")
    assert "http" not in drawn.replace("http://www.w3.org", "")
    assert "t" in texts(drawn)


def test_a_picture_is_as_wide_as_the_chart_says_twice() -> None:
    drawn = look.svg(every(NAMES)["curves"].spec)
    with Image.open(io.BytesIO(look.png(drawn))) as picture:
        assert picture.width == pytest.approx(look.SCALE * charts.WIDTH, abs=4)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_curves_name_every_strategy_and_hold_every_point_once() -> None:
    figure = every(NAMES)["curves"]
    values = figure.spec["data"]["values"]
    assert len(values) == 8
    assert values[0] == {"strategy": "random", "n_labelled": 10, "mean": 0.6, "low": 0.4, "high": 0.9, "n": 5}
    assert values[1]["high"] is None
    assert set(NAMES) <= texts(look.svg(figure.spec))
    still = [one for one in figure.spec["layer"] if one.get("name") != look.HOVER]
    assert len(still) == len(figure.spec["layer"]) - 1  # what the pointer shows is in no picture


def test_a_strategy_keeps_its_colour_where_others_are_missing() -> None:
    def colours(figure: Figure) -> dict[str, str]:
        scale = figure.spec["encoding"]["color"]["scale"]
        return dict(zip(scale["domain"], scale["range"], strict=True))

    whole = colours(charts.curves(learning_curves(NAMES), "t", NAMES))
    part = colours(charts.curves(learning_curves(NAMES[2:]), "t", NAMES))
    assert part == {name: whole[name] for name in NAMES[2:]}
    assert whole["random"] == look.GREY
    assert len(set(whole.values())) == len(NAMES)


def test_lines_are_told_apart_without_their_colours() -> None:
    names = [f"rule-{i}" for i in range(40)]
    figure = charts.curves(learning_curves(names), "t")
    dash, shape = (layer(figure, mark)["encoding"][channel]["scale"]["range"] for mark, channel in CHANNELS)
    assert len({(tuple(dashes), mark) for dashes, mark in zip(dash, shape, strict=True)}) == 40
    assert len(set(shape[:12])) == 12  # and up to twelve by their marks alone


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", [*look.LINES, look.GREY])
def test_lines_stand_out_on_white_and_half_way_to_white_on_black(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 3
    light = "#" + "".join(f"{(int(colour[i : i + 2], 16) + 255) // 2:02x}" for i in (1, 3, 5))
    assert (luminance(light) + 0.05) / (luminance("#121212") + 0.05) >= 3


def test_the_accuracy_on_all_labels_is_a_line_across() -> None:
    figure = charts.curves(learning_curves(NAMES), "t", full=0.965)
    assert "full data 0.965" in texts(look.svg(figure.spec))
    assert not any("full data" in text for text in texts(look.svg(charts.curves(learning_curves(NAMES), "t").spec)))


def test_ranks_are_sorted_each_name_once_and_groups_span_their_ranks() -> None:
    ranks = [3.5, 1.5, 2.0, 3.0]
    figure = diagrams.critical_difference(NAMES, ranks, [["margin", "k-means"], ["typiclust"]], "t")
    words = [word for one in figure.spec["layer"] if "transform" in one for word in one["data"]["values"]]
    assert {word["name"]: word["rank"] for word in words} == dict(zip(NAMES, ranks, strict=True))
    left = [word["rank"] for word in words if word["left"]]
    assert left == sorted(left)
    assert max(left) <= min(word["rank"] for word in words if not word["left"])
    bars = next(one for one in figure.spec["layer"] if one["mark"] != "rule" and one["mark"].get("strokeWidth") == 5)
    (bar,) = bars["data"]["values"]  # a group of one is none
    assert bar["x"] < 1.5
    assert 2.0 < bar["to"] < 3.0
    drawn = texts(look.svg(figure.spec))
    assert {"1", "2", "3", "4", "margin  1.50", "3.50  random"} <= {t.replace("\N{NO-BREAK SPACE}", " ") for t in drawn}


def test_long_names_make_the_ranks_wide_enough() -> None:
    names = [f"a-very-long-name-{i}(param=3, other=4)" for i in range(20)]
    drawn = look.svg(diagrams.critical_difference(names, np.arange(1, 21), [], "t").spec)
    width = float(re.search(r'<svg[^>]* width="([\d.]+)"', drawn)[1])  # type: ignore[index]
    assert width > 2 * 6 * len(names[0]) + 16 * 20


def test_the_lines_of_names_do_not_cross() -> None:
    figure = diagrams.critical_difference(NAMES, [1.0, 2.0, 3.0, 4.0], [], "t")
    elbows = [v for v in layer(figure, "line")["data"]["values"] if v["step"] == 1]
    left, right = elbows[:2], elbows[2:]
    assert all(a["x"] < b["x"] and a["y"] < b["y"] for a, b in pairwise(left))
    assert all(a["x"] < b["x"] and a["y"] > b["y"] for a, b in pairwise(right))


def test_names_on_the_front_do_not_cover_each_other() -> None:
    names = ["first", "second", "third", "away"]
    frame = pd.DataFrame({"strategy": names, "seconds": [1.0, 1.01, 1.02, 9.0], "accuracy": [0.8, 0.801, 0.802, 0.9]})
    drawn = look.svg(charts.pareto(frame.assign(front=True), "t").spec)
    marks = drawn[drawn.index("mark-text role-mark") :]
    assert {"third", "away"} <= texts(marks)
    named = texts(marks.partition("</g>")[0])
    assert named == {"third", "away"}  # all are in the legend


def test_a_matrix_leaves_holes_empty_and_writes_the_numbers() -> None:
    figure = every(NAMES)["matrix"]
    assert len(figure.spec["data"]["values"]) == 12
    drawn = look.svg(figure.spec)
    assert {"0.07", "0.93"} <= texts(drawn)
    assert "NaN" not in drawn
    empty = charts.matrix(NAMES, np.full((4, 4), np.nan), "t", "share")
    assert set(NAMES) <= texts(look.svg(empty.spec))


def test_many_colours_of_bars_have_no_legend_and_keep_their_order() -> None:
    figure = every(NAMES)["bars"]
    shade = layer(figure, "bar")["encoding"]["color"]
    assert shade["legend"] is None
    assert shade["scale"]["domain"] == [str(c) for c in range(12)]
    assert [v["place"] for v in figure.spec["data"]["values"]] == [*range(12)] * 3


@pytest.mark.parametrize("n_settings", [1, 3, 12])
def test_the_map_of_gains_fits_a_line_of_a_paper_and_needs_no_colours(n_settings: int) -> None:
    settings = ["digits/simclr(width=16)", *(f"tiny-imagenet-{i}" for i in range(1, n_settings))]
    columns = [(budget, setting) for budget in ("low", "high") for setting in settings]
    figure = gains(NAMES, columns)
    drawn = look.svg(figure.spec)
    box = re.search(rb"MediaBox *\[0 0 (\d+)", look.pdf(drawn))
    assert box is not None
    assert int(box[1]) / 72 * 72.27 <= TEXT
    cells = layer(figure, "rect")["data"]["values"]
    assert len({(cell["x"], cell["y"]) for cell in cells}) == len(NAMES) * len(columns)
    assert min(contrast(look.INK, cell["fill"]) for cell in cells) >= 4.5
    assert [cell["text"] for cell in cells if cell["framed"]][-1] == "+12.5"
    assert sum(cell["framed"] for cell in cells) == len(NAMES)
    assert {"\N{MINUS SIGN}12.5", "+12.5", "low", "high", *NAMES} <= texts(drawn)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.1)."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def test_parts_of_bars_have_their_names_in_them_where_there_is_room() -> None:
    frame = pd.DataFrame({"x": ["a"] * 3, "share": [0.5, 0.47, 0.03], "class": ["cat", "dog", "thin"]})
    spec = charts.bars(frame, "t", "x", "share", "class").spec
    layer(Figure("bars", spec), "bar")["encoding"]["color"]["legend"] = None
    assert {"cat", "dog"} == texts(look.svg(spec)) & {"cat", "dog", "thin"}

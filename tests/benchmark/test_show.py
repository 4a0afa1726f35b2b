"""The picture of a dataset: what is in it is what a trial does, and it is drawn as it is said."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.commands import invoke, nothing_written, run, write_grid

from albench.benchmark import show
from albench.benchmark.seeds import generator
from albench.benchmark.types import Floats, UserError
from albench.datasets.embeddings.cache.store import embed
from albench.datasets.reading.loading import load
from albench.results.record.store import RunStore
from albench.results.report import class_map, look

PCA = ("--projection", "pca")  # t-SNE where it matters only: it takes a second


def bought(asked: show.Asked) -> tuple[list[show.Picks], np.ndarray[Any, Any]]:
    plan = show.understand(asked)
    embedded = embed(load(plan.dataset.value, plan.seed), plan.embedding.value)
    return show.buy(plan, embedded.pool(), embedded.fingerprint)


# --- what is bought ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("initial", ["0", "2/class"])
def test_the_picks_are_those_of_a_trial(tmp_path: Path, initial: str) -> None:
    names = ("typiclust", "margin", "random")
    budgets = {"low": {"initial": initial, "query": 5, "rounds": 1}}
    grid = write_grid(tmp_path / "grid.yaml", strategies=list(names), budgets=budgets, seeds=[3])
    assert run(grid, tmp_path / "run").status == 0
    rounds = RunStore.open(tmp_path / "run").rounds().query("budget == 'low'").to_dict("records")
    recorded = {(row["strategy"], row["round"]): row for row in rounds}
    picks, labelled = bought(show.Asked("wine", "raw", names, n="5", initial=initial, seed=3))
    assert [each.strategy for each in picks] == list(names)
    for each in picks:
        assert each.rows.tolist() == recorded[each.strategy, 1]["selected"].tolist()
        assert each.bought_by == recorded[each.strategy, 1]["bought_by"]
        assert initial == "0" or labelled.tolist() == recorded[each.strategy, 0]["selected"].tolist()
    assert len(labelled) == (0 if initial == "0" else 6)


def test_a_strategy_said_twice_is_shown_once() -> None:
    picks, _ = bought(show.Asked("wine", "raw", ("random", "typiclust", "{name: random}")))
    assert [each.strategy for each in picks] == ["random", "typiclust"]


@given(st.integers(1, 60), st.data())
def test_the_rows_shown_are_the_picks_and_then_others(size: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    most, n = data.draw(st.integers(1, 70)), data.draw(st.integers(0, size))
    picks = [rng.permutation(size)[:n] for _ in range(data.draw(st.integers(0, 3)))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(show, "SHOWN", most)
        rows = show.shown(size, picks, rng.permutation(size)[:2], rng)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(rows) == min(size, most)
    wanted = {int(row) for each in picks for row in each}
    assert wanted <= set(rows.tolist()) if len(wanted) <= most else set(rows.tolist()) <= wanted


# --- what is measured -------------------------------------------------------------------------------------------------


def test_typicality_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((120, 4)).astype(np.float32)
    units = features.astype(np.float64) / np.linalg.norm(features, axis=1, keepdims=True)
    distances = np.linalg.norm(units[:, None] - units, axis=2)
    typicality = 1 / np.sort(distances, axis=1)[:, 1:21].mean(axis=1)  # the first is the row itself
    groups = [np.array([3, 50, 7]), np.array([int(typicality.argmax())]), np.arange(120)]
    expected = [
        np.mean([(typicality < t).mean() + (typicality == t).mean() / 2 for t in typicality[g]]) for g in groups
    ]
    assert show.typicality_ranks(features, groups, generator("x")) == pytest.approx(expected, abs=1e-6)
    assert expected[2] == pytest.approx(0.5)  # which is what the picture says of random


@pytest.mark.parametrize("size", [1, 2, 30])
def test_equal_rows_are_equally_typical(size: int) -> None:
    assert show.typicality_ranks(np.ones((size, 3), np.float32), [np.array([0])], generator("x")) == [0.5]


# --- the projection ---------------------------------------------------------------------------------------------------


def test_pca_shows_the_two_directions_that_vary_most() -> None:
    features = (np.random.default_rng(1).standard_normal((50, 6)) * np.arange(1, 7)).astype(np.float32)
    centred = features - features.mean(axis=0)
    u, s, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    points = show.project(features, "pca", generator("x"))
    np.testing.assert_allclose(np.abs(points), np.abs(u[:, :2] * s[:2]), atol=1e-4)


def test_tsne_keeps_groups_together_and_repeats_itself() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(3), 20)
    features = (rng.standard_normal((3, 8)) * 20)[group].astype(np.float32) + rng.random((60, 8), dtype=np.float32)
    points = show.project(features, "t-sne", generator("x"))
    nearest = np.linalg.norm(points[:, None] - points, axis=2) + np.eye(60) * 1e9
    assert (group[nearest.argmin(axis=1)] == group).all()
    np.testing.assert_array_equal(show.project(features, "t-sne", generator("x")), points)


@pytest.mark.parametrize("how", ["t-sne", "pca"])
@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (5, 1)])
def test_any_pool_can_be_projected(shape: tuple[int, int], how: show.Projection) -> None:
    rng = np.random.default_rng(0)
    for features in (rng.standard_normal(shape).astype(np.float32), np.ones(shape, np.float32)):
        points = show.project(features, how, generator("x"))
        assert points.shape == (shape[0], 2)
        assert np.isfinite(points).all()


# --- the chart --------------------------------------------------------------------------------------------------------


def chart(points: Floats, n_classes: int, *picked: list[int], images: int = 0) -> dict[str, Any]:
    names = [f"class {c}" for c in range(n_classes)]
    pixels = [np.zeros((2, 2, 3), np.uint8)] * images
    panels = [class_map.Bought(f"rule {i}", ["a note"], np.array(rows), pixels) for i, rows in enumerate(picked)]
    labels = np.arange(len(points)) % n_classes
    drawn: dict[str, Any] = class_map.class_map("title", ["caption"], points, labels, names, panels, [0]).to_dict()
    return drawn


def test_picks_are_numbered_and_point_to_their_place() -> None:
    picked = [[5, 0, 17], [17, 30, 2]]
    spec = chart(np.random.default_rng(0).standard_normal((40, 2)), 3, *picked)
    dots = spec["datasets"]["dots"]
    panels = [data for data in spec["datasets"].values() if "to_x" in data[0]]
    for rows, panel in zip(picked, panels, strict=True):
        assert [pick["order"] for pick in panel] == [1, 2, 3]
        places = [(pick["to_x"], pick["to_y"], pick["class"]) for pick in panel]
        assert places == [(dots[row]["x"], dots[row]["y"], dots[row]["class"]) for row in rows]
    assert spec["datasets"]["start"] == [dots[0]]


@settings(max_examples=25)
@given(st.integers(1, class_map.NUMBERED), st.integers(1, 10), st.integers(0, 99))
def test_rings_lie_side_by_side(n: int, places: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spots = rng.uniform(class_map.MARGIN, class_map.PANEL - class_map.MARGIN, (places, 2))[rng.integers(places, size=n)]
    moved = class_map.apart(spots, 19)
    assert ((moved > 0) & (moved < class_map.PANEL)).all()
    gaps = np.linalg.norm(moved[:, None] - moved, axis=2) + np.eye(n) * 1e9
    assert gaps.min() > 14  # pixels: wider than the numbers, so that all can be read
    lonely = np.linalg.norm(spots[:, None] - spots, axis=2).min(axis=1, where=~np.eye(n, dtype=bool), initial=99) > 60
    if n <= 3:
        np.testing.assert_allclose(moved[lonely], spots[lonely], atol=0.1)


def test_both_axes_have_one_unit() -> None:
    dots = chart(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0]]), 3)["datasets"]["dots"]
    assert dots[1]["x"] - dots[0]["x"] == pytest.approx(2 * (dots[2]["y"] - dots[0]["y"]), abs=0.2)


@pytest.mark.parametrize(("n_classes", "legend"), [(10, True), (11, False)])
def test_up_to_ten_classes_have_a_legend(n_classes: int, legend: bool) -> None:
    colour = chart(np.eye(22, 2), n_classes)["concat"][0]["layer"][0]["encoding"]["color"]
    assert (colour["legend"] is not None) == legend
    assert len(colour["scale"]["range"]) == n_classes
    assert len(set(colour["scale"]["range"])) == 10


def test_thumbnails_are_those_of_the_first_picks() -> None:
    spec = chart(np.random.default_rng(0).random((60, 2)), 3, list(range(50)), images=50)
    (cells,) = [d for d in spec["datasets"].values() if d and "url" in d[0]]
    assert [cell["order"] for cell in cells] == list(range(1, class_map.MOST + 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_are_enlarged_pixel_by_pixel(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 5, channels), dtype=np.uint8)
    shown = decoded(look.data_uri(look.thumbnail(image, 160)), "png").reshape(160, 100, channels)
    np.testing.assert_array_equal(shown, image.repeat(20, axis=0).repeat(20, axis=1))


def test_large_images_shrink() -> None:
    assert decoded(look.data_uri(look.thumbnail(np.zeros((480, 640, 3), np.uint8), 160)), "jpeg").shape == (120, 160, 3)


def decoded(uri: str, kind: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    head, content = uri.split(",")
    assert head == f"data:image/{kind};base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_folder")
def test_a_picture_of_images_with_their_thumbnails() -> None:
    said = invoke("show", "digits", "--embedding", "{name: pca, dims: 8}", "--strategy", "typiclust", *PCA)
    assert (said.status, said.out, said.err) == (0, "show-digits-pca-dims=8.png\n", "")
    with Image.open("show-digits-pca-dims=8.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 2 * class_map.PANEL
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.usefixtures("own_folder")
def test_a_picture_of_a_table_is_the_same_each_time_and_needs_no_network() -> None:
    options = ("--strategy", "typiclust", "--strategy", "margin", "--initial", "1/class", "--n", "4")
    for out in ("a.svg", "b.svg"):
        said = invoke("show", "wine", "--embedding", "raw", *options, "--out", out)
        assert (said.status, said.out) == (0, f"{out}\n")
        assert said.err == "wine has no images: the picks have no thumbnails\n"
    svg = Path("a.svg").read_text(encoding="utf-8")
    assert svg == Path("b.svg").read_text(encoding="utf-8")
    words = [element.text for element in ElementTree.fromstring(svg).iter() if element.text]  # noqa: S314  our own file
    assert {"wine, seen through raw", "typiclust", "margin", "class_2", "1", "4"} <= set(words)
    assert set(re.findall(r"https?://[^\"']+", svg)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


@pytest.mark.usefixtures("own_folder")
def test_without_strategies_it_is_a_picture_of_the_data() -> None:
    said = invoke("show", "wine", "--embedding", "raw", *PCA)
    assert (said.status, said.out, said.err) == (0, "show-wine-raw.png\n", "")


@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["digts"], "DATASET: unknown dataset 'digts'; did you mean 'digits'?"),
        (["wine", "--embedding", "raww"], "--embedding: unknown encoder 'raww'; did you mean 'raw'?"),
        (["wine", "--strategy", "tipiclust"], "--strategy: unknown strategy 'tipiclust'; did you mean 'typiclust'?"),
        (["wine", "--learner", "liner"], "--learner: unknown learner 'liner'; did you mean 'linear'?"),
        (["wine", "--embedding", "{name: pca, dims: x}"], "--embedding.dims: expected a whole number, got 'x'"),
        (["wine", "--embedding", "{name: pca"], "--embedding, line 1: while parsing a flow mapping"),
        (["wine", "--embedding", "{name: raw, scale: range}"], "scale 'range' is for images, not for table"),
        (["wine", "--strategy", "random", "--n", "0"], "--n: expected a number of labels (at least 1)"),
        (["wine", "--strategy", "random", "--initial", "-1"], "--initial: expected a number of labels (at least 0)"),
        (["wine", "--strategy", "random", "--n", "125"], "--n: asks for 125 labels; the pool of 'wine' holds 124"),
        (["wine", "--n", "40/class", "--initial", "5"], "120 labels after 5 initial ones; the pool of 'wine' holds"),
        (["wine", "--strategy", "badge", "--learner", "svm"], "--strategy: badge needs"),
        (["wine", "--out", "picture.jpg"], "--out picture.jpg: unknown suffix '.jpg'; did you mean '.png'?"),
        (["wine", "--out", "nowhere/a.png"], "--out nowhere/a.png: there is no folder nowhere"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(arguments: list[str], problem: str) -> None:
    embedding = [] if "--embedding" in arguments else ["--embedding", "raw"]
    with nothing_written():
        said = invoke("show", *arguments, *embedding)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert problem in said.err


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = invoke("show", "digts", "--embedding", "pixles", "--strategy", "x", "--n", "some")
    assert [line.split(":")[1].strip() for line in said.err.splitlines()] == [
        "DATASET", "--embedding", "--strategy", "--n",
    ]  # fmt: skip


@pytest.mark.usefixtures("own_folder")
def test_a_picture_that_cannot_be_written_leaves_nothing() -> None:
    Path("taken.png").mkdir()
    with pytest.raises(UserError, match=r"taken\.png: cannot be written: Is a directory"):
        class_map.save(class_map.class_map("t", [], np.eye(2), np.arange(2), ["a", "b"]), Path("taken.png"))
    assert [path.name for path in Path.cwd().iterdir()] == ["taken.png"]


def test_a_learner_that_sees_images_gets_them_or_a_line(own_folder: Path) -> None:
    learner = (
        "--embedding",
        "raw",
        "--learner",
        "{name: mlp, sees: images, steps: 5}",
        "--strategy",
        "margin",
        *PCA,
    )
    said = invoke("show", "digits", "--out", "picks.png", *learner)
    assert said.status == 0, said.err
    said = invoke("show", "wine", *learner)
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "--learner: mlp(steps=5, sees=images) needs images; wine has none" in said.err

"""What is bought first: kept with the run, shown in its report without the dataset."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from support.commands import invoke, run, write_grid

from albench.benchmark.registry import datasets
from albench.datasets.reading.loading import load
from albench.results.record.store import RunStore
from albench.results.report.sections.picks import forensics

pytestmark = pytest.mark.usefixtures("own_folder")


def made(**changes: object) -> pd.DataFrame:
    """Run a grid and return what it keeps of the rows that are bought first."""
    assert run(write_grid(Path("grid.yaml"), **changes), "out").status == 0
    kept = RunStore.open("out").firsts()
    assert kept is not None
    return kept


def test_pictures_and_classes_are_those_of_the_rows() -> None:
    kept = made(datasets=["digits"], strategies=["random", "typiclust"], seeds=2)
    split = load(datasets.get("digits").cls(), 0).split
    pixels = load_digits().images
    for _, row, class_name, image in kept.itertuples(index=False):
        assert class_name == split.class_names[split.train_labels[row]]
        shown = np.asarray(Image.open(io.BytesIO(image)))
        small = shown[::8, ::8]
        np.testing.assert_array_equal(shown, small.repeat(8, axis=0).repeat(8, axis=1))
        np.testing.assert_array_equal(small, split.train[row : row + 1][0][..., 0])
        assert any(np.corrcoef(small.ravel(), each.ravel())[0, 1] > 0.999 for each in pixels)
    rounds = RunStore.open("out").rounds().query("round == 0 and budget == 'low' and strategy == 'typiclust'")
    first = pd.Series(np.concatenate(rounds["selected"].to_list())).value_counts()
    assert set(first[first == 2].index[:5]) <= set(kept["row"])


def test_the_report_shows_them_when_the_data_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = made(datasets=["digits"], strategies=["random", "margin"])
    monkeypatch.setenv("ALBENCH_CACHE", "elsewhere")
    assert invoke("report", "out", "--figures").status == 0
    text = Path("out/report/report.md").read_text()
    assert "### Bought first: digits/raw/linear, low" in text
    assert f"{kept['row'][0]}: {kept['class_name'][0]} (1)" in text
    assert (
        Path("out/report/figures/first-digits-raw-linear-low.svg").read_text().count('xlink:href="data:image/png') == 10
    )
    assert "data:image/png;base64" in Path("out/report/report.html").read_text()


def test_a_table_has_classes_and_no_pictures() -> None:
    kept = made()
    assert set(kept["class_name"]) <= {"class_0", "class_1", "class_2"}
    assert kept["image"].isna().all()
    text = Path("out/report/report.md").read_text()
    assert f"{kept['row'][0]}: {kept['class_name'][0]} (1)" in text


def test_rows_of_a_split_of_its_own_for_each_seed_are_not_named() -> None:
    kept = made(datasets=[{"name": "wine", "split": "resampled"}], seeds=2)
    assert kept.empty
    assert "Bought first" not in Path("out/report/report.md").read_text()


def test_a_run_from_before_names_rows_without_classes() -> None:
    made(datasets=["digits"])
    Path("out/firsts.parquet").unlink()
    assert invoke("report", "out").status == 0
    lines = Path("out/report/report.md").read_text().partition("### Bought first")[2].splitlines()
    row = next(line for line in lines if line.startswith("| random"))
    assert all(cell.strip().split()[0].isdigit() for cell in row.split("|")[3:8])


def test_pages_stay_light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forensics, "MOST_PICTURED", 1)
    segment = {"initial": 0, "query": "1/class", "rounds": 1}
    made(datasets=["digits"], budgets={"low": segment, "lower": {**segment, "rounds": 2}})
    text = Path("out/report/report.md").read_text()
    assert text.count("Pictures of the first 1 such tables only.") == 1
    spec = json.dumps(Path("out/report/report.html").read_text())
    assert spec.count("data:image/png") == 5

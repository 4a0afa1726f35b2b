"""What a run keeps besides its rounds: what was predicted for each test row, and the labels of those rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.commands import refused, run, write_grid

from albench.benchmark.grid import study
from albench.results.record.store import RunStore

pytestmark = pytest.mark.usefixtures("own_folder")


def predictions() -> pd.DataFrame:
    return pd.concat([pd.read_parquet(part) for part in sorted(Path("out/predictions").glob("part-*.parquet"))])


def not_kept() -> dict[str, str]:
    said: dict[str, str] = json.loads(Path("out/manifest.json").read_text())["predictions_not_kept"]
    return said


def test_predictions_and_labels_give_each_accuracy_without_the_dataset() -> None:
    datasets = ["wine", {"name": "wdbc", "split": "resampled"}]
    assert run(write_grid(Path("grid.yaml"), datasets=datasets, seeds=2), "out").status == 0
    store = RunStore.open("out")
    tests = pd.DataFrame(store.test_sets()).set_index("test_set")
    assert sorted(tests["dataset"]) == ["wdbc(split=resampled)", "wdbc(split=resampled)", "wine"]
    assert list(tests.loc[tests["dataset"] == "wine", "class_names"].iloc[0]) == ["class_0", "class_1", "class_2"]
    kept = predictions().merge(store.rounds(), on=["trial_id", "round"], validate="one_to_one")
    assert len(kept) == len(store.rounds()) > 0
    rows = tests["rows"].loc[tests["dataset"] != "wine"]
    assert [len(set(row)) for row in rows] == [171, 171]  # of 569: they share some
    assert len(set(np.concatenate(list(rows)))) > 171
    assert tests["rows"].loc[tests["dataset"] == "wine"].isna().all()
    labels = tests["labels"].loc[kept["test_set"]]
    for predicted, true, accuracy in zip(kept["predicted"], labels, kept["accuracy"], strict=True):
        assert predicted.dtype == np.uint8
        assert float((predicted == true).mean()) == accuracy
    assert kept.groupby("dataset")["test_set"].nunique().to_dict() == {"wdbc(split=resampled)": 2, "wine": 1}
    assert not_kept() == {}


def test_a_grid_may_keep_none() -> None:
    assert run(write_grid(Path("grid.yaml"), keep={"predictions": False}), "out").status == 0
    assert not list(Path("out").glob("predictions/*")) + list(Path("out").glob("test_sets/*"))
    assert not_kept() == {"wine": "the grid says keep: {predictions: false}"}


def test_none_are_kept_of_a_large_test_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "MOST_TEST_ROWS", 100)  # wine has 54, wdbc 171
    assert run(write_grid(Path("grid.yaml"), datasets=["wine", "wdbc"]), "out").status == 0
    assert [row["dataset"] for row in RunStore.open("out").test_sets()] == ["wine"]
    assert set(predictions()["predicted"].map(len)) == {54}
    assert list(not_kept()) == ["wdbc"]
    assert "171 test rows" in not_kept()["wdbc"]


@pytest.mark.parametrize(
    ("keep", "problem"),
    [
        ({"predictons": False}, "keep.predictons: unknown key; did you mean 'predictions'? legal: predictions"),
        ({"predictions": "no"}, "keep.predictions: expected true or false, got 'no'"),
        (["predictions"], "keep: expected a mapping (key: value), got ['predictions']"),
    ],
)
def test_what_may_be_kept_is_said(keep: object, problem: str) -> None:
    write_grid(Path("grid.yaml"), keep=keep)
    assert refused() == [problem]


def test_a_part_is_as_narrow_as_its_classes_allow(directory: Path) -> None:
    with RunStore.create(directory, "name: x\n", {"grid_id": "x"}) as store:
        for dtype in (np.uint8, np.uint16):
            row = {"trial_id": str(dtype), "round": 0, "test_set": "t", "predicted": np.arange(3, dtype=dtype)}
            store.add_predictions([row])
            store.flush()
        kinds = [str(pq.read_schema(p).field("predicted").type) for p in sorted(directory.glob("predictions/part-*"))]
        assert [kind.split()[-1] for kind in kinds] == ["uint8>", "uint16>"]
    (joined,) = directory.glob("predictions/part-*")
    assert pq.read_table(joined)["predicted"].to_pylist() == [[0, 1, 2]] * 2
    assert "uint16" in str(pq.read_schema(joined).field("predicted").type)

"""Trials that choose on one view of the pool and train on another: an embedding and the images themselves."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import Program
from support.commands import invoke
from support.plugins import install

from albench.results.record.store import RunStore

DARKEST = '''
"""A rule that looks at the images."""
from dataclasses import dataclass
import numpy as np
from albench.benchmark.registry import strategy

@strategy("darkest", cite="", needs={"images"})
@dataclass(frozen=True)
class Darkest:
    """The darkest images first."""
    def select(self, query):
        order = query.rng.permutation(query.unlabelled)
        ink = query.images(order).reshape(len(order), -1).sum(axis=1, dtype=np.int64)
        return order[np.argsort(ink, kind="stable")[: query.n]]
'''
GRID: dict[str, Any] = {
    "name": "views",
    "datasets": ["digits", "wine"],
    "embeddings": ["pca:8", "raw"],
    "learners": [
        {"name": "mlp", "sees": "images", "steps": 20, "width": 32},
        {"name": "resnet18", "recipe": "udal", "epochs": 2, "width": 2},
    ],
    "strategies": ["margin", "darkest"],
    "budgets": {"low": {"initial": "1/class", "query": 10, "rounds": 2}},
    "seeds": 1,
}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return install(tmp_path_factory.mktemp("site"), "albench.strategies", "darkest", "darkest:Darkest", DARKEST)


def run(albench: Program, folder: Path, env: dict[str, str], grid: dict[str, Any], *engine: object) -> Path:
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    out = folder / "-".join(map(str, engine))
    own = {**env, "ALBENCH_CACHE": str(folder / "cache")}
    status, _, err = albench.run(
        "run", "--grid", folder / "grid.yaml", "--out", out, *engine, "--mlflow", "off", env=own
    )
    assert (status, err) == (0, "")
    return out


def views(folder: Path) -> list[Path]:
    return [path for path in (folder / "cache" / "images").glob("*") if path.is_dir()]


def test_one_grid_chooses_on_embeddings_and_trains_on_images(
    albench: Program, tmp_path: Path, plugin: dict[str, str], same_answer: Any
) -> None:
    inline = run(albench, tmp_path, plugin, GRID, "--engine", "inline")
    cluster = run(albench, tmp_path, plugin, GRID, "--workers", 2)
    same_answer(inline, cluster)
    trials = RunStore.open(inline).trials()
    ended = pd.crosstab(trials["dataset"], trials["outcome"]).to_dict("index")
    assert ended == {"digits": {"done": 12, "unsupported": 0}, "wine": {"done": 0, "unsupported": 12}}
    refused = trials[trials["outcome"] == "unsupported"]
    assert set(refused["reason"].str.partition(" needs ")[2]) == {"images; wine has none"}
    assert len(views(tmp_path)) == 1  # for both embeddings
    rounds = RunStore.open(inline).rounds()
    picks = rounds[(rounds["strategy"] == "darkest") & (rounds["round"] > 0)].groupby(["round"])["selected"]
    assert all(len({tuple(rows) for rows in found}) == 1 for _, found in picks)  # on whatever embedding


def test_who_sees_no_images_writes_none(own_folder: Path) -> None:
    grid = {**GRID, "datasets": ["digits"], "embeddings": ["raw"], "learners": ["linear"], "strategies": ["random"]}
    (own_folder / "grid.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    said = invoke("run", "--grid", "grid.yaml", "--out", "out", "--engine", "inline", "--mlflow", "off")
    assert said.status == 0, said.err
    assert not views(own_folder)

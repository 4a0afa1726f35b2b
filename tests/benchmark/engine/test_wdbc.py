"""The trust anchor: Lu et al. (arXiv 2306.08954) on Wdbc, ten of its seeds. All 150 are in results/published/."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import Program

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = {"random": (0.9539, 0.0130), "margin": (0.9652, 0.0103)}  # mean and SD over seeds, aubc-points/1


@pytest.fixture(scope="module")
def cells(albench: Program, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("wdbc") / "run"
    study = ROOT / "configs" / "studies" / "wdbc.yaml"
    status, _, err = albench.run(
        "run", "--grid", study, "--out", out, "--set", "seeds=10", "--workers", 2, "--mlflow", "off"
    )
    assert (status, err) == (0, "")
    return pd.read_csv(out / "report" / "tables" / "cells.csv").set_index("strategy")


@pytest.mark.parametrize("strategy", PUBLISHED)
def test_ten_seeds_agree_with_the_published_mean(cells: pd.DataFrame, strategy: str) -> None:
    mean, deviation = PUBLISHED[strategy]
    assert cells["aubc/1 n"][strategy] == 10
    assert cells["aubc-points/1 mean"][strategy] == pytest.approx(mean, abs=3 * deviation / 10**0.5)


@pytest.mark.parametrize("strategy", PUBLISHED)
def test_ten_seeds_are_the_first_ten_of_the_150(cells: pd.DataFrame, strategy: str) -> None:
    stored = pd.read_csv(ROOT / "results" / "published" / "wdbc.csv")
    first = stored[(stored["strategy"] == strategy) & (stored["seed"] < 10)]["aubc-points/1"]
    assert cells["aubc-points/1 mean"][strategy] == pytest.approx(first.mean(), abs=1e-4)


@pytest.mark.parametrize("strategy", PUBLISHED)
def test_the_150_seeds_are_within_a_thousandth(strategy: str) -> None:
    stored = pd.read_csv(ROOT / "results" / "published" / "wdbc.csv")
    values = stored[stored["strategy"] == strategy]["aubc-points/1"]
    assert len(values) == 150
    assert values.mean() == pytest.approx(PUBLISHED[strategy][0], abs=1e-3)

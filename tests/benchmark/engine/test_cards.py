"""Trials on several made-up cards of two nodes: how many share one is measured, and decides no number."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Program, answer, surroundings
from support.commands import TINY, write_grid
from support.made_up_cards import fits, install_made_up_cards

from albench.results.record.store import RunStore


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    return install_made_up_cards(tmp_path)


@pytest.fixture
def address(installed: dict[str, str]) -> Iterator[str]:
    script = Path(__file__).parents[2] / "support" / "two_nodes.py"
    environment = {**surroundings(), **installed}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    command, pipe = [sys.executable, str(script), "--cards", "1", "2"], subprocess.PIPE
    cluster = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    assert cluster.stdout is not None
    yield cluster.stdout.readline().strip()
    cluster.communicate(timeout=60)


def run(albench: Program, grid: Path, env: dict[str, str], *where: str) -> Path:
    out = grid.with_suffix("")
    status, said, err = albench.run("run", "--grid", grid, "--out", out, "--mlflow", "off", *where, env=env)
    assert "Traceback" not in said + err
    assert status in (0, 1), err
    return out


def test_trials_share_several_cards_on_several_nodes(
    albench: Program, tmp_path: Path, address: str, installed: dict[str, str]
) -> None:
    log = tmp_path / "auto.log"
    grid = {**TINY, "learners": [{"name": "hungry", "log": str(log)}], "seeds": 8}
    on_the_cpu = run(albench, write_grid(tmp_path / "cpu.yaml", **grid), installed, "--engine", "inline")
    assert RunStore.open(on_the_cpu).rounds()[["gpu_s", "peak_gpu_mb"]].isna().all(axis=None)

    auto = write_grid(tmp_path / "auto.yaml", **grid, resources={"num_gpus": "auto"})
    shared = run(albench, auto, installed, "--address", address)
    said = fits(log)
    assert {(fit["node"], fit["cards"]) for fit in said} == {("0", "0"), ("1", "0"), ("1", "1")}
    assert {fit["share"] for fit in said} == {1.0, 0.5}  # 7,048 MiB with what is beside: two a card
    assert all(fit["at_once"] <= 1 / fit["share"] for fit in said)
    rounds, trials = RunStore.open(shared).rounds(), RunStore.open(shared).trials()
    assert rounds["peak_gpu_mb"].eq(4000).all()
    assert rounds["gpu_s"].gt(0).all()
    assert set(trials["device"]) == {"made-up card"}
    assert answer(shared).equals(answer(on_the_cpu))  # a share decides no number


def test_who_finds_no_room_on_a_shared_card_is_tried_once_more_alone(
    albench: Program, tmp_path: Path, address: str, installed: dict[str, str]
) -> None:
    log = str(tmp_path / "half.log")
    learners = [{"name": "hungry", "log": log, "shares": False}, {"name": "hungry", "log": log, "need_mb": 20_000.0}]
    half = write_grid(tmp_path / "half.yaml", **{**TINY, "learners": learners}, resources={"num_gpus": 0.5})
    trials = RunStore.open(run(albench, half, installed, "--address", address)).trials()
    assert set(trials["attempts"]) == {2}
    alone, full = (trials[trials["learner"].str.contains(name)] for name in ("shares", "need_mb"))
    assert set(alone["outcome"]) == {"done"}
    assert set(full["outcome"]) == {"out-of-memory"}
    asked = "alone on its card: OutOfMemoryError: CUDA out of memory. Tried to allocate 20000 MiB."
    assert set(full["reason"]) == {asked}

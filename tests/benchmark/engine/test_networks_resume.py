"""A network trained from scratch comes out the same when it is run again: here killed within a trial, and gone on."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Program, raw_rounds

GRID: dict[str, Any] = {
    "name": "networks",
    "datasets": [{"name": "digits", "per_class": 30}],
    "embeddings": ["raw"],
    "learners": [{"name": "resnet18", "recipe": "udal", "epochs": 3, "batch": 16, "width": 4}],
    "strategies": ["random", "margin"],
    "budgets": {"low": {"initial": "1/class", "query": 10, "rounds": 4}},
    "seeds": 1,
}


@pytest.mark.timeout(600)
def test_a_network_is_the_same_again(albench: Program, tmp_path: Path, same_answer: Any) -> None:
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(GRID), encoding="utf-8")

    def command(out: str) -> list[object]:
        where = ["--grid", tmp_path / "grid.yaml", "--out", tmp_path / out]
        return ["run", *where, "--engine", "inline", "--mlflow", "off"]

    assert albench.run(*command("one"))[::2] == (0, "")
    process = albench.start(*command("killed"))
    while not list((tmp_path / "killed").glob("rounds/part-*")) and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert 0 < len(raw_rounds(tmp_path / "killed")) < len(raw_rounds(tmp_path / "one"))
    assert albench.run(*command("killed"))[0] == 0
    same_answer(tmp_path / "one", tmp_path / "killed")

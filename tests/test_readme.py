"""What the README shows as code is a rule that works, in the ways it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from support import plugins, rules

ROOT = Path(__file__).resolve().parents[1]
GRID = """
name: mine
datasets: [wine]
embeddings: [raw]
learners: [linear]
strategies: [random, {name: sampled-margin, share: 0.5}]
budgets: {low: {initial: 6, query: 3, rounds: 2}}
seeds: 2
"""


@pytest.fixture
def source() -> str:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (rule,) = (block for block in blocks if "@strategy" in block)
    assert len(rule.splitlines()) <= 22
    return rule


def test_the_rule_of_the_readme_passes_the_checks(source: str, tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "albench.cli", "check", "my_rules:SampledMargin"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"pass"}


def test_the_rule_of_the_readme_is_a_strategy_of_a_grid(source: str, tmp_path: Path) -> None:
    installed = plugins.install(tmp_path, "albench.strategies", "sampled-margin", "my_rules:SampledMargin", source)
    (tmp_path / "grid.yaml").write_text(GRID, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "albench.cli",
        "run",
        "--grid",
        "grid.yaml",
        "--engine",
        "inline",
        "--mlflow",
        "off",
    ]
    environment = os.environ | installed
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bought = pd.read_parquet(next((tmp_path / "runs" / "mine" / "rounds").glob("*.parquet")))
    assert "sampled-margin(share=0.5)" in set(bought["strategy"])


def test_the_readme_names_every_rule() -> None:
    told = set(re.findall(r"`([a-z-]+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert set(rules.names()) <= told

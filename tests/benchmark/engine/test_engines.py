"""The same answer everywhere: inline, on one Ray worker, on four, on two nodes, in any order, in any company."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Program, answer

GRID: dict[str, Any] = {
    "name": "same",
    "datasets": ["wine", {"name": "wdbc", "split": "resampled"}],
    "embeddings": ["raw", "pca"],
    "learners": [
        "linear",
        "knn",
        {"name": "knn", "tune": {"k": [1, 3]}, "selector": {"name": "linear", "tune": {"C": [1, 0.1]}}},
    ],
    "strategies": ["random", "margin", "kmeans", {"name": "coreset", "space": "embedding"}, "typiclust", "probcover"],
    "budgets": {
        "low": {"initial": 0, "query": "1/class", "rounds": 3},
        "high": {"initial": "2/class", "query": "2/class", "rounds": 3},
    },
    "seeds": 2,
}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "grid.yaml"
    path.write_text(yaml.safe_dump(GRID), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def inline(albench: Program, grid: Path) -> Path:
    out = grid.parent / "inline"
    status, _, err = albench.run("run", "--grid", grid, "--out", out, "--engine", "inline", "--mlflow", "off")
    assert (status, err) == (0, "")
    return out


@pytest.fixture
def two_nodes(counting_plugin: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    script = Path(__file__).parents[2] / "support" / "two_nodes.py"
    environment = {**os.environ, **counting_plugin}  # a plugin must be on each node
    pipe = subprocess.PIPE
    cluster = subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True, env=environment)
    assert cluster.stdout is not None
    yield cluster.stdout.readline().strip(), cluster
    cluster.communicate(timeout=60)


@pytest.mark.parametrize("workers", [1, 4])
def test_ray_gives_the_inline_answer(
    albench: Program, grid: Path, inline: Path, tmp_path: Path, same_answer: Any, workers: int
) -> None:
    status, _, err = albench.run(
        "run", "--grid", grid, "--out", tmp_path / "r", "--workers", workers, "--mlflow", "off"
    )
    assert (status, err) == (0, "")
    same_answer(inline, tmp_path / "r")


def test_two_nodes_give_the_inline_answer(
    albench: Program, grid: Path, inline: Path, tmp_path: Path, same_answer: Any, two_nodes: tuple[str, Any]
) -> None:
    arguments = ["run", "--grid", grid, "--out", tmp_path / "r", "--address", two_nodes[0], "--mlflow", "off"]
    status, _, err = albench.run(*arguments)
    assert (status, err.count("\n")) == (0, 1)
    assert "asks for no token" in err
    same_answer(inline, tmp_path / "r")


def test_losing_a_node_changes_nothing(
    albench: Program,
    tmp_path: Path,
    same_answer: Any,
    two_nodes: tuple[str, subprocess.Popen[str]],
    counting_plugin: dict[str, str],
) -> None:
    """The second node holds two of the three workers; it goes while they are at work."""
    address, cluster = two_nodes
    log = tmp_path / "log"
    slow = {**GRID, "datasets": ["wine"], "learners": [{"name": "counting", "sleep": 0.05, "log": str(log)}]}
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(slow), encoding="utf-8")
    undisturbed = albench.run(
        "run", "--grid", path, "--out", tmp_path / "a", "--engine", "inline", "--mlflow", "off", env=counting_plugin
    )
    assert undisturbed[0] == 0
    log.write_text("")
    running = albench.start(
        "run", "--grid", path, "--out", tmp_path / "b", "--address", address, "--mlflow", "off", env=counting_plugin
    )
    while len(log.read_text().splitlines()) < 20:
        assert running.poll() is None
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    cluster.stdin.write("remove\n")
    cluster.stdin.flush()
    assert cluster.stdout.readline().strip() == "removed"
    _, err = running.communicate(timeout=240)
    assert running.returncode == 0
    assert "a worker was lost" in err
    same_answer(tmp_path / "a", tmp_path / "b")


def test_order_and_company_change_nothing(albench: Program, inline: Path, tmp_path: Path) -> None:
    reversed_grid = {key: value[::-1] if isinstance(value, list) else value for key, value in GRID.items()}
    reversed_grid |= {"strategies": ["typiclust", "margin"], "seeds": [1, 0], "name": "other"}
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(reversed_grid), encoding="utf-8")
    status, _, _ = albench.run("run", "--grid", path, "--out", tmp_path / "r", "--engine", "inline", "--mlflow", "off")
    assert status == 0
    whole, part = answer(inline), answer(tmp_path / "r")
    assert len(part) > 100
    assert part.equals(whole[whole["trial_id"].isin(part["trial_id"])].reset_index(drop=True))


def test_round_zero_is_one_number(inline: Path) -> None:
    rounds = answer(inline)
    start = rounds[(rounds["round"] == 0) & (rounds["budget"] == "high")]
    columns = ["accuracy", "balanced_accuracy", "macro_f1", "nll", "ece", "selected", "class_counts"]
    groups = start.groupby(["dataset", "embedding", "learner", "seed"])
    company = groups["strategy"].nunique().groupby("learner").unique().map(list).to_dict()
    tuned = "linear(C=1|0.1) -> knn(k=1|3)"
    assert company == {"linear": [6], "knn": [5], tuned: [6]}  # one neighbour has no margin
    assert (groups[columns].nunique(dropna=False).to_numpy() == 1).all()


@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_round_zero_is_fitted_once(
    albench: Program, tmp_path: Path, counting_plugin: dict[str, str], engine: str
) -> None:
    log = tmp_path / "log"
    once = {**GRID, "datasets": ["wine"], "learners": [{"name": "counting", "log": str(log)}], "seeds": 3}
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(once), encoding="utf-8")
    arguments = ["run", "--grid", path, "--out", tmp_path / "r", "--engine", engine, "--mlflow", "off"]
    status, _, err = albench.run(*arguments, *(["--workers", 3] if engine == "ray" else []), env=counting_plugin)
    assert (status, err) == (0, "")
    fits = Counter(int(line.split()[2]) for line in log.read_text().splitlines())
    settings = 2 * 3  # embeddings x seeds
    trials = settings * len(GRID["strategies"])
    # 3 classes: low has 3, 6, 9 labels, high 6 (round 0), 12, 18, 24; the bound is one fit per embedding
    assert fits == {3: trials, 6: trials + settings, 9: trials, 12: trials, 18: trials, 24: trials, 124: 2}


def test_inline_needs_neither_ray_nor_mlflow(tmp_path: Path, grid: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['ray'] = sys.modules['mlflow'] = None\n"
        "from albench.cli import main\n"
        f"main(['run', '--grid', {str(grid)!r}, '--out', {str(tmp_path / 'r')!r}, '--engine', 'inline',"
        " '--mlflow', 'off', '--set', 'seeds=1'])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).returncode == 0

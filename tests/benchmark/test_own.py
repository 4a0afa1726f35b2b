"""Plugins of one's own by ``module:Class``: loaded by file, known by their source, carried to every worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from support import plugins
from support.commands import Said, invoke, nothing_written, run, write_grid

from albench import load
from albench.benchmark import registry
from albench.benchmark.grid import grid as grids
from albench.benchmark.grid.study import resolve
from albench.benchmark.registry import PluginError
from albench.benchmark.types import Part

pytestmark = pytest.mark.usefixtures("own_folder")
BUDGETS = {"low": {"initial": 6, "query": 3, "rounds": 3}}
RULES = '''
"""Two rules, of which one is made of the other and of a file beside this one."""
import os
from dataclasses import dataclass, field
from albench.benchmark.registry import ask, strategy
from albench.benchmark.types import Strategy
from my_helpers import {helper} as first

@strategy("margin", cite="me", needs={{"probabilities"}})
@dataclass(frozen=True)
class Mine:
    """Buys what comes first, and leaves a note on where it ran."""
    skip: int = 0

    def select(self, query):
        assert len(query.probs) == len(query.unlabelled)
        if "NODE" in os.environ:
            open(f"{folder}/" + os.environ["NODE"] + type(__loader__).__name__, "w").close()
        return first(query.unlabelled[self.skip:], query.n)

@strategy("outer", cite="me")
@dataclass(frozen=True)
class Outer:
    """Leaves the choice to another."""
    rule: Strategy = field(default_factory=Mine)

    @property
    def needs(self):
        return frozenset({{"probabilities"}})

    def choose(self, query):
        return ask(self.rule, query)

    def select(self, query):
        return self.choose(query).rows
'''
HELPERS = "def head(rows, n):\n    return rows[:n]\n"
SHADOWS = ("random", "queue", "numpy", "torch", "types", "pandas")
MINE = ["random", "my_rules:Mine", {"name": "my_rules:Outer"}, {"name": "my_rules:Mine", "skip": 4}]


@pytest.fixture
def mine(own_folder: Path) -> Path:
    """Return a folder beside the current one: a grid of two rules of one's own, and files named as libraries are."""
    folder = own_folder / "mine"
    folder.mkdir()
    write(folder)
    (folder / "my_helpers.py").write_text(HELPERS)
    for name in SHADOWS:
        (folder / f"{name}.py").write_text("raise SystemError('a library was shadowed')\n")
    return write_grid(folder / "grid.yaml", strategies=MINE, budgets=BUDGETS, seeds=20)


def write(folder: Path, more: str = "") -> None:
    (folder / "my_rules.py").write_text(RULES.format(helper="head", folder=folder) + more)


def parts(path: Path) -> dict[str, Part]:
    return {choice.part.label: choice.part for choice in grids.load(path).strategies}


def ids(path: Path) -> list[str]:
    return [trial.trial_id for trial in resolve(grids.load(path)).trials]


def test_every_node_of_a_cluster_gives_the_inline_answer(
    albench: Program, mine: Path, same_answer: Any, tmp_path: Path
) -> None:
    """Three workers on two nodes that were started elsewhere, and know nothing of the folder."""
    script = Path(__file__).parents[1] / "support" / "two_nodes.py"
    pipe, elsewhere = subprocess.PIPE, tmp_path / "elsewhere"
    elsewhere.mkdir()
    cluster = subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True, cwd=elsewhere)
    try:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        status, _, _ = albench.run("run", "--grid", mine, "--out", "ray", "--address", address, "--mlflow", "off")
        assert status == 0
    finally:
        cluster.communicate(timeout=60)
    assert {path.name for path in mine.parent.glob("[01]*")} == {"0_Finder", "1_Finder"}
    assert run(mine, "inline").status == 0
    same_answer(Path("inline"), Path("ray"))
    rounds = load("ray").rounds
    assert set(rounds["strategy"]) == {"random", "my_rules:Mine", "my_rules:Outer", "my_rules:Mine(skip=4)"}
    chosen = rounds.loc[rounds["strategy"] == "my_rules:Outer", "chosen_by"].dropna().explode()
    assert set(chosen) == {"my_rules:Mine"}
    sources = json.loads(Path("ray", "manifest.json").read_text())["sources"]
    assert sources == {f"strategy my_rules:{n}": parts(mine)["my_rules:Mine"].source for n in ("Mine", "Outer")}


def test_its_source_is_in_the_identity_and_an_edit_is_seen_at_once(mine: Path) -> None:
    before, trials = parts(mine), ids(mine)
    assert len(before["my_rules:Mine"].source) == 16
    (mine.parent / "beside.py").write_text("")
    assert (parts(mine), ids(mine)) == (before, trials), "what it does not import is not in it"
    (mine.parent / "my_helpers.py").write_text(HELPERS.replace("rows[:n]", "rows[-n:]"))
    after = ids(mine)
    same = [one == other for one, other in zip(trials, after, strict=True)]
    assert same == [trial.strategy.name == "random" for trial in resolve(grids.load(mine)).trials]
    run(mine, "tail", "--set", "seeds=1")
    (mine.parent / "my_helpers.py").write_text(HELPERS)
    run(mine, "head", "--set", "seeds=1")
    bought = {name: load(name).rounds.set_index(["strategy", "round"])["selected"] for name in ("tail", "head")}
    first = {name: set(rows["my_rules:Mine", 1].tolist()) for name, rows in bought.items()}
    assert max(first["head"]) < min(first["tail"]), "the module was loaded anew"
    assert (parts(mine), ids(mine)) == (before, trials), "where a file lies, and when, does not matter"


PLUGINS = '''
"""One of each kind."""
from dataclasses import dataclass
import numpy as np
from albench.benchmark.learners.knn import KNN
from albench.benchmark.registry import dataset, encoder, learner
from albench.datasets.embeddings.base import Stored
from albench.datasets.reading.base import Split
from albench.datasets.reading.variants import Variants

@dataset("blobs", cite="", licence="mine")
@dataclass(frozen=True)
class Blobs(Variants):
    """Two of them."""
    size: int = 40
    resampled = False

    def load(self, seed):
        rng = np.random.default_rng(0)
        y = np.arange(self.size) % 2
        x = (rng.normal(size=(self.size, 3)) + 3 * y[:, None]).astype(np.float32)
        return Split("table", x, y, x[:10], y[:10], ("a", "b"))

@encoder("doubled", cite="")
@dataclass(frozen=True)
class Doubled(Stored):
    """Twice the inputs."""
    def encode(self, split, rng, work):
        return 2 * split.train, 2 * split.test

@learner("nearest", cite="")
@dataclass(frozen=True)
class Nearest(KNN):
    """The nearest label."""
'''


def test_datasets_encoders_and_learners_too(albench: Program, own_folder: Path) -> None:
    Path("my_parts.py").write_text(PLUGINS)
    keys = {
        "datasets": [{"name": "my_parts:Blobs", "size": 60}],
        "embeddings": ["my_parts:Doubled"],
        "learners": ["my_parts:Nearest:1", {"name": "my_parts:Nearest", "tune": {"k": [1, 3]}}],
    }
    grid = write_grid(Path("grid.yaml"), **keys)
    status, _, err = albench.run("run", "--grid", grid, "--out", "out", "--mlflow", "off", "--workers", 2)
    assert (status, err) == (0, "")
    rounds = load("out").rounds
    assert set(rounds["learner"]) == {"my_parts:Nearest", "my_parts:Nearest(k=1|3)"}
    assert rounds["accuracy"].max() > 0.9
    first = next(iter(resolve(grids.load(grid)).sources))
    Path("my_parts.py").write_text(PLUGINS.replace("2 * split", "3 * split"))
    assert next(iter(resolve(grids.load(grid)).sources)) != first, "another code, another embedding"


def test_an_installed_module_is_known_by_its_source_too(
    albench: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "their_package").mkdir(parents=True)
    (site / "their_package" / "__init__.py").write_text("")
    rules = RULES.format(helper="head", folder=site).replace("from my_", "from .my_").replace('"margin"', '"theirs"')
    (site / "their_package" / "rules.py").write_text(rules)
    (site / "their_package" / "my_helpers.py").write_text(HELPERS)
    monkeypatch.syspath_prepend(site)
    grid = write_grid(Path("grid.yaml"), strategies=["random", "their_package.rules:Mine"], budgets=BUDGETS, seeds=2)
    part = parts(grid)["their_package.rules:Mine"]
    assert len(part.source) == 16
    env = plugins.install(tmp_path, "albench.strategies", "named", "their_package.rules:Outer", "")
    env = {"PYTHONPATH": f"{site}:{env['PYTHONPATH']}"}
    status, _, err = albench.run("run", "--grid", grid, "--out", "out", "--mlflow", "off", "--workers", 2, env=env)
    assert (status, err) == (0, "")
    (site / "their_package" / "my_helpers.py").write_text(HELPERS + "# changed\n")
    with pytest.raises(PluginError, match="the module 'their_package' has changed since it was"):
        registry.strategies.get("their_package.rules:Mine")


def refused(*strategies: str) -> list[str]:
    grid = write_grid(Path("grid.yaml"), strategies=list(strategies))
    with nothing_written():
        said = run(grid, "out")
    assert said.status == 2
    return [line.removeprefix("error: grid.yaml: ") for line in said.err.splitlines()]


def test_mistakes_are_lines(own_folder: Path) -> None:
    write(own_folder)
    (own_folder / "my_helpers.py").write_text(HELPERS + "class Plain: ...\n")
    (own_folder / "broken.py").write_text("x = 1\ndef f(:\n")
    (own_folder / "raising.py").write_text("raise RuntimeError('not\\ntoday')\n")
    (own_folder / "queue.py").write_text("")
    here = own_folder.resolve()
    assert refused(
        "my_rules:Mien",
        "my_helpers:Plain",
        "broken:X",
        "raising:X",
        "queue:X",
        "my_ruls:Mine",
        "margni:x",
        "json:JSONDecoder",
        "random:Mine",
    ) == [
        "strategies[0]: 'my_rules' has no class 'Mien'; did you mean 'Mine'? legal: Mine, Outer",
        "strategies[1]: my_helpers:Plain has no @strategy above it",
        f"strategies[2]: broken:X: {here}/broken.py, line 2: invalid syntax",
        "strategies[3]: raising:X: cannot be imported: RuntimeError: not",
        f"strategies[4]: queue:X: {here}/queue.py has the name of an installed module (Python's own); rename it",
        f"strategies[5]: my_ruls:Mine: there is no module 'my_ruls' in {here}, and none is installed; did you mean"
        " 'my_rules'?",
        refused("margni")[0].replace("[0]", "[6]"),
        "strategies[7]: json:JSONDecoder: the module 'json' has no source in Python (Python's own)",
        "strategies[8]: 'random' takes no parameters, got 'Mine'",
    ]


def test_a_module_is_imported_where_its_name_is_said_and_nowhere_else(mine: Path) -> None:
    """To list, to show how a run is, or to make its report, nobody's code is run."""
    assert run(mine, "out", "--set", "seeds=1").status == 0
    write(mine.parent, "raise SystemError('imported')\n")
    (mine.parent / "other.py").write_text("raise SystemError('imported')\n")
    said: list[Said] = [
        invoke("list", "strategies"),
        invoke("list", "embeddings"),
        invoke("status", "out"),
        invoke("report", "out"),
        run(write_grid(mine.parent / "plain.yaml", strategies=["random"]), "plain", "--dry-run"),
    ]
    assert [each.status for each in said] == [0] * 5
    assert "SystemError: imported" in run(mine, "out").err


def test_the_name_it_declares_takes_nobodys_place(mine: Path) -> None:
    """It declares itself as ``margin``."""
    assert parts(mine)["my_rules:Mine"].name == "my_rules:Mine"
    assert registry.strategies.get("margin").origin.startswith("albench.")
    assert "my_rules:Mine" not in registry.strategies.names()

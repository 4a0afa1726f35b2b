"""Nodes without a common file system: each derives once what its workers share; the answer is that of one process."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from conftest import Program
from support.commands import TINY
from support.plugins import install

COUNTED = '''
"""A rule that writes down where and how often its artefact is computed."""
import os, time
from dataclasses import dataclass, field
from albench.benchmark.registry import strategy

@strategy("counted", cite="")
@dataclass(frozen=True)
class Counted:
    """Picks in a random order of the pool, slowly."""
    log: str = field(default="", metadata={"path": True})

    def select(self, query):
        def compute(features, rng):
            with open(self.log, "a") as file:
                file.write(os.environ["ALBENCH_CACHE"] + "\\n")
            time.sleep(1)  # long enough for another worker of the node to ask for it
            return {"order": rng.permutation(len(features))}

        order = query.derived.get("counted/1", compute)["order"]
        with open(self.log + ".users", "a") as file:
            file.write(f"{os.environ['ALBENCH_CACHE']} {os.getpid()}\\n")
        time.sleep(0.05)
        is_open = set(query.unlabelled.tolist())
        return order[[row in is_open for row in order]][: query.n]
'''


@contextmanager
def nodes(*caches: Path, env: dict[str, str]) -> Iterator[str]:
    """Start a node for each cache; yield the address."""
    script, pipe = Path(__file__).parents[2] / "support" / "two_nodes.py", subprocess.PIPE
    command = [sys.executable, str(script), *map(str, caches)]
    cluster = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **env})
    assert cluster.stdout is not None
    yield cluster.stdout.readline().strip()
    cluster.communicate(timeout=60)


def folders(cache: Path, pattern: str) -> set[str]:
    return {str(path.relative_to(cache)) for path in cache.glob(pattern) if path.is_dir()}


def test_each_node_derives_once_what_its_workers_share(albench: Program, tmp_path: Path, same_answer: Any) -> None:
    (tmp_path / "site").mkdir()
    env = install(tmp_path / "site", "albench.strategies", "counted", "counted_rule:Counted", COUNTED)
    grid, log = tmp_path / "grid.yaml", tmp_path / "log"
    rules = [{"name": "counted", "log": str(log)}, "probcover"]
    grid.write_text(yaml.safe_dump({**TINY, "strategies": rules, "seeds": 8}), encoding="utf-8")
    caches = {name: tmp_path / name for name in ("driver", "one", "two")}
    run = ["run", "--grid", grid, "--mlflow", "off", "--out"]
    env["ALBENCH_CACHE"] = str(caches["driver"])
    assert albench.run(*run, tmp_path / "a", "--engine", "inline", env=env)[::2] == (0, "")
    [embedding] = folders(caches["driver"], "[0-9a-f]" * 64)
    derived = folders(caches["driver"], "*.derived/*")
    assert len(derived) == 4  # the order, unit rows, pseudo-classes, the graph of balls
    log.write_text("")
    Path(f"{log}.users").write_text("")

    with nodes(caches["one"], caches["two"], env=env) as address:
        status, _, err = albench.run(*run, tmp_path / "b", "--address", address, env=env)
        assert (status, err.count("\n")) == (0, 1)
        assert "asks for no token" in err
    same_answer(tmp_path / "a", tmp_path / "b")
    assert Counter(log.read_text().split()) == {str(caches["one"]): 1, str(caches["two"]): 1}
    workers = {tuple(line.split()) for line in Path(f"{log}.users").read_text().splitlines()}
    assert Counter(cache for cache, _ in workers) == {str(caches["one"]): 1, str(caches["two"]): 2}
    for name in ("one", "two"):
        assert folders(caches[name], "*") == {f"{embedding}.derived"}  # the embedding came through Ray
        assert folders(caches[name], "*.derived/*") <= derived
    assert folders(caches["one"], "*.derived/*") | folders(caches["two"], "*.derived/*") == derived
    assert folders(caches["driver"], "[0-9a-f]" * 64) == {embedding}

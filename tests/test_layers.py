"""Imports point down only, room by room, and each foreign system has one room. Read off the code itself."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the top down, rooms or single files: each imports from the lines below its own, and within itself. The longest
# name that fits counts.
LAYERS = """
cli
benchmark.door benchmark.show benchmark.replay
benchmark.engine
results.report
results.literature
results.tracking
results.measures
benchmark.grid
results.record
benchmark.conformance benchmark.loop datasets.embeddings.cache
benchmark.purchase
benchmark.bench
strategies benchmark.learners
datasets.embeddings
datasets
datasets.embeddings.networks
datasets.embeddings.base
strategies.kernels datasets.reading
benchmark.registry benchmark.seeds benchmark.scoring
benchmark.types
benchmark.query
benchmark.lesson
benchmark.device benchmark.strangers
benchmark.values benchmark.engine.deadline
benchmark.text
"""
LAYER = {room: number for number, line in enumerate(LAYERS.strip().splitlines()) for room in line.split()}
FOREIGN = {
    "ray": "benchmark.engine.session benchmark.engine.scheduler",
    "mlflow": "results.tracking.database results.tracking.server",
    "yaml": "benchmark.grid",
    "pydantic": "benchmark.grid results.record datasets.embeddings.cache",
    "altair": "benchmark.door results.report",
    "vl_convert": "results.report",
    "click": "cli benchmark.door.commands benchmark.engine.program",
    "rich": "cli benchmark.door benchmark.engine results.report",
    "skactiveml": "strategies.theirs",
}
FILES = [
    path
    for folder in ("benchmark", "strategies", "datasets", "results")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.stem != "__init__"
]


def room(module: str) -> str:
    parts = module.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in names if name in LAYER), "") or pytest.fail(f"{module} has no room: add it to LAYERS")


def name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports; our own without the leading package name."""
    package = name(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("albench.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".").removeprefix("albench.")
            submodules = [f"{module}.{alias.name}".strip(".") for alias in node.names]
            yield from (s if ours(s) else module for s in submodules)


def ours(module: str) -> bool:
    return (ROOT / (module.replace(".", "/") + ".py")).exists()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_down(path: Path) -> None:
    here = room(name(path))
    upward = [m for m in imports(path) if ours(m) and room(m) != here and LAYER[room(m)] <= LAYER[here]]
    assert not upward, f"{name(path)} imports {upward}, which is not below it"


def test_no_two_files_import_each_other() -> None:
    order = TopologicalSorter({name(path): {m for m in imports(path) if ours(m)} for path in FILES})
    assert len(list(order.static_order())) >= len(FILES)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_foreign_systems_have_one_room(path: Path) -> None:
    for module in imports(path):
        allowed = FOREIGN.get(module.split(".")[0])
        inside = allowed is None or any(f"{name(path)}.".startswith(f"{place}.") for place in allowed.split())
        assert inside, f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", [p for p in FILES if room(name(p)) == "strategies"], ids=name)
def test_a_strategy_sees_the_nouns_and_the_shared_kernels_only(path: Path) -> None:
    seen = {module for module in imports(path) if ours(module)}
    allowed = {"benchmark.types", "benchmark.registry"}
    assert {m for m in seen - allowed if room(m) != "strategies.kernels"} == set()


def test_this_test_sees_imports() -> None:
    seen = set(imports(ROOT / "benchmark" / "engine" / "run.py"))
    assert {"benchmark.grid.study", "results.record.store", "benchmark.engine.inline"} <= seen

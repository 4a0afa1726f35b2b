"""Imports point down only, and each foreign system has its own file. Read off the code itself."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the top down: a module imports from the layers below its own only. The first pattern that fits is its layer.
LAYERS = [
    ["cli"],
    ["benchmark.run"],
    ["benchmark.scheduler", "benchmark.inline", "results.mirror", "results.report"],
    [
        "benchmark.plan",
        "benchmark.show",
        "benchmark.firsts",
        "benchmark.replay",
        "benchmark.fill",
        "results.tracking",
        "results.sections.reading",
        "results.sections.moved",
    ],
    ["benchmark.study", "results.follower", "results.findings", "results.sections.*", "results.surveys"],
    ["results.charts", "results.page", "results.latex", "results.markdown", "results.comparison", "results.plain"],
    [
        "results.evidence",
        "results.forensics",
        "results.terminal",
        "results.complete",
        "results.foreign",
        "results.curves",
    ],
    ["benchmark.worker", "benchmark.grid", "benchmark.conformance", "results.store", "results.tables", "results.tail"],
    ["benchmark.loop", "benchmark.params", "datasets.embeddings.shelf"],
    ["datasets.embeddings.store", "datasets.embeddings.bundle"],
    [
        "benchmark.structure",
        "results.metrics",
        "results.blocks",
        "results.manifests",
        "results.parts",
        "results.schedules",
        "results.foreign_table",
        "results.published_numbers",
        "results.progress",
        "datasets.embeddings.artefacts",
        "datasets.embeddings.quality",
    ],
    ["datasets.loading", "datasets.embeddings.entry", "results.ranking"],
    [
        "datasets.embeddings.pixels",
        "datasets.embeddings._simclr",
        "datasets.embeddings._pretrained",
    ],  # encoders start here
    ["datasets.embeddings._*", "strategies._graphs", "results.stats"],
    ["datasets.embeddings.base", "strategies._*", "results.schema", "results.class_map"],
    ["datasets.files", "results.look"],
    ["datasets.variants", "datasets.downloads", "datasets.sources"],
    ["datasets.base", "datasets._transfer"],
    ["benchmark.registry", "benchmark.seeds"],
    ["benchmark.types"],
]
PLUGINS = ["benchmark.learners.*", "strategies.*", "datasets.embeddings.*", "datasets.*"]
ABOVE_PLUGINS, BELOW_PLUGINS = 10, 11  # plugins lie between these layers
FOREIGN = {
    "ray": {"benchmark.scheduler"},
    "mlflow": {"results.tracking"},
    "yaml": {"benchmark.grid"},
    "pydantic": {"benchmark.structure"},
    "altair": {"results.class_map"},
    "vl_convert": {"results.look", "results.page"},
    "click": {"cli"},
    "rich": {"cli", "benchmark.run", "results.progress", "results.terminal"},
}
FILES = [
    path
    for folder in ("benchmark", "strategies", "datasets", "results")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.stem != "__init__"
]


def layer(module: str) -> float:
    for number, patterns in enumerate(LAYERS):
        if any(fnmatch(module, pattern) for pattern in patterns):
            return number
    if any(fnmatch(module, pattern) for pattern in PLUGINS):
        data = module.startswith("datasets.") and "embeddings" not in module  # encoders may read a dataset's files
        return (ABOVE_PLUGINS + BELOW_PLUGINS) / 2 + 0.25 * data
    pytest.fail(f"{module} has no layer: add it to LAYERS")


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
            yield from (s if (ROOT / (s.replace(".", "/") + ".py")).exists() else module for s in submodules)


def ours(module: str) -> bool:
    return (ROOT / (module.replace(".", "/") + ".py")).exists()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_down(path: Path) -> None:
    upward = [m for m in imports(path) if ours(m) and layer(m) <= layer(name(path))]
    assert not upward, f"{name(path)} imports {upward}, which is not below it"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_foreign_systems_have_their_own_file(path: Path) -> None:
    for module in imports(path):
        allowed = FOREIGN.get(module.split(".")[0])
        assert allowed is None or name(path) in allowed, f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", sorted((ROOT / "strategies").glob("[!_]*.py")), ids=name)
def test_a_strategy_sees_the_types_and_the_shared_kernels_only(path: Path) -> None:
    allowed = {"benchmark.types", "benchmark.registry", "strategies._kernels", "strategies._graphs"}
    assert {module for module in imports(path) if ours(module)} <= allowed


def test_this_test_sees_imports() -> None:
    seen = set(imports(ROOT / "benchmark" / "run.py"))
    assert {"benchmark.study", "results.store", "datasets.embeddings.store", "benchmark.inline"} <= seen

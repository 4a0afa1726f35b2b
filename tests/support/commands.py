"""The command line as a user meets it, but in this process; and the grids that tests start from."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from albench.cli import main

TINY: dict[str, Any] = {
    "name": "tiny",
    "datasets": ["wine"],
    "embeddings": ["raw"],
    "learners": ["linear"],
    "strategies": ["random"],
    "budgets": {"low": {"initial": "1/class", "query": "1/class", "rounds": 2}},
    "seeds": 1,
}
"""About a tenth of a second of work."""


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


def invoke(*arguments: object) -> Said:
    """Run a command to its end; an exception that a user would see as a traceback is raised here too."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def run(grid: Path, out: Path | str, *more: object) -> Said:
    """Run a grid in this process, without tracking."""
    return invoke("run", "--grid", grid, "--out", out, "--engine", "inline", "--mlflow", "off", *more)


def write_grid(path: Path, **changes: Any) -> Path:
    """Write `TINY` with some keys replaced; a key that is None is left out."""
    content = {key: value for key, value in {**TINY, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def everything_below(folder: Path) -> dict[str, bytes]:
    """Return all files and folders with their content, to see that nothing was written."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}


@contextmanager
def nothing_written() -> Iterator[None]:
    """Check that the current folder, and all below it, is as it was."""
    before = everything_below(Path.cwd())
    yield
    assert everything_below(Path.cwd()) == before


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Let every file that grows beyond ``limit`` bytes fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refused(*options: object, grid: str = "grid.yaml", out: str = "out") -> list[str]:
    """Run a grid that is refused; return the problems, without what they all start with."""
    with nothing_written():
        said = run(Path(grid), out, *options)
    assert (said.status, said.out) == (2, "")
    return [line.removeprefix("error: ").removeprefix(f"{grid}: ") for line in said.err.splitlines()]

"""What fuzz tests start from: one small run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import invoke, run, write_grid


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of twelve rounds with its report; everything is imported by then."""
    folder = tmp_path_factory.mktemp("made")
    grid = write_grid(folder / "grid.yaml", strategies=["random", "margin"], seeds=2)
    assert run(grid, folder / "run").status == 0
    assert invoke("status", folder / "run").status == 0
    return folder / "run"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a copy of that run may lie."""
    return tmp_path_factory.mktemp("copy") / "run"

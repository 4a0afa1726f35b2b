"""What goes wrong while a run is under way: it is named, what is done is kept, and the same command mends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from conftest import Program, answer
from support.commands import Said, invoke, run, write_grid
from support.plugins import install

pytestmark = pytest.mark.usefixtures("own_folder")

ONE_LINE = "; what is done is kept; put this right and run the same command again\n"


@pytest.fixture
def grid() -> Path:
    """Forty trials with their bounds: some hundreds of rounds, so that files have a size."""
    return write_grid(Path("grid.yaml"), strategies=["random", "margin"], seeds=20)


@pytest.fixture
def undisturbed(grid: Path) -> pd.DataFrame:
    assert run(grid, "undisturbed").status == 0
    return answer(Path("undisturbed"))


def completed(said: Said, undisturbed: pd.DataFrame) -> None:
    assert said.status == 0
    pd.testing.assert_frame_equal(answer(Path("out")), undisturbed, check_exact=True)


# --- files that are damaged ------------------------------------------------------------------------------------------


def test_a_corrupt_embedding_ends_the_run_with_what_mends_it(grid: Path, undisturbed: pd.DataFrame) -> None:
    (entry,) = (manifest.parent for manifest in Path("cache").glob("*/manifest.json"))
    damaged = entry / "train.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    said = run(grid, "out")
    assert said.status == 1
    assert said.err == (
        f"error: {damaged.absolute()}: its bytes are not those that were written (sha256);"
        f" 'albench cache remove {entry.name[:12]}' removes the entry, and it is computed again when it is asked for\n"
    )
    assert run(grid, "out").err == said.err
    assert invoke("cache", "remove", entry.name[:12]).out == f"removed {entry.name[:12]}  wine / raw\n"
    completed(run(grid, "out"), undisturbed)


@pytest.mark.parametrize("table", ["rounds", "trials"])
def test_a_corrupt_part_is_named_set_aside_and_its_trials_are_done_again(
    grid: Path, undisturbed: pd.DataFrame, table: str
) -> None:
    assert run(grid, "out", "--only", "seed=0,1,2,3,4").status == 0
    (first,) = Path("out", table).glob("part-*.parquet")
    assert run(grid, "out", "--only", "seed=5,6,7").status == 0
    (whole,) = Path("out", table).glob("part-*.parquet")
    assert whole != first
    whole.write_bytes(whole.read_bytes()[:-20])
    said = run(grid, "out")
    assert said.err.startswith(f"warning: {whole} cannot be read and was set aside as {whole.name}.corrupt: ")
    assert said.err.count("\n") == 1
    assert whole.with_name(f"{whole.name}.corrupt").exists()
    completed(said, undisturbed)


# --- a disk without space --------------------------------------------------------------------------------------------

LIMITED = """
import resource, sys
from albench.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))  # a file that grows longer fails as on a full disk
main()
"""


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("undisturbed/plan.parquet", "out/plan.parquet cannot be written: File too large"),
        ("cache/*/train.npy", "{cache}/"),
        ("undisturbed/rounds/part-*", "out/rounds/part-"),
    ],
)
def test_files_that_may_not_grow(grid: Path, undisturbed: pd.DataFrame, file: str, line: str) -> None:
    (longest,) = Path.cwd().glob(file)
    limit = longest.stat().st_size * 3 // 4  # what is written before it is shorter
    cache = Path("other").absolute()
    environment = {**os.environ, "ALBENCH_CACHE": str(cache)}
    options = ["run", "--grid", str(grid), "--out", "out", "--engine", "inline", "--mlflow", "off"]
    command = [sys.executable, "-c", LIMITED.format(limit=limit), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("error: " + line.format(cache=cache))
    assert done.stderr.endswith(ONE_LINE)
    assert done.stderr.count("\n") == 1
    completed(run(grid, "out"), undisturbed)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a disk of 1 MiB on ``out``."""
    Path("out").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "albench-test", "out"]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk; RLIMIT_FSIZE stands for it above")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not let us mount a small disk: {mounted.stderr.strip()}")
    yield Path("out")
    subprocess.run(["umount", "out"], check=True)


def test_a_disk_that_is_full(grid: Path, undisturbed: pd.DataFrame, small_disk: Path) -> None:
    assert run(grid, small_disk, "--only", "seed=0,1,2").status == 0
    kept = answer(small_disk)
    ballast = small_disk / "report" / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    said = run(grid, small_disk)
    assert said.status == 1
    assert said.err.startswith(f"error: {small_disk}/")
    assert "cannot be written: No space left on device" in said.err
    assert said.err.count("\n") == 1
    pd.testing.assert_frame_equal(answer(small_disk), kept, check_exact=True)
    ballast.unlink()
    completed(run(grid, small_disk), undisturbed)


# --- cells that cannot run -------------------------------------------------------------------------------------------

CANNOT = [
    ("svm", "badge", "badge needs hidden, probabilities; svm gives scores"),
    ("svm", "entropy", "entropy needs probabilities; svm gives scores"),
    ("knn", "badge", "badge needs hidden, probabilities; knn gives predictions only"),
    ("knn", "entropy", "entropy needs probabilities; knn gives predictions only"),
]


def test_cells_that_cannot_run_are_told_before_and_after_with_the_reason() -> None:
    learners = ["linear", "svm", {"name": "knn", "k": 1}]
    grid = write_grid(Path("grid.yaml"), learners=learners, strategies=["random", "badge", "entropy"], seeds=2)
    dry = run(grid, "out", "--dry-run")
    assert dry.status == 0
    assert [line for line in dry.out.splitlines() if line.startswith("unsupported")] == [
        f"unsupported: wine / raw / low: {reason} (2 trials)" for _, _, reason in CANNOT
    ]
    said = run(grid, "out")
    assert (said.status, said.err) == (0, "")
    assert set(answer(Path("out")).groupby(["learner", "strategy"]).groups) == {
        *(("linear", strategy) for strategy in ("random", "badge", "entropy")),
        *((learner, "random") for learner in ("svm", "knn")),
    }
    report = Path("out/report/report.md").read_text(encoding="utf-8")
    for learner, strategy, reason in CANNOT:
        line = f"wine/raw/{learner}, low, {strategy}: 2 unsupported: {reason}"
        assert line in said.out
        assert line in invoke("status", "out").out
        assert reason in report


# --- a strategy that raises ------------------------------------------------------------------------------------------

FRAGILE = '''
"""A strategy that fails as long as there is no file ``mended``, and writes down each of its calls."""
from dataclasses import dataclass
from pathlib import Path
from albench.benchmark.registry import strategy

@strategy("fragile", cite="")
@dataclass(frozen=True)
class Fragile:
    """Fails until it is mended."""

    def select(self, query):
        with open("calls", "a") as file:
            file.write("x")
        if not Path("mended").exists():
            raise KeyError("no such neighbour\\nsecond line")
        return query.unlabelled[: query.n]
'''


@pytest.fixture
def fragile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which the strategy is installed, by its entry point."""
    site = tmp_path_factory.mktemp("site")
    return install(site, "albench.strategies", "fragile", "fragile_plugin:Fragile", FRAGILE)


def test_a_strategy_that_raises_is_recorded_once_and_the_rest_goes_on(
    albench: Program, fragile: dict[str, str]
) -> None:
    write_grid(Path("grid.yaml"), strategies=["random", "fragile", "margin"], seeds=2)
    command = ["run", "--grid", "grid.yaml", "--out", "out", "--engine", "inline", "--mlflow", "off"]
    status, out, err = albench.run(*command, env=fragile)
    assert (status, err) == (1, "")
    for seed in range(2):
        assert f"failed: wine / raw / linear / fragile / low / seed {seed}: KeyError: 'no such neighbour" in out
    assert Path("calls").read_text() == "xx"
    ends = pd.read_parquet("out/trials")
    assert ends["outcome"].value_counts().to_dict() == {"done": 5, "failed": 2}
    failed = ends[ends["outcome"] == "failed"]
    assert set(failed["strategy"]) == {"fragile"}
    assert failed["traceback"].str.contains("fragile_plugin.py.*in select", regex=True).all()
    assert not failed["reason"].str.contains("\n").any()
    report = Path("out/report/report.md").read_text(encoding="utf-8")
    assert "KeyError" in report

    again, _, _ = albench.run(*command, env=fragile)  # nothing is tried that ended
    assert (again, Path("calls").read_text()) == (1, "xx")
    assert len(pd.read_parquet("out/trials")) == 7

    Path("mended").touch()
    mended, out, _ = albench.run(*command, "--retry", "failed", env=fragile)
    assert mended == 0
    assert Path("calls").read_text() == "xx" + 2 * "xx"
    assert invoke("status", "out").out.splitlines()[0] == "7 trials: 7 done"

"""What all tests share: one thread, a cache of their own, no clock in property tests, the program as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # as the command line does it, before numpy is loaded

import pandas as pd
import pytest
from hypothesis import settings
from support.browser import browser
from support.plugins import install

settings.register_profile("albench", deadline=None, derandomize=True)  # machines are shared; a red run can be repeated
settings.load_profile("albench")

LONG = (
    "test_resume",
    "test_engines",
    "test_cards",
    "test_tracking",
    "test_wdbc",
    "test_sharing",
    "test_session",
    "test_mishaps",
    "test_views",
    "test_pages",
)
"""The files that take longest: processes that are killed, clusters, servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: two processes share the files, and neither should wait for the other at the end."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Return a browser that a file of tests opens its pages in (`support.browser.opened`)."""
    with browser() as started:
        yield started


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder: an empty one, in which the cache will lie too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache of the test's own."""
    monkeypatch.setenv("ALBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return where a run may be written."""
    return tmp_path / "run"


def surroundings() -> dict[str, str]:
    """Return the environment without what Ray sets in a process in which a test has started it."""
    return {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}


class Program:
    """albench in processes of its own."""

    command = (sys.executable, "-m", "albench.cli")

    def start(self, *arguments: object, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start it as the leader of its own process group, as a shell would."""
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**surroundings(), **(env or {})},
            start_new_session=True,
        )

    def run(self, *arguments: object, env: dict[str, str] | None = None, timeout: float = 240) -> tuple[int, str, str]:
        """Run it to its end; return exit status, standard output and standard error."""
        process = self.start(*arguments, env=env)
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err


@pytest.fixture(scope="session")
def albench() -> Program:
    return Program()


def answer(directory: Path) -> pd.DataFrame:
    """Return all that a run answers: its rounds, timing columns aside, with the predictions that are kept of them."""
    from albench.results.record.schema import LISTS, TIMING
    from albench.results.record.store import RunStore

    rounds = RunStore.open(directory).rounds().drop(columns=list(TIMING))
    rounds["predicted"] = (
        kept_predictions(directory).reindex(list(zip(rounds["trial_id"], rounds["round"], strict=True))).to_numpy()
    )
    for column in LISTS:
        rounds[column] = rounds[column].map(lambda values: None if values is None else tuple(values.tolist()))
    return rounds


def kept_predictions(directory: Path) -> "pd.Series[Any]":
    """Return what each round predicted, as a tuple, by (trial_id, round); twice done rounds must have said the same."""
    parts = sorted((directory / "predictions").glob("part-*.parquet"))
    rows = pd.concat([pd.read_parquet(part) for part in parts]) if parts else pd.DataFrame()
    if rows.empty:
        return pd.Series(index=pd.MultiIndex.from_tuples([], names=["trial_id", "round"]), dtype=object)
    rows["predicted"] = rows["predicted"].map(lambda values: tuple(values.tolist()))
    once = rows.drop_duplicates().set_index(["trial_id", "round"])["predicted"]
    assert once.index.is_unique
    return once


def raw_rounds(directory: Path) -> pd.DataFrame:
    """Return every row of every part, repeated ones included."""
    return pd.concat([pd.read_parquet(part) for part in sorted((directory / "rounds").glob("part-*.parquet"))])


@pytest.fixture(scope="session")
def same_answer() -> Any:
    """Return a check that two runs hold the same rounds, bit for bit."""

    def check(one: Path, other: Path) -> None:
        pd.testing.assert_frame_equal(answer(one), answer(other), check_exact=True)

    return check


COUNTING = '''
"""A learner that writes down each of its fits: time, process, rows."""
import os, time
from dataclasses import dataclass, field
from albench.benchmark.learners.linear import Linear
from albench.benchmark.registry import learner

@learner("counting", cite="")
@dataclass(frozen=True)
class Counting:
    """Linear, slower, with a log."""
    log: str = field(default="", metadata={"path": True})
    sleep: float = 0.0
    gives = Linear().gives

    def fit(self, lesson):
        time.sleep(self.sleep)
        model = Linear().fit(lesson)
        with open(self.log, "a") as file:
            file.write(f"{time.time()} {os.getpid()} {len(lesson.labels)}\\n")
        return model
'''


@pytest.fixture(scope="session")
def counting_plugin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which a learner ``counting`` is installed, by its entry point."""
    site = tmp_path_factory.mktemp("site")
    return install(site, "albench.learners", "counting", "counting_plugin:Counting", COUNTING)

"""2,000 grids that nobody meant: a listing or lines, and what is accepted is read again as the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.commands import TINY, invoke
from support.hostile import CHANGES, Change, damaged, examples, survives

from albench.benchmark.grid import grid as grids
from albench.benchmark.types import UserError

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(0)]

LARGER = {
    **TINY,
    "datasets": ["wine", {"name": "digits", "per_class": 20}],
    "embeddings": ["raw", {"name": "pca", "dims": 8}],
    "learners": ["linear", {"name": "mlp", "steps": 5}],
    "strategies": ["random", {"name": "power", "over": {"name": "margin"}}, "badge"],
    "budgets": {
        "low": {"initial": "1/class", "query": 10, "rounds": 2},
        "high": {"initial": 5, "query": "2/class", "rounds": 3},
    },
    "seeds": [3, 5],
    "resources": {"num_cpus": 1, "timeout": 60},
}
TEXTS = [yaml.safe_dump(grid, sort_keys=False) for grid in (TINY, LARGER)]
SNIPPETS = st.sampled_from(
    [
        "010", "0x1F", "1_000", "1:30", "1e3", ".inf", "-.nan", "~", "yes", "2024-01-01", "!!binary aGk=", "!!set {a}",
        "!!python/object:os.system ls", "!!int abc", "!!timestamp 99", "&a [*a]", "*nobody", "<<: {a: 1}", "[" * 3000,
        "{" * 3000, "9" * 5000, "-1", "10" * 12, "1/class", "200%", "{from: 0, to: 1000000000000}", "\ud800",
        "\u2028", "\x00", "\t", "é", "e\u0301", "? a", "- - -", "---", "...", "%YAML 1.1", "'", '"', "|", ">", "#",
        "&a [1,1,1,1]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c]\ne: [*d,*d,*d,*d]",
    ]
)  # fmt: skip
LINES = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["value", "line", "delete", "twice", "indent"]), SNIPPETS),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grids") / "grid.yaml"
    for text in TEXTS:  # what is imported at first is no input's fault
        path.write_text(text, encoding="utf-8")
        assert invoke("run", "--grid", path, "--dry-run").status == 0
    return path


@examples(1500)
@given(text=st.sampled_from(TEXTS), lines=LINES)
def test_grids_with_other_lines(path: Path, text: str, lines: list[tuple[int, str, str]]) -> None:
    path.write_bytes(_with(text, lines).encode("utf-8", "surrogatepass"))
    _answered(path)


@examples(500)
@given(text=st.sampled_from(TEXTS), changes=CHANGES)
def test_grids_with_other_bytes(path: Path, text: str, changes: list[Change]) -> None:
    path.write_bytes(damaged(text.encode(), changes))
    _answered(path)


def _with(text: str, lines: list[tuple[int, str, str]]) -> str:
    found = text.splitlines()
    for number, kind, snippet in lines:
        at = number % len(found) if found else 0
        here = found[at] if found else ""
        found[at : at + 1] = {
            "value": [f"{here.partition(':')[0]}: {snippet}"],
            "line": [here, snippet],
            "delete": [],
            "twice": [here, here],
            "indent": [f"  {here}"],
        }[kind]
    return "\n".join(found)


def _answered(path: Path) -> None:
    survives("run", "--grid", path, "--dry-run", statuses=(0, 2))
    try:
        grid = grids.load(path)
    except UserError:
        return
    again = path.with_name("again.yaml")
    again.write_text(grid.text, encoding="utf-8")
    same = grids.load(again)
    assert _meant(same) == _meant(grid)


def _meant(grid: grids.Grid) -> dict[str, Any]:
    lists = {key: [choice.part for choice in getattr(grid, key)] for key in grids.LISTS}
    return {**lists, **{key: getattr(grid, key) for key in ("name", "budgets", "seeds", "resources", "keep")}}

"""One bad rule never costs another trial: each of its own has a row that says what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from conftest import Program
from support.bad import install_bad
from support.commands import write_grid

pytestmark = pytest.mark.usefixtures("own_folder")

SAID = {  # how it is bad: outcome, the whole reason or its beginning
    "no-text": ("failed", "NoText: (its text cannot be made)"),
    "not-a-string": ("failed", "NotAString: (its text cannot be made)"),
    "tricky": ("failed", "Tricky: a trick"),
    "endless": ("failed", "Endless: causes"),
    "chain": ("failed", "ValueError: 49999"),
    "deep": ("failed", "RecursionError: maximum recursion depth exceeded"),
    "base": ("failed", "Base: base"),
    "exit": ("failed", "SystemExit: 3"),
    "generator-exit": ("failed", "GeneratorExit"),
    "interrupt": ("failed", "KeyboardInterrupt: mine"),
    "stop": ("failed", "RuntimeError: generator raised StopIteration"),
    "unpicklable": ("failed", "Unpicklable: a"),
    "group": ("failed", "BaseExceptionGroup: both (2 sub-exceptions)"),
    "surrogate": ("failed", "RuntimeError: cannot read caf\\xe9.png"),
    "controls": ("failed", "RuntimeError: a\\x00b\\x1b[31mc\\ud800"),
    "huge": ("failed", "RuntimeError: xxx"),
    "memory": ("out-of-memory", "MemoryError: enough"),
    "array": ("done", ""),
    "daemon": ("done", ""),
}
GOOD = ["random", "margin"]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return install_bad(tmp_path_factory.mktemp("site"))


def ends(out: str) -> dict[str, dict[str, Any]]:
    """Return how the last trial of each strategy ended."""
    rows = pd.read_parquet(Path(out) / "trials").to_dict("records")
    return {str(row["strategy"]): {str(name): value for name, value in row.items()} for row in rows}


NEVER = ("timeout", "longer than 2 s, and did not end when it was told to")
HARMED = {
    "segfault": ("failed", "its worker died 2 times, last: signal SIGSEGV"),
    "os-exit": ("failed", "its worker died 2 times, last: exit code 7"),
    "sleep": NEVER,
    "swallow": NEVER,
    "hold": NEVER,
    "daemon-and-die": ("failed", "its worker died 3 times, last: signal SIGKILL"),
}
STUCK = {
    "stuck": ("failed", "a worker cannot take it: RuntimeError: not here; is each plugin on each node?"),
    "stuck(how=exits)": ("failed", "a worker cannot take it: SystemExit: 5; is each plugin on each node?"),
}


def said(found: dict[str, dict[str, Any]], out: str) -> None:
    """Check the rows of all rules that raise, and of those that do not."""
    assert {found[rule]["outcome"] for rule in GOOD} == {"done"}
    for how, (outcome, reason) in SAID.items():
        end = found["bad" if how == "base" else f"bad(how={how})"]
        assert (how, end["outcome"]) == (how, outcome)
        assert end["reason"].startswith(reason)
        assert end["reason"] in out
        assert len(end["reason"]) <= 1_100
        assert len(end["traceback"]) <= 20_100
        assert ("bad_rules.py" in end["traceback"]) == (outcome != "done")
    group = found["bad(how=group)"]["traceback"]
    assert "Base: one" in group
    assert "ValueError: two" in group


LEFT = "left-behind-by-a-rule"


def left_behind() -> list[int]:
    """Return the processes that a rule started and that still run."""
    return [p.pid for p in psutil.process_iter(["cmdline"]) if LEFT in (p.info["cmdline"] or [])]


def test_inline_whatever_a_rule_raises_is_a_row(albench: Program, bad: dict[str, str]) -> None:
    write_grid(Path("grid.yaml"), strategies=[*GOOD, *({"name": "bad", "how": how} for how in SAID)])
    command = ["run", "--grid", "grid.yaml", "--out", "out", "--engine", "inline", "--mlflow", "off"]
    status, out, err = albench.run(*command, env={**bad, "LEFT": LEFT})
    assert (status, err) == (1, "")
    said(ends("out"), out)
    assert not left_behind()


def test_no_rule_costs_another_trial_whatever_it_does(albench: Program, bad: dict[str, str]) -> None:
    """Exceptions, hangs in C that hold the interpreter, alarms switched off, deaths of all kinds, daemons, pickles."""
    rules = [{"name": "bad", "how": how} for how in (*SAID, *HARMED)]
    stuck = ["stuck", {"name": "stuck", "how": "exits"}]
    write_grid(Path("grid.yaml"), strategies=[*rules, *GOOD, *stuck], resources={"num_cpus": 1, "timeout": 2})
    command = ["run", "--grid", "grid.yaml", "--out", "out", "--workers", 2, "--mlflow", "off"]
    status, out, err = albench.run(*command, env={**bad, "LEFT": LEFT})
    assert status == 1
    found = ends("out")
    said(found, out)
    harmed = {f"bad(how={how})": end for how, end in HARMED.items()}
    for rule, (outcome, reason) in (harmed | STUCK).items():
        assert (rule, found[rule]["outcome"], found[rule]["reason"]) == (rule, outcome, reason)
    assert all("a worker was lost" in line for line in err.splitlines())
    assert not left_behind()


def test_inline_a_rule_that_nothing_ends_ends_the_run_with_a_line(albench: Program, bad: dict[str, str]) -> None:
    write_grid(Path("grid.yaml"), strategies=[*GOOD, {"name": "bad", "how": "hold"}], resources={"timeout": 1})
    command = ["run", "--grid", "grid.yaml", "--out", "out", "--engine", "inline", "--mlflow", "off"]
    status, _, err = albench.run(*command, env=bad)
    assert status != 0
    assert err.splitlines()[0].startswith(
        "error: a trial took longer than 1 s, and did not end when it was told to; this"
    )

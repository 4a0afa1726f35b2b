"""Rules that do not end, or end their process, or raise what cannot be told: each is caught by `albench check`."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from albench.benchmark.conformance import calls, contract
from albench.benchmark.conformance.calls import NonConformanceError
from albench.benchmark.conformance.checks import check_named
from albench.benchmark.types import Query, Rows


@dataclass(frozen=True)
class Rule:
    """A rule that buys the first rows once it has done its deed."""

    deed: Callable[[], object]

    def select(self, query: Query) -> Rows:
        self.deed()
        return query.unlabelled[: query.n]


def said(rule: Rule) -> str:
    """Return what the first check says of a rule that it catches."""
    with pytest.raises(NonConformanceError) as caught:
        contract.exact_batches(rule, frozenset({"labels"}))
    return str(caught.value)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LIMIT_S", 0.1)


def _waits() -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.usefixtures("short")
def test_a_rule_that_does_not_end_is_ended() -> None:
    assert said(Rule(_waits)) == "ordinary pool (N=2, 1 labelled, n=1): select() did not end within 0.1 s"


@pytest.mark.usefixtures("short")
def test_a_rule_that_swallows_the_alarm_is_caught() -> None:
    def swallows() -> None:
        try:
            _waits()
        except BaseException:
            return

    assert said(Rule(swallows)) == "ordinary pool (N=2, 1 labelled, n=1): select() did not end within 0.1 s"


def test_a_rule_that_nothing_ends_ends_the_process_with_a_line() -> None:
    source = """
import numpy as np
from albench.benchmark.conformance import calls, contract
calls.LIMIT_S = calls.GRACE_S = 0.1
class Never:
    def select(self, query):
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
contract.exact_batches(Never(), frozenset({"labels"}))
"""
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    line = "ordinary pool (N=2, 1 labelled, n=1): select() did not end within 0.1 s, nor when it was told to\n"
    assert ended.stderr == f"FAIL  {line}"


class WordlessError(BaseException):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), WordlessError()], ids=lambda e: type(e).__name__)
def test_whatever_is_raised_is_the_finding(error: BaseException) -> None:
    def raises() -> None:
        raise error

    assert f"select() raised {type(error).__name__}" in said(Rule(raises))


ENDING = '''
import ctypes, os, signal
from dataclasses import dataclass
from albench.benchmark.registry import strategy

@strategy("hanging", cite="")
@dataclass(frozen=True)
class Hanging:
    """Hangs in C and holds the interpreter."""
    def select(self, query):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ctypes.PyDLL(None).sleep(1_000_000)

@strategy("dying", cite="")
@dataclass(frozen=True)
class Dying:
    """Writes where nothing is."""
    def select(self, query):
        ctypes.memset(0, 0, 1)

@strategy("leaving", cite="")
@dataclass(frozen=True)
class Leaving:
    """Leaves."""
    def select(self, query):
        os._exit(0)
'''


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("Hanging", "select() did not end within 0.5 s, nor when it was told to"),
        ("Dying", "select() ended its process: signal SIGSEGV"),
        ("Leaving", "select() ended its process: exit code 0"),
    ],
)
def test_a_rule_that_ends_its_process_or_never_ends_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    (tmp_path / "ending.py").write_text(ENDING, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(calls, "LIMIT_S", 0.5)
    monkeypatch.setattr(calls, "GRACE_S", 1.0)
    (result,) = check_named(f"ending:{name}")
    assert not result.passed
    assert result.message.endswith(f": {how}; the checks end here")

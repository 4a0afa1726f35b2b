"""Inputs nobody meant, made by hypothesis, and the limits within which the program must answer them."""

from __future__ import annotations

import copy
import json
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from support.commands import Said, invoke

SECONDS, BYTES = 5.0, 1 << 30  # of computing, and of memory, that one input may cost
PATIENCE = 60.0  # seconds by the wall clock: machines are shared


def examples(n: int) -> settings:
    """Return how a fuzz test is run: so many inputs, a file or two each."""
    slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    without = [phase for phase in Phase if phase is not Phase.explain]  # it traces every line
    return settings(max_examples=n, deadline=None, suppress_health_check=slow, print_blob=True, phases=without)


def survives(*arguments: object, statuses: tuple[int, ...] = (0, 1, 2)) -> Said:
    """Run a command within the limits; a traceback, a hang or another exit status fails."""
    with bounded():
        said = invoke(*arguments)
    assert said.status in statuses, said
    assert len(said.err) < 20_000, said.err[:2000]
    return said


@contextmanager
def bounded() -> Iterator[None]:
    def late(*_: object) -> None:
        raise AssertionError(f"no answer after {SECONDS:g} s of computing, or {PATIENCE:g} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    before = {each: signal.signal(each, late) for each in (signal.SIGALRM, signal.SIGPROF)}
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    resource.setrlimit(resource.RLIMIT_DATA, (int(psutil.Process().memory_info().data) + BYTES, hard))
    try:
        yield
    finally:
        for clock in (signal.ITIMER_REAL, signal.ITIMER_PROF):
            signal.setitimer(clock, 0)
        for each, handler in before.items():
            signal.signal(each, handler)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


# --- bytes -------------------------------------------------------------------------------------------------------

Change = tuple[str, float, bytes]

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "overwrite", "drop", "repeat"]),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=3,
)


def damaged(content: bytes, changes: list[Change]) -> bytes:
    """Return bytes after some changes, each at a share of the length."""
    for kind, share, extra in changes:
        at = min(int(share * len(content)), max(len(content) - 1, 0))
        after = {
            "flip": content[at : at + 1] and bytes([content[at] ^ (1 << extra[0] % 8)]) + content[at + 1 :],
            "cut": b"",
            "insert": extra + content[at:],
            "overwrite": extra + content[at + len(extra) :],
            "drop": content[at + len(extra) :],
            "repeat": content[max(at - 64, 0) :],
        }[kind]
        content = content[:at] + after
    return content


# --- JSON --------------------------------------------------------------------------------------------------------

DEEP = '{"a":' * 3000 + "1" + "}" * 3000
NASTY: list[Any] = [
    None, True, -1, 0, 1.5, 2**63, 10**400, -(2**64), float("nan"), float("inf"), "", "\ud800", "\x1b[2J", "\x00",
    "x" * 5000, "../../../x", "/etc/passwd", "NaN", [], {}, [[]], [None], {"": None}, {"a": {"b": []}}, ["a", 1], "é",
]  # fmt: skip

Edit = tuple[int, Any, str]
EDITS = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(NASTY), st.sampled_from(["set", "delete", "add", "wrap"])),
    min_size=1,
    max_size=3,
)


def edited(value: Any, edits: list[Edit]) -> str:
    """Return JSON of a value in which some places hold something else."""
    value = json.loads(json.dumps(value))
    for number, nasty, kind in edits:
        places = list(_places(value))
        holder, key = places[number % len(places)] if places else ([value], 0)
        _EDITS[kind](holder, key, copy.deepcopy(nasty))
    return json.dumps(value)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _delete(holder: Any, key: Any, _: Any) -> None:
    del holder[key]


def _set(holder: Any, key: Any, nasty: Any) -> None:
    holder[key] = nasty


def _wrap(holder: Any, key: Any, _: Any) -> None:
    holder[key] = [holder[key]]


def _add(holder: Any, key: Any, nasty: Any) -> None:
    if isinstance(holder, dict):
        holder["more"] = nasty
    else:
        holder.append(nasty)


_EDITS: dict[str, Callable[[Any, Any, Any], None]] = {"set": _set, "delete": _delete, "add": _add, "wrap": _wrap}

"""Grids that nobody would write: each is resolved or refused with lines, soon, and nothing else is raised."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.commands import TINY

from albench.benchmark.grid.document import GridError
from albench.benchmark.grid.grid import KEYS, LISTS, parse
from albench.benchmark.grid.study import preview, resolve

pytestmark = pytest.mark.usefixtures("own_folder")

NUMBERS = [-1, 0, 1, 3, 2**31, 10**12, 2**63 - 1, 0.5, -0.5, 1e308, 5e-324]
WORDS = ["", "0", "010", "1e999", "nan", "on", "1/class", "9" * 500, "full-data", "\ud800", "a\x00b", "..", "all"]
RULES = ["random:3", "power:" * 50, "margin", "typiclust"]
ODD: st.SearchStrategy[Any] = st.sampled_from([None, True, [], {}, 10**400, *NUMBERS, *WORDS, *RULES])
NESTED = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "rule"]), inner, max_size=2),
)
LOCAL = {"datasets": ["wine", "wdbc"], "embeddings": ["raw", "pca", "random-conv", "file"]}
"""What is read without the network; all learners and rules are."""


@st.composite
def plugins(draw: st.DrawFn, key: str) -> list[object]:
    """One or two plugins of a kind, with at most one odd parameter each."""
    found: list[object] = []
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(LOCAL.get(key) or LISTS[key].names()))
        field = draw(st.sampled_from([*inspect.signature(LISTS[key].get(name).cls).parameters, ":", "", "x"]))
        odd = draw(st.sampled_from(NUMBERS) | NESTED)
        found.append({"": name, ":": f"{name}:{odd!s:.300}"}.get(field, {"name": name, field: odd}))
    return found


SEGMENT = st.dictionaries(st.sampled_from(["query", "rounds"]), ODD, max_size=2)
SCHEDULE = st.builds(
    lambda odd: {"query": 2, "rounds": 3} | odd,
    st.dictionaries(
        st.sampled_from(["initial", "initial_by", "validation", "query", "rounds", "segments"]),
        ODD | st.lists(SEGMENT, max_size=2),
        max_size=2,
    ),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **{key: plugins(key) for key in LISTS},
    "budgets": st.dictionaries(st.sampled_from(["low", "café", "\x1b", ""]), SCHEDULE, min_size=1, max_size=2),
    "seeds": st.sampled_from([1, 2, 300, 10**6]) | st.lists(ODD, max_size=3),
    "resources": st.dictionaries(st.sampled_from(["num_cpus", "num_gpus", "timeout", "learners"]), ODD, max_size=2),
}
CHANGES = st.lists(
    st.sampled_from(KEYS).flatmap(lambda key: st.tuples(st.just(key), VALUES.get(key, ODD))), min_size=1, max_size=2
)
SETS = st.lists(st.tuples(st.sampled_from([*KEYS, "budgets.low.query", "a.b"]), ODD), max_size=1)


@given(CHANGES, SETS)
@settings(max_examples=60, deadline=5000, suppress_health_check=list(HealthCheck))
def test_any_grid_is_resolved_or_refused(changes: list[tuple[str, Any]], sets: list[tuple[str, Any]]) -> None:
    try:
        text = json.dumps({**TINY, **dict(changes)})
        lines = preview(resolve(parse(text, "grid.yaml", [f"{key}={value!s:.300}" for key, value in sets])))
    except GridError as error:
        lines = error.messages
    assert lines

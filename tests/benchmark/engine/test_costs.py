"""Estimates of what is left, kept up to date trial by trial, are those of the whole table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from albench.benchmark.engine.costs import Costs, Kind


@given(
    open_kinds=st.lists(st.sampled_from("abc"), min_size=1, max_size=30),
    seconds=st.lists(st.one_of(st.none(), st.floats(0.001, 1000)), max_size=30),
)
def test_the_sum_of_what_is_left(open_kinds: list[str], seconds: list[float | None]) -> None:
    costs = Costs()
    left: list[Kind] = [(name,) for name in open_kinds]
    measured: dict[Kind, list[float]] = {}
    for kind in left:
        costs.open(kind)
    assert costs.left() is None
    for took in seconds[: len(open_kinds)]:
        kind = left.pop()
        costs.close(kind, took)
        if took is not None:
            measured.setdefault(kind, []).append(took)
    if not measured:
        assert costs.left() is None
        return
    means = {kind: sum(all_) / len(all_) for kind, all_ in measured.items()}
    overall = sum(map(sum, measured.values())) / sum(map(len, measured.values()))
    assert costs.left() == pytest.approx(sum(means.get(kind, overall) for kind in left), abs=1e-6)
    assert [costs.mean((name,)) for name in "abc"] == pytest.approx([means.get((name,)) for name in "abc"])

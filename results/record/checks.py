"""What the values of a table must be for anything to be made of them: not every part on disk is one of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ...benchmark.types import Outcome
from .schema import CARD

_KNOWN = {"trial_id", "dataset", "embedding", "learner", "strategy", "budget", "seed", "round", "n_labelled"}
_KNOWN |= {"class_counts", "selected", "outcome", "reason", "attempts", "row", "class_name"}
_KNOWN |= {"test_set", "predicted", "pool_rows", "class_names", "labels"}
"""Columns without a null."""

_LATEST = 2**53
"""Milliseconds, rows and labels are whole numbers that a float holds."""

Rule = Callable[[pa.ChunkedArray], pa.ChunkedArray]


def fault(table: pa.Table) -> str:
    """Return the first column with a value that albench never writes, and what that is; empty when there is none."""
    for name in table.column_names:
        column = table[name]
        if name in _KNOWN and column.null_count:
            return f"column {name} has a row without a value"
        if pa.types.is_list(column.type):
            column = pc.list_flatten(column)
            if column.null_count:
                return f"column {name} has a list without a value"
        if name in _RULES and pc.any(pc.invert(_RULES[name](column))).as_py():
            return f"column {name} has a value that cannot be ({_worst(name, column)})"
    return ""


def _worst(name: str, column: pa.ChunkedArray) -> str:
    value = column.filter(pc.invert(_RULES[name](column)))[0].as_py()
    return repr(value)[:60]


def _share(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """From 0 to 1, or not a number: an accuracy that nobody could measure is shown as such."""
    return pc.or_(pc.is_nan(column), pc.and_(pc.greater_equal(column, 0.0), pc.less_equal(column, 1.0)))


def _counts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.and_(pc.greater_equal(column, 0), pc.less(column, min(_LATEST, 2**31 - 1)))


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.and_(pc.greater_equal(column, 0), pc.less(column, _LATEST))


def _seconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Not a number in an imported trial that nobody timed."""
    return pc.or_(pc.is_nan(column), pc.and_(pc.greater_equal(column, 0.0), pc.less(column, 1e12)))


def _outcome(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_in(column, pa.array([outcome.value for outcome in Outcome]))


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1"), _share),
    **dict.fromkeys(("round", "attempts", "class_counts"), _counts),
    **dict.fromkeys(("n_labelled", "selected", "row", "n_bought", "ended_at"), _whole),
    **dict.fromkeys(("select_s", "fit_s", "eval_s", "wall_s", "peak_rss_mb", *CARD), _seconds),
    "outcome": _outcome,
}
"""By column: true where a value is one that albench writes; nulls do not count."""

"""What columns are called for a reader, and what they mean: metric ids in plain words."""

from __future__ import annotations

import re

from ..measures.metrics import METRICS

_WHOLE = {
    "rank/1": "mean rank (rank/1)",
    "gain/1": "mean gain, points (gain/1)",
}
_PARTS = (
    (r"^gain/1 in (.+)$", r"gain in \1"),
    (r"^gain/1 at ([\d,]+)$", r"gain at \1 labels"),
    (r"^rank/1 in (.+)$", r"mean rank in \1"),
    (r"^rank/1 \(", "mean rank ("),
    (r"^at/1 ([\d,]+)$", r"accuracy at \1 labels"),
    (r"^saving/1 at ([\d,]+)$", r"label saving at \1 labels"),
    (r"\bgain/1 of aubc/1", "gain in area, points (gain/1)"),
    (r"\bgain/1 of final/1", "gain at the end, points (gain/1)"),
    (r"\baubc/1", "area under the curve (aubc/1)"),
    (r"\bfinal/1", "final accuracy (final/1)"),
    (r"\bbalance/1", "class balance (balance/1)"),
    (r"\brarest/1", "rarest class (rarest/1)"),
    (r"\biqm/1", "interquartile mean (iqm/1)"),
)
INTERVAL = "95 % interval"
_MEANINGS = {
    "n": "seeds that are done",
    "wins/ties/losses": "settings and budgets in which it beats the baseline, cannot be told apart from it, or loses to"
    " it: paired t-test over seeds at 5 %",
    "unbeaten": "settings and budgets in which no other strategy beats it on the same seeds",
    "seconds in queries": "seconds that all queries of a trial take, geometric mean",
    "seconds in fits": "seconds that all fits of a trial take, geometric mean",
    INTERVAL: "95 times in 100 such an interval holds the truth: Student's t over seeds unless the text says otherwise",
    "places": "the ranks that the tests leave open, best and worst",
    "groups": "strategies that share a letter cannot be told apart",
}


def plain(column: str) -> str:
    """Return a column's title in plain words: ``accuracy at 10 labels``, ``area under the curve (aubc/1)``."""
    if column in _WHOLE:
        return _WHOLE[column]
    for pattern, words in _PARTS:
        column, n = re.subn(pattern, words, column)
        if n:
            return column
    return column


def meaning(column: str) -> str:
    """Return the definitions of what a column's title names, empty where there is nothing to say."""
    if column in _MEANINGS:
        return _MEANINGS[column]
    found = dict.fromkeys(re.findall(r"\b[a-z-]+/\d\b", column))
    return "; ".join(f"{name}: {METRICS[name][1]}" for name in found if name in METRICS)

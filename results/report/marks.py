"""Strategies that are not asked like the others: a sign behind the name in every table, and below it what that says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...benchmark.registry import MARKS
from ..measures.tables import Summary
from .blocks import Block

SIGNS = {"oracle": "°", "reveals": "†", "trains": "‡", "theirs": "§"}
PLAIN_SIGNS = {"oracle": "(o)", "reveals": "(r)", "trains": "(t)", "theirs": "(th)"}
"""For a terminal that has no other letters."""


def labelled(strategy: str, summary: Summary, signs: Mapping[str, str] = SIGNS) -> str:
    """Return the name of a strategy with the signs of its marks: ``galaxy †``."""
    marks = [signs[mark] for mark in MARKS if mark in summary.marks.get(strategy, ())]
    return " ".join([strategy, *marks])


def explained(strategies: Iterable[str], summary: Summary, signs: Mapping[str, str] = SIGNS) -> str:
    """Return what the marks of some strategies say, a sentence for each sign."""
    found = {mark for strategy in strategies for mark in summary.marks.get(strategy, ())}
    return " ".join(f"{signs[mark]} {MARKS[mark]}." for mark in MARKS if mark in found)


def flagged(block: Block, summary: Summary) -> Block:
    """Return a block whose table flags the marked strategies, and has the oracles below all others."""
    marked = set(_names([*block.columns, *(row[0] for row in block.rows)])) & summary.marks.keys()
    if not marked:
        return block
    is_last = [block.columns[0] == "strategy" and summary.is_oracle(row[0]) for row in block.rows]
    order = sorted(range(len(block.rows)), key=is_last.__getitem__)
    place = {i: new for new, i in enumerate(order)}
    return replace(
        block,
        columns=tuple(_flag(text, summary) for text in block.columns),
        rows=tuple((_flag(block.rows[i][0], summary), *block.rows[i][1:]) for i in order),
        strong=frozenset((place[i], j) for i, j in block.strong),
        shades={(place[i], j): shade for (i, j), shade in block.shades.items()},
        note=f"{block.note} {explained(marked, summary)}".strip(),
    )


def _names(texts: Iterable[str]) -> Iterable[str]:
    """Yield the names that a text may consist of: one, or those of a pair."""
    for text in texts:
        yield from {text, *text.split(" - ")}


def _flag(text: str, summary: Summary) -> str:
    parts = [text] if text in summary.marks else text.split(" - ")
    return " - ".join(labelled(part, summary) for part in parts)

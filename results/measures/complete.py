"""The complete blocks of some runs, as arrays: what ranks and matrices may be made of, and what had to be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...benchmark.registry import MARKS
from ...benchmark.types import Floats
from .tables import Cell, Setting, Summary
from .words import count

MOST_PATTERNS = 4096
"""Of more sets of strategies only pairs of patterns are tried: the largest of a ragged study may then be missed."""
SAME_LABELS = 0.01
"""Curves are compared round by round where their labels differ by at most this share: an overshoot of a few."""
Place: TypeAlias = tuple[Setting, str]


@dataclass(frozen=True, eq=False)
class Complete:
    """K strategies on B complete blocks: settings and budgets in which each has done every round of every seed.

    ``values[b]`` (K, S) is ``aubc/1`` and ``curves[b]`` (K, S, R) the accuracy, of the S seeds that all have;
    ``seeds[b]`` (S,) says which. R leaves out a first round in which all are equal: round 0, which is one fit for all.
    ``left_out`` says what is missing, and why.
    """

    strategies: tuple[str, ...]
    places: tuple[Place, ...]
    seeds: tuple[NDArray[np.int64], ...]
    values: tuple[Floats, ...]
    curves: tuple[Floats, ...]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, summary: Summary, regime: str | None = None) -> Complete:
        """Return the complete blocks of a regime; without one of all, which are not to be ranked where they differ."""
        places = [place for place in summary.places() if regime in (None, summary.regime(place[0]))]
        lacks = {place: _lacks(summary, place) for place in places}
        names, kept = _largest(summary, lacks)
        blocks = [_arrays([cell for cell in summary.of(*place) if cell.key.strategy in names], place) for place in kept]
        blocks = [block for block in blocks if len(block[1])]
        return cls(
            strategies=names,
            places=tuple(block[0] for block in blocks),
            seeds=tuple(block[1] for block in blocks),
            values=tuple(block[2] for block in blocks),
            curves=tuple(block[3] for block in blocks),
            left_out=tuple(_left_out(summary, lacks, names, [block[0] for block in blocks])),
        )

    @property
    def means(self) -> Floats:
        """Return the mean over seeds of every block and strategy, (B, K)."""
        return np.array([block.mean(axis=1) for block in self.values]).reshape(-1, len(self.strategies))

    @property
    def by_seed(self) -> Floats:
        """Return the mean over blocks of every strategy and seed that is in all blocks, (K, S)."""
        shared = set.intersection(*(set(seeds.tolist()) for seeds in self.seeds)) if self.seeds else set()
        picked = [block[:, np.isin(seeds, list(shared))] for block, seeds in zip(self.values, self.seeds, strict=True)]
        return np.mean(picked, axis=0) if picked else np.empty((len(self.strategies), 0))

    def budget(self, name: str) -> list[int]:
        """Return the numbers of the blocks of a budget."""
        return [b for b, (_, budget) in enumerate(self.places) if budget == name]


def _lacks(summary: Summary, place: Place) -> dict[str, str]:
    """Return for each strategy what it lacks in a block to be complete; empty when nothing."""
    cells = {cell.key.strategy: cell for cell in summary.of(*place) if summary.is_rival(cell.key.strategy)}
    labels = {name: _labels(cell) for name, cell in cells.items()}
    whole = [own for name, own in labels.items() if own is not None and not cells[name].status]
    usual = max(whole, key=lambda own: (len(own), -own.sum()), default=None)  # the longest, and nobody's overshoot
    return {name: _lack(cells.get(name), labels.get(name), usual) for name in summary.rivals()}


def _lack(cell: Cell | None, labels: Floats | None, usual: Floats | None) -> str:
    if cell is None:
        return "not asked for"
    if cell.status or usual is None:
        return cell.status or "no whole curve"
    if labels is None:
        return "seeds differ in their numbers of labels"
    if len(labels) != len(usual):
        return f"{count(len(labels), 'round')} instead of {len(usual)}"
    off = np.abs(labels / usual - 1).max()
    return "" if off <= SAME_LABELS else f"up to {off:.0%} other numbers of labels"


def _labels(cell: Cell) -> Floats | None:
    """Return the numbers of labels of each round (R,), mean over seeds; None where seeds differ in their rounds."""
    there = cell.curves.notna().to_numpy()
    counts = there.sum(axis=1)
    if not counts.size or (counts != counts[0]).any():
        return None
    columns = np.broadcast_to(cell.curves.columns.to_numpy(dtype=np.float64), there.shape)
    labels: Floats = columns[there].reshape(len(counts), -1).mean(axis=0)
    return labels


def _largest(summary: Summary, lacks: Mapping[Place, Mapping[str, str]]) -> tuple[tuple[str, ...], list[Place]]:
    """Return the strategies and blocks without a hole that hold the most, by strategies squared times blocks.

    Squared, for a block is missed less than a strategy. At least two strategies, else none.
    """
    whole = {place: frozenset(name for name, lack in of.items() if not lack) for place, of in lacks.items()}
    best = _best(Counter(whole.values()))
    blocks = [place for place, names in whole.items() if best and best <= names]
    return tuple(name for name in summary.rivals() if name in best), blocks


def _best(patterns: Mapping[frozenset[str], int]) -> frozenset[str]:
    """Return the strategies of the largest set, where each of ``patterns`` is whole in so many blocks."""
    blocks = {
        names: sum(n for pattern, n in patterns.items() if names <= pattern)
        for names in _intersections(patterns)
        if len(names) > 1
    }
    return max(blocks, key=lambda names: (len(names) ** 2 * blocks[names], sorted(names)), default=frozenset())


def _intersections(patterns: Collection[frozenset[str]]) -> set[frozenset[str]]:
    """Return the intersections of any number of patterns: the largest set is one, that of all its blocks."""
    found = set[frozenset[str]]()
    for pattern in patterns:
        found |= {pattern, *(pattern & other for other in found)}
        if len(found) > MOST_PATTERNS:
            return {a & b for a in patterns for b in patterns}
    return found


def _arrays(cells: list[Cell], place: Place) -> tuple[Place, NDArray[np.int64], Floats, Floats]:
    seeds = np.array(sorted(set.intersection(*(set(cell.by_seed.index) for cell in cells))), dtype=np.int64)
    values = np.array([cell.by_seed.loc[seeds, "aubc/1"].to_numpy(dtype=np.float64) for cell in cells])
    rows = [cell.curves.loc[seeds].to_numpy(dtype=np.float64) for cell in cells]
    curves: Floats = np.array([row[~np.isnan(row)].reshape(len(seeds), -1) for row in rows if len(seeds)])
    if curves.ndim == 3 and curves.shape[2] > 1 and not np.ptp(curves[:, :, 0], axis=0).any():
        curves = curves[:, :, 1:]
    return place, seeds, values, curves


def _left_out(
    summary: Summary, lacks: Mapping[Place, Mapping[str, str]], names: tuple[str, ...], kept: list[Place]
) -> list[str]:
    """Say which strategies and which blocks are not compared, and what they lack."""
    apart = [name for name in summary.strategies() if not summary.is_rival(name)]
    lines = [f"{name} is left out: it {MARKS[mark]}" for name in apart for mark in MARKS if mark in summary.marks[name]]
    for name in summary.rivals():
        why = sorted({of[name] for of in lacks.values() if of[name]})
        if name not in names and why:
            there = sum(not of[name] for of in lacks.values())
            lines.append(f"{name} is left out: complete in {there} of {count(len(lacks), 'block')} ({'; '.join(why)})")
    for place, of in lacks.items():
        if place not in kept and names:
            missing = ", ".join(f"{name} ({of[name]})" for name in names if of[name]) or "no seed that all have"
            lines.append(f"{place[0]}, {place[1]} is left out: {missing}")
    return lines

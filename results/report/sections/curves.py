"""Learning curves: accuracy by number of labels, one chart for each setting and budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple

import numpy as np
import pandas as pd

from ...measures.evidence import Evidence
from ...measures.stats import share_interval
from ...measures.tables import Cell
from .. import charts
from ..blocks import Block, stem


def blocks(evidence: Evidence) -> list[Block]:
    """Return one block with a chart for each setting and budget that has a finished trial."""
    summary = evidence.summary
    found = []
    for setting, budget in summary.places():
        cells = [cell for cell in summary.of(setting, budget) if cell.n]
        if not cells:
            continue
        title = f"{setting}, {budget}"
        seeds = sorted({cell.n for cell in cells})
        over = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        subtitle = f"mean accuracy, 95 % interval over {over} seeds" if seeds[-1] > 1 else "accuracy of one seed"
        oracles = frozenset(filter(summary.is_oracle, summary.strategies()))
        bound = summary.bounds.get(setting)
        full = bound.final.mean if bound is not None and bound.n else None
        figure = charts.curves(points(cells), f"{title}\n{subtitle}", summary.strategies(), oracles, full)
        name = stem("curves", *setting, budget)
        found.append(Block(title, level=3, name=name, figure=figure))
    if not found:
        return []
    text = "Click a name in a legend to see it alone; point at a curve for its values. The numbers are in curves.csv."
    return [Block("Learning curves", text=text), *found]


def points(cells: Iterable[Cell]) -> pd.DataFrame:
    """Return the curves of some cells: strategy, n_labelled, mean, low, high, n; one row per number of labels.

    Only at numbers of labels that each seed of the cell has: a line through means of different seeds would zigzag.
    """
    rows = [
        (cell.key.strategy, int(labels), *astuple(share_interval(accuracy)))
        for cell in cells
        for labels, accuracy in zip(cell.curves.columns, cell.curves.to_numpy().T, strict=True)
        if np.isfinite(accuracy).all()
    ]
    return pd.DataFrame(rows, columns=["strategy", "n_labelled", "mean", "low", "high", "n"])

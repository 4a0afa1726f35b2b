"""The accuracy of each class after the last round, and what is taken for what."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from .....benchmark.types import Floats
from ....measures.evidence import Evidence
from ....measures.predicted import CONFUSED, Classes
from ....measures.stats import share_interval
from ....measures.tables import IDENTITY, Cell, Setting
from ...blocks import NOT_DONE, Block, stem
from ...numbers import Numbers
from ...terminal import FULL_DATA_ROW
from .absent import absent

TITLE = "Accuracy of each class"
MOST = 12  # columns; of more classes those with the lowest accuracy


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table for each setting and budget whose predictions are kept."""
    summary = evidence.summary
    if not summary.finished.size:
        return []
    tables = [table for place in summary.places() if (table := _table(evidence, *place))]
    if not tables:
        return [absent(evidence, TITLE)]
    text = (
        "class-accuracy/1 after the last round: the share of a class's test rows that are predicted as it, means over n"
        f" seeds. Of more than {MOST} classes the {MOST} with the lowest accuracy are shown, the lowest first;"
        f" classes.csv has all, with 95 % intervals over seeds. Confused: the {CONFUSED} commonest mistakes, as true >"
        " predicted, with their share of the true class's rows."
    )
    return [Block(TITLE, text=text, items=evidence.predictions.notices), *tables]


def frame(evidence: Evidence) -> pd.DataFrame:
    """Return the accuracy of each class of each cell, bounds included."""
    columns = [*IDENTITY, "class", *(f"class-accuracy/1 {part}" for part in ("mean", "low", "high", "n"))]
    rows = []
    for key, found in evidence.classes.items():
        intervals = (share_interval(values[~np.isnan(values)]) for values in found.accuracy.T)
        rows += [(*key, name, i.mean, i.low, i.high, i.n) for name, i in zip(found.names, intervals, strict=True)]
    return pd.DataFrame(rows, columns=columns)


def _table(evidence: Evidence, setting: Setting, budget: str) -> Block | None:
    summary = evidence.summary
    cells = summary.of(setting, budget)
    found = {cell.key: classes for cell in cells if (classes := evidence.classes.get(cell.key))}
    if not found or len({classes.names for classes in found.values()}) > 1:
        return None
    means = {key: _means(classes) for key, classes in found.items()}
    names = next(iter(found.values())).names
    shown = _shown(np.array(list(means.values())))
    numbers = Numbers()
    rows = [_row(cell.key.strategy, cell, found.get(cell.key), shown, numbers) for cell in cells]
    bound = summary.bounds.get(setting)
    if bound and (whole := evidence.classes.get(bound.key)) and whole.names == names:
        rows.append(_row(FULL_DATA_ROW, bound, whole, shown, numbers))
    return Block(
        f"{setting}, {budget}",
        columns=("strategy", "n", *(names[c] for c in shown), "confused", NOT_DONE),
        rows=tuple(rows),
        level=3,
        name=stem("classes", *setting, budget),
        about={**setting._asdict(), "budget": budget},
        numbers=numbers,
    )


def _means(classes: Classes) -> Floats:
    """Return the mean accuracy of each class (C,) over the seeds whose test set has it; NaN where none has."""
    there = ~np.isnan(classes.accuracy)
    total = np.where(there, classes.accuracy, 0).sum(axis=0)
    means: Floats = np.where(there.any(axis=0), total / np.maximum(there.sum(axis=0), 1), np.nan)
    return means


def _shown(means: Floats) -> list[int]:
    """Return the classes that have a column, given means (K, C) of K strategies."""
    if means.shape[1] <= MOST:
        return list(range(means.shape[1]))
    order: list[int] = np.argsort(means.mean(axis=0), kind="stable").tolist()  # NaN last
    return order[:MOST]


def _row(name: str, cell: Cell, classes: Classes | None, shown: list[int], numbers: Numbers) -> tuple[str, ...]:
    if classes is None:
        return (name, str(cell.n), *["-"] * (len(shown) + 1), cell.status)
    means, seeds = _means(classes), (~np.isnan(classes.accuracy)).sum(axis=0)
    keep = partial(numbers.keep, **cell.key._asdict())
    own = {
        c: keep(float(means[c]), "class-accuracy/1", "share", int(seeds[c]), **{"class": classes.names[c]})
        for c in shown
    }
    accuracies = ("-" if np.isnan(mean) else f"{mean:.3f}" for mean in own.values())
    confused = ", ".join(
        f"{true} > {predicted} {keep(share, 'confused', 'share', cell.n, **{'class': true, 'versus': predicted}):.0%}"
        for share, true, predicted in classes.confused
    )
    return (name, str(cell.n), *accuracies, confused or "-", cell.status)

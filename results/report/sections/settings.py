"""Which settings labels chose where they are tuned: of the model that chose the rows, and of the one that is scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from ...measures.evidence import Evidence
from ...measures.tables import IDENTITY, Setting
from ..blocks import Block, stem
from ..numbers import Numbers

TITLE = "Settings chosen"
MOST = 8
"""So many numbers of labels are shown, the first and the last among them."""
_AT = ["model", "n_labelled"]


def blocks(evidence: Evidence) -> list[Block]:
    """Return one table for each setting and budget in which some model's settings are tuned."""
    counts = frame(evidence.finished)
    if counts.empty:
        return []
    tables = []
    for setting, budget in evidence.summary.places():
        here = counts[(counts[[*Setting._fields, "budget"]] == [*setting, budget]).all(axis=1)]
        if len(here):
            tables.append(_table(setting, budget, here))
    text = (
        "How often each setting was chosen, of n trials: all strategies and seeds together (settings.csv has them by"
        f" strategy), at {MOST} numbers of labels at most. The learner is the model that is scored at so many labels,"
        " the selector the one that chose the last of them. Where there were too few labels to hold some out, the"
        " setting listed first was taken."
    )
    return [Block(TITLE, text=text), *tables]


def frame(finished: pd.DataFrame) -> pd.DataFrame:
    """Return in how many trials each setting was chosen, by cell, model and number of labels, and by what."""
    told = finished[finished["settings"].notna()]
    counts = told.groupby([*IDENTITY, "n_labelled", "settings"]).size().reset_index()
    rows = [(*cell, *each, n) for *cell, settings, n in counts.itertuples(index=False) for each in _models(settings)]
    columns = [*IDENTITY, "n_labelled", "model", "setting", "by"]
    found = pd.DataFrame(rows, columns=[*columns, "trials"])
    return found.groupby(columns)["trials"].sum().reset_index()


def _models(settings: str) -> Iterator[tuple[str, str, str]]:
    """Yield model, setting and by what it was chosen, of what a round says."""
    for model, chosen in json.loads(settings).items():
        yield model, ", ".join(f"{key}={value}" for key, value in chosen["setting"].items()), chosen["by"]


def _table(setting: Setting, budget: str, counts: pd.DataFrame) -> Block:
    n = counts.groupby(_AT)["trials"].sum()
    few = counts[counts["by"] == "first listed"].groupby(_AT)["trials"].sum()
    by_setting = counts.pivot_table("trials", _AT, "setting", "sum", fill_value=0)
    numbers, rows = Numbers(**setting._asdict(), budget=budget), []
    for model in ("selector", "learner"):
        labels = sorted(n[model].index) if model in n.index.get_level_values(0) else []
        for i in np.unique(np.linspace(0, len(labels) - 1, MOST).round().astype(int)) if labels else ():
            at = (model, labels[i])
            keep, trials = partial(numbers.keep, model=model, n_labelled=int(labels[i])), int(n[at])
            counts_of = {name: int(by_setting.loc[at, name]) for name in by_setting.columns}
            chosen = [str(keep(m, "chosen", "trials", trials, setting=name)) for name, m in counts_of.items()]
            too_few = keep(int(few.get(at, 0)), "too few labels", "trials", trials)
            rows.append((model, str(labels[i]), str(trials), *chosen, str(too_few)))
    return Block(
        f"{TITLE}: {setting}, {budget}",
        columns=("model", "labels", "n", *by_setting.columns, "too few labels"),
        rows=tuple(rows),
        level=3,
        name=stem("settings", *setting, budget),
        numbers=numbers,
    )

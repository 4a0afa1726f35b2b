"""What the rows that strategies buy first look like: kept with a run, so that its report needs no dataset."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...datasets.reading.base import DataError, Split
from ...results.measures.forensics import first_rows, places
from ...results.measures.tables import finished_rounds
from ...results.record.store import RunStore
from ...results.report.look import thumbnail
from ..grid.study import Study

SIDE = 64
"""Pixels of a thumbnail: about one and a half times what it takes on the page."""


def firsts(study: Study, store: RunStore) -> list[dict[str, Any]]:
    """Return rows of `results.schema.FIRSTS`: those that `forensics.first_rows` names, each once, with class and image.

    An image that cannot be read is left out; a dataset with a split of its own for each seed has no such rows.
    """
    splits = {source.dataset.label: source.data.split for source in study.sources.values()}
    wanted: dict[tuple[str, int], None] = {}
    planned = {trial.trial_id for trial in study.trials}
    rounds, trials = (frame[frame["trial_id"].isin(planned)] for frame in (store.rounds(), store.trials()))
    for place in places(finished_rounds(rounds, trials), {"": store.manifest}):
        rows = (row for strategy in place.trails for row, _ in first_rows(place, strategy))
        wanted |= dict.fromkeys((place.names[0], row) for row in rows)
    known = ((d, row) for d, row in sorted(wanted) if d in splits and row < len(splits[d].train_labels))
    return [_look(dataset, splits[dataset], row) for dataset, row in known]


def _look(dataset: str, split: Split, row: int) -> dict[str, Any]:
    image = None
    if split.kind == "images":
        with suppress(DataError):  # a file that is gone since: the class is still known
            image = thumbnail(split.train[row : row + 1][0], SIDE)
    class_name = split.class_names[int(split.train_labels[row])]
    return {"dataset": dataset, "row": row, "class_name": class_name, "image": image}

"""The test sets whose predictions a run keeps: their labels lie with it, so that its report needs no dataset."""

from __future__ import annotations

from typing import Any

from ...datasets.reading.loading import Loaded
from ..grid.study import MOST_TEST_ROWS, Source, Study


def test_set(data: Loaded) -> str:
    """Return the id of a test set: that of the data, so that two splits of the same rows are two test sets."""
    return data.content[:16]


def test_sets(study: Study) -> list[dict[str, Any]]:
    """Return rows of `results.schema.TEST_SETS`, one for each test set whose predictions are kept."""
    kept = {test_set(source.data): source for source in study.sources.values() if study.keeps_predictions(source.data)}
    return [_row(key, source) for key, source in kept.items()]


def why_not(study: Study) -> dict[str, str]:
    """Return why the predictions for some datasets are not kept, by their labels."""
    data = {source.dataset.label: source.data for source in study.sources.values()}
    if not study.grid.keep.predictions:
        return dict.fromkeys(data, "the grid says keep: {predictions: false}")
    sizes = {label: len(each.split.test) for label, each in data.items() if not study.keeps_predictions(each)}
    return {label: f"{size} test rows, more than {MOST_TEST_ROWS}" for label, size in sizes.items()}


def _row(key: str, source: Source) -> dict[str, Any]:
    split = source.data.split
    return {
        "test_set": key,
        "dataset": source.dataset.label,
        "pool_rows": len(split.train),
        "class_names": list(split.class_names),
        "labels": split.test_labels,
        "rows": split.test_rows,
    }

"""What labels would be worth, for oracles: the trial's own learner with them, on the test set."""

from __future__ import annotations

import numpy as np

from ...benchmark.types import Answers, Query, Rows


def fitted(query: Query, rows: Rows) -> Answers:
    """Return what the learner says once these rows (M,), the labelled ones among them, have their hidden labels."""
    return query.fit(rows, query.oracle.labels[rows])


def correct(query: Query, answers: Answers) -> int:
    """Return how many rows of the test set a model tells right."""
    return int(np.count_nonzero(answers.on(query.oracle.test).predicted == query.oracle.test_labels))

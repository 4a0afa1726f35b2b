"""How sure the means of a cell are: of other seeds and other test rows together (`crossed`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .crossed import crossed, interval, nested, share
from .predicted import Predictions, Said, Truth
from .stats import Interval, difference_interval, share_interval
from .tables import Cell, Summary

MEASURES = ("aubc/1", "gain/1 of aubc/1", "final/1", "gain/1 of final/1")
Values = dict[int, NDArray[np.float32]]
"""By seed the values of the test rows (M,): their mean is that seed's."""


class Both(NamedTuple):
    """A mean with its interval over seeds and test rows, and the share of its variance that is from test rows."""

    interval: Interval
    rows: float
    n_rows: int


def certainties(cell: Cell, summary: Summary, predictions: Predictions) -> dict[str, Both]:
    """Return the `MEASURES` of a cell over seeds and test rows; nothing without predictions of two seeds or more.

    Of seeds that have some test sets in common, and some not, there is none; a gain is of those whose baseline has the
    same test set.
    """
    truths, said = predictions.truths, predictions.of(cell.key)
    if len(said) < 2:
        return {}
    base = {} if cell.is_baseline else predictions.of(cell.key._replace(strategy=summary.baseline))
    pairs = [seed for seed in said.keys() & base.keys() if said[seed].test_set == base[seed].test_set]
    found: dict[str, Both | None] = {}
    for name, values in (("aubc/1", _curves), ("final/1", _finals)):
        own, other = values(said, truths), values(base, truths)
        found[name] = _both(own, said, truths)
        if len(pairs) > 1:
            gains = {seed: 100 * (own[seed] - other[seed]) for seed in pairs}
            found[f"gain/1 of {name}"] = _both(gains, said, truths, is_gain=True)
    return {name: both for name, both in found.items() if both}


def _curves(said: Mapping[int, Said], _: Mapping[str, Truth]) -> Values:
    return {seed: each.right for seed, each in said.items()}


def _finals(said: Mapping[int, Said], truths: Mapping[str, Truth]) -> Values:
    return {seed: (each.last == truths[each.test_set].labels).astype(np.float32) for seed, each in said.items()}


def _both(values: Values, said: Mapping[int, Said], truths: Mapping[str, Truth], is_gain: bool = False) -> Both | None:
    """Return what is known of values over seeds and rows.

    Crossed where all seeds have one test set, nested where each has its own; none where it is neither.
    """
    sets, arrays = [said[seed].test_set for seed in values], list(values.values())
    by_seed = [array.mean(dtype=np.float64) for array in arrays]
    over_seeds = (difference_interval if is_gain else share_interval)(by_seed)
    if min(map(len, arrays)) < 2 or 1 < len(set(sets)) < len(sets):
        return None
    if len(set(sets)) == 1:
        spread = crossed(np.array(arrays))
    else:
        tests = [truths[each] for each in sets]
        rows = [test.rows for test in tests if test.rows is not None]
        whole = min(test.pool_rows + len(test.labels) for test in tests)
        spread = nested(arrays, whole, rows if len(rows) == len(tests) else None)
    return Both((interval if is_gain else share)(spread, over_seeds), spread.rows, spread.n_rows)

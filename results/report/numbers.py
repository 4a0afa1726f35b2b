"""The numbers of a table: where one is printed it is kept for the CSV by the same call, as far as it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ..measures.stats import Interval
from ..measures.tables import IDENTITY

Number = TypeVar("Number", Interval, float, int)

VALUES = ("metric", "value", "low", "high", "n", "unit")
"""The columns after those that say what a number is about."""
_FIRST = ("regime", *IDENTITY)


class Numbers:
    """What a table shows, one number a row: what it is about, metric, value, its 95 % interval, n, unit.

    ``about`` is what all of them are about. Of what a table is not about, or a row is about all, the cell is empty.
    """

    def __init__(self, **about: str) -> None:
        self._about = about
        self._rows: list[dict[str, object]] = []

    def keep(self, number: Number, metric: str, unit: str, n: int = 0, /, **about: str | float) -> Number:
        """Return ``number`` as it is, for its text to be made of; NaN is no number, and not kept.

        ``n`` is how many it rests on (seeds, but blocks or runs where the table says so); where it is 0, that of an
        interval. ``about`` adds to what the table is about, or stands in its place.
        """
        of = number if isinstance(number, Interval) else Interval(float(number), np.nan, np.nan, n)
        if not np.isnan(of.mean):
            values = dict(zip(VALUES, (metric, of.mean, of.low, of.high, n or of.n or None, unit), strict=True))
            self._rows.append({**self._about, **about, **values})
        return number

    def frame(self) -> pd.DataFrame:
        """Return the rows as they were kept: columns of `IDENTITY` first, others as they came, then `VALUES`."""
        named = list(dict.fromkeys(name for row in self._rows for name in row if name not in VALUES))
        order = sorted(named, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
        return pd.DataFrame({name: _column([row.get(name) for row in self._rows]) for name in (*order, *VALUES)})


def _column(values: Sequence[object]) -> pd.Series[Any]:
    """Return a column; of whole numbers, and perhaps holes, which must not make decimals of them, as such."""
    is_whole = all(value is None or isinstance(value, int) for value in values)
    return pd.Series(values, dtype="Int64" if is_whole else None)

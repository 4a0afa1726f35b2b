"""The smallest nouns: names of arrays, what is derived from a pool, what a user can mend. On numpy alone.

Axes, by name: N rows of the pool, M rows of any matrix, D features, C classes, U unlabelled rows, K passes,
n rows to buy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""Row numbers of the pool: the only index space. Positions inside ``unlabelled`` never leave a function."""
Features = NDArray[np.float32]
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Predicted = NDArray[np.unsignedinteger[Any]]
"""Predicted classes, in the narrowest unsigned type that holds them: they travel and are kept."""

Array = Any
"""An array where a trial computes: numpy on the CPU, a torch tensor on a GPU (see `device`)."""


_LONE = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: what Python makes of a file's name that is not UTF-8."""


class UserError(Exception):
    """What a user can mend: ``str()`` is one line per problem. The program ends with ``exit_status``, no traceback."""

    exit_status = 2


def canonical_json(value: object) -> str:
    """Text that is equal exactly when the values are, and UTF-8: sorted keys, no spaces, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _LONE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)  # as JSON escapes it


Arrays = Mapping[str, NDArray[Any]]

Keep = Callable[[str, Callable[[], Arrays]], Arrays]
"""``keep(key, compute)`` returns what is kept under the key, or keeps what ``compute()`` gives."""


class Derived:
    """Artefacts of one pool's features, each computed once and then shared by all rounds, trials and strategies.

    ``keep`` is where they are kept for other processes; without it they live as long as this object.
    """

    def __init__(
        self, features: Features, generator: Callable[[str], np.random.Generator], keep: Keep | None = None
    ) -> None:
        self._features = features
        self._generator = generator
        self._keep = keep or (lambda _, compute: compute())
        self._artefacts: dict[str, Arrays] = {}

    def within(self, rows: Rows) -> Derived:
        """Return the artefacts of these rows alone, with the same generators; they are kept for nobody else."""
        return Derived(self._features[rows], self._generator)

    def get(self, key: str, compute: Callable[[Features, np.random.Generator], Arrays]) -> Arrays:
        """Return the arrays ``compute(features, rng)``, read-only, remembered under ``key``.

        ``rng`` is derived from ``key`` alone. The key holds all else that decides the answer, and a version number of
        the algorithm (``unit-rows/1``): what an older one left on disk must not be taken for it.
        """
        if key not in self._artefacts:
            arrays = self._keep(key, lambda: compute(self._features, self._generator(key)))
            for array in arrays.values():
                array.setflags(write=False)
            self._artefacts[key] = MappingProxyType(arrays)
        return self._artefacts[key]

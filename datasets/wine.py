"""Wines of three growers, from scikit-learn."""

from dataclasses import dataclass

import numpy as np

from ..benchmark.registry import dataset
from .reading.base import Bundled, Split
from .reading.variants import Variants


@dataset(
    "wine",
    cite="Aeberhard and Forina (1991), Wine, UCI, doi:10.24432/C5PC7J",
    licence="CC BY 4.0; comes with scikit-learn",
    classes="3",
    sizes="124 train, 54 test; 13 features",
)
@dataclass(frozen=True)
class Wine(Variants, Bundled):
    """178 wines described by 13 chemical measurements, from 3 growers.

    Fixed split at 0.3: 124 pool, 54 test.
    """

    def load(self, seed: int) -> Split:
        from sklearn.datasets import load_wine  # noqa: PLC0415  a second to import, only needed here

        data = load_wine()
        names = [str(name) for name in data.target_names]
        return self.cut("wine", "table", data.data.astype(np.float32), data.target.astype(np.int64), names, seed)

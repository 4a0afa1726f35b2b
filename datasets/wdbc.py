"""Wisconsin diagnostic breast cancer, from scikit-learn."""

from dataclasses import dataclass

import numpy as np

from ..benchmark.registry import dataset
from .reading.base import Bundled, Split
from .reading.variants import Variants


@dataset(
    "wdbc",
    cite="Wolberg, Mangasarian, Street, Street (1993), Breast Cancer Wisconsin (Diagnostic), UCI, doi:10.24432/C5DW2B",
    licence="CC BY 4.0; comes with scikit-learn",
    classes="2",
    sizes="398 train, 171 test; 30 features",
)
@dataclass(frozen=True)
class Wdbc(Variants, Bundled):
    """569 breast masses described by 30 measurements of cell nuclei, malignant or benign.

    Fixed split at 0.3: 398 pool, 171 test. Lu et al. (arXiv 2306.08954) have a resampled one at 0.4: 341 pool, 228
    test.
    """

    def load(self, seed: int) -> Split:
        from sklearn.datasets import load_breast_cancer  # noqa: PLC0415  a second to import, only needed here

        data = load_breast_cancer()
        names = [str(name) for name in data.target_names]
        return self.cut("wdbc", "table", data.data.astype(np.float32), data.target.astype(np.int64), names, seed)

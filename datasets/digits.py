"""Handwritten digits, 8x8 grey, from scikit-learn."""

from dataclasses import dataclass

import numpy as np

from ..benchmark.registry import dataset
from .reading.base import Bundled, Split
from .reading.variants import Variants


@dataset(
    "digits",
    cite="Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI, doi:10.24432/C50P49",
    licence="CC BY 4.0; comes with scikit-learn",
    classes="10",
    sizes="1,257 train, 540 test, 8x8 grey",
)
@dataclass(frozen=True)
class Digits(Variants, Bundled):
    """1,797 handwritten digits of 8x8 grey pixels, 10 classes (the test part of the UCI set).

    The 17 grey levels v become round(v x 255 / 16). Fixed split at 0.3: 1,257 pool, 540 test.
    """

    def load(self, seed: int) -> Split:
        from sklearn.datasets import load_digits  # noqa: PLC0415  a second to import, only needed here

        data = load_digits()
        images = np.rint(data.images * (255 / 16)).astype(np.uint8)[..., None]  # (1797, 8, 8, 1)
        names = [str(name) for name in data.target_names]
        return self.cut("digits", "images", images, data.target.astype(np.int64), names, seed)

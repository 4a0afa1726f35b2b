"""Street View House Numbers, as MATLAB files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..benchmark.registry import dataset
from .reading.base import Split
from .reading.downloads import Downloaded, Remote, listed
from .reading.variants import Variants

PARTS = ("train", "test")


def _published() -> list[Remote]:
    from torchvision.datasets import SVHN  # noqa: PLC0415  seconds to import, only needed here

    return [Remote(url, f"md5:{md5}", name) for url, name, md5 in (SVHN.split_list[part] for part in PARTS)]


@dataset(
    "svhn",
    cite="Netzer, Wang, Coates, Bissacco, Wu, Ng (2011), Reading Digits in Natural Images with Unsupervised Feature "
    "Learning, NIPS Workshop on Deep Learning and Unsupervised Feature Learning",
    licence="for non-commercial use only",
    classes="10",
    sizes="73,257 train, 26,032 test, 32x32 RGB",
    revision=lambda: listed(_published()),
)
@dataclass(frozen=True)
class Svhn(Downloaded, Variants):
    """99,289 digits of house numbers, cropped to 32x32 RGB pixels; the 531,131 extra ones are not used.

    The files give the digit 0 the label 10; here it is class 0.
    """

    def remotes(self) -> list[Remote]:
        return _published()

    def load(self, seed: int) -> Split:
        from torchvision.datasets import SVHN  # noqa: PLC0415  seconds to import, only needed here

        folder = self.files()[0].parent  # looks at the checksums; torchvision does so again, naming no file
        train, test = (SVHN(folder, split=part) for part in PARTS)
        x, test_x = (np.ascontiguousarray(part.data.transpose(0, 2, 3, 1)) for part in (train, test))
        return Split("images", x, train.labels, test_x, test.labels, tuple(map(str, range(10))))

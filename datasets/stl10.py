"""STL-10, as raw bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..benchmark.registry import dataset
from .reading.base import Split
from .reading.downloads import Archived, Remote, listed
from .reading.variants import Variants

SIZE = 96
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
"""In the order of the archive's class_names.txt, for which no checksum is published."""


def _archive() -> list[Remote]:
    from torchvision.datasets import STL10  # noqa: PLC0415  seconds to import, only needed here

    return [Remote(STL10.url, f"md5:{STL10.tgz_md5}", STL10.filename)]


@dataset(
    "stl10",
    cite="Coates, Lee, Ng (2011), An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS",
    licence="none stated; the images were taken from ImageNet, whose terms hold",
    classes="10",
    sizes="5,000 train, 8,000 test, 96x96 RGB",
    revision=lambda: listed(_archive()),
)
@dataclass(frozen=True)
class Stl10(Archived, Variants):
    """13,000 photographs of animals and vehicles, 96x96 RGB pixels; the 100,000 unlabelled ones are not used.

    Nor are they unpacked, though the archive brings them (2.6 GB).
    """

    def remotes(self) -> list[Remote]:
        return _archive()

    def contents(self) -> list[Remote]:
        from torchvision.datasets import STL10  # noqa: PLC0415  seconds to import, only needed here

        files = [*STL10.train_list[:2], *STL10.test_list]  # the third of train is the unlabelled part
        return [Remote("", f"md5:{md5}", f"{STL10.base_folder}/{name}") for name, md5 in files]

    def load(self, seed: int) -> Split:
        root = self.root()  # torchvision's class would ask for the unlabelled images too
        train, train_labels, test, test_labels = (
            np.fromfile(root / file.name, dtype=np.uint8) for file in self.contents()
        )
        x, test_x = (_images(values) for values in (train, test))
        labels = [values.astype(np.int64) - 1 for values in (train_labels, test_labels)]
        return Split("images", x, labels[0], test_x, labels[1], CLASSES)


def _images(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (N, H, W, 3): in the file each image is three planes (red, green, blue), column after column."""
    return np.ascontiguousarray(values.reshape(-1, 3, SIZE, SIZE).transpose(0, 3, 2, 1))

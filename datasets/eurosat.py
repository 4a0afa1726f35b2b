"""EuroSAT, read from its archive in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..benchmark.registry import dataset
from ..benchmark.seeds import generator
from .reading.base import DataError, Split, split_rows
from .reading.downloads import Downloaded, Remote
from .reading.files import FileImages, check_size
from .reading.sources import opened
from .reading.variants import Variants

ARCHIVE = Remote(  # torchvision names the same file (the mirror), but within a function
    "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
    "md5:c8fa014336c82ac7804f0398fcb19387",
    "EuroSAT.zip",
    mirrors=(
        "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
    ),
)


@dataset(
    "eurosat",
    cite="Helber, Bischke, Dengel and Borth, EuroSAT, IEEE JSTARS 2019 (arXiv 1709.00029)",
    licence="MIT; Copernicus Sentinel data",
    classes="10",
    sizes="21,600 train, 5,400 test (by default), 64x64 RGB",
    revision=str(ARCHIVE),
)
@dataclass(frozen=True)
class EuroSat(Downloaded, Variants):
    """Land use seen by the satellite Sentinel-2, in red, green and blue.

    There is no official split: ``test`` is the share of each class that is the test set, drawn once for all seeds (the
    paper's is 0.2). Rows are sorted by class and file name. ``path`` is a folder with the archive, or with ``2750``.
    ``size`` brings images to size x size pixels; they have 64.
    """

    size: int = 64
    test: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)
        if not 0 < self.test < 1:
            raise ValueError(f"test is {self.test}; legal: a share of the rows, above 0 and below 1")

    def remotes(self) -> list[Remote]:
        return [ARCHIVE]

    def load(self, seed: int) -> Split:
        unpacked = self.folder() / "2750"
        source, listed = opened(str(unpacked if unpacked.is_dir() else self.files()[0]), depth=2)
        names = [name for name in listed if name.count("/") == 1 and not name.endswith("/")]
        if not names:
            raise DataError([f"{source}: holds no 2750/<class>/<image>"])
        class_names, labels = np.unique([name.split("/")[0] for name in names], return_inverse=True)
        rows = split_rows(labels, self.test, stratify=True, rng=generator("split", "eurosat", str(self.test)))
        train, test = (FileImages(source, [names[row] for row in part], (self.size, self.size, 3)) for part in rows)
        y_train, y_test = (labels[part].astype(np.int64) for part in rows)
        return Split("images", train, y_train, test, y_test, tuple(str(name) for name in class_names))

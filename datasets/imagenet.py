"""ImageNet (ILSVRC 2012) from the folder it was unpacked to, and the subsets of 50, 100 and 200 classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..benchmark.registry import dataset
from ..benchmark.types import Labels
from .reading.base import PATH, DataError, Split
from .reading.downloads import home
from .reading.files import FileImages, check_size
from .reading.sources import OnDisk, shortened
from .reading.variants import Variants

CITE = "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015 (arXiv 1409.0575)"
SUBSET = f"{CITE}; classes: Van Gansbeke et al., SCAN, ECCV 2020 (arXiv 2005.12320)"
LICENCE = "for non-commercial research and education; to be had from image-net.org after registration"


@dataset(
    "imagenet",
    cite=CITE,
    licence=LICENCE,
    classes="1,000",
    sizes="1,281,167 train, 50,000 test, photographs of all sizes",
)
@dataclass(frozen=True)
class ImageNet(Variants):
    """1,000 classes of photographs: ``train/<class>/*.JPEG`` is the pool, ``val/<class>/*.JPEG`` the test set.

    Classes are WordNet numbers, sorted; rows are sorted by class, then by file name. ``path`` is the folder with
    ``train`` and ``val`` (default: ``datasets/imagenet`` in the cache). ``size`` brings images to size x size pixels
    (shorter side, then the middle); 256, since encoders that crop the middle 224 of an image of 256 then see what they
    do on ImageNet itself.
    """

    path: str = field(default="", metadata=PATH)
    size: int = 256

    resampled: ClassVar[bool] = False
    subset: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)

    def load(self, seed: int) -> Split:
        path = self.path or str(home("imagenet"))
        root = Path(path).expanduser()
        missing = [part for part in ("train", "val") if not (root / part).is_dir()]
        if missing:
            expected = "expected are train/<class>/*.JPEG and val/<class>/*.JPEG"
            raise DataError([f"{path}: no folder {' and no '.join(missing)}; {expected} (set path to where they are)"])
        classes = subset_classes(self.subset) if self.subset else _folders(root / "train")
        problems: list[str] = []
        (train, train_labels), (test, test_labels) = (_part(path, p, classes, problems) for p in ("train", "val"))
        if problems:
            raise DataError(shortened(problems, f"{path}: {len(problems)} folders of classes without images"))
        x_train, x_test = (FileImages(OnDisk(path), names, (self.size, self.size, 3)) for names in (train, test))
        return Split("images", x_train, train_labels, x_test, test_labels, tuple(classes))


@dataset(
    "imagenet-50",
    cite=SUBSET,
    licence=LICENCE,
    classes="50",
    sizes="up to 1,300 train of each class, 2,500 test, photographs of all sizes",
)
@dataclass(frozen=True)
class ImageNet50(ImageNet):
    """50 classes of ImageNet, those of TypiClust's experiments; the folder is that of ``imagenet``."""

    subset: ClassVar[int | None] = 50


@dataset(
    "imagenet-100",
    cite=SUBSET,
    licence=LICENCE,
    classes="100",
    sizes="up to 1,300 train of each class, 5,000 test, photographs of all sizes",
)
@dataclass(frozen=True)
class ImageNet100(ImageNet):
    """100 classes of ImageNet, those of TypiClust's experiments; the folder is that of ``imagenet``."""

    subset: ClassVar[int | None] = 100


@dataset(
    "imagenet-200",
    cite=SUBSET,
    licence=LICENCE,
    classes="200",
    sizes="up to 1,300 train of each class, 10,000 test, photographs of all sizes",
)
@dataclass(frozen=True)
class ImageNet200(ImageNet):
    """200 classes of ImageNet, those of TypiClust's experiments; the folder is that of ``imagenet``."""

    subset: ClassVar[int | None] = 200


def subset_classes(n: int) -> list[str]:
    """Return the WordNet numbers of a subset, sorted; the file says where they come from."""
    lines = Path(__file__).with_name(f"imagenet_{n}.txt").read_text(encoding="utf-8").splitlines()
    return sorted(line for line in lines if not line.startswith("#"))


def _folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _part(path: str, part: str, classes: list[str], problems: list[str]) -> tuple[list[str], Labels]:
    """Return the names of the images of these classes, and their labels."""
    names, labels = list[str](), list[int]()
    for number, wnid in enumerate(classes):
        folder = Path(path).expanduser() / part / wnid
        found = sorted(file.name for file in folder.iterdir() if file.suffix == ".JPEG") if folder.is_dir() else []
        if not found:
            problems.append(f"{path}: {part}/{wnid} holds no *.JPEG")
        names += [f"{part}/{wnid}/{name}" for name in found]
        labels += [number] * len(found)
    return names, np.array(labels, dtype=np.int64)

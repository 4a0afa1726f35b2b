"""CIFAR-10 and CIFAR-100, as their authors packed them for Python."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..benchmark.registry import dataset
from .reading.base import Split
from .reading.downloads import Archived, Remote, listed
from .reading.variants import Variants

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

CITE = "Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, technical report, Toronto"
LICENCE = "none stated; the authors ask to be cited"


def _source(name: str) -> type[CIFAR10]:
    from torchvision import datasets  # noqa: PLC0415  seconds to import, only needed here

    source: type[CIFAR10] = getattr(datasets, name)
    return source


def _archive(name: str) -> list[Remote]:
    source = _source(name)
    return [Remote(source.url, f"md5:{source.tgz_md5}", source.filename)]


@dataclass(frozen=True)
class _Batches(Archived, Variants):
    source: ClassVar[str]

    def remotes(self) -> list[Remote]:
        return _archive(self.source)

    def contents(self) -> list[Remote]:
        source = _source(self.source)
        files = [*source.train_list, *source.test_list, [source.meta["filename"], source.meta["md5"]]]
        return [Remote("", f"md5:{md5}", f"{source.base_folder}/{name}") for name, md5 in files]

    def load(self, seed: int) -> Split:
        root = self.root()  # looks at all checksums, before anything is unpickled; torchvision then does so again
        with warnings.catch_warnings():  # the batches were pickled by a numpy of 2009
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            train, test = (_source(self.source)(root, train=part) for part in (True, False))
        x, test_x = (np.ascontiguousarray(part.data) for part in (train, test))
        labels, test_labels = (np.array(part.targets, dtype=np.int64) for part in (train, test))
        return Split("images", x, labels, test_x, test_labels, tuple(train.classes))


@dataset(
    "cifar10",
    cite=CITE,
    licence=LICENCE,
    classes="10",
    sizes="50,000 train, 10,000 test, 32x32 RGB",
    revision=lambda: listed(_archive("CIFAR10")),
)
@dataclass(frozen=True)
class Cifar10(_Batches):
    """60,000 photographs of animals and vehicles, 32x32 RGB pixels."""

    source: ClassVar[str] = "CIFAR10"


@dataset(
    "cifar100",
    cite=CITE,
    licence=LICENCE,
    classes="100 (the fine labels)",
    sizes="50,000 train, 10,000 test, 32x32 RGB",
    revision=lambda: listed(_archive("CIFAR100")),
)
@dataclass(frozen=True)
class Cifar100(_Batches):
    """60,000 photographs of 100 kinds of things and living things, 32x32 RGB pixels."""

    source: ClassVar[str] = "CIFAR100"

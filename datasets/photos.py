"""Photographs of all sizes, listed by torchvision and decoded when they are used.

Archives are fetched, and unpacked to where torchvision looks for them. Images are brought to 256 pixels by default: an
encoder that crops the middle 224 of 256 then sees what it would see of the original, resized once. Rows are in the
order of the official lists.
"""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..benchmark.registry import dataset
from ..benchmark.types import Labels
from .reading.base import DataError, Report, Split
from .reading.downloads import Downloaded, Remote, extract, fetch, home, listed, writing
from .reading.files import FileImages, check_size
from .reading.sources import OnDisk
from .reading.variants import Variants


@dataclass(frozen=True)
class Archive:
    """A file that goes to ``folder`` (below torchvision's root), where it is unpacked to ``top`` if it has one."""

    remote: Remote
    folder: str = ""
    top: str = ""


@dataclass(frozen=True)
class Photos(Downloaded, Variants):
    """What these datasets share; ``path`` is a folder to which torchvision has downloaded (its ``root``).

    ``size`` is the side of the square to which images are brought, in pixels.
    """

    size: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)

    @staticmethod
    @abstractmethod
    def archives() -> list[Archive]:
        """Return what torchvision would download, in an order in which it can be put in place."""

    @abstractmethod
    def parts(self, root: Path) -> tuple[list[Any], list[Any]]:
        """Return torchvision's datasets that make up the pool, and those of the test set."""

    def remotes(self) -> list[Remote]:
        return [archive.remote for archive in self.archives()]

    def fetch(self, report: Report) -> None:
        if self.path is not None:
            return
        for archive in self.archives():
            folder = home(self.name) / archive.folder
            if not archive.top:
                fetch([archive.remote], folder, self.name, report)
            elif not (folder / archive.top).is_dir():
                (file,) = fetch([archive.remote], home(self.name), self.name, report)
                _unpack(file, folder, archive.top)

    def load(self, seed: int) -> Split:
        root = self.folder()
        try:
            pool, test = self.parts(root)
            if any(part.classes != pool[0].classes for part in (*pool, *test)):  # each part numbers its own
                raise ValueError("its lists name different classes")  # noqa: TRY301  one line for whatever is wrong
        except (RuntimeError, OSError, ValueError, LookupError) as error:
            reason = f"{type(error).__name__}: {error}".split("\n", 1)[0]
            hint = "remove it to have it fetched again" if self.path is None else "expected is what torchvision unpacks"
            raise DataError([f"{self.name}: {root} cannot be read ({reason}); {hint}"]) from error
        (x, labels), (x_test, test_labels) = (self._rows(root, parts) for parts in (pool, test))
        return Split("images", x, labels, x_test, test_labels, tuple(pool[0].classes))

    def _rows(self, root: Path, parts: Sequence[Any]) -> tuple[FileImages, Labels]:
        files = [Path(file) for part in parts for file in vars(part).get("_image_files") or vars(part)["_images"]]
        labels = [label for part in parts for label in vars(part)["_labels"]]  # torchvision has no public list of both
        names = [file.relative_to(root).as_posix() for file in files]
        return FileImages(OnDisk(str(root)), names, (self.size, self.size, 3)), np.array(labels, dtype=np.int64)


def _unpack(archive: Path, folder: Path, top: str) -> None:
    """Put the folder ``top`` of an archive into ``folder``, where those of others may lie."""
    with writing(folder / top):
        if (folder / top).is_dir():  # another process was faster
            return
        unpacked = extract(archive, archive.with_name(f"unpacked-{top}"))
        if not (unpacked / top).is_dir():
            raise DataError([f"{archive}: holds no folder {top}"])
        (unpacked / top).rename(folder / top)
        shutil.rmtree(unpacked)


@dataset(
    "food101",
    cite="Bossard, Guillaumin and Van Gool, Food-101: Mining Discriminative Components with Random Forests, ECCV 2014",
    licence="photographs of foodspotting.com, for scientific use only",
    classes="101",
    sizes="75,750 train (labels not cleaned), 25,250 test (cleaned), photographs of all sizes",
    revision=lambda: listed(Food101().remotes()),
)
@dataclass(frozen=True)
class Food101(Photos):
    """Dishes of 101 kinds; the official split."""

    @staticmethod
    def archives() -> list[Archive]:
        from torchvision.datasets import Food101 as Original  # noqa: PLC0415  takes seconds

        return [Archive(Remote(Original._URL, f"md5:{Original._MD5}", "food-101.tar.gz"), "", "food-101")]

    def parts(self, root: Path) -> tuple[list[Any], list[Any]]:
        from torchvision.datasets import Food101 as Original  # noqa: PLC0415  takes seconds

        return [Original(root, "train")], [Original(root, "test")]


@dataset(
    "flowers102",
    cite="Nilsback and Zisserman, Automated flower classification over a large number of classes, ICVGIP 2008",
    licence="none stated; photographs from the web, for research",
    classes="102",
    sizes="2,040 train (20 of each class), 6,149 test, photographs of all sizes",
    revision=lambda: listed(Flowers102().remotes()),
)
@dataclass(frozen=True)
class Flowers102(Photos):
    """Flowers of 102 kinds; the pool is the official training and validation sets, one after the other."""

    @staticmethod
    def archives() -> list[Archive]:
        from torchvision.datasets import Flowers102 as Original  # noqa: PLC0415  takes seconds

        remotes = {
            key: Remote(Original._download_url_prefix + name, f"md5:{md5}", name)
            for key, (name, md5) in Original._file_dict.items()
        }
        lists = [Archive(remotes[key], "flowers-102") for key in ("label", "setid")]
        return [Archive(remotes["image"], "flowers-102", "jpg"), *lists]

    def parts(self, root: Path) -> tuple[list[Any], list[Any]]:
        from torchvision.datasets import Flowers102 as Original  # noqa: PLC0415  takes seconds

        return [Original(root, "train"), Original(root, "val")], [Original(root, "test")]


@dataset(
    "dtd",
    cite="Cimpoi, Maji, Kokkinos, Mohamed and Vedaldi, Describing Textures in the Wild, CVPR 2014 (arXiv 1311.3618)",
    licence="for research",
    classes="47",
    sizes="3,760 train (80 of each class), 1,880 test, photographs of all sizes",
    revision=lambda: listed(Dtd().remotes()),
)
@dataclass(frozen=True)
class Dtd(Photos):
    """Textures of 47 kinds; the pool is the training and validation sets of an official ``partition``, 1 to 10."""

    partition: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.partition <= 10:
            raise ValueError(f"partition is {self.partition}; legal: 1 to 10")

    @staticmethod
    def archives() -> list[Archive]:
        from torchvision.datasets import DTD  # noqa: PLC0415  takes seconds

        return [Archive(Remote(DTD._URL, f"md5:{DTD._MD5}", "dtd-r1.0.1.tar.gz"), "dtd", "dtd")]

    def parts(self, root: Path) -> tuple[list[Any], list[Any]]:
        from torchvision.datasets import DTD  # noqa: PLC0415  takes seconds

        train, val, test = (DTD(root, part, self.partition) for part in ("train", "val", "test"))
        return [train, val], [test]


@dataset(
    "oxford-pets",
    cite="Parkhi, Vedaldi, Zisserman and Jawahar, Cats and Dogs, CVPR 2012",
    licence="CC BY-SA 4.0",
    classes="37",
    sizes="3,680 train, 3,669 test, photographs of all sizes",
    revision=lambda: listed(OxfordPets().remotes()),
)
@dataclass(frozen=True)
class OxfordPets(Photos):
    """Cats and dogs of 37 breeds; the official split (``trainval`` is the pool)."""

    @staticmethod
    def archives() -> list[Archive]:
        from torchvision.datasets import OxfordIIITPet  # noqa: PLC0415  takes seconds

        remotes = [Remote(url, f"md5:{md5}", url.rsplit("/", 1)[1]) for url, md5 in OxfordIIITPet._RESOURCES]
        return [Archive(remote, "oxford-iiit-pet", remote.name.removesuffix(".tar.gz")) for remote in remotes]

    def parts(self, root: Path) -> tuple[list[Any], list[Any]]:
        from torchvision.datasets import OxfordIIITPet  # noqa: PLC0415  takes seconds

        return [OxfordIIITPet(root, "trainval")], [OxfordIIITPet(root, "test")]

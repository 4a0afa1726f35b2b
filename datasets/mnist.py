"""The idx files of MNIST and its successors: 28x28 grey."""

from __future__ import annotations

import gzip
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..benchmark.registry import dataset
from .reading.base import DataError, Split, check_choice
from .reading.downloads import DAMAGED, Downloaded, Remote, listed
from .reading.variants import Variants

GITHUB = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
"""The authors' own copy of Fashion-MNIST, over https; the address in torchvision has none."""

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist has the files."""

# sha256 of what is in Debian's files. They are the published ones but for the name and time in their gzip headers: with
# these put back (times 1504176606 for train, 1504176627 for t10k), each has the md5 that is published.
FASHION_INSIDE = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

EmnistSplit = Literal["balanced", "byclass", "bymerge", "letters", "digits", "mnist"]


def _published(source: str) -> list[Remote]:
    """Return the four files of a class of torchvision: images and labels of train, then of test."""
    from torchvision import datasets  # noqa: PLC0415  seconds to import, only needed here

    facts = getattr(datasets, source)
    return [
        Remote(
            f"{facts.mirrors[0]}{name}", f"md5:{md5}", name, tuple(f"{mirror}{name}" for mirror in facts.mirrors[1:])
        )
        for name, md5 in facts.resources
    ]


@dataclass(frozen=True)
class _FourFiles(Downloaded, Variants):
    source: ClassVar[str]

    def remotes(self) -> list[Remote]:
        return _published(self.source)

    def load(self, seed: int) -> Split:
        from torchvision import datasets  # noqa: PLC0415  seconds to import, only needed here

        contents = [(str(path), path.read_bytes()) for path in self.files()]
        names = [name.partition(" - ")[0] for name in getattr(datasets, self.source).classes]  # MNIST's "0 - zero"
        return _split(contents, names)


@dataset(
    "mnist",
    cite="LeCun, Bottou, Bengio, Haffner (1998), Gradient-Based Learning Applied to Document Recognition, "
    "Proc. IEEE 86(11), doi:10.1109/5.726791",
    licence="none stated by the authors; often given as CC BY-SA 3.0",
    classes="10",
    sizes="60,000 train, 10,000 test, 28x28 grey",
    revision=lambda: listed(_published("MNIST")),
)
@dataclass(frozen=True)
class Mnist(_FourFiles):
    """70,000 handwritten digits of 28x28 grey pixels."""

    source: ClassVar[str] = "MNIST"


@dataset(
    "fashion-mnist",
    cite="Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
    "Algorithms, arXiv 1708.07747",
    licence="MIT",
    classes="10",
    sizes="60,000 train, 10,000 test, 28x28 grey",
    revision=lambda: listed(_published("FashionMNIST")),
)
@dataclass(frozen=True)
class FashionMnist(_FourFiles):
    """70,000 pictures of clothes, 28x28 grey pixels.

    The files of Debian's package dataset-fashion-mnist are used where it is installed.
    """

    source: ClassVar[str] = "FashionMNIST"

    def remotes(self) -> list[Remote]:
        return [
            replace(r, url=GITHUB + r.name, mirrors=(r.url, *r.mirrors), inside=FASHION_INSIDE[r.name])
            for r in super().remotes()
        ]

    def folder(self) -> Path:
        debian = self.path is None and all((DEBIAN / name).is_file() for name in FASHION_INSIDE)
        return DEBIAN if debian else super().folder()


@dataset(
    "kmnist",
    cite="Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto, Ha (2018), Deep Learning for Classical Japanese "
    "Literature, arXiv 1812.01718",
    licence="CC BY-SA 4.0",
    classes="10",
    sizes="60,000 train, 10,000 test, 28x28 grey",
    revision=lambda: listed(_published("KMNIST")),
)
@dataclass(frozen=True)
class Kmnist(_FourFiles):
    """70,000 handwritten Japanese characters (cursive hiragana) of 28x28 grey pixels."""

    source: ClassVar[str] = "KMNIST"


def _emnist() -> list[Remote]:
    from torchvision.datasets import EMNIST  # noqa: PLC0415  seconds to import, only needed here

    return [Remote(EMNIST.url, f"md5:{EMNIST.md5}", EMNIST.url.rpartition("/")[2])]


@dataset(
    "emnist",
    cite="Cohen, Afshar, Tapson, van Schaik (2017), EMNIST: an extension of MNIST to handwritten letters, "
    "arXiv 1702.05373",
    licence="none stated; made from NIST Special Database 19, a work of the US government",
    classes="balanced 47, byclass 62, bymerge 47, letters 26, digits 10, mnist 10",
    sizes="train + test: balanced 112,800 + 18,800, byclass and bymerge 697,932 + 116,323, "
    "letters 124,800 + 20,800, digits 240,000 + 40,000, mnist 60,000 + 10,000, 28x28 grey",
    revision=lambda: listed(_emnist()),
)
@dataclass(frozen=True)
class Emnist(Downloaded, Variants):
    """Up to 814,255 handwritten digits and letters of 28x28 grey pixels, in six splits.

    The files hold each image on its side, as MATLAB's columns; here it is upright. ``split`` is the one of the six that
    is taken: ``balanced``, ``byclass``, ``bymerge``, ``letters``, ``digits`` or ``mnist``. ``letters`` takes capital
    and small as one class; ``balanced`` and ``bymerge`` only where both look alike. Labels count from 0 in every split.
    """

    split: EmnistSplit = "balanced"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("split", self.split, get_args(EmnistSplit))

    def remotes(self) -> list[Remote]:
        return _emnist()

    def load(self, seed: int) -> Split:
        from torchvision.datasets import EMNIST  # noqa: PLC0415  seconds to import, only needed here

        (path,) = self.files()
        parts = [f"{part}-{what}" for part in ("train", "test") for what in ("images-idx3", "labels-idx1")]
        members = [f"gzip/emnist-{self.split}-{part}-ubyte.gz" for part in parts]
        try:
            with zipfile.ZipFile(path) as archive:
                contents = [(f"{path}: {member}", archive.read(member)) for member in members]
        except (*DAMAGED, KeyError) as error:  # KeyError: no such member
            raise DataError([f"{path}: cannot be unpacked ({error.args[0]})"]) from error
        names = [name for name in EMNIST.classes_split_dict[self.split] if name != "N/A"]
        return _split(contents, names, first=1 if self.split == "letters" else 0, upright=False)


def _split(
    contents: Sequence[tuple[str, bytes]], class_names: Sequence[str], first: int = 0, upright: bool = True
) -> Split:
    """Build the split from (name, content) of four gzipped idx files: images and labels of train, then of test.

    ``first`` is the number of the first class in them.
    """
    train, train_labels, test, test_labels = (
        idx(content, name, n_axes) for (name, content), n_axes in zip(contents, (3, 1, 3, 1), strict=True)
    )
    images = [x if upright else x.swapaxes(1, 2) for x in (train, test)]
    labels = [y.astype(np.int64) - first for y in (train_labels, test_labels)]
    return Split("images", images[0][..., None], labels[0], images[1][..., None], labels[1], tuple(class_names))


def idx(content: bytes, name: str, n_axes: int) -> NDArray[np.uint8]:
    """Read a gzipped idx file of bytes, or raise `DataError` with its ``name`` when it is none or is cut short.

    The format: two zero bytes, 8 for unsigned bytes, the number of axes; their lengths as big-endian 32-bit numbers;
    the values, last axis fastest.
    """
    try:
        inside = gzip.decompress(content)
    except DAMAGED as error:
        raise DataError([f"{name}: not a whole gzip file ({error})"]) from error
    head = 4 + 4 * n_axes
    if inside[:4] != bytes([0, 0, 8, n_axes]) or len(inside) < head:
        raise DataError([f"{name}: not an idx file of bytes with {n_axes} axes (it begins with {inside[:4].hex()})"])
    shape = [int(n) for n in np.frombuffer(inside[4:head], dtype=">u4")]
    if len(inside) - head != math.prod(shape):
        sizes = f"{len(inside) - head:,} values, its header says {math.prod(shape):,}"
        raise DataError([f"{name}: truncated or damaged: it holds {sizes}"])
    return np.frombuffer(inside, dtype=np.uint8, offset=head).reshape(shape)

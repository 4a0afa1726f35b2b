"""Tiny ImageNet, read from the official archive in place, or from the folder it was unpacked to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..benchmark.registry import dataset
from .reading.base import DataError, Split
from .reading.downloads import Downloaded, Remote
from .reading.files import FileImages, check_size
from .reading.sources import Source, UnreadableError, opened, shortened
from .reading.variants import Variants

ARCHIVE = Remote(
    "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    "md5:90528d7ca1a48142e341f4ef8d21d0de",
    "tiny-imagenet-200.zip",
)


@dataset(
    "tiny-imagenet",
    cite="Le and Yang (2015), Tiny ImageNet Visual Recognition Challenge, Stanford CS 231N",
    licence="images of ImageNet: for non-commercial research and education",
    classes="200",
    sizes="100,000 train, 10,000 test, 64x64 RGB",
    revision=str(ARCHIVE),
)
@dataclass(frozen=True)
class TinyImageNet(Downloaded, Variants):
    """200 classes of ImageNet at 64 x 64 pixels; the test set is the official ``val``, whose labels are public.

    ``path`` is a folder with the archive, or the folder it unpacks to. Classes are sorted by WordNet number, rows by
    class and file name (pool) or as ``val_annotations.txt`` has them (test). ``size`` brings images to size x size
    pixels; they have 64.
    """

    size: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)

    def remotes(self) -> list[Remote]:
        return [ARCHIVE]

    def load(self, seed: int) -> Split:
        unpacked = (self.folder() / "wnids.txt").is_file()
        source, names = opened(str(self.folder() if unpacked else self.files()[0]), ("train", "val"), depth=4)
        wnids = sorted(_text(source, "wnids.txt").split())
        numbers = {wnid: number for number, wnid in enumerate(wnids)}
        train, test = _train(source, names, numbers), _val(source, numbers)
        images = [FileImages(source, list(part), (self.size, self.size, 3)) for part in (train, test)]
        labels = [np.array(list(part.values()), dtype=np.int64) for part in (train, test)]
        return Split("images", images[0], labels[0], images[1], labels[1], _class_names(source, wnids))


def _train(source: Source, names: list[str], numbers: dict[str, int]) -> dict[str, int]:
    """Return the images of the pool with their class."""
    found = {}
    for name in names:
        match name.split("/"):
            case ["train", wnid, "images", file] if file and wnid in numbers:
                found[name] = numbers[wnid]
    empty = sorted(set(numbers) - {name.split("/")[1] for name in found})
    if empty:
        raise DataError([f"{source}: train/{empty[0]}/images holds no image ({len(empty)} such classes)"])
    return found


def _val(source: Source, numbers: dict[str, int]) -> dict[str, int]:
    """Return the images of the test set with their class; a line is file, class and a box, apart by tabs."""
    found, bad = {}, []
    for line, text in enumerate(_text(source, "val/val_annotations.txt").splitlines(), start=1):
        name, _, rest = text.partition("\t")
        wnid = rest.split("\t")[0]
        if wnid in numbers:
            found[f"val/images/{name}"] = numbers[wnid]
        else:
            bad.append(f"{source}: val/val_annotations.txt, line {line}: class {wnid!r} is not in wnids.txt")
    if bad:
        raise DataError(shortened(bad, f"{source}: {len(bad)} lines of val/val_annotations.txt name no class"))
    return found


def _class_names(source: Source, wnids: list[str]) -> tuple[str, ...]:
    """Return number and first word of each class: words alone name some classes alike."""
    lines = [line.partition("\t") for line in _text(source, "words.txt").splitlines()]
    words = {wnid: names.split(",")[0] for wnid, _, names in lines}
    return tuple(f"{wnid} {words.get(wnid, '')}".strip() for wnid in wnids)


def _text(source: Source, name: str) -> str:
    try:
        return source.read(name).decode()
    except UnreadableError as error:
        raise DataError([f"{source}: {name}: {error}; expected is what tiny-imagenet-200.zip holds"]) from error
    except UnicodeDecodeError as error:
        raise DataError([f"{source}: {name}: no text ({error})"]) from error

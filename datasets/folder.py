"""Images of one's own: a folder, or a zip of one, read in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..benchmark import text
from ..benchmark.registry import dataset
from .reading.base import PATH, DataError, Split, check_choice, path_label
from .reading.files import FileImages, check_size, first_size, parts
from .reading.sources import Source, opened, shortened
from .reading.variants import Variants

PARTS = ("train", "test")

_Classes = dict[str, list[str]]  # class -> names of its images, both sorted


@dataset("folder", cite="", licence="the user's own data")
@dataclass(frozen=True)
class Folder(Variants):
    """Images in ``train/<class>/*`` and ``test/<class>/*``, in a folder or a zip (perhaps below one top folder).

    ``path`` is the folder or the zip. Rows are sorted by class, then by file name. ``mode`` is ``rgb`` (three channels)
    or ``grey`` (one), whatever the files are. ``size`` resizes to size x size pixels (bilinear); without it all images
    must have one size. Hidden files and Thumbs.db are ignored; any other file must be an image of 8 bits per channel
    (AVIF, BMP, GIF, JPEG, PNG, PPM, TIFF of one page, WebP) with at most 2^26 pixels. Of an animation it is the first
    image. Transparency is dropped, EXIF rotation is not applied. Above 2 GiB of pixels images are decoded when they are
    used, and only then is a damaged one found.
    """

    path: str = field(metadata=PATH)
    size: int | None = None
    mode: Literal["rgb", "grey"] = "rgb"

    resampled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("mode", self.mode, ("rgb", "grey"))
        if self.size is not None:
            check_size(self.size)

    def label(self) -> str:
        return path_label("folder", self.path)

    def load(self, seed: int) -> Split:
        source, names = opened(self.path, PARTS, depth=3)
        train, test = _layout(source, names)
        class_names = sorted(train)
        images = self._images(source, [name for part in (train, test) for kind in part.values() for name in kind])
        x_train, x_test = parts(images, n_train=sum(map(len, train.values())))
        labels = _labels(train, class_names), _labels(test, class_names)
        return Split("images", x_train, labels[0], x_test, labels[1], tuple(class_names))

    def _images(self, source: Source, names: list[str]) -> FileImages:
        channels = 3 if self.mode == "rgb" else 1
        if self.size is not None:
            return FileImages(source, names, (self.size, self.size, channels), "stretch")
        like, height, width = first_size(source, names)
        return FileImages(source, names, (height, width, channels), "none", like)


def _layout(source: Source, names: list[str]) -> tuple[_Classes, _Classes]:
    """Sort the images of both parts into classes; every fault of the layout is reported at once."""
    problems: list[str] = []
    train, test = (_classes(source, names, part, problems) for part in PARTS)
    if train and test:
        unknown = [f"{source}: class {name!r} is in test but not in train" for name in sorted(set(test) - set(train))]
        problems += shortened(unknown, f"{source}: {len(unknown)} classes of test are not in train")
    if problems:
        raise DataError(problems)
    return train, test


def _classes(source: Source, names: list[str], part: str, problems: list[str]) -> _Classes:
    """Return the images of a part by the name of their class, however it is spelled (`text.spelled`)."""
    folders: _Classes = {}
    misplaced: list[str] = []
    for name in names:
        match name.split("/"):
            case [top, *_] if top != part:
                continue
            case [_, ""]:  # the part's own folder
                continue
            case [_, kind, ""]:
                folders.setdefault(kind, [])
            case [_, kind, _]:
                folders.setdefault(kind, []).append(name)
            case _:
                misplaced.append(f"{source}: {name} is not at {part}/<class>/<image>")
    empty = [f"{source}: {part}/{kind} holds no image" for kind, images in sorted(folders.items()) if not images]
    twice = [
        f"{source}: {part} has {len(group)} folders of one name, {', '.join(map(ascii, group))}: put them into one"
        for group in text.same_names(folders)
    ]
    problems += shortened(misplaced, f"{source}: {len(misplaced)} files of {part} are misplaced")
    problems += shortened(empty, f"{source}: {len(empty)} folders of {part} hold no image")
    problems += shortened(twice, f"{source}: {len(twice)} names of {part} are those of several folders")
    if not folders:
        found = text.listing(sorted({name.split("/")[0] for name in names})) or "nothing"
        problems.append(f"{source}: no class folders {part}/<class>; found at the top: {found}")
    return dict(sorted((text.spelled(kind), images) for kind, images in folders.items()))


def _labels(part: _Classes, class_names: list[str]) -> NDArray[np.int64]:
    numbers = [class_names.index(name) for name in part]
    return np.repeat(np.array(numbers, dtype=np.int64), [len(images) for images in part.values()])

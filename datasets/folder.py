"""Images of one's own: a folder, or a zip of one, read in place."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..benchmark.registry import dataset
from .base import PATH, DataError, Split, check_choice, path_label

PARTS = ("train", "test")
NAMED = 10
"""At most so many files of one kind are named in an error; the rest are counted."""

_Classes = dict[str, list[str]]  # class -> names of its images, both sorted


@dataset("folder", cite="", licence="the user's own data")
@dataclass(frozen=True)
class Folder:
    """Images in ``train/<class>/*`` and ``test/<class>/*``, in a folder or a zip (perhaps below one top folder).

    Rows are sorted by class, then by file name. ``size`` resizes to size x size pixels (bilinear); without it all
    images must have one size. Hidden files and Thumbs.db are ignored; any other file must be an image of 8 bits per
    channel. Transparency is dropped, EXIF rotation is not applied.
    """

    path: str = field(metadata=PATH)
    size: int | None = None
    mode: Literal["rgb", "grey"] = "rgb"

    resampled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, ("rgb", "grey"))
        if self.size is not None and self.size < 1:
            raise ValueError(f"size is {self.size}; legal: a number of pixels, at least 1")

    def label(self) -> str:
        return path_label("folder", self.path)

    def load(self, seed: int) -> Split:
        with _opened(self.path) as source:
            train, test = _layout(source)
            names = [name for part in (train, test) for images in part.values() for name in images]
            images = self._decode(source, names)
        class_names = sorted(train)
        n_train = sum(map(len, train.values()))
        labels = _labels(train, class_names), _labels(test, class_names)
        return Split("images", images[:n_train], labels[0], images[n_train:], labels[1], tuple(class_names))

    def _decode(self, source: _Source, names: list[str]) -> NDArray[np.uint8]:
        images: NDArray[np.uint8] | None = None
        first, bad, odd = "", list[str](), list[str]()
        for row, name in enumerate(names):
            try:
                image = _pixels(_content(source, name), self.size, self.mode)
            except _UnreadableError as error:
                bad.append(f"{source.path}: {name}: {error}")
                continue
            if images is None:
                images, first = np.empty((len(names), *image.shape), dtype=np.uint8), name
            if image.shape == images.shape[1:]:
                images[row] = image
            elif not odd:
                sizes = [f"{width}x{height}" for height, width, _ in (images.shape[1:], image.shape)]
                hint = "set size to resize all images"
                odd.append(f"{source.path}: {first} is {sizes[0]}, {name} is {sizes[1]} pixels; {hint}")
        if bad or odd or images is None:
            raise DataError(_shortened(bad, f"{source.path}: {len(bad)} of {len(names)} images cannot be read") + odd)
        return images


@dataclass(frozen=True)
class _Source:
    """A folder or zip: names relative to it, with "/" between, folders ending in "/"."""

    path: str
    names: list[str]
    read: Callable[[str], bytes]


@contextmanager
def _opened(path: str) -> Iterator[_Source]:
    root = Path(path).expanduser()
    if root.is_dir():
        names = list(_walk(root, ""))
        yield _Source(path, _visible(names), lambda name: (root / name).read_bytes())
    elif not root.exists():
        raise DataError([f"{path}: no such folder or zip file"])
    elif not zipfile.is_zipfile(root):
        raise DataError([f"{path}: neither a folder nor a zip file"])
    else:
        with zipfile.ZipFile(root) as archive:
            names = _visible(archive.namelist())
            tops = {name.split("/")[0] for name in names}
            top = f"{tops.pop()}/" if len(tops) == 1 and not tops & set(PARTS) else ""
            inside = [name.removeprefix(top) for name in names if name != top]
            yield _Source(path, inside, lambda name: archive.read(top + name))


def _walk(root: Path, below: str) -> Iterator[str]:
    """Yield all names of ``train`` and ``test`` down to the third level, and those beside them."""
    with os.scandir(root / below) as entries:
        for entry in entries:
            name = below + entry.name
            if not entry.is_dir():
                yield name
                continue
            yield f"{name}/"
            if name.split("/")[0] in PARTS and name.count("/") < 2:
                yield from _walk(root, f"{name}/")


def _visible(names: list[str]) -> list[str]:
    def hidden(name: str) -> bool:
        parts = name.split("/")
        return any(p.startswith((".", "__MACOSX")) for p in parts) or parts[-1].lower() == "thumbs.db"

    return sorted({name for name in names if not hidden(name)})


def _layout(source: _Source) -> tuple[_Classes, _Classes]:
    """Sort the images of both parts into classes; every fault of the layout is reported at once."""
    problems: list[str] = []
    train, test = (_classes(source, part, problems) for part in PARTS)
    if train and test:
        unknown = sorted(set(test) - set(train))
        problems += [f"{source.path}: class {name!r} is in test but not in train" for name in unknown]
    if problems:
        raise DataError(problems)
    return train, test


def _classes(source: _Source, part: str, problems: list[str]) -> _Classes:
    classes: _Classes = {}
    misplaced: list[str] = []
    for name in source.names:
        match name.split("/"):
            case [top, *_] if top != part:
                continue
            case [_, ""]:  # the part's own folder
                continue
            case [_, kind, ""]:
                classes.setdefault(kind, [])
            case [_, kind, _]:
                classes.setdefault(kind, []).append(name)
            case _:
                misplaced.append(f"{source.path}: {name} is not at {part}/<class>/<image>")
    problems += _shortened(misplaced, f"{source.path}: {len(misplaced)} files of {part} are misplaced")
    problems += [
        f"{source.path}: {part}/{kind} holds no image" for kind, images in sorted(classes.items()) if not images
    ]
    if not classes:
        found = ", ".join(sorted({name.split("/")[0] for name in source.names})) or "nothing"
        problems.append(f"{source.path}: no class folders {part}/<class>; found at the top: {found}")
    return dict(sorted(classes.items()))


def _labels(part: _Classes, class_names: list[str]) -> NDArray[np.int64]:
    numbers = [class_names.index(name) for name in part]
    return np.repeat(np.array(numbers, dtype=np.int64), [len(images) for images in part.values()])


def _shortened(messages: list[str], summary: str) -> list[str]:
    if len(messages) <= NAMED:
        return messages
    return [*messages[:NAMED], f"{summary}; the first {NAMED} are named"]


class _UnreadableError(Exception):
    """An image that cannot be decoded; the text is the reason."""


def _content(source: _Source, name: str) -> bytes:
    try:
        return source.read(name)
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # RuntimeError: encrypted
        raise _UnreadableError(f"damaged ({error})") from error


def _pixels(content: bytes, size: int | None, mode: Literal["rgb", "grey"]) -> NDArray[np.uint8]:
    """Decode one image to (H, W, channels)."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  only needed where images are read

    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.mode.startswith(("I", "F")):  # converting would clip 16 bits to white
                raise _UnreadableError(f"more than 8 bits per channel (mode {image.mode})")
            picture = image.convert("RGB" if mode == "rgb" else "L")
    except UnidentifiedImageError:
        raise _UnreadableError("not an image") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise _UnreadableError(f"damaged ({error})") from error
    if size is not None:
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]
